"""The writing half of what the controller does in Keycloak.

Updates and deletes read their object anew by its immutable id right before they write, and raise `Conflict`
where `still` says that it is no longer what the plan saw. Users are created in bulk by partialImport, which
gives no default role and creates roles that do not exist: both are seen to here. Source: Keycloak Admin
REST API, https://www.keycloak.org/docs-api/latest/rest-api/ .
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from controller.clients.keycloak import KeycloakReader, path_part
from controller.clients.keycloak_answers import checked, decoded
from controller.clients.keycloak_connection import KeycloakConnection, WritingKeycloakConnection
from controller.clients.keycloak_wire import (
    Consent,
    ImportAnswer,
    Json,
    NamedThing,
    RealmAnswer,
    RoleAnswer,
    UserAnswer,
    imported_user,
    merged_realm,
    merged_role,
    merged_user,
    new_realm,
)
from controller.errors import Conflict, ControllerError, NotThere, OutcomeUnknown, Refused
from controller.keycloak_values import OUR_ATTRIBUTES, CreatedUsers, UserPatch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from controller.clients.keycloak_connection import KeycloakAccess
    from controller.keycloak_values import KeycloakRealm, KeycloakRole, KeycloakUser, RealmPatch, RolePatch

__all__ = ["BATCH", "IMPORTS_AT_ONCE", "KeycloakWriter"]

BATCH = 50
"""Users a partialImport: one transaction, of which one bad user undoes the whole.

