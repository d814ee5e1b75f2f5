"""What others have in the groups of our teams, or on our pools: deleting either would take it from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.errors import Conflict, ControllerError
from controller.resources.proxmox_marks import owner_of
from controller.resources.proxmox_people import GROUP_PREFIX
from controller.resources.proxmox_roles import PREFIX
from controller.resources.proxmox_sight import require_entries

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from controller.proxmox_values import ProxmoxEntry, ProxmoxGroup, ProxmoxUser
    from controller.resources.proxmox_ports import ProxmoxReader
    from controller.resources.resource import Context

__all__ = ["held_groups", "require_own"]


def held_groups(client: ProxmoxReader, context: Context) -> dict[str, str]:
    """By team, what its group has that is not ours, in words: an entry, or the account of somebody."""
    groups, users = client.groups(), client.users()
    hidden, given = _given(client, context)
    held = {}
    for name, group in groups.items():
        why = hidden or given.get(name) or _stranger(group, users, context)
        if name.startswith(GROUP_PREFIX) and why:
            held[name.removeprefix(GROUP_PREFIX)] = why
    return held


def require_own(entries: Iterable[ProxmoxEntry], what: str) -> None:
    """Raise Conflict where one of the entries that would go with `what` is not ours."""
    for entry in entries:
        if not entry.role.startswith(PREFIX):
            raise Conflict(f"{what} is not deleted: since the plan, an entry of {entry.role} goes with it")


def _given(client: ProxmoxReader, context: Context) -> tuple[str, Mapping[str, str]]:
    """What groups have by entries that are not ours, by group; before it why that is not known, or ""."""
    try:
        require_entries(client.rights(), context)
    except ControllerError:
        return "entries, perhaps, that our token may not see", {}
    return "", {
        entry.holder: f"the role {entry.role} on {entry.path}"
        for entry in client.entries()
        if entry.kind == "group" and not entry.role.startswith(PREFIX)
    }


def _stranger(group: ProxmoxGroup, users: Mapping[str, ProxmoxUser], context: Context) -> str:
    """A member whose account is not ours, "" where there is none."""
    others = [
        userid
        for userid in group.members
        if userid in users and owner_of(users[userid].comment) != context.owner
    ]
    return f"the member {others[0]}" if others else ""
