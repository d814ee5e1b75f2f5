"""The Keycloak client as resources see it; the real one is built in controller/app.py alone.

A reader cannot write: planning, drift and look get no other. Methods raise ControllerError's family only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from controller.keycloak_groups import GroupPatch, KeycloakGroup, KeycloakLink
    from controller.keycloak_values import (
        CreatedUsers,
        KeycloakAdministration,
        KeycloakRealm,
        KeycloakRights,
        KeycloakRole,
        KeycloakUser,
        RealmPatch,
        RolePatch,
        UserPatch,
    )

__all__ = ["KeycloakReader", "KeycloakWriter"]


class KeycloakReader(Protocol):
    """One realm, read only. Lists are read whole, or Unobserved is raised."""

    @property
    def realm_name(self) -> str:
        """The realm that this client speaks of."""
        ...

    def rights(self) -> KeycloakRights:
        """What our account may do in the realm."""
        ...

    def realm(self) -> KeycloakRealm | None:
        """The realm's settings, None where there is no such realm."""
        ...

    def owner_declared(self) -> bool:
        """Whether the user profile declares our attributes; else the server drops them."""
        ...

    def users(self) -> tuple[KeycloakUser, ...]:
        """All users, service accounts aside; `roles` is empty (see `members`)."""
        ...

    def user(self, user_id: str) -> KeycloakUser:
        """One user by immutable id. Raises NotThere."""
        ...

    def roles(self, *, expand: Callable[[KeycloakRole], bool]) -> tuple[KeycloakRole, ...]:
        """All realm roles; what a composite includes is read where `expand(role)` is true."""
        ...

    def role(self, name: str) -> KeycloakRole:
        """One realm role by name, with what it includes. Raises NotThere."""
        ...

    def groups(self) -> tuple[KeycloakGroup, ...]:
        """All groups of every depth."""
        ...

    def groups_while_writing(self) -> tuple[KeycloakGroup, ...]:
        """Every group that is there all the time; others may be made meanwhile."""
        ...

    def group(self, group_id: str) -> KeycloakGroup:
        """One group by immutable id. Raises NotThere."""
        ...

    def group_members(self, group_ids: Iterable[str]) -> Mapping[str, frozenset[str]]:
        """The ids of those who are in each group directly."""
        ...

    def links(self, user_ids: Iterable[str]) -> Mapping[str, Mapping[str, KeycloakLink]]:
        """Whom identity providers, by alias, know each of these users as."""
        ...

    def kept_attributes(self) -> frozenset[str] | None:
        """The attributes that the server keeps, None where it keeps any."""
        ...

    def members(self, roles: Iterable[str]) -> Mapping[str, frozenset[str]]:
        """The ids of those who have each role directly; nobody for an unknown role."""
        ...

    def administration(self, roles: Collection[KeycloakRole]) -> KeycloakAdministration:
        """What makes somebody an administrator; `roles` are those that `roles` has just told."""
        ...

    def administrators(self) -> frozenset[str]:
        """The ids of everybody who may administer the realm."""
        ...


class KeycloakWriter(KeycloakReader, Protocol):
    """One realm, with the writes that apply makes.

    A write is sent once; OutcomeUnknown where no answer came.
    """

    def create_realm(self, realm: KeycloakRealm) -> None:
        """Create the realm; later calls carry rights on it. Raises Conflict."""
        ...

    def update_realm(
        self, patch: RealmPatch, *, still: Callable[[KeycloakRealm], bool] | None = None
    ) -> None:
        """Alter the realm's settings. Raises Conflict where `still` denies."""
        ...

    def declare_owner(self) -> bool:
        """Declare our attributes in the user profile."""
        ...

    def create_role(self, role: KeycloakRole) -> KeycloakRole:
        """Create a realm role with what it includes. Raises Conflict, NotThere."""
        ...

    def update_role(
        self, role_id: str, patch: RolePatch, *, still: Callable[[KeycloakRole], bool] | None = None
    ) -> None:
        """Alter a role. Raises NotThere, Conflict."""
        ...

    def delete_role(self, role_id: str, *, still: Callable[[KeycloakRole], bool] | None = None) -> None:
        """Delete a role and every mapping of it. Raises NotThere, Conflict."""
        ...

    def create_group(self, group: KeycloakGroup) -> str:
        """Create a group below its parent, with its roles; says its id. Raises Conflict, NotThere."""
        ...

    def update_group(
        self, group_id: str, patch: GroupPatch, *, still: Callable[[KeycloakGroup], bool] | None = None
    ) -> None:
        """Alter or move a group. Raises NotThere, Conflict."""
        ...

    def delete_group(self, group_id: str, *, still: Callable[[KeycloakGroup], bool] | None = None) -> None:
        """Delete a group that has no sub-groups. Raises NotThere, Conflict."""
        ...

    def create_users(
        self, users: Sequence[KeycloakUser], *, on_batch: Callable[[CreatedUsers], None] | None = None
    ) -> CreatedUsers:
        """Create users with attributes and roles; says for each what became of it."""
        ...

    def update_user(
        self, user_id: str, patch: UserPatch, *, still: Callable[[KeycloakUser], bool] | None = None
    ) -> None:
        """Alter a user. Raises NotThere, Conflict."""
        ...

    def delete_user(self, user_id: str, *, still: Callable[[KeycloakUser], bool] | None = None) -> None:
        """Delete a user. Raises NotThere, Conflict."""
        ...

    def grant(self, user_id: str, roles: Collection[str]) -> None:
        """Map realm roles to a user; one that is mapped already stays."""
        ...

    def revoke(self, user_id: str, roles: Collection[str]) -> None:
        """Take realm roles from a user; one that is not mapped is no error."""
        ...

    def offboard(self, user_id: str, *, still: Callable[[KeycloakUser], bool] | None = None) -> None:
        """Disable a user, end the sessions and revoke the offline ones. Raises NotThere, Conflict."""
        ...

    def end_sessions(self, user_id: str) -> None:
        """End a user's sessions and revoke the offline ones. Raises NotThere."""
        ...

    def join(self, user_id: str, group_id: str) -> None:
        """Put a user into a group; one who is in it stays."""
        ...

    def leave(self, user_id: str, group_id: str) -> None:
        """Take a user out of a group; one who is not in it is no error."""
        ...

    def link(self, user_id: str, alias: str, link: KeycloakLink) -> None:
        """Let an identity provider log a user in. Raises NotThere for a provider that is not there."""
        ...

    def send_actions(
        self,
        user_id: str,
        actions: Collection[str],
        *,
        lifespan_seconds: int,
        client_id: str = "",
        redirect: str = "",
    ) -> None:
        """Mail a user a link that leads through required actions."""
        ...
