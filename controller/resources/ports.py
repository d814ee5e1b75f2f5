"""The Keycloak and Proxmox clients as resources see them; the real ones are built in controller/app.py alone.

A `…Reader` cannot write: planning, drift and look get no other. JSON objects are as the servers' APIs
give them. All methods raise ControllerError's family only: NotThere, NotAllowed, Conflict, Unreachable,
OutcomeUnknown, Unobserved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Body", "KeycloakReader", "KeycloakWriter"]

Body: TypeAlias = "Mapping[str, Any]"


class KeycloakReader(Protocol):
    """One realm, read only.

    Lists are read whole, in pages of 1,000 side by side, counts before and after agreeing.
    """

    realm: str

    def realm_settings(self) -> Body | None:
        """The realm's representation, or None where there is no such realm."""
        ...

    def user_profile(self) -> Body:
        """The user profile's configuration (`users/profile`)."""
        ...

    def roles(self) -> Sequence[Body]:
        """All realm roles with their attributes."""
        ...

    def role(self, role_id: str) -> Body:
        """One role by its immutable id."""
        ...

    def role_composites(self, role_id: str) -> Sequence[Body]:
        """The realm roles that a role includes."""
        ...

    def role_members(self, name: str) -> Sequence[Body]:
        """The users who have this realm role directly (brief)."""
        ...

    def users(self) -> Sequence[Body]:
        """All users with their attributes; raises Unobserved where the count moved while paging."""
        ...

    def user(self, user_id: str) -> Body:
        """One user by immutable id, attributes included."""
        ...

    def user_roles(self, user_id: str) -> Sequence[Body]:
        """The realm roles that one user has directly."""
        ...

    def administrators(self) -> Sequence[Body]:
        """The users who hold `realm-admin` of the realm's management client directly (brief)."""
        ...


class KeycloakWriter(KeycloakReader, Protocol):
    """One realm, with the writes that apply makes; POST is never repeated."""

    def create_realm(self, body: Body) -> None:
        """Create the realm; later calls carry rights on it."""
        ...

    def update_realm(self, body: Body) -> None:
        """Change the realm's fields that `body` names."""
        ...

    def update_user_profile(self, body: Body) -> None:
        """Replace the user profile's configuration."""
        ...

    def create_role(self, body: Body) -> None:
        """Create a realm role."""
        ...

    def update_role(self, role_id: str, body: Body) -> None:
        """Replace a role's representation."""
        ...

    def delete_role(self, role_id: str) -> None:
        """Delete a role and every mapping of it."""
        ...

    def add_composites(self, role_id: str, roles: Sequence[Body]) -> None:
        """Make a role include others."""
        ...

    def remove_composites(self, role_id: str, roles: Sequence[Body]) -> None:
        """Make a role include others no more."""
        ...

    def import_users(self, users: Sequence[Body]) -> None:
        """Create users in one transaction (partialImport, FAIL): all of them or, with Conflict, none."""
        ...

    def update_user(self, user_id: str, body: Body) -> None:
        """Replace a user's whole representation: PUT is not a patch."""
        ...

    def delete_user(self, user_id: str) -> None:
        """Delete a user."""
        ...

    def add_user_roles(self, user_id: str, roles: Sequence[Body]) -> None:
        """Give a user realm roles."""
        ...

    def remove_user_roles(self, user_id: str, roles: Sequence[Body]) -> None:
        """Take realm roles from a user."""
        ...

    def end_sessions(self, user_id: str) -> None:
        """Log a user out everywhere and revoke offline sessions."""
        ...
