"""The Proxmox client as resources see it; the real one is built in controller/app.py alone.

A reader cannot write: planning, drift, explain and look get no other. Methods raise ControllerError's family
only; each reads a whole list in one request, never one object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.proxmox_values import (
        ProxmoxAccess,
        ProxmoxEntry,
        ProxmoxResources,
        ProxmoxRights,
        ProxmoxRole,
        ProxmoxUser,
        UserPatch,
    )

__all__ = ["ProxmoxReader", "ProxmoxWriter"]


class ProxmoxReader(Protocol):
    """One cluster, read only."""

    def rights(self) -> ProxmoxRights:
        """Our own privileges."""
        ...

    def users(self) -> Mapping[str, ProxmoxUser]:
        """The users whom we may see, by user id."""
        ...

    def roles(self) -> Mapping[str, ProxmoxRole]:
        """All roles, by name."""
        ...

    def entries(self) -> tuple[ProxmoxEntry, ...]:
        """The entries of the access control list that we may see."""
        ...

    def resources(self) -> ProxmoxResources:
        """Guests, nodes, storages and pools that we may see."""
        ...

    def access(self) -> ProxmoxAccess:
        """Users, groups, roles and entries, side by side. Raises Unobserved where something is hidden."""
        ...


class ProxmoxWriter(ProxmoxReader, Protocol):
    """One cluster, with the writes that apply makes.

    A write is sent once; OutcomeUnknown where no answer came.
    """

    def create_role(self, role: ProxmoxRole) -> None:
        """Create a role. Raises Conflict."""
        ...

    def set_role(self, role: ProxmoxRole) -> None:
        """Give a role exactly these privileges. Raises NotThere."""
        ...

    def delete_role(self, name: str) -> None:
        """Delete a role; entries that name it vanish with it. Raises NotThere."""
        ...

    def create_user(self, user: ProxmoxUser) -> None:
        """Create a user, without a password. Raises Conflict."""
        ...

    def update_user(self, userid: str, patch: UserPatch) -> None:
        """Change what the patch holds. Raises NotThere."""
        ...

    def delete_user(self, userid: str) -> None:
        """Delete a user with memberships, entries and tokens. Raises NotThere."""
        ...

    def set_entry(self, entry: ProxmoxEntry) -> None:
        """Add an entry, or replace its propagate flag. Raises NotThere."""
        ...

    def delete_entry(self, entry: ProxmoxEntry) -> None:
        """Remove an entry; one that is not there is no error."""
        ...
