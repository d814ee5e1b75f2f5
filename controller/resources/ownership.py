"""Whose an object is decides what may become of it: one rule for every resource that carries a mark. Pure.

Ours and desired: compared. Unmarked or somebody else's: reported, never touched; `adopt: true` takes what is
unmarked. Ours and no longer desired: a prune, which the planner makes only where we know the name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from controller.plan.change import create, update
from controller.plan.plan import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from controller.plan.change import Change, Details, Fields
    from controller.policy.position import SourcePosition
    from controller.resources.resource import Context

__all__ = ["Owned", "Rules", "compare"]


class Owned(Protocol):
    """An object with an ownership mark; equality of two means no drift."""

    @property
    def owner(self) -> str:
        """The mark; "" where there is none."""
        ...

    @property
    def adopt(self) -> bool:
        """True where the policy says that an unmarked object is to be taken over."""
        ...

    @property
    def object_id(self) -> str:
        """The system's immutable id, "" where it has none."""
        ...

    @property
    def source(self) -> SourcePosition | None:
        """Where the policy asks for it."""
        ...

    def fields(self) -> Fields:
        """The managed fields, as a plan shows them."""
        ...


T = TypeVar("T", bound=Owned)


@dataclass(frozen=True)
class Rules:
    """What differs between resources: section, word for the object, what a change depends on and removes."""

    section: str
    noun: str
    depends_on: Callable[[str, Fields], tuple[str, ...]] = lambda _key, _after: ()
    removals: Callable[[str, Fields, Fields], Mapping[str, int]] = lambda _key, _before, _after: {}


def compare(
    observed: Mapping[str, T], desired: Mapping[str, T], context: Context, rules: Rules
) -> tuple[list[Change], list[Report]]:
    """Creations and updates of what is desired, and what stands in the way of them.

    Prunes are the caller's.
    """
    changes: list[Change] = []
    reported: list[Report] = []
    for key, wanted in desired.items():
        seen = observed.get(key)
        if seen is None:
            changes.append(_creation(key, wanted, context, rules))
        elif seen.owner != context.owner and not (wanted.adopt and not seen.owner):
            reported.append(_in_the_way(key, seen, wanted, context, rules))
        elif seen != wanted:
            changes.append(_update(key, seen, wanted, context, rules))
    return changes, reported


def _creation(key: str, wanted: Owned, context: Context, rules: Rules) -> Change:
    fields = wanted.fields()
    details: Details = {
        "reason": f"{rules.noun} is in the policy and not there",
        "source": wanted.source,
        "depends_on": rules.depends_on(key, fields),
    }
    return create(context.system, rules.section, key, fields, **details)


def _update(key: str, seen: Owned, wanted: Owned, context: Context, rules: Rules) -> Change:
    before, after = seen.fields(), wanted.fields()
    differing = sorted(name for name in after if before.get(name) != after[name])
    adopted = f"{rules.noun} is adopted; " if not seen.owner else ""
    details: Details = {
        "reason": f"{adopted}differs in {', '.join(differing)}",
        "source": wanted.source,
        "depends_on": rules.depends_on(key, after),
        "object_id": seen.object_id,
        "removals": rules.removals(key, before, after),
    }
    return update(context.system, rules.section, key, before, after, **details)


def _in_the_way(key: str, seen: Owned, wanted: Owned, context: Context, rules: Rules) -> Report:
    whose = f"belongs to {seen.owner}" if seen.owner else "exists and is not ours; adopt: true takes it over"
    return Report(
        context.system, rules.section, key, f"{rules.noun} {whose}", pages=False, source=wanted.source
    )