The server takes longer for each user the more of them are in one: 1,000 in requests of 500 took 4 s, in
requests of 50 half a second (26.7.3, 2 cores).
"""

IMPORTS_AT_ONCE = 4
"""More make it slower on a server of two cores, and leave no room for others."""


class KeycloakWriter(KeycloakReader):
    """Reads and writes one realm."""

    @staticmethod
    def _connect(access: KeycloakAccess) -> KeycloakConnection:
        return WritingKeycloakConnection(access)

    # realm

    def create_realm(self, realm: KeycloakRealm) -> None:
        """Create the realm, and take a token that carries rights on it. Raises `Conflict` where it exists."""
        self._send("POST", "admin/realms", new_realm(realm))
        self._connection.refresh_token()

    def update_realm(
        self, patch: RealmPatch, *, still: Callable[[KeycloakRealm], bool] | None = None
    ) -> None:
        """Alter the realm's settings. Raises `NotThere`, `Conflict`."""
        current = self._raw(self._base)
        _require(still, lambda: msgspec.convert(current, RealmAnswer).value(), self._realm)
        self._send("PUT", self._base, merged_realm(current, patch))

    def declare_owner(self) -> bool:
        """Declare our attributes in the user profile, for admins alone; False where they are all there."""
        profile = self._raw(f"{self._base}/users/profile")
        attributes = profile.get("attributes", [])
        declared = {attribute.get("name") for attribute in attributes}
        missing = [_declaration(name, text) for name, text in OUR_ATTRIBUTES.items() if name not in declared]
        if missing:
            body = profile | {"attributes": [*attributes, *missing]}
            self._send("PUT", f"{self._base}/users/profile", body)
        return bool(missing)

    # roles

    def create_role(self, role: KeycloakRole) -> KeycloakRole:
        """Create the realm role with what it includes, and say its id.

        Raises `Conflict`, `NotThere` (included).
        """
        included = self._references(role.includes or ())
        body = {"name": role.name, "description": role.description, "attributes": _lists(role.attributes)}
        self._send("POST", f"{self._base}/roles", body)
        if included:
            self._send("POST", f"{self._base}/roles/{path_part(role.name)}/composites", included)
        return self.role(role.name)

    def update_role(
        self, role_id: str, patch: RolePatch, *, still: Callable[[KeycloakRole], bool] | None = None
    ) -> None:
        """Alter the role. Raises `NotThere`, `Conflict`."""
        path = f"{self._base}/roles-by-id/{path_part(role_id)}"
        current = self._raw(path)
        live = self._live_role(current)
        _require(still, lambda: live, live.name)
        if patch.description is not None or patch.attributes:
            self._send("PUT", path, merged_role(current, patch))
        if patch.includes is not None:
            before = live.includes or frozenset()
            self._include(path, "POST", patch.includes - before)
            self._include(path, "DELETE", before - patch.includes)

    def delete_role(self, role_id: str, *, still: Callable[[KeycloakRole], bool] | None = None) -> None:
        """Delete the role, and with it everybody's mapping of it. Raises `NotThere`, `Conflict`."""
        path = f"{self._base}/roles-by-id/{path_part(role_id)}"
        live = self._live_role(self._raw(path))
        _require(still, lambda: live, live.name)
        self._send("DELETE", path)

    # users

    def create_users(
        self, users: Sequence[KeycloakUser], *, on_batch: Callable[[CreatedUsers], None] | None = None
    ) -> CreatedUsers:
        """Create users with their attributes and roles, the realm's default role among them.

        `on_batch` hears of each request's users as they are done, from the calling thread. Raises nothing
        for a user that could not be created: `failed` says `Conflict` (name or e-mail in use, also twice in
        `users`), `NotThere` (a role), `OutcomeUnknown` (observe again) or what else the server said.
        """
        known = {role.name for role in self.roles(expand=lambda _: False)}
        sound, failed = _sorted_out(users, known)
        total = CreatedUsers({}, failed)
        if failed and on_batch is not None:
            on_batch(total)
        default = self._default_role if sound else ""
        for done in self._created([replace(user, roles=user.roles | {default}) for user in sound]):
            total = CreatedUsers({**total.ids, **done.ids}, {**total.failed, **done.failed})
            if on_batch is not None:
                on_batch(done)
        return total

    def update_user(
        self, user_id: str, patch: UserPatch, *, still: Callable[[KeycloakUser], bool] | None = None
    ) -> None:
        """Alter the user. Raises `NotThere`, `Conflict` (also: the e-mail address is in use)."""
        path = f"{self._base}/users/{path_part(user_id)}"
        current = self._raw(path)
        _require(still, lambda: msgspec.convert(current, UserAnswer).value(), str(current.get("username")))
        self._send("PUT", path, merged_user(current, patch))

    def delete_user(self, user_id: str, *, still: Callable[[KeycloakUser], bool] | None = None) -> None:
        """Delete the user. Raises `NotThere`, `Conflict`."""
        live = self.user(user_id)
        _require(still, lambda: live, live.username)
        self._send("DELETE", f"{self._base}/users/{path_part(user_id)}")

    def grant(self, user_id: str, roles: Collection[str]) -> None:
        """Map realm roles to the user; one that is mapped already stays. Raises `NotThere` (user or role)."""
        self._send("POST", self._mapping(user_id), self._references(roles))

    def revoke(self, user_id: str, roles: Collection[str]) -> None:
        """Take realm roles from the user; one that is not mapped is no error. Raises `NotThere`.

        Raises `Refused` for the realm's default role: taking it breaks the account.
        """
        if self._default_role in roles:
            raise Refused(f"the default role of the realm {self._realm} is never taken from anybody")
        self._send("DELETE", self._mapping(user_id), self._references(roles))

    def offboard(self, user_id: str, *, still: Callable[[KeycloakUser], bool] | None = None) -> None:
        """Disable the user, end the sessions, revoke the offline sessions, so that enabling revives none.

        In this order: once disabled, nobody opens a new session behind our back. Raises `NotThere`,
        `Conflict`.
        """
        self.update_user(user_id, UserPatch(enabled=False), still=still)
        path = f"{self._base}/users/{path_part(user_id)}"
        self._send("POST", f"{path}/logout")
        for consent in self._get(f"{path}/consents", list[Consent]):
            if consent.is_offline:
                self._send("DELETE", f"{path}/consents/{path_part(consent.client_id)}")

    def _mapping(self, user_id: str) -> str:
        return f"{self._base}/users/{path_part(user_id)}/role-mappings/realm"

    @cached_property
    def _default_role(self) -> str:
        return self._read("", RealmAnswer).default_role.name

    def _references(self, names: Collection[str]) -> list[Json]:
        """Roles as the server wants them named.

        Asked anew: a role made again under its name has another id.
        """
        found = [self._read(f"/roles/{path_part(name)}", NamedThing) for name in sorted(names)]
        return [{"id": role.id, "name": role.name} for role in found]

    def _live_role(self, raw: Json) -> KeycloakRole:
        return self._expanded(msgspec.convert(raw, RoleAnswer), lambda _: True)

    def _include(self, path: str, method: str, names: Collection[str]) -> None:
        if names:
            self._send(method, f"{path}/composites", self._references(names))

    def _created(self, users: Sequence[KeycloakUser]) -> Iterator[CreatedUsers]:
        """The users batch by batch; those of refused batches again, without the ones that are in the way."""
        refused: list[KeycloakUser] = []
        with ThreadPoolExecutor(IMPORTS_AT_ONCE) as threads:
            batches = _batches(users)
            for batch, done in zip(batches, threads.map(self._imported, batches), strict=True):
                if done is None:
                    refused.extend(batch)
                else:
                    yield done
            if refused:
                conflicts = self._conflicts(refused)
                yield CreatedUsers({}, conflicts)
                rest = [user for user in refused if user.username not in conflicts]
                yield from threads.map(self._imported_by_halves, _batches(rest))

    def _imported(self, batch: Sequence[KeycloakUser]) -> CreatedUsers | None:
        """One request; None where the server refuses the whole of it for a conflict of one."""
        body = {"ifResourceExists": "FAIL", "users": [imported_user(user) for user in batch]}
        try:
            answer = decoded(self._send("POST", f"{self._base}/partialImport", body), ImportAnswer)
        except Conflict:
            return None
        except ControllerError as error:
            return CreatedUsers({}, {user.username: error for user in batch})
        ids = {one.resource_name: one.id for one in answer.results if one.action == "ADDED"}
        lost = OutcomeUnknown("the server's answer does not name the user")
        return CreatedUsers(ids, {user.username: lost for user in batch if user.username not in ids})

    def _imported_by_halves(self, batch: Sequence[KeycloakUser]) -> CreatedUsers:
        """For what a list of users does not show, such as the name of a service account."""
        done = self._imported(batch)
        if done is not None:
            return done
        if len(batch) == 1:
            name = batch[0].username
            return CreatedUsers({}, {name: Conflict(f"the name or e-mail of {name} is in use")})
        middle = len(batch) // 2
        left, right = self._imported_by_halves(batch[:middle]), self._imported_by_halves(batch[middle:])
        return CreatedUsers({**left.ids, **right.ids}, {**left.failed, **right.failed})

    def _conflicts(self, users: Sequence[KeycloakUser]) -> dict[str, ControllerError]:
        """Who of them is in the way of somebody.

        The server's own answer names the wrong one for an e-mail.
        """
        try:
            present = self.users()
        except ControllerError as error:
            return {user.username: error for user in users}
        names, emails = {user.username for user in present}, {user.email for user in present if user.email}
        found: dict[str, ControllerError] = {}
        for user in users:
            if user.username in names:
                found[user.username] = Conflict(f"the user name {user.username} is in use")
            elif user.email in emails:
                found[user.username] = Conflict(f"the e-mail address of {user.username} is in use")
        return found

    def _raw(self, path: str) -> Json:
        return self._get(path, dict[str, Any])

    def _send(self, method: str, path: str, body: object = None) -> Any:
        data = b"" if body is None else msgspec.json.encode(body)
        send = {
            "POST": self._connection.raw_post,
            "PUT": self._connection.raw_put,
            "DELETE": self._connection.raw_delete,
        }[method]
        return checked(send(path, data))


