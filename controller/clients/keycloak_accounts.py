"""What is written to single accounts: their fields, roles, groups, links, sessions, and mail to them.

Every method may raise what `keycloak` says of its own.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from controller.clients.keycloak_people import PeopleReader
from controller.clients.keycloak_people_wire import NamedProvider
from controller.clients.keycloak_session import KeycloakSender, path_part, require
from controller.clients.keycloak_wire import Consent, RealmAnswer, UserAnswer, merged_user
from controller.errors import NotThere, Refused
from controller.keycloak_values import UserPatch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from controller.keycloak_groups import KeycloakLink
    from controller.keycloak_values import KeycloakUser

__all__ = ["AccountWriter"]


class AccountWriter(KeycloakSender, PeopleReader):
    """Writes to the accounts of one realm."""

    def update_user(
        self, user_id: str, patch: UserPatch, *, still: Callable[[KeycloakUser], bool] | None = None
    ) -> None:
        """Alter the user. Raises `NotThere`, `Conflict` (also: the e-mail address is in use)."""
        path = self._user_path(user_id)
        current = self._raw(path)
        require(still, lambda: msgspec.convert(current, UserAnswer).value(), str(current.get("username")))
        self._send("PUT", path, merged_user(current, patch))

    def delete_user(self, user_id: str, *, still: Callable[[KeycloakUser], bool] | None = None) -> None:
        """Delete the user. Raises `NotThere`, `Conflict`."""
        live = self.user(user_id)
        require(still, lambda: live, live.username)
        self._send("DELETE", self._user_path(user_id))

    def grant(self, user_id: str, roles: Collection[str]) -> None:
        """Map realm roles to the user; one that is mapped already stays. Raises `NotThere` (user or role)."""
        self._send("POST", self._mapping(user_id), self._role_references(roles))

    def revoke(self, user_id: str, roles: Collection[str]) -> None:
        """Take realm roles from the user; one that is not mapped is no error. Raises `NotThere`.

        Raises `Refused` for the realm's default role: taking it breaks the account.
        """
        if self._default_role_name in roles:
            raise Refused(f"the default role of the realm {self._realm} is never taken from anybody")
        self._send("DELETE", self._mapping(user_id), self._role_references(roles))

    def join(self, user_id: str, group_id: str) -> None:
        """Put the user into the group; one who is in it stays. Raises `NotThere` (user or group)."""
        self._send("PUT", f"{self._user_path(user_id)}/groups/{path_part(group_id)}")

    def leave(self, user_id: str, group_id: str) -> None:
        """Take the user out of the group; one who is not in it is no error. Raises `NotThere`."""
        self._send("DELETE", f"{self._user_path(user_id)}/groups/{path_part(group_id)}")

    def link(self, user_id: str, alias: str, link: KeycloakLink) -> None:
        """Let the identity provider log this user in, in place of whatever account of it did before.

        Raises `NotThere` where the realm has no such provider: the server itself would take the link and
        lose it.
        """
        self._read(f"/identity-provider/instances/{path_part(alias)}", NamedProvider)
        path = f"{self._user_path(user_id)}/federated-identity/{path_part(alias)}"
        if alias in self.links([user_id])[user_id]:
            self._send("DELETE", path)
        body = {"identityProvider": alias, "userId": link.id, "userName": link.name or link.id}
        self._send("POST", path, body)

    def send_actions(
        self,
        user_id: str,
        actions: Collection[str],
        *,
        lifespan_seconds: int,
        client_id: str = "",
        redirect: str = "",
    ) -> None:
        """Mail the user a link that leads through these required actions.

        Raises `TransientError` (no mail server takes it), `TerminalError` (no address, an unknown action,
        client or redirect), `OutcomeUnknown`.
        """
        query: dict[str, str | int] = {"lifespan": lifespan_seconds}
        query |= {"client_id": client_id} if client_id else {}
        query |= {"redirect_uri": redirect} if redirect else {}
        self._send("PUT", f"{self._user_path(user_id)}/execute-actions-email", list(actions), **query)

    def offboard(self, user_id: str, *, still: Callable[[KeycloakUser], bool] | None = None) -> None:
        """Disable the user, end the sessions, revoke the offline sessions, so that enabling revives none.

        In this order: once disabled, nobody opens a new session behind our back. Raises `NotThere`,
        `Conflict`.
        """
        self.update_user(user_id, UserPatch(enabled=False), still=still)
        self.end_sessions(user_id)

    def end_sessions(self, user_id: str) -> None:
        """End the sessions and revoke the offline ones. Raises `NotThere`."""
        path = self._user_path(user_id)
        self._send("POST", f"{path}/logout")
        for consent in self._get(f"{path}/consents", list[Consent]):
            if consent.is_offline:
                self._revoke_consent(f"{path}/consents/{path_part(consent.client_id)}")

    def _revoke_consent(self, path: str) -> None:
        with suppress(NotThere):  # somebody else has just revoked it
            self._send("DELETE", path)

    def _user_path(self, user_id: str) -> str:
        return f"{self._base}/users/{path_part(user_id)}"

    def _mapping(self, user_id: str) -> str:
        return f"{self._user_path(user_id)}/role-mappings/realm"

    @cached_property
    def _default_role_name(self) -> str:
        return self._read("", RealmAnswer).default_role.name
