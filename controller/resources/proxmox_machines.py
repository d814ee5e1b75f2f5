"""Which guest a machine of the policy is: by its number, or by a name that only one guest has. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.plan.plan import Report
from controller.policy.problems import PolicyErrors, Problem, did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from controller.policy.machines import Machine
    from controller.policy.model import Policy
    from controller.policy.position import SourcePosition
    from controller.proxmox_values import ProxmoxGuest
    from controller.resources.resource import Context

__all__ = ["Named", "check_clusters", "cluster_of", "identify", "machines_here"]


@dataclass(frozen=True)
class Named:
    """How the policy names a guest, and where."""

    machine: str
    vmid: int | None
    source: SourcePosition


def cluster_of(context: Context) -> str:
    """The cluster's name in controller.yaml: `par1` for the system `proxmox:par1`."""
    return context.system.partition(":")[2]


def machines_here(policy: Policy, context: Context) -> Mapping[str, Machine]:
    """The machines of this cluster; one that names no cluster is here where there is no other."""
    here = cluster_of(context)
    return {
        name: machine
        for name, machine in policy.machines.items()
        if machine.cluster == here or (machine.cluster is None and context.only_cluster)
    }


def check_clusters(policy: Policy, clusters: Collection[str]) -> None:
    """Each machine must stand on one of `clusters` (controller.yaml's). Raises PolicyErrors."""
    problems = []
    for name, machine in policy.machines.items():
        if machine.cluster is None and len(clusters) > 1:
            message = f"{quoted(name)} names no cluster, and controller.yaml names {len(clusters)}"
            problems.append(Problem(policy.at("machines", name), message))
        elif machine.cluster is not None and machine.cluster not in clusters:
            where = policy.at("machines", name, "cluster")
            message = f"controller.yaml names no cluster {quoted(machine.cluster)}"
            problems.append(Problem(where, message, did_you_mean(machine.cluster, clusters)))
    if problems:
        raise PolicyErrors(problems)


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
