"""The slots of one machine: which is to be carried out now, and which are over without that. Pure.

What is on record is the newest slot that ended or that somebody took; everything before it is settled. A
machine without any record is seen for the first time: what fell due before is nobody's concern.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.power_values import SlotName, SlotRecord, SlotState
from controller.resources.power_schedules import span
from controller.schedule.slots import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from controller.resources.power_schedules import Due
    from controller.schedule.slots import Slot

__all__ = ["Over", "Slots", "state_of"]


def state_of(slot: Slot) -> str:
    """The state that a slot brings about: running or stopped."""
    return "running" if slot.kind is Kind.START else "stopped"


@dataclass(frozen=True)
class Over:
    """A slot that is over without having been carried out; `is_news` where people want to hear of it."""

    record: SlotRecord
    is_news: bool = True


@dataclass(frozen=True)
class Slots:
    """One machine's slots at `now`; `due` is None where it has no schedule (any more).

    `in_line` is a slot that was handed over in time and waits for others: its window stays open. `excuse`
    says why slots are not carried out at all just now ("" where they are).
    """

    system: str
    machine: str
    due: Due | None
    record: SlotRecord | None
    now: datetime
    in_line: SlotName | None = None
    excuse: str = ""

    @property
    def pending(self) -> Slot | None:
        """The slot that counts and has not ended, whether its window is open or not."""
        newest = self.due.newest if self.due else None
        return None if newest is None or self._is_over(newest) else newest

    @property
    def current(self) -> Slot | None:
        """The slot to carry out now."""
        pending = self.pending
        if pending is None or self.due is None:
            return None
        is_open = self.now < self.due.until or self._name(pending) == self.in_line
        return pending if is_open else None

    def reached(self, slot: Slot) -> SlotRecord:
        """A slot whose state the machine has, without a task of this pass."""
        if self._is_on_record(slot) and self.record is not None and self.record.state is SlotState.CLAIMED:
            return self.ended(slot, SlotState.FIRED, "seen as done after an interruption")
        return self.ended(slot, SlotState.SATISFIED, f"it was {state_of(slot)} already")

    def ended(self, slot: Slot, state: SlotState, reason: str) -> SlotRecord:
        """How a slot ended, or what it waits for."""
        return SlotRecord(self._name(slot), state, reason)

    def let_go(self, status: str) -> Iterator[Over]:
        """The slots that are over without having been carried out; `status` is the machine's."""
        pending = self.pending
        if self.record is not None and self.record.state.is_open and not self._is_on_record(pending):
            why = "the schedule has it no more" if pending is None else f"overtaken by {self._told(pending)}"
            yield Over(self._given_up(why))
        for slot in self._since_record():
            if slot.skipped_by:
                why = f"{slot.local:%Y-%m-%d} is in the calendar {slot.skipped_by}"
                yield Over(self.ended(slot, SlotState.SKIPPED, why), is_news=False)
            elif slot != pending:
                why = self.excuse or "missed: nothing carried it out in its time"
                yield Over(self.ended(slot, SlotState.SKIPPED, why), is_news=not self.excuse)
        if pending is not None and self.current is None:
            is_news = self.record is not None and not self.excuse
            yield Over(self._missed(pending, status), is_news=is_news)

    def held(self, reason: str) -> Iterator[Over]:
        """The slots that fell due while the machine was held: each ends."""
        if self.record is not None and self.record.state.is_open:
            yield Over(SlotRecord(self.record.name, SlotState.HELD, reason))
        first = [self.current] if self.record is None and self.current is not None else []
        for slot in (*first, *self._since_record()):
            if not slot.skipped_by:
                yield Over(self.ended(slot, SlotState.HELD, reason))

    def _since_record(self) -> list[Slot]:
        if self.due is None or self.record is None:
            return []
        last = self.record.name.due_at
        return [slot for slot in self.due.come if self._name(slot).due_at > last]

    def _missed(self, slot: Slot, status: str) -> SlotRecord:
        if self._is_on_record(slot) and self.record is not None:
            if self.record.state is SlotState.CLAIMED and status == state_of(slot):
                return self.reached(slot)
            return self._given_up("its window is over")
        ago = span(self.now - slot.instant)
        if self.excuse:
            why = self.excuse
        elif self.record is None:
            why = f"due {ago} ago, before this controller first saw the schedule"
        else:
            window = span(self.due.until - slot.instant) if self.due else ""
            why = f"missed: due {ago} ago, and nothing carried it out in the {window} that it was good for"
        return self.ended(slot, SlotState.SKIPPED, why)

    def _given_up(self, why: str) -> SlotRecord:
        """The slot on record, which was open: it was claimed and never heard of, or it waited in vain."""
        if self.record is None:
            raise ValueError("no slot is on record")
        if self.record.state is SlotState.CLAIMED:
            reason = f"somebody took it, and how it ended is not known; {why}"
            return SlotRecord(self.record.name, SlotState.UNKNOWN, reason)
        return SlotRecord(self.record.name, SlotState.SKIPPED, f"{self.record.reason}; {why}")

    def _is_over(self, slot: Slot) -> bool:
        if self.record is None:
            return False
        if self._is_on_record(slot):
            return not self.record.state.is_open
        return self.record.name.due_at >= self._name(slot).due_at

    def _is_on_record(self, slot: Slot | None) -> bool:
        return slot is not None and self.record is not None and self.record.name == self._name(slot)

    def _name(self, slot: Slot) -> SlotName:
        return SlotName(self.system, self.machine, str(slot.kind), int(slot.instant.timestamp()))

    def _told(self, slot: Slot) -> str:
        return self.due.told(slot) if self.due else str(slot.kind)
