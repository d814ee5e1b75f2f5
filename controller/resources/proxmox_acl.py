"""Machine assignments: entries of Proxmox's access control list, `/vms/<vmid>` user role.

An entry is ours when its role is ours (`steward-…`), wherever it stands; others are left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.errors import Conflict
from controller.plan.change import Change, Outcome, create, delete, freeze, update
from controller.plan.plan import Report
from controller.proxmox_values import ProxmoxEntry, ProxmoxGuest
from controller.resources.proxmox_machines import Named, identify, machines_here
from controller.resources.proxmox_roles import PREFIX
from controller.resources.proxmox_sight import require_entries, require_guests
from controller.resources.resource import Context, Difference
from controller.resources.writing import applied, ended

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from controller.plan.change import Fields
    from controller.policy.model import Policy
    from controller.policy.position import SourcePosition
    from controller.resources.proxmox_ports import ProxmoxReader, ProxmoxWriter

__all__ = ["SECTION", "Assignment", "SeenAssignments", "apply", "desired", "diff", "observe"]

SECTION = "machines.assigned"


@dataclass(frozen=True)
class Assignment:
    """A person's role on a machine, as the policy has it; `grants` is False for a role without privileges."""

    machine: Named
    user: str
    userid: str
    role: str
    source: SourcePosition
    grants: bool = True


@dataclass(frozen=True)
class SeenAssignments:
    """The whole list of entries, and the guests that there are."""

    entries: tuple[ProxmoxEntry, ...]
    guests: tuple[ProxmoxGuest, ...]


def desired(policy: Policy, context: Context) -> Mapping[str, Assignment]:
    """The assignments on this cluster, by entry; a machine found by its name has that in place of a path."""
    found: dict[str, Assignment] = {}
    for name, machine in machines_here(policy, context).items():
        where = policy.at("machines", name) if machine.vmid is None else policy.at("machines", name, "vmid")
        named = Named(name, machine.vmid, where)
        path = name if machine.vmid is None else f"/vms/{machine.vmid}"
        for user, role in machine.assigned.users.items():
            userid = f"{user}@{context.realm}"
            source = policy.at("machines", name, "assigned", "users", user)
            grants = bool(policy.roles[role].proxmox)
            found[_key(path, userid, PREFIX + role)] = Assignment(named, user, userid, role, source, grants)
    return found


def observe(client: ProxmoxReader, context: Context) -> SeenAssignments:
    """The access control list and the guests, and whether our token sees all of both: three requests."""
    seen = SeenAssignments(client.entries(), client.resources().guests)
    rights = client.rights()
    require_entries(rights, context)
    require_guests(rights, context)
    return seen


def diff(observed: SeenAssignments, desired: Mapping[str, Assignment], context: Context) -> Difference:
    """What to add, alter and (as prunes) remove. Raises PolicyErrors where a name fits two guests.

    While a machine of the policy is not found, entries that may be its own (same person, same role) stay.
    """
    machines = {one.machine.machine: one.machine for one in desired.values()}
    vmids, reported = identify(machines.values(), observed.guests, context)
    wanted = {
        _key(entry.path, entry.holder, entry.role): (entry, one)
        for one in desired.values()
        if one.grants and one.machine.machine in vmids
        for entry in (_entry(one, vmids[one.machine.machine]),)
    }
    ours = {
        _key(entry.path, entry.holder, entry.role): entry
        for entry in observed.entries
        if entry.role.startswith(PREFIX)
    }
    changes = [
        change
        for key, (entry, one) in wanted.items()
        if (change := _change(key, ours.get(key), entry, one, context))
    ]
    names = {f"/vms/{guest.vmid}": guest.name for guest in observed.guests if guest.name}
    unsure = {(one.userid, PREFIX + one.role) for one in desired.values() if one.machine.machine not in vmids}
    prunes = [
        _prune(key, entry, names.get(entry.path, entry.path.removeprefix("/") or "/"), context)
        for key, entry in ours.items()
        if key not in wanted and (entry.holder, entry.role) not in unsure
    ]
    reported += _powerless(desired.values(), context) + _not_named(observed.entries, names, context)
    return Difference(tuple(changes), tuple(prunes), tuple(reported), {SECTION: len(ours)})


