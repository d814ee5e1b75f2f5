"""Assignments on guests, pools, storages and nodes: entries of Proxmox's access control list.

An entry is ours when its role is ours (`steward-…`), wherever it stands; others are left alone. Each section
answers for the entries on its own branch of paths, and machines for those that stand anywhere else. Entries
propagate, as Proxmox has it where nothing is said: a role on a pool holds on pools nested in it as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from controller.errors import Conflict, ControllerError
from controller.plan.change import Change, Outcome, create, delete, freeze, update
from controller.plan.plan import Gap, Report
from controller.proxmox_values import ProxmoxEntry
from controller.resources import proxmox_sight
from controller.resources.proxmox_marks import owner_of
from controller.resources.proxmox_places import holder_of, located, named_keys
from controller.resources.proxmox_roles import PREFIX, known_to, lacking
from controller.resources.resource import Context, Difference
from controller.resources.writing import applied, ended

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from controller.plan.change import Details, Fields
    from controller.policy.model import Policy
    from controller.proxmox_values import ProxmoxGroup, ProxmoxResources, ProxmoxRights, ProxmoxRole
    from controller.resources.proxmox_places import Assignment, Located
    from controller.resources.proxmox_ports import ProxmoxReader, ProxmoxWriter

__all__ = ["MACHINES", "NODES", "POOLS", "STORAGES", "Area", "Asked", "SeenEntries", "apply", "declared"]

_NEEDS = {"user": "users", "group": "teams", "token": "tokens"}
_NOUNS = {"user": "", "group": "team ", "token": "token "}


@dataclass(frozen=True)
class Asked(Mapping[str, "Assignment"]):
    """What entries of the policy assign by themselves, by key; what sets give only the guests tell."""

    policy: Policy
    entries: Mapping[str, Assignment]

    def __getitem__(self, key: str) -> Assignment:
        return self.entries[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


@dataclass(frozen=True)
class SeenEntries:
    """The whole list of entries, and what they can name; `hidden` says why places may be missing, or ""."""

    entries: tuple[ProxmoxEntry, ...]
    resources: ProxmoxResources
    roles: Mapping[str, ProxmoxRole] = field(default_factory=dict)
    groups: Mapping[str, ProxmoxGroup] = field(default_factory=dict)
    pools: frozenset[str] = frozenset()
    hidden: str = ""


@dataclass(frozen=True)
class Area:
    """One section of the policy and its branch of paths; `require` raises where places may be hidden."""

    name: str
    root: str
    require: Callable[[ProxmoxRights, Collection[str], Context], None]

    @property
    def section(self) -> str:
        """The section in plans."""
        return f"{self.name}.assigned"

    def owns(self, path: str) -> bool:
        """Whether an entry on this path is the section's business."""
        if self.name != "machines":
            return _is_below(path, self.root)
        return not any(_is_below(path, area.root) for area in (POOLS, STORAGES, NODES))

    def desired(self, policy: Policy, context: Context) -> Asked:
        """The assignments of this section on this cluster, by entry."""
        named = named_keys(policy, self.name, context)
        keyed = {_key(one.path, holder_of(one.grant, context), PREFIX + one.grant.role): one for one in named}
        return Asked(policy, keyed)

    def observe(self, client: ProxmoxReader, context: Context) -> SeenEntries:
        """The access control list and what it can name, and whether our token sees all of both."""
        entries, rights = client.entries(), client.rights()
        proxmox_sight.require_entries(rights, context)
        hidden = ""
        try:
            self.require(rights, {entry.path for entry in entries}, context)
        except ControllerError as error:
            hidden = str(error)
        return SeenEntries(
            entries,
            client.resources(),
            client.roles(),
            client.groups(),
            frozenset(client.pools()) if self.name == "pools" else frozenset(),
            hidden,
        )

    def diff(self, observed: SeenEntries, desired: Asked, context: Context) -> Difference:
        """What to add, alter and (as prunes) remove. Raises PolicyErrors where a name fits two guests."""
        policy = desired.policy
        if observed.hidden and (desired or (self.name == "machines" and policy.machine_sets)):
            return Difference(gaps=(Gap(context.system, self.section, observed.hidden),))
        pools = observed.pools | _made_pools(policy)
        found = located(policy, self.name, observed.resources, pools, context)
        wanted = self._wanted(found, policy, context)
        ours = {
            _key(entry.path, entry.holder, entry.role): entry
            for entry in observed.entries
            if entry.role.startswith(PREFIX) and self.owns(entry.path)
        }
        obstacles = {
            key: why for key, one in wanted.items() if (why := _obstacle(one, policy, observed, context))
        }
        changes = [
            change
            for key, one in wanted.items()
            if key not in obstacles and (change := self._change(key, ours.get(key), one, context))
        ]
        names = _names(observed.resources)
        prunes = [
            self._prune(key, entry, names.get(entry.path, _shown(entry.path)), context)
            for key, entry in ours.items()
            if key not in wanted and not _stays(entry, found)
        ]
        reported = [*found.reported, *self._told(wanted, obstacles, context)]
        reported += self._powerless(found, policy, context)
        reported += self._not_named(observed.entries, names, context)
        return Difference(
            tuple(changes), tuple(prunes), tuple(reported), {self.section: len(ours)}, gaps=found.gaps
        )

    def _wanted(self, found: Located, policy: Policy, context: Context) -> dict[str, Assignment]:
        """The assignments that are to be entries, by key: not those of roles without privileges here."""
        return {
            _key(one.path, holder_of(one.grant, context), PREFIX + one.grant.role): one
            for one in found.assignments
            if policy.roles[one.grant.role].proxmox and not _is_absent(one, policy)
        }

    def _change(
        self, key: str, seen: ProxmoxEntry | None, one: Assignment, context: Context
    ) -> Change | None:
        entry = _entry(one, context)
        if seen == entry:
            return None
        grant = one.grant
        by = f" (set {grant.by})" if grant.by else ""
        what = f"{_NOUNS[grant.kind]}{grant.name} is {grant.role} on {one.where} in the policy{by}"
        details: Details = {
            "reason": what if seen is None else f"{what}; differs in propagate",
            "source": grant.source,
            "depends_on": self._needs(one, context),
            "title": _title(entry, one.where, context),
            "by": grant.by,
        }
        if seen is None:
            return create(context.system, self.section, key, _fields(entry), **details)
        return update(context.system, self.section, key, _fields(seen), _fields(entry), **details)

    def _needs(self, one: Assignment, context: Context) -> tuple[str, ...]:
        grant = one.grant
        needs = [f"roles/{grant.role}", f"{_NEEDS[grant.kind]}/{grant.name}"]
        needs += [f"pools/{one.where}"] if self.name == "pools" else []
        return tuple(f"{context.system}/{need}" for need in needs)

    def _prune(self, key: str, entry: ProxmoxEntry, where: str, context: Context) -> Change:
        reason = "no longer in the policy"
        title = _title(entry, where, context)
        return delete(context.system, self.section, key, _fields(entry), reason=reason, title=title)

    def _told(
        self, wanted: Mapping[str, Assignment], obstacles: Mapping[str, str], context: Context
    ) -> Iterator[Report]:
        for key, why in obstacles.items():
            one = wanted[key]
            text = f"{one.grant.name} does not become {one.grant.role}: {why}"
            yield Report(context.system, self.section, one.where, text, source=one.grant.source)

    def _powerless(self, found: Located, policy: Policy, context: Context) -> Iterator[Report]:
        """Entries of a role without privileges would only mask others: they are not made."""
        for one in found.assignments:
            role = one.grant.role
            if not policy.roles[role].proxmox:
                text = (
                    f"the role {role} has no privileges on Proxmox: nothing is assigned to {one.grant.name}"
                )
                yield Report(context.system, self.section, one.where, text, source=one.grant.source)

    def _not_named(
        self, entries: Iterable[ProxmoxEntry], names: Mapping[str, str], context: Context
    ) -> list[Report]:
        """Entries of the branch that no policy can name, because their roles are not ours."""
        others = [
            one for one in entries if _is_below(one.path, self.root) and not one.role.startswith(PREFIX)
        ]
        if context.unlisted_acls == "count":
            places = "guests" if self.name == "machines" else self.name
            text = f"{len(others)} entries on {places} that are not ours"
            return [Report(context.system, self.section, "", text)] if others else []
        return [
            Report(
                context.system,
                self.section,
                _key(one.path, one.holder, one.role),
                "no policy says so",
                title=_title(one, names.get(one.path, one.path), context),
            )
            for one in sorted(others)
        ]


