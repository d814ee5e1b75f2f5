"""Which guest a machine of the policy is, and what the policy says of each guest, sets included. Pure.

A machine is a guest by its number, or by a name that only one guest has. The name of a guest on a node that
does not answer is not known (Proxmox forgets it after five minutes): its number is.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from controller.plan.plan import Report
from controller.policy.problems import PolicyErrors, Problem, quoted
from controller.resources.proxmox_clusters import cluster_of, entries_here
from controller.resources.proxmox_sets import (
    Matched,
    backup_of,
    grants_of,
    matched,
    power_of,
    said_by,
    united,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from controller.policy.machines import Machine, Power
    from controller.policy.model import Policy
    from controller.policy.position import SourcePosition
    from controller.proxmox_values import ProxmoxGuest
    from controller.resources.proxmox_sets import Grant, Key, Said
    from controller.resources.resource import Context

__all__ = [
    "Fleet",
    "Named",
    "Placed",
    "identify",
    "machines_with_sets",
]

_NOTHING: Mapping[Key, Said] = MappingProxyType({})


@dataclass(frozen=True)
class Named:
    """How the policy names a guest, and where."""

    machine: str
    vmid: int | None
    source: SourcePosition


@dataclass(frozen=True)
class Placed:
    """A guest that the policy speaks of: by an entry of its own, by sets, or by both.

    `name` is the policy's where it has an entry, else the guest's. `places` says where each value stands, by
    key (`("power", "when")`, `("power", "stop", "how")`, `("backup",)`), and which set gave it, if one did.
    """

    name: str
    guest: ProxmoxGuest
    grants: tuple[Grant, ...]
    power: Power | None
    backup: str | None
    sets: tuple[str, ...]
    places: Mapping[Key, Said]


@dataclass(frozen=True)
class Fleet:
    """What the policy says of the guests of one cluster, by number.

    `missing` are machines of the policy that are not there. `held` are sets that are not applied, whole
    (`why` says the reason) or for the guests in `unsure`: what such a set may have given anybody stays.
    """

    machines: Mapping[int, Placed]
    missing: tuple[Named, ...] = ()
    held: tuple[Matched, ...] = ()
    reports: tuple[Report, ...] = ()


def machines_with_sets(policy: Policy, guests: Sequence[ProxmoxGuest], context: Context) -> Fleet:
    """What the policy says of each guest of the cluster.

    Raises PolicyErrors: a name of two guests, two machines that are one guest, two sets that say different
    things of one, one person on two machines where rules.one_machine_per_user forbids it.
    """
    here = entries_here(policy.machines, context)
    named = [Named(name, one.vmid, _place(name, one, policy)) for name, one in here.items()]
    vmids, reports = identify(named, guests, context)
    by_vmid = {vmid: name for name, vmid in vmids.items()}
    sets = matched(policy, guests, cluster_of(context))
    said = {
        one.name: said_by(policy, "machine_sets", one.name, policy.machine_sets[one.name]) for one in sets
    }
    holding: dict[int, list[str]] = defaultdict(list)
    for one in sets:
        for vmid in one.vmids if not one.why else ():
            holding[vmid].append(one.name)
    machines: dict[int, Placed] = {}
    problems: dict[Key, Problem] = {}
    for guest in guests:
        name = by_vmid.get(guest.vmid, guest.name)
        if guest.vmid not in by_vmid and guest.vmid not in holding:
            continue
        own = said_by(policy, "machines", name, here[name]) if guest.vmid in by_vmid else _NOTHING
        values, differing = united(own, [said[one] for one in holding[guest.vmid]], name)
        problems = {**differing, **problems}
        machines[guest.vmid] = _placed(name, guest, values, tuple(holding[guest.vmid]))
    crowded = [*_crowded(machines.values())] if policy.rules.one_machine_per_user else []
    if problems or crowded:
        raise PolicyErrors([*problems.values(), *crowded])
    return Fleet(
        machines,
        tuple(one for one in named if one.machine not in vmids),
        tuple(one for one in sets if one.why or one.unsure),
        tuple(reports),
    )


def _place(name: str, one: Machine, policy: Policy) -> SourcePosition:
    return policy.at("machines", name) if one.vmid is None else policy.at("machines", name, "vmid")


def _placed(name: str, guest: ProxmoxGuest, said: Mapping[Key, Said], sets: tuple[str, ...]) -> Placed:
    return Placed(name, guest, grants_of(said), power_of(said), backup_of(said), sets, said)


def _crowded(machines: Iterable[Placed]) -> Iterator[Problem]:
    """Each person who has two machines, at the later place (rules.one_machine_per_user)."""
    first: dict[str, tuple[str, Grant]] = {}
    for machine in machines:
        for grant in machine.grants:
            if grant.kind != "user":
                continue
            name, earlier = first.setdefault(grant.name, (machine.name, grant))
            if name != machine.name:
                message = (
                    f"{quoted(grant.name)} has {quoted(name)} already, at {earlier.source}, and would have "
                    f"{quoted(machine.name)} too (rules.one_machine_per_user)"
                )
                yield Problem(grant.source, message)


def identify(
    machines: Iterable[Named], guests: Iterable[ProxmoxGuest], context: Context
) -> tuple[dict[str, int], list[Report]]:
    """The number of each machine that is there, and a report for each that is not.

    A name of two guests, and two machines that are one guest, are mistakes of the policy: PolicyErrors.
    """
    by_vmid = {guest.vmid: guest for guest in guests}
    by_name: dict[str, list[int]] = {}
    for guest in by_vmid.values():
        by_name.setdefault(guest.name, []).append(guest.vmid)
    found: dict[int, str] = {}
    reports: list[Report] = []
    problems: list[Problem] = []
    for one in machines:
        vmids = _candidates(one, by_vmid, by_name)
        if len(vmids) > 1:
            listed = ", ".join(str(vmid) for vmid in sorted(vmids))
            message = (
                f"{quoted(one.machine)} is the name of guests {listed} of {cluster_of(context)}: say vmid"
            )
            problems.append(Problem(one.source, message))
        elif not vmids:
            reports.append(_missing(one, context))
        elif vmids[0] in found:
            problems.append(Problem(one.source, f"guest {vmids[0]} is {quoted(found[vmids[0]])} already"))
        else:
            found[vmids[0]] = one.machine
            reports += _renamed(one, by_vmid[vmids[0]], context)
    if problems:
        raise PolicyErrors(problems)
    return {machine: vmid for vmid, machine in found.items()}, reports


def _candidates(
    one: Named, by_vmid: Mapping[int, ProxmoxGuest], by_name: Mapping[str, list[int]]
) -> list[int]:
    if one.vmid is None:
        return by_name.get(one.machine, [])
    return [one.vmid] if one.vmid in by_vmid else []


def _missing(one: Named, context: Context) -> Report:
    what = f"no guest named {quoted(one.machine)}" if one.vmid is None else f"no guest {one.vmid}"
    text = f"{what} on {cluster_of(context)}: nothing is assigned there"
    return Report(context.system, "machines.assigned", one.machine, text, source=one.source)


def _renamed(one: Named, guest: ProxmoxGuest, context: Context) -> list[Report]:
    """A number that now belongs to a guest of another name may have been given away: say so."""
    if not guest.name or guest.name == one.machine:
        return []
    text = f"guest {guest.vmid} is named {quoted(guest.name)} on {cluster_of(context)}"
    return [Report(context.system, "machines.assigned", one.machine, text, source=one.source)]