def apply(client: ProxmoxWriter, change: Change) -> Outcome:
    """Write one entry, where the list still holds what the plan has seen of it."""
    return ended(change, lambda: _write(client, change))


def _write(client: ProxmoxWriter, change: Change) -> Outcome:
    if change.before is not None:
        wanted = _restored(change.before)
        seen = next((one for one in client.entries() if _same(one, wanted)), None)
        if seen is None or freeze(_fields(seen)) != change.before:
            raise Conflict(f"the entry {change.key} is not what the plan has seen")
    if change.after is not None:
        client.set_entry(_restored(change.after))
    elif change.before is not None:
        client.delete_entry(_restored(change.before))
    return applied(change)


def _key(path: str, holder: str, role: str) -> str:
    return f"{path.removeprefix('/') or '/'} {holder} {role}"


def _same(one: ProxmoxEntry, other: ProxmoxEntry) -> bool:
    return (one.path, one.kind, one.holder, one.role) == (other.path, other.kind, other.holder, other.role)


def _entry(one: Assignment, vmid: int) -> ProxmoxEntry:
    return ProxmoxEntry(f"/vms/{vmid}", "user", one.userid, PREFIX + one.role)


def _fields(entry: ProxmoxEntry) -> Fields:
    return {
        "path": entry.path,
        "kind": entry.kind,
        "holder": entry.holder,
        "role": entry.role,
        "propagate": entry.propagate,
    }


def _restored(fields: Fields) -> ProxmoxEntry:
    kind = fields["kind"]
    return ProxmoxEntry(
        path=str(fields["path"]),
        kind="group" if kind == "group" else "token" if kind == "token" else "user",
        holder=str(fields["holder"]),
        role=str(fields["role"]),
        propagate=bool(fields["propagate"]),
    )


def _change(
    key: str, seen: ProxmoxEntry | None, entry: ProxmoxEntry, one: Assignment, context: Context
) -> Change | None:
    needs = (f"{context.system}/roles/{one.role}", f"{context.system}/users/{one.user}")
    what = f"{one.user} is {one.role} on {one.machine.machine} in the policy"
    title = _title(entry, one.machine.machine, context)
    if seen is None:
        return create(
            context.system,
            SECTION,
            key,
            _fields(entry),
            reason=what,
            source=one.source,
            depends_on=needs,
            title=title,
        )
    if seen == entry:
        return None
    return update(
        context.system,
        SECTION,
        key,
        _fields(seen),
        _fields(entry),
        reason=f"{what}; differs in propagate",
        source=one.source,
        depends_on=needs,
        title=title,
    )


def _prune(key: str, entry: ProxmoxEntry, where: str, context: Context) -> Change:
    reason = "entry names a role of ours and is no longer in the policy"
    title = _title(entry, where, context)
    return delete(context.system, SECTION, key, _fields(entry), reason=reason, title=title)


def _title(entry: ProxmoxEntry, where: str, context: Context) -> str:
    """An entry as the policy would put it: machine, person (or another holder in full), role."""
    holder = entry.holder.removesuffix(f"@{context.realm}") if entry.kind == "user" else entry.holder
    who = holder if entry.kind == "user" else f"{entry.kind} {holder}"
    return f"{where} ← {who}: {entry.role.removeprefix(PREFIX)}"


def _powerless(assignments: Iterable[Assignment], context: Context) -> list[Report]:
    """Entries of a role without privileges would only mask others: they are not made."""
    return [
        Report(
            context.system,
            SECTION,
            one.machine.machine,
            f"the role {one.role} has no privileges on Proxmox: nothing is assigned to {one.user}",
            source=one.source,
        )
        for one in assignments
        if not one.grants
    ]


def _not_named(entries: Iterable[ProxmoxEntry], names: Mapping[str, str], context: Context) -> list[Report]:
    """Entries on guests that no policy can name, because their roles are not ours (`unlisted.acls`)."""
    others = [one for one in entries if one.path.startswith("/vms") and not one.role.startswith(PREFIX)]
    if context.unlisted_acls == "count":
        text = f"{len(others)} entries on guests that are not ours"
        return [Report(context.system, SECTION, "", text)] if others else []
    return [
        Report(
            context.system,
            SECTION,
            _key(one.path, one.holder, one.role),
            f"{_title(one, names.get(one.path, one.path), context)}; no policy says so",
        )
        for one in sorted(others)
    ]