MACHINES = Area("machines", "/vms", proxmox_sight.require_guests)
POOLS = Area("pools", "/pool", proxmox_sight.require_pools)
STORAGES = Area("storages", "/storage", proxmox_sight.require_storages)
NODES = Area("nodes", "/nodes", proxmox_sight.require_nothing)


def apply(client: ProxmoxWriter, change: Change) -> Outcome:
    """Write one entry, where the list still holds what the plan has seen of it."""
    return ended(change, lambda: _write(client, change))


def declared(
    policy: Policy, resources: ProxmoxResources, context: Context
) -> dict[tuple[str, str, str], Assignment]:
    """What the policy asks for, by path, holder and role of the entry. Raises PolicyErrors."""
    pools = frozenset(pool.name for pool in resources.pools) | _made_pools(policy)
    return {
        (one.path, holder_of(one.grant, context), PREFIX + one.grant.role): one
        for area in (MACHINES, POOLS, STORAGES, NODES)
        for one in located(policy, area.name, resources, pools, context).assignments
    }


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


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(f"{root}/")


def _made_pools(policy: Policy) -> frozenset[str]:
    """Pools that are made in this very plan, if they are not there; none where pools are only reported."""
    return frozenset(policy.pools) if policy.modes.get("pools") != "report" else frozenset()


