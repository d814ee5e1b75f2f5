"""What earlier passes left in the store, as planning needs it: whose objects are, which limits were in force.

A pass stores, beside its plan, the names that its policy had and the limits it gave (`remembered`). So a
crash between a write and its outcome loses nothing: the name stands in the stored pass, and prune may
rely on it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from controller.plan.limits import Allowance, Limits, strictest
from controller.reconcile.overriding import OverrideRecord, overrides_of
from controller.reconcile.planner import Memory
from controller.reconcile.powering import PowerStore, power_memory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from controller.plan.plan import Plan
    from controller.power_values import InHand

__all__ = ["OutcomeRecord", "RunRecord", "StoreRecord", "remember", "remembered"]

_FEW = 2
_LATEST = 50
"""How many passes back a name is looked for; older ones have outcomes of their own."""


class RunRecord(Protocol):
    """One stored pass."""

    @property
    def plan(self) -> str:
        """What `remembered` made of it, or ""."""
        ...

    @property
    def owner(self) -> str:
        """The mark of the policy, "" where it was not kept."""
        ...

    @property
    def result(self) -> str | None:
        """done, partial, failed or refused; None while it runs or where it was killed."""
        ...


class OutcomeRecord(Protocol):
    """The outcomes of the store."""

    def owned_names(self, system: str, section: str) -> Mapping[str, frozenset[str]]:
        """The keys that an outcome of ours created, adopted or altered, and none deleted since, with the
        owners whose policies did so."""
        ...


class _Runs(Protocol):
    def latest(self, limit: int) -> Sequence[Any]: ...


class _Overrides(Protocol):
    def in_force(self, now: int) -> Sequence[OverrideRecord]: ...


class StoreRecord(PowerStore, Protocol):
    """The store, as far as planning reads it."""

    @property
    def overrides(self) -> _Overrides:
        """What people decided over the policy's head."""
        ...

    @property
    def runs(self) -> _Runs:
        """The passes."""
        ...

    @property
    def outcomes(self) -> OutcomeRecord:
        """What became of changes."""
        ...


@dataclass(frozen=True)
class _Record:
    """What the store says, as the policy of `owner` reads it."""

    store: StoreRecord
    owner: str
    owned: dict[tuple[str, str], Mapping[str, frozenset[str]]] = field(default_factory=dict)

    def passes(self, limit: int) -> Iterator[Mapping[str, Any]]:
        """The owner's stored passes that say what their policy was, newest first; refused ones applied
        nothing."""
        for run in self.store.runs.latest(limit):
            if run.owner in (self.owner, "") and run.result != "refused" and run.plan:
                read = json.loads(run.plan)
                if "named" in read:
                    yield read

    @cached_property
    def named(self) -> frozenset[str]:
        """What policies named, and what plans were about to make: sets name no guest themselves."""
        return frozenset(name for one in self.passes(_LATEST) for name in _names(one))

    @cached_property
    def others(self) -> Mapping[str, str]:
        """What the newest pass of each other owner named, with that owner."""
        newest: dict[str, Any] = {}
        for run in self.store.runs.latest(_LATEST):
            if run.owner not in (self.owner, "") and run.result != "refused" and run.plan:
                newest.setdefault(run.owner, run.plan)
        return {name: owner for owner, plan in newest.items() for name in _names(json.loads(plan))}

    def limits(self) -> Limits:
        """Those of the newest pass; plans are large, so that few are read unless these say nothing."""
        for limit in (_FEW, _LATEST):
            newest = next(self.passes(limit), None)
            if newest is not None:
                return _read_limits(newest["policy_limits"])
        return Limits()

    def knows(self, system: str, section: str, key: str) -> bool:
        owners = self._owned(system, section).get(key, frozenset())
        return not owners.isdisjoint((self.owner, "")) or f"{system}/{section}/{key}" in self.named

    def whose(self, system: str, section: str, key: str) -> str:
        """The other owner who has the object too, or has it alone; "" where none does."""
        other = self.others.get(f"{system}/{section}/{key}", "")
        if other or self.knows(system, section, key):
            return other
        return min(self._owned(system, section).get(key, frozenset()), default="")

    def _owned(self, system: str, section: str) -> Mapping[str, frozenset[str]]:
        """Read once a pass: a plan may prune thousands."""
        place = (system, section)
        if place not in self.owned:
            self.owned[place] = self.store.outcomes.owned_names(system, section)
        return self.owned[place]


def _names(stored: Mapping[str, Any]) -> Iterator[str]:
    for place, keys in stored.get("named", {}).items():
        yield from (f"{place}/{key}" for key in keys)
    yield from ("/".join((one["system"], one["section"], one["key"])) for one in stored["changes"])


def remember(
    store: StoreRecord | None,
    *,
    owner: str,
    floor: Limits,
    given: Limits,
    now: int,
    in_hand: Mapping[tuple[str, str], InHand] = MappingProxyType({}),
) -> Memory:
    """The memory of a pass at `now` (seconds since the epoch) over the policy of `owner`:

    `floor` from controller.yaml, `given` by the new policy, the rest from the store. `in_hand` is what of
    power is being carried out beside the passes.
    """
    if store is None:
        return Memory(strictest([floor, given]), lambda _system, _section, _key: False)
    record = _Record(store, owner)
    limits = strictest([floor, given, record.limits()])
    overrides = overrides_of(store.overrides.in_force(now), limits.protected)
    power = power_memory(store, now, in_hand)
    return Memory(limits, record.knows, record.whose, overrides=overrides, power=power)


def remembered(plan: Plan, named: Mapping[str, Sequence[str]], given: Limits) -> str:
    """A pass as the store keeps it: the plan, the names in its policy, the limits that its policy gave."""
    return json.dumps({**plan.to_json(), "named": dict(named), "policy_limits": given.to_json()})


def _read_limits(stored: Mapping[str, Any]) -> Limits:
    """What an earlier pass stored; those before limits of sections were say nothing of them."""
    general = _read_allowance(stored["max_deletes"])
    return Limits(
        count=general.count,
        share=general.share,
        delete_after_days=stored["delete_after_days"],
        protected=frozenset(stored["protected_users"]),
        sections={name: _read_allowance(one) for name, one in stored.get("sections", {}).items()},
        minimum=stored.get("minimum", {}),
        source="the last applied commit",
    )


def _read_allowance(stored: Mapping[str, Any]) -> Allowance:
    share = stored["share"]
    return Allowance(stored["count"], None if share is None else Fraction(share))
