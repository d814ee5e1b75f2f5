"""The Proxmox client as resources see it; the real one is built in controller/app.py alone.

A reader cannot write: planning, drift, explain and look get no other. Methods raise ControllerError's family
only; each is one request for a whole list, never one per object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.proxmox_values import AclEntry, ProxmoxGroup, ProxmoxGuest, ProxmoxRole, ProxmoxUser

__all__ = ["ProxmoxReader", "ProxmoxWriter"]


class ProxmoxReader(Protocol):
    """One cluster, read only. Lists are read whole, or Unobserved is raised."""

    def roles(self) -> tuple[ProxmoxRole, ...]:
        """All roles, Proxmox's own included (`GET /access/roles`)."""
        ...

    def users(self) -> tuple[ProxmoxUser, ...]:
        """All users of all realms (`GET /access/users`)."""
        ...

    def groups(self) -> tuple[ProxmoxGroup, ...]:
        """All groups with their members (`GET /access/groups`)."""
        ...

    def acl(self) -> tuple[AclEntry, ...]:
        """The whole access control list (`GET /access/acl`)."""
        ...

    def guests(self) -> tuple[ProxmoxGuest, ...]:
        """All guests of all nodes (`GET /cluster/resources?type=vm`)."""
        ...

    def permissions(self, userid: str = "") -> Mapping[str, Mapping[str, bool]]:
        """Path → privilege → propagates, of `userid` or of our own account (`GET /access/permissions`)."""
        ...


class ProxmoxWriter(ProxmoxReader, Protocol):
    """One cluster, with the writes that apply makes.

    A write is sent once; OutcomeUnknown where no answer came.
    """

    def create_role(self, name: str, privileges: frozenset[str]) -> None:
        """Create a role. Raises Conflict."""
        ...

    def update_role(self, name: str, privileges: frozenset[str]) -> None:
        """Give a role exactly these privileges. Raises NotThere."""
        ...

    def delete_role(self, name: str) -> None:
        """Delete a role; entries that name it vanish with it. Raises NotThere."""
        ...

    def create_user(self, user: ProxmoxUser) -> None:
        """Create a user, without a password. Raises Conflict."""
        ...

    def update_user(self, user: ProxmoxUser) -> None:
        """Give a user exactly these fields. Raises NotThere."""
        ...

    def delete_user(self, userid: str) -> None:
        """Delete a user with all entries and tokens. Raises NotThere."""
        ...

    def set_acl(self, entry: AclEntry) -> None:
        """Add an entry, or set its propagate flag; one that is there already stays."""
        ...

    def delete_acl(self, entry: AclEntry) -> None:
        """Remove an entry; one that is not there is no error."""
        ...