def _require(still: Callable[[Any], bool] | None, live: Callable[[], Any], name: str) -> None:
    if still is not None and not still(live()):
        raise Conflict(f"{name} is no longer what the plan saw", hint="plan again")


def _sorted_out(
    users: Sequence[KeycloakUser], known_roles: Collection[str]
) -> tuple[list[KeycloakUser], dict[str, ControllerError]]:
    """Those to send, and those that would make the server refuse their neighbours or invent a role."""
    sound: list[KeycloakUser] = []
    failed: dict[str, ControllerError] = {}
    normal = [replace(user, username=user.username.lower(), email=user.email.lower()) for user in users]
    names = Counter(user.username for user in normal)
    emails = Counter(user.email for user in normal if user.email)
    for user in normal:
        if names[user.username] > 1 or emails[user.email] > 1:
            failed[user.username] = Conflict(f"the name or e-mail of {user.username} is asked for twice")
        elif unknown := sorted(user.roles - frozenset(known_roles)):
            failed[user.username] = NotThere(f"the role {unknown[0]} of {user.username} does not exist")
        else:
            sound.append(user)
    return sound, failed


def _batches(users: Sequence[KeycloakUser]) -> list[Sequence[KeycloakUser]]:
    return [users[start : start + BATCH] for start in range(0, len(users), BATCH)]


def _lists(attributes: Sequence[tuple[str, tuple[str, ...]]]) -> dict[str, list[str]]:
    return {name: list(values) for name, values in attributes}


def _declaration(name: str, text: str) -> Json:
    permissions = {"view": ["admin"], "edit": ["admin"]}
    return {"name": name, "displayName": text, "permissions": permissions, "multivalued": False}
