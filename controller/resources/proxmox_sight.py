"""Whether a list of Proxmox's was seen whole: it holds what our token may see, and does not tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.errors import Unobserved

if TYPE_CHECKING:
    from controller.proxmox_values import ProxmoxRights
    from controller.resources.resource import Context

__all__ = ["require_entries", "require_guests", "require_users"]


def require_users(rights: ProxmoxRights, context: Context) -> None:
    """Raise Unobserved unless all users are shown to us."""
    if not rights.has_any("/access/groups", "User.Modify", "Sys.Audit"):
        raise _hidden("users", "Sys.Audit on /access/groups", context)


def require_entries(rights: ProxmoxRights, context: Context) -> None:
    """Raise Unobserved unless all entries of the access control list are shown to us."""
    if not rights.has("/access", "Sys.Audit"):
        raise _hidden("access control entries", "Sys.Audit on /access", context)


def require_guests(rights: ProxmoxRights, context: Context) -> None:
    """Raise Unobserved unless all guests are shown to us: VM.Audit on /vms and below."""
    if not rights.on.get("/vms", {}).get("VM.Audit"):
        raise _hidden("guests", "VM.Audit on /vms, propagating", context)
    blind = [path for path, held in rights.on.items() if path.startswith("/vms/") and "VM.Audit" not in held]
    if blind:
        raise _hidden(", ".join(sorted(blind)), "VM.Audit there", context)


def _hidden(what: str, needed: str, context: Context) -> Unobserved:
    return Unobserved(context.system, f"{what} are hidden from our token", hint=f"give it {needed}")
