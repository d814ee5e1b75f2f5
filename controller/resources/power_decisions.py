"""What one machine's power is to be, and why: by a hold, a state, a schedule or idleness. Pure.

A `state` is compared by each pass. A slot of a schedule is carried out once: who starts a machine after its
stop was carried out is left alone, and a slot that could not be carried out in time is let go, with the
reason in the record. A hold comes before everything else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from controller.plan.change import update
from controller.plan.plan import Note, Report
from controller.policy.machines import Stopping
from controller.power_values import IdleRecord, SlotName, SlotRecord, SlotState
from controller.resources.idle import read
from controller.resources.power_schedules import span
from controller.resources.power_slots import Slots, state_of

if TYPE_CHECKING:
    from controller.plan.change import Change, Fields, Json
    from controller.policy.position import SourcePosition
    from controller.resources.power_schedules import Due
    from controller.resources.proxmox_machines import Placed
    from controller.resources.resource import Context
    from controller.schedule.slots import Slot

__all__ = ["SECTION", "Decision", "decide", "reading_of", "slot_of"]

SECTION = "machines.power"
_DEFAULT_TIMEOUT = timedelta(minutes=5)
_UNDER_WAY = "; under way"


@dataclass(frozen=True)
class Decision:
    """What came of looking at one machine: at most one change."""

    change: Change | None = None
    notes: tuple[Note, ...] = ()
    reports: tuple[Report, ...] = ()


@dataclass(frozen=True)
class _Wanted:
    """A state to bring about, and why; `slot` where it is that of a slot."""

    state: str
    why: str
    stopping: Stopping
    slot: Slot | None = None


def decide(machine: Placed, due: Due | None, context: Context) -> Decision:
    """What to do about a machine now; `due` is its schedule at this instant, None where it has none."""
    if machine.guest.is_template:
        text = "is a template: it is never started and never stopped"
        return Decision(reports=(_report(machine, text, context),))
    taken = context.power.in_hand.get((context.system, machine.name))
    if taken is not None and taken.is_begun:
        return Decision(replace(taken.change, reason=f"{taken.change.reason}{_UNDER_WAY}"))
    slots = _slots(machine, due, context)
    hold = context.overrides.held.get(machine.name)
    over = list(slots.let_go(machine.guest.status) if hold is None else slots.held(str(hold)))
    wanted, reading = _wanted(machine, slots, context)
    notes = [_note(one.record) for one in over] + ([_reading_note(reading)] if reading else [])
    reports = [_report(machine, _note(one.record).text, context) for one in over if one.is_news]
    if wanted is None:
        return Decision(None, tuple(notes), tuple(reports))
    compared = _compared(machine, wanted, slots, context)
    return Decision(compared.change, (*notes, *compared.notes), (*reports, *compared.reports))


def _slots(machine: Placed, due: Due | None, context: Context) -> Slots:
    name = (context.system, machine.name)
    taken = context.power.in_hand.get(name)
    return Slots(
        context.system,
        machine.name,
        due,
        context.power.slots.get(name),
        context.now,
        in_line=taken.slot if taken else None,
        excuse=f"{SECTION} is in report mode" if SECTION in context.reported else "",
    )


def slot_of(note: Note) -> SlotRecord | None:
    """The slot that a note is about; None for a note about something else."""
    kept = note.record
    if note.section != SECTION or "due_at" not in kept:
        return None
    name = SlotName(note.system, note.key, str(kept["kind"]), int(str(kept["due_at"])))
    return SlotRecord(name, SlotState(str(kept["state"])), str(kept["reason"]))


def reading_of(note: Note) -> IdleRecord | None:
    """The reading of a machine's use that a note holds; None for a note about something else."""
    if note.section != SECTION or "net_bytes" not in note.record:
        return None
    kept = {name: value for name, value in note.record.items() if isinstance(value, int)}
    return IdleRecord(system=note.system, machine=note.key, **kept)


