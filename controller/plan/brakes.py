"""Brakes: what a plan may not do, whatever the policy says. A refusal names the offending changes.

Limits come from three places (controller.yaml's floor, the last applied commit, the new one) and the
strictest of each counts, so that one commit cannot both loosen a limit and use it.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from controller.plan.change import Operation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from controller.plan.change import Change, Json
    from controller.plan.plan import Plan

__all__ = ["ADMINS", "DEFAULT_LIMITS", "Limits", "Refusal", "check", "strictest"]

ADMINS = "admins"
"""The population of people who can administer a system; it may shrink but never to nothing."""


@dataclass(frozen=True)
class Limits:
    """How much one plan may remove from each population: the greater of `count` and `share` of what was seen.

    For few objects `count` therefore decides alone, and a share matters from where on it allows more. None
    means that this source does not say. `delete_after_days` is how long somebody stays disabled before
    deletion.
    """

    count: int | None = None
    share: Fraction | None = None
    delete_after_days: int | None = None
    protected: frozenset[str] = frozenset()

    def allowed(self, population: int) -> int:
        """How many objects of a population may go in one plan; without any limit, all."""
        if self.count is None and self.share is None:
            return population
        return max(self.count or 0, math.floor(population * (self.share or 0)))

    def to_json(self) -> dict[str, Json]:
        """The limits as a plan carries them; the share as text, because digests hold whole numbers only."""
        return {
            "max_deletes": {"count": self.count, "share": None if self.share is None else str(self.share)},
            "delete_after_days": self.delete_after_days,
            "protected_users": sorted(self.protected),
        }


DEFAULT_LIMITS = Limits(count=5, share=Fraction(1, 10), delete_after_days=30)
"""The floor where controller.yaml names none."""


@dataclass(frozen=True)
class Refusal:
    """One brake that holds a plan: the rule in words and the changes that it holds."""

    rule: str
    text: str
    changes: tuple[Change, ...]

    def __str__(self) -> str:
        named = ", ".join(change.label for change in self.changes)
        return f"{self.text}: {named}" if named else self.text


def strictest(sources: Iterable[Limits]) -> Limits:
    """The tightest of each: least removals, longest wait before deletion, whoever is protected anywhere."""
    limits = list(sources)
    counts = [limit.count for limit in limits if limit.count is not None]
    shares = [limit.share for limit in limits if limit.share is not None]
    waits = [limit.delete_after_days for limit in limits if limit.delete_after_days is not None]
    return Limits(
        count=min(counts, default=None),
        share=min(shares, default=None),
        delete_after_days=max(waits, default=None),
        protected=frozenset().union(*(limit.protected for limit in limits)),
    )


def check(plan: Plan, limits: Limits, *, ourselves: frozenset[str] = frozenset()) -> tuple[Refusal, ...]:
    """All brakes that hold `plan`; an empty tuple lets it pass.

    `ourselves` holds identities (system/section/key) of the accounts that we act with.
    """
    return (
        *_too_many(plan, limits),
        *_last_admin(plan),
        *_named(plan.changes, limits.protected),
        *_own_account(plan.changes, ourselves),
    )


def _too_many(plan: Plan, limits: Limits) -> list[Refusal]:
    counted: Counter[str] = Counter()
    for change in plan.changes:
        for population, number in change.removals.items():
            counted[f"{change.system}/{population}"] += number
    refusals = []
    for population, number in sorted(counted.items()):
        seen = plan.populations.get(population, 0)
        if population.endswith(f"/{ADMINS}") or number <= limits.allowed(seen):
            continue
        text = (
            f"removes {number} of {seen} {population}, more than the {limits.allowed(seen)} that limits allow"
        )
        refusals.append(Refusal("max_deletes", text, _removing(plan.changes, population)))
    return refusals


def _last_admin(plan: Plan) -> list[Refusal]:
    refusals = []
    for system in sorted({change.system for change in plan.changes}):
        population = f"{system}/{ADMINS}"
        losing = _removing(plan.changes, population)
        if losing and sum(change.removals[ADMINS] for change in losing) >= plan.populations.get(
            population, 0
        ):
            refusals.append(Refusal("last_admin", f"{system} would be left without an administrator", losing))
    return refusals


def _removing(changes: Sequence[Change], population: str) -> tuple[Change, ...]:
    system, _, name = population.rpartition("/")
    return tuple(change for change in changes if change.system == system and change.removals.get(name))


def _named(changes: Sequence[Change], protected: frozenset[str]) -> list[Refusal]:
    held = tuple(
        change
        for change in changes
        if _person(change) in protected
        and (change.operation is Operation.DELETE or any(change.removals.values()))
    )
    return [Refusal("protected_users", "takes something from protected users", held)] if held else []


def _own_account(changes: Sequence[Change], ourselves: frozenset[str]) -> list[Refusal]:
    held = tuple(
        change
        for change in changes
        if change.identity in ourselves
        or (change.before is not None and f"{change.system}/users/{_person(change)}" in ourselves)
    )
    return [Refusal("ourselves", "changes the account that Steward itself acts with", held)] if held else []


def _person(change: Change) -> str:
    """Whom a change of an account, or of a person's entry, is about, as the policy names people; or ""."""
    if change.section == "users":
        return change.key
    fields = change.before or change.after or {}
    return str(fields.get("holder", "")).rpartition("@")[0] if fields.get("kind") == "user" else ""
