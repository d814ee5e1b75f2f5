"""Whether a list of Proxmox's was seen whole: it holds what our token may see, and does not tell.

`paths` are those that entries of the access control list name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.errors import Unobserved

if TYPE_CHECKING:
    from collections.abc import Collection

    from controller.proxmox_values import ProxmoxRights
    from controller.resources.resource import Context

__all__ = [
    "require_entries",
    "require_guests",
    "require_nothing",
    "require_pools",
    "require_storages",
    "require_users",
]


def require_users(rights: ProxmoxRights, context: Context) -> None:
    """Raise Unobserved unless all users are shown to us."""
    if not rights.has_any("/access/groups", "User.Modify", "Sys.Audit"):
        raise _hidden("users", "Sys.Audit on /access/groups", context)


def require_entries(rights: ProxmoxRights, context: Context) -> None:
    """Raise Unobserved unless all entries of the access control list are shown to us."""
    if not rights.has("/access", "Sys.Audit"):
        raise _hidden("access control entries", "Sys.Audit on /access", context)


def require_guests(rights: ProxmoxRights, paths: Collection[str], context: Context) -> None:
    """Raise Unobserved unless all guests are shown to us: VM.Audit on /vms and below."""
    _require_below("guests", "/vms", "VM.Audit", rights, paths, context)


def require_pools(rights: ProxmoxRights, paths: Collection[str], context: Context) -> None:
    """Raise Unobserved unless all pools are shown to us: Pool.Audit on /pool and below."""
    _require_below("pools", "/pool", "Pool.Audit", rights, paths, context)


def require_storages(rights: ProxmoxRights, paths: Collection[str], context: Context) -> None:
    """Raise Unobserved unless all storages are shown to us: Datastore.Audit on /storage and below."""
    _require_below("storages", "/storage", "Datastore.Audit", rights, paths, context)


def require_nothing(_rights: ProxmoxRights, _paths: Collection[str], _context: Context) -> None:
    """Everybody sees every node."""


def _require_below(
    what: str, root: str, privilege: str, rights: ProxmoxRights, paths: Collection[str], context: Context
) -> None:
    """Raise Unobserved unless the privilege holds on `root`, propagates, and is masked on no path below.

    Proxmox tells our rights on each path that an entry names, and leaves out those where we have none.
    """
    if not rights.on.get(root, {}).get(privilege):
        raise _hidden(what, f"{privilege} on {root}, propagating", context)
    named = {*rights.on, *paths}
    blind = [path for path in named if path.startswith(f"{root}/") and not rights.has(path, privilege)]
    if blind:
        raise _hidden(", ".join(sorted(blind)), f"{privilege} there", context)


def _hidden(what: str, needed: str, context: Context) -> Unobserved:
    return Unobserved(context.system, f"{what} are hidden from our token", hint=f"give it {needed}")