def _wanted(machine: Placed, slots: Slots, context: Context) -> tuple[_Wanted | None, IdleRecord | None]:
    """The state to bring about, None for none, and what was seen of the machine's use, where that matters."""
    power, due = machine.power, slots.due
    stopping = power.stop if power else Stopping()
    if due is not None and due.stopping is not None:
        stopping = due.stopping
    hold = context.overrides.held.get(machine.name)
    if hold is not None:
        return (None if hold.state == "as-is" else _Wanted(hold.state, str(hold), stopping)), None
    if power is not None and power.state in {"running", "stopped"}:
        return _Wanted(str(power.state), f"the policy wants it {power.state}", stopping), None
    slot = slots.current
    if slot is not None and due is not None:
        return _Wanted(state_of(slot), due.told_with_age(slot, context.now), stopping, slot), None
    return _idle(machine, context)


def _idle(machine: Placed, context: Context) -> tuple[_Wanted | None, IdleRecord | None]:
    longest = machine.power.idle_shutdown if machine.power else None
    if machine.power is None or longest is None or machine.guest.status != "running":
        return None, None
    earlier = context.power.idle.get((context.system, machine.name))
    now = int(context.now.timestamp())
    reading = read(machine.guest, machine.name, earlier, system=context.system, now=now)
    idle = timedelta(seconds=0 if reading.idle_since is None else now - reading.idle_since)
    if reading.idle_since is None or idle < longest:
        return None, reading
    why = f"idle for {span(idle)}, idle_shutdown is {span(longest)}"
    return _Wanted("stopped", why, machine.power.stop), reading


def _compared(machine: Placed, wanted: _Wanted, slots: Slots, context: Context) -> Decision:
    """The change that brings a state about, or why there is none."""
    guest, slot = machine.guest, wanted.slot
    if guest.status not in {"running", "stopped"}:
        why = f"the node {guest.node} does not answer"
        notes = (_note(slots.ended(slot, SlotState.WAITING, why)),) if slot else ()
        text = f"{why}: deferred ({wanted.why})"
        return Decision(notes=notes, reports=(_report(machine, text, context),))
    if guest.status == wanted.state:
        return Decision(notes=(_note(slots.reached(slot)),) if slot else ())
    change = update(
        context.system,
        SECTION,
        machine.name,
        {"state": guest.status},
        _after(wanted, slots),
        reason=wanted.why,
        source=_source(machine),
        object_id=f"{guest.kind}/{guest.vmid}",
    )
    return Decision(change)


def _after(wanted: _Wanted, slots: Slots) -> Fields:
    after: dict[str, Json] = {"state": wanted.state}
    if wanted.slot is not None and slots.due is not None:
        after["slot"] = slots.due.in_zone(wanted.slot.instant)
        after["until"] = slots.due.in_zone(slots.due.until)
    if wanted.state == "stopped":
        after["how"] = wanted.stopping.how
        after["timeout"] = f"{int((wanted.stopping.timeout or _DEFAULT_TIMEOUT).total_seconds())}s"
        after["on_timeout"] = wanted.stopping.on_timeout
    return after


def _note(record: SlotRecord) -> Note:
    name = record.name
    kept: dict[str, Json] = {"kind": name.kind, "due_at": name.due_at}
    kept |= {"state": str(record.state), "reason": record.reason}
    due = datetime.fromtimestamp(name.due_at, UTC)
    text = f"the {name.kind} due {due:%Y-%m-%d %H:%M} UTC is {record.state}: {record.reason}"
    return Note(name.system, SECTION, name.machine, text, kept)


def _reading_note(reading: IdleRecord) -> Note:
    text = "busy" if reading.idle_since is None else f"idle for {reading.seen_at - reading.idle_since} s"
    kept: dict[str, Json] = {**vars(reading)}
    return Note(reading.system, SECTION, reading.machine, text, kept)


def _report(machine: Placed, text: str, context: Context) -> Report:
    return Report(context.system, SECTION, machine.name, text, source=_source(machine))


def _source(machine: Placed) -> SourcePosition | None:
    return next((said.source for key, said in machine.places.items() if key[0] == "power"), None)
