"""Overrides as the store keeps them become those that a pass obeys."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from controller.resources.overrides import HeldState, Hold, Overrides, Suspension

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = ["OverrideRecord", "overrides_of"]


class OverrideRecord(Protocol):
    """One override in the store; times in seconds since the epoch."""

    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def state(self) -> str: ...  # noqa: D102
    @property
    def actor(self) -> str: ...  # noqa: D102
    @property
    def reason(self) -> str: ...  # noqa: D102
    @property
    def until(self) -> int: ...  # noqa: D102


def overrides_of(records: Iterable[OverrideRecord], protected: Collection[str]) -> Overrides:
    """The overrides of these records; nobody whom limits protect is suspended."""
    listed = list(records)
    people = {one.name: _suspension(one) for one in listed if one.kind == "user"}
    return Overrides(
        suspended={name: one for name, one in people.items() if name not in protected},
        held={one.name: _hold(one) for one in listed if one.kind == "machine"},
        dismissed={name: one for name, one in people.items() if name in protected},
    )


def _suspension(record: OverrideRecord) -> Suspension:
    return Suspension(record.name, _instant(record.until), record.actor, record.reason)


def _hold(record: OverrideRecord) -> Hold:
    state: HeldState = "as-is"
    if record.state in {"running", "stopped"}:
        state = "running" if record.state == "running" else "stopped"
    return Hold(record.name, _instant(record.until), state, record.actor, record.reason)


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