def _is_absent(one: Assignment, policy: Policy) -> bool:
    """Whether the person is to have no account at all."""
    person = policy.users.get(one.grant.name.partition("!")[0]) if one.grant.kind != "group" else None
    return person is not None and person.state == "absent"


def _obstacle(one: Assignment, policy: Policy, seen: SeenEntries, context: Context) -> str:
    """What keeps an entry from being made, "" for nothing."""
    role = one.grant.role
    missing = lacking(policy.roles[role].proxmox, known_to(seen.roles))
    if missing and PREFIX + role not in seen.roles:
        return f"this Proxmox VE cannot have the role, for want of {', '.join(missing)}"
    group = seen.groups.get(holder_of(one.grant, context)) if one.grant.kind == "group" else None
    owner = owner_of(group.comment) if group is not None else context.owner
    adopted = not owner and policy.teams[one.grant.name].adopt
    if owner != context.owner and not adopted:
        return f"the group {holder_of(one.grant, context)} is not ours"
    return ""


def _stays(entry: ProxmoxEntry, found: Located) -> bool:
    role = entry.role.removeprefix(PREFIX)
    return any(one.covers(entry.path, entry.holder, role) for one in found.standing)


def _names(resources: ProxmoxResources) -> dict[str, str]:
    return {f"/vms/{guest.vmid}": guest.name for guest in resources.guests if guest.name}


_BRANCHES = {"pool": "pool", "storage": "storage", "nodes": "node"}
"""Paths of what is no machine, and what one such thing is called."""


def _shown(path: str) -> str:
    return path.removeprefix("/") or "/"


def _key(path: str, holder: str, role: str) -> str:
    return f"{_shown(path)} {holder} {role}"


def _same(one: ProxmoxEntry, other: ProxmoxEntry) -> bool:
    return (one.path, one.kind, one.holder, one.role) == (other.path, other.kind, other.holder, other.role)


def _entry(one: Assignment, context: Context) -> ProxmoxEntry:
    return ProxmoxEntry(one.path, one.grant.kind, holder_of(one.grant, context), PREFIX + one.grant.role)


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


def _title(entry: ProxmoxEntry, where: str, context: Context) -> str:
    """An entry as the policy would put it: place, person (or another holder in full), role."""
    holder = entry.holder
    if entry.kind == "user":
        holder = holder.removesuffix(f"@{context.realm}")
    elif entry.kind == "group" and entry.role.startswith(PREFIX) and holder.startswith(PREFIX):
        holder = f"team {holder.removeprefix(PREFIX)}"
    else:
        holder = f"{entry.kind} {holder.replace(f'@{context.realm}!', '!')}"
    branch, _, name = _shown(entry.path).partition("/")
    place = f"{_BRANCHES[branch]} {name}" if name and branch in _BRANCHES else where
    return f"{place} ← {holder}: {entry.role.removeprefix(PREFIX)}"
