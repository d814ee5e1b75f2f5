"""Power of the machines of one cluster: which run, by the policy's word, the clock or a person's hold.

One request sees all guests. What is sent and watched stands in proxmox_power_apply.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.errors import Unobserved
from controller.plan.change import Operation
from controller.plan.plan import Gap, Report
from controller.resources.power_decisions import SECTION, decide
from controller.resources.power_schedules import due
from controller.resources.proxmox_clusters import cluster_of, entries_here
from controller.resources.proxmox_machines import machines_with_sets
from controller.resources.proxmox_power_apply import NO_DESK, carry_out
from controller.resources.proxmox_sight import require_guests
from controller.resources.resource import Context, Difference, Resource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from controller.plan.change import Change, Outcome
    from controller.plan.plan import Note
    from controller.policy.model import Policy
    from controller.proxmox_values import ProxmoxGuest
    from controller.resources.power_jobs import Desk
    from controller.resources.power_ports import PoweredReader, PoweredWriter
    from controller.resources.power_schedules import Due
    from controller.resources.proxmox_machines import Placed

__all__ = ["POWER", "SECTION", "desired", "diff", "observe", "with_desk", "with_power"]

_ALL_AT_ONCE = 100_000


@dataclass(frozen=True)
class SeenGuests:
    """The guests that there are; `hidden` says why these may not be all, "" where they are."""

    guests: tuple[ProxmoxGuest, ...]
    hidden: str = ""


def desired(policy: Policy, context: Context) -> Mapping[str, Policy]:
    """The policy, under the name of each machine here and each set: who a set holds is known once seen."""
    return dict.fromkeys((*entries_here(policy.machines, context), *policy.machine_sets), policy)


def observe(client: PoweredReader, context: Context) -> SeenGuests:
    """The guests, and whether our token sees all of them: two requests."""
    guests = client.resources().guests
    try:
        require_guests(client.rights(), (), context)
    except Unobserved as error:  # no fault of a policy that asks for nobody's power
        return SeenGuests(guests, str(error))
    return SeenGuests(guests)


def diff(observed: SeenGuests, desired: Mapping[str, Policy], context: Context) -> Difference:
    """What to start and stop now, and which slots are over. Raises PolicyErrors where sets differ."""
    policy = next(iter(desired.values()), None)
    if policy is None or not _asks(policy, context):
        return Difference()
    if observed.hidden:
        return Difference(gaps=(Gap(context.system, SECTION, observed.hidden),))
    machines = machines_with_sets(policy, observed.guests, context).machines.values()
    schedules: dict[str, Due] = {}
    changes: list[Change] = []
    reported: list[Report] = []
    notes: list[Note] = []
    for machine in machines:
        if not _concerns(machine, context):
            continue
        name = machine.power.schedule if machine.power else None
        if name is not None and name not in schedules:
            schedules[name] = due(policy, name, context.now)
        decision = decide(machine, schedules[name] if name else None, context)
        changes += [decision.change] if decision.change else []
        reported += decision.reports
        notes += decision.notes
    reported += _held_by_no_name({machine.name for machine in machines}, context)
    return Difference(tuple(changes), reported=tuple(reported), notes=tuple(notes))


def with_desk(desk: Desk) -> Resource:
    """The resource as a pass applies it: slots are claimed at `desk`, many guests are watched at once."""

    def together(client: PoweredWriter, changes: Sequence[Change]) -> Sequence[Outcome]:
        return carry_out(client, changes, desk)

    return Resource(
        SECTION,
        "proxmox",
        desired,
        observe,
        diff,
        lambda client, change: together(client, [change])[0],
        apply_many=together,
        many=frozenset({Operation.UPDATE}),
        batch=_ALL_AT_ONCE,
    )


POWER = with_desk(NO_DESK)
"""The resource as plans see it: it plans, and slots cannot be carried out with it."""


def with_power(resources: Sequence[Resource], desk: Desk) -> tuple[Resource, ...]:
    """The resources of a cluster, with power carried out from this desk."""
    return tuple(with_desk(desk) if one.section == SECTION else one for one in resources)


def _asks(policy: Policy, context: Context) -> bool:
    """Whether anything may be to do here: the policy speaks of power, or a hold or an open slot does."""
    powers = [one.power for one in entries_here(policy.machines, context).values()]
    clusters = {None, cluster_of(context)}
    powers += [one.power for one in policy.machine_sets.values() if one.match.cluster in clusters]
    slots = context.power.slots.items()
    is_open = any(system == context.system and slot.state.is_open for (system, _), slot in slots)
    return is_open or bool(context.overrides.held) or any(power is not None for power in powers)


def _concerns(machine: Placed, context: Context) -> bool:
    """Whether anything here speaks of the machine's power: the policy, a hold, a slot not yet over."""
    record = context.power.slots.get((context.system, machine.name))
    is_open = record is not None and record.state.is_open
    return machine.power is not None or machine.name in context.overrides.held or is_open


def _held_by_no_name(names: set[str], context: Context) -> list[Report]:
    if not context.only_cluster:  # it may stand on another one
        return []
    return [
        Report(context.system, SECTION, name, f"{hold}, and no machine here is called so")
        for name, hold in context.overrides.held.items()
        if name not in names
    ]
