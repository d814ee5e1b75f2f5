"""What the policy assigns on a cluster, place by place: guests, pools, storages, nodes. Pure.

A place that is not there, a set that is held, a team whose group is somebody else's: each is said, and what
it may have given anybody stays until it is clear.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from controller.plan.plan import Gap, Report
from controller.policy.problems import quoted
from controller.resources.proxmox_clusters import cluster_of, entries_here
from controller.resources.proxmox_machines import machines_with_sets
from controller.resources.proxmox_people import GROUP_PREFIX
from controller.resources.proxmox_sets import entry_grants, grants_of, said_by

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from controller.policy.machines import Node, Pool, Storage
    from controller.policy.model import Policy
    from controller.proxmox_values import ProxmoxResources
    from controller.resources.proxmox_machines import Fleet
    from controller.resources.proxmox_sets import Grant, Matched
    from controller.resources.resource import Context

__all__ = ["Assignment", "Located", "Standing", "holder_of", "located", "named_keys"]


@dataclass(frozen=True)
class Assignment:
    """A role for somebody on a place: `path` of Proxmox, `where` in the policy's words."""

    path: str
    where: str
    grant: Grant


@dataclass(frozen=True)
class Standing:
    """Entries that stay while something is not clear: on these `paths`, on any of the section where None."""

    grants: frozenset[tuple[str, str]]
    paths: frozenset[str] | None = None

    def covers(self, path: str, holder: str, role: str) -> bool:
        """Whether an entry of our role `role` (the policy's name) stays."""
        return (holder, role) in self.grants and (self.paths is None or path in self.paths)


@dataclass(frozen=True)
class Located:
    """What a section assigns, what stays in doubt, and what is to be said."""

    assignments: tuple[Assignment, ...] = ()
    standing: tuple[Standing, ...] = ()
    reported: tuple[Report, ...] = ()
    gaps: tuple[Gap, ...] = field(default=())


def holder_of(grant: Grant, context: Context) -> str:
    """Proxmox's name for whom a grant is about."""
    if grant.kind == "group":
        return GROUP_PREFIX + grant.name
    person, mark, token = grant.name.partition("!")
    return f"{person}@{context.realm}{mark}{token}"


def named_keys(policy: Policy, section: str, context: Context) -> list[Assignment]:
    """What entries of the policy assign by themselves; a machine without number has its name for a path."""
    if section == "machines":
        return [
            Assignment(name if one.vmid is None else f"/vms/{one.vmid}", name, grant)
            for name, one in entries_here(policy.machines, context).items()
            for grant in grants_of(said_by(policy, "machines", name, one))
        ]
    return [
        Assignment(f"{_ROOTS[section]}/{name}", name, grant)
        for name, one in _entries(policy, section, context).items()
        for grant in entry_grants(policy, section, name, one)
    ]


def located(
    policy: Policy, section: str, resources: ProxmoxResources, pools: frozenset[str], context: Context
) -> Located:
    """What the policy assigns in `section` (machines, pools, storages, nodes). Raises PolicyErrors."""
    if section == "machines":
        return _on_guests(machines_with_sets(policy, resources.guests, context), policy, context)
    there = _THERE[section](resources) | (pools if section == "pools" else frozenset())
    found = [one for one in named_keys(policy, section, context) if one.where in there]
    missing = [name for name in _entries(policy, section, context) if name not in there]
    return Located(tuple(found), (), tuple(_missing(section, name, policy, context) for name in missing))


_ROOTS: Mapping[str, str] = {"pools": "/pool", "storages": "/storage", "nodes": "/nodes"}

_THERE: Mapping[str, Callable[[ProxmoxResources], frozenset[str]]] = {
    "pools": lambda _: frozenset(),
    "storages": lambda seen: frozenset(one.name for one in seen.storages),
    "nodes": lambda seen: frozenset(one.name for one in seen.nodes),
}


def _entries(policy: Policy, section: str, context: Context) -> Mapping[str, Pool | Storage | Node]:
    if section == "pools":
        return dict(entries_here(policy.pools, context))
    if section == "storages":
        return dict(entries_here(policy.storages, context))
    return dict(entries_here(policy.nodes, context))


def _missing(section: str, name: str, policy: Policy, context: Context) -> Report:
    noun = section.removesuffix("s")
    text = f"no {noun} {quoted(name)} on {cluster_of(context)}: nothing is assigned there"
    return Report(context.system, f"{section}.assigned", name, text, source=policy.at(section, name))


def _on_guests(fleet: Fleet, policy: Policy, context: Context) -> Located:
    found = [
        Assignment(f"/vms/{vmid}", placed.name, grant)
        for vmid, placed in fleet.machines.items()
        for grant in placed.grants
    ]
    standing: list[Standing] = []
    missing = {named.machine for named in fleet.missing}
    doubtful = [one for one in named_keys(policy, "machines", context) if one.where in missing]
    if doubtful:
        standing.append(Standing(_pairs([one.grant for one in doubtful], context)))
    gaps: list[Gap] = []
    reported = list(fleet.reports)
    for one in fleet.held:
        grants = grants_of(said_by(policy, "machine_sets", one.name, policy.machine_sets[one.name]))
        if not grants:
            continue
        paths = None if one.why else frozenset(f"/vms/{vmid}" for vmid in one.unsure)
        standing.append(Standing(_pairs(grants, context), paths))
        if one.why:
            gaps.append(_held(one, context))
        else:
            reported.append(_undecided(one, context))
    return Located(tuple(found), tuple(standing), tuple(reported), tuple(gaps))


def _pairs(grants: Sequence[Grant], context: Context) -> frozenset[tuple[str, str]]:
    return frozenset((holder_of(grant, context), grant.role) for grant in grants)


def _held(one: Matched, context: Context) -> Gap:
    why = f"{one.source}: the set {quoted(one.name)} {one.why} on {cluster_of(context)}"
    return Gap(context.system, "machines.assigned", why, is_held=True)


def _undecided(one: Matched, context: Context) -> Report:
    listed = ", ".join(str(vmid) for vmid in sorted(one.unsure)[:5])
    more = f" and {len(one.unsure) - 5} more" if len(one.unsure) > 5 else ""
    text = f"the names of guests {listed}{more} are not known now: whether they are in the set is left open"
    return Report(context.system, "machines.assigned", one.name, text, source=one.source)
