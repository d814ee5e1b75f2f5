"""The Proxmox client as resources see it; the real one is built in controller/app.py alone.

A reader cannot write: planning, drift, explain and look get no other. Methods raise ControllerError's family
only; each reads a whole list in one request, and one object only where its name says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from controller.proxmox_values import (
        ProxmoxAccess,
        ProxmoxEntry,
        ProxmoxGroup,
        ProxmoxOpenId,
        ProxmoxPool,
        ProxmoxResources,
        ProxmoxRights,
        ProxmoxRole,
        ProxmoxToken,
        ProxmoxUser,
        ProxmoxVersion,
        RealmPatch,
        TokenPatch,
        UserPatch,
    )
    from controller.secret_sources import Reference

__all__ = ["ProxmoxReader", "ProxmoxWriter"]


class ProxmoxReader(Protocol):
    """One cluster, read only."""

    def version(self) -> ProxmoxVersion:
        """The version of the API."""
        ...

    def secret(self, reference: Reference) -> str:
        """A secret that the policy names. Raises Refused for a place that may not go to Proxmox."""
        ...

    def secret_file(self, reference: Reference) -> Path:
        """Where the secret of a token is to be written. Raises Refused for a place that is not allowed."""
        ...

    def rights(self) -> ProxmoxRights:
        """Our own privileges."""
        ...

    def privileges_of(self, userid: str, path: str) -> frozenset[str]:
        """What somebody may do on a path, in Proxmox's own reckoning. Raises NotAllowed."""
        ...

    def users(self) -> Mapping[str, ProxmoxUser]:
        """The users whom we may see, by user id."""
        ...

    def groups(self) -> Mapping[str, ProxmoxGroup]:
        """The groups that we may see, by name."""
        ...

    def roles(self) -> Mapping[str, ProxmoxRole]:
        """All roles, by name."""
        ...

    def realm(self, name: str) -> ProxmoxOpenId | None:
        """A realm with its settings, None where there is none of this name."""
        ...

    def pools(self) -> Mapping[str, ProxmoxPool]:
        """The pools that we may see, by name."""
        ...

    def pool_members(self, name: str) -> tuple[str, ...]:
        """What one pool holds, guests and storages, in words. Raises NotThere."""
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

    def create_group(self, name: str, *, comment: str = "") -> None:
        """Create an empty group. Raises Conflict."""
        ...

    def update_group(self, name: str, *, comment: str) -> None:
        """Change a group's comment. Raises NotThere."""
        ...

    def delete_group(self, name: str) -> None:
        """Delete a group with its entries. Raises NotThere."""
        ...

    def create_realm(self, realm: ProxmoxOpenId) -> None:
        """Create an OpenID realm. Raises Conflict."""
        ...

    def update_realm(self, name: str, patch: RealmPatch, *, digest: str) -> None:
        """Change what the patch holds. Raises Conflict where realms have changed since `digest` was read."""
        ...

    def delete_realm(self, name: str) -> None:
        """Delete a realm; its users stay. Raises NotThere."""
        ...

    def create_pool(self, pool: ProxmoxPool) -> None:
        """Create an empty pool. Raises Conflict."""
        ...

    def update_pool(self, pool: ProxmoxPool) -> None:
        """Change a pool's comment; its members stay. Raises NotThere."""
        ...

    def delete_pool(self, name: str) -> None:
        """Delete an empty pool with its entries. Raises NotThere, TerminalError."""
        ...

    def create_token(self, userid: str, token: ProxmoxToken) -> str:
        """Create a token; its secret, which nobody can read again. Raises Conflict, NotThere."""
        ...

    def update_token(self, userid: str, name: str, patch: TokenPatch) -> None:
        """Change what the patch holds; the secret stays. Raises NotThere."""
        ...

    def delete_token(self, userid: str, name: str) -> None:
        """Delete a token with its entries. Raises NotThere."""
        ...
