"""Changes that are alike, told as one: what one line of the policy asks for on many machines. Pure.

Only what people read is grouped; JSON, the digest and the counts have every change.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from controller.cli.wording import is_obvious, name_of, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from controller.plan.change import Change
    from controller.plan.plan import Report

__all__ = ["Group", "alike", "grouped"]

_FEW: Final = 3
_MOST_NAMES: Final = 8
_ARROW: Final = " ← "
_PLACES: Final = {
    "machines.assigned": "machine",
    "pools.assigned": "pool",
    "storages.assigned": "storage",
    "nodes.assigned": "node",
    "machines.power": "machine",
}
"""Sections whose changes may be many of one kind, and what each of them is about."""


@dataclass(frozen=True)
class Group:
    """Changes that differ in nothing but the place; most hold a single one."""

    changes: tuple[Change, ...]

    @property
    def first(self) -> Change:
        """The change that speaks for all."""
        return self.changes[0]

    @cached_property
    def name(self) -> str:
        """What the changes are about: `lab-boxes (25 machines) ← team research: power-user`."""
        if len(self.changes) == 1:
            return name_of(self.first)
        number = f"{len(self.changes)} {_PLACES[self.first.section]}s"
        what = f"{self.first.by} ({number})" if self.first.by else number
        return what + _tail(self.first)

    @cached_property
    def words(self) -> list[str]:
        """What becomes of them, and which they are."""
        return words_of(self.first) if len(self.changes) == 1 else [*words_of(self.first), _listed(self)]


def grouped(changes: Sequence[Change]) -> list[Group]:
    """The changes in their order; more than a few that are alike together, where the first of them stands."""
    alike: dict[object, list[Change]] = {}
    for change in changes:
        alike.setdefault(_likeness(change), []).append(change)
    return [
        Group(tuple(members) if len(members) > _FEW else (change,))
        for change in changes
        if len(members := alike[_likeness(change)]) <= _FEW or change is members[0]
    ]


def alike(reports: Iterable[Report]) -> Mapping[tuple[bool, str, str], list[Report]]:
    """What was seen and left alone, by (pages, system, text): what should wake somebody first.

    Differences in report mode are changes, and are told as such.
    """
    found: dict[tuple[bool, str, str], list[Report]] = {}
    for one in sorted(reports, key=lambda one: not one.pages):
        if one.change is None:
            found.setdefault((one.pages, one.system, one.text), []).append(one)
    return found


def _likeness(change: Change) -> object:
    """What changes share that are told as one; an object's own identity where nothing is shared."""
    if change.section not in _PLACES:
        return change.identity
    why = "" if is_obvious(change) else change.reason
    place = (change.by, change.source and (change.source.file, change.source.line))
    return (
        change.system,
        change.section,
        change.operation,
        _tail(change),
        tuple(words_of(change)),
        place,
        why,
    )


def _tail(change: Change) -> str:
    """What the name says behind the place: ` ← team research: power-user`."""
    _, arrow, holder = change.title.partition(_ARROW)
    return arrow + holder


def _listed(group: Group) -> str:
    """The places by name, as many as one line or two hold."""
    names = [change.title.partition(_ARROW)[0] or change.key for change in group.changes]
    rest = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return " ".join(names[:_MOST_NAMES]) + rest
