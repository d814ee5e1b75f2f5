"""The writing half of what the controller does in Keycloak.

Updates and deletes read their object anew by its immutable id right before they write, and raise `Conflict`
where `still` says that it is no longer what the plan saw. Source: Keycloak Admin REST API,
https://www.keycloak.org/docs-api/latest/rest-api/ .
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from controller.clients.keycloak import KeycloakReader
from controller.clients.keycloak_clients import ClientWriter
from controller.clients.keycloak_creation import BATCH, IMPORTS_AT_ONCE, PeopleCreator
from controller.clients.keycloak_groups import GroupWriter
from controller.clients.keycloak_providers import ProviderWriter
from controller.clients.keycloak_realm import RealmWriter
from controller.clients.keycloak_session import path_part, require
from controller.clients.keycloak_wire import (
    Json,
    RoleAnswer,
    badly_declared,
    declaring,
    merged_role,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from controller.keycloak_values import KeycloakRole, RolePatch

__all__ = ["BATCH", "IMPORTS_AT_ONCE", "KeycloakWriter"]


class KeycloakWriter(RealmWriter, ProviderWriter, ClientWriter, PeopleCreator, GroupWriter, KeycloakReader):
    """Reads and writes one realm."""

    def declare_owner(self) -> bool:
        """Declare our attributes in the user profile, for admins alone; False where they all are."""
        profile = self._raw(f"{self._base}/users/profile")
        missing = badly_declared(profile)
        if missing:
            self._send("PUT", f"{self._base}/users/profile", declaring(profile, missing))
        return bool(missing)

    # roles

    def create_role(self, role: KeycloakRole) -> KeycloakRole:
        """Create the realm role with what it includes, and say its id.

        Raises `Conflict`, `NotThere` (included).
        """
        included = self._role_references(role.includes or ())
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
        require(still, lambda: live, live.name)
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
        require(still, lambda: live, live.name)
        self._send("DELETE", path)

    def _live_role(self, raw: Json) -> KeycloakRole:
        return self._expanded(msgspec.convert(raw, RoleAnswer), lambda _: True)

    def _include(self, path: str, method: str, names: Collection[str]) -> None:
        if names:
            self._send(method, f"{path}/composites", self._role_references(names))


def _lists(attributes: Sequence[tuple[str, tuple[str, ...]]]) -> dict[str, list[str]]:
    return {name: list(values) for name, values in attributes}
