"""What a pass remembers of power, and what it writes down: slots claimed, ended, let go; use of machines."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from controller.power_values import IdleRecord, InHand, PowerMemory, SlotRecord
from controller.resources.power_decisions import reading_of, slot_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from controller.plan.plan import Note
    from controller.power_values import SlotName

__all__ = ["Ledger", "PowerStore", "power_memory", "record_notes"]

_NOTHING: Mapping[tuple[str, str], InHand] = MappingProxyType({})


class _Slots(Protocol):
    def newest(self, *, now: int) -> Mapping[tuple[str, str], SlotRecord]: ...
    def claim(self, name: SlotName, *, term: int, now: int) -> SlotRecord | None: ...
    def sent(self, name: SlotName, upid: str) -> None: ...
    def settle(self, record: SlotRecord, *, actor: str, term: int, now: int) -> bool: ...
    def settle_all(
        self, records: Iterable[SlotRecord], *, actor: str, term: int, now: int
    ) -> Sequence[SlotRecord]: ...


class _Readings(Protocol):
    def keep(self, readings: Sequence[IdleRecord], *, term: int) -> None: ...
    def all(self) -> Mapping[tuple[str, str], IdleRecord]: ...


class PowerStore(Protocol):
    """The store, as far as power is concerned."""

    @property
    def power_slots(self) -> _Slots:
        """The slots of schedules."""
        ...

    @property
    def idle_readings(self) -> _Readings:
        """What the last pass saw of the use of machines."""
        ...


def power_memory(
    store: PowerStore, now: int, in_hand: Mapping[tuple[str, str], InHand] = _NOTHING
) -> PowerMemory:
    """What earlier passes left, at `now`, and what is being carried out beside the passes."""
    return PowerMemory(store.power_slots.newest(now=now), store.idle_readings.all(), in_hand)


def record_notes(
    store: PowerStore, notes: Iterable[Note], *, actor: str, term: int, now: int
) -> Counter[str]:
    """Write down what a pass noted; how many slots ended how. Raises LeaseLost."""
    listed = list(notes)
    slots = [slot for note in listed if (slot := slot_of(note)) is not None]
    readings = [reading for note in listed if (reading := reading_of(note)) is not None]
    ended: Counter[str] = Counter()
    if slots:
        told = store.power_slots.settle_all(slots, actor=actor, term=term, now=now)
        ended.update(str(one.state) for one in told if not one.state.is_open)
    if readings:
        store.idle_readings.keep(readings, term=term)
    return ended


@dataclass(frozen=True)
class Ledger:
    """Where slots are claimed under a lease's `term`; `ended` counts how they ended."""

    slots: _Slots
    actor: str
    term: int
    clock: Callable[[], float]
    ended: Counter[str]

    def claim(self, name: SlotName) -> SlotRecord | None:
        """Take a slot; what was on record before. Raises LeaseLost."""
        return self.slots.claim(name, term=self.term, now=int(self.clock()))

    def sent(self, name: SlotName, upid: str) -> None:
        """Write down which task carries it out."""
        self.slots.sent(name, upid)

    def settle(self, record: SlotRecord) -> None:
        """Write down how far it has come. Raises LeaseLost."""
        is_new = self.slots.settle(record, actor=self.actor, term=self.term, now=int(self.clock()))
        if is_new and not record.state.is_open:
            self.ended[str(record.state)] += 1
