"""One whole pass:

plan under the brakes, apply under the lease, leave a record. Shared by command line and service.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from controller.errors import Refused
from controller.plan.change import Outcome, Result
from controller.plan.plan import LAST, Plan, difference
from controller.reconcile.applier import settled
from controller.reconcile.limits import POLICY, limits_of
from controller.reconcile.memory import remembered
from controller.reconcile.planner import refusals

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from controller.plan.brakes import Refusal
    from controller.policy.model import Policy
    from controller.reconcile.applier import Applier
    from controller.reconcile.planner import Memory, Planner, Sight

__all__ = [
    "Act",
    "Apart",
    "Braked",
    "DigestDiffers",
    "Planned",
    "Record",
    "apply_pass",
    "plan_pass",
    "require_digest",
    "summary",
]


class Braked(Refused):
    """Brakes hold the plan; `refusals` says which and which changes."""

    def __init__(self, held: Sequence[Refusal]) -> None:
        super().__init__(
            "the plan is held by a brake, nothing was written:\n" + "\n".join(f"  {one}" for one in held),
            hint="\n      ".join(dict.fromkeys(f"{one.rule}: {one.remedy}" for one in held)),
        )
        self.refusals = tuple(held)


class DigestDiffers(Refused):
    """The plan is not the one that was reviewed."""


@dataclass(frozen=True)
class Planned:
    """A plan with what it was made from, `at` which instant; `refusals` are the brakes that hold it."""

    policy: Policy
    plan: Plan
    sights: Mapping[str, Sight]
    memory: Memory
    refusals: tuple[Refusal, ...]
    at: datetime


@dataclass(frozen=True)
class Act:
    """Who applies what: the pass's id (a ULID), its kind, the actor, the commit, and the lease's term."""

    run_id: str
    actor: str
    term: int
    kind: str = "apply"
    commit: str = ""


class _Runs(Protocol):
    def start(
        self,
        run_id: str,
        *,
        kind: str,
        actor: str,
        commit: str = "",
        digest: str = "",
        term: int = 0,
        plan: str = "",
        owner: str = "",
    ) -> Any: ...
    def finish(self, run: Any, *, result: str, detail: str = "") -> None: ...


class _Outcomes(Protocol):
    def record_all(self, run: Any, ended: Sequence[Outcome]) -> None: ...


class Apart(Protocol):
    """Whoever carries out changes of power beside the pass, and ends its record after the last of them."""

    def take(self, run: Any) -> None:
        """The record of the pass has begun."""
        ...

    def close(self, outcomes: Sequence[Outcome], *, is_seen_whole: bool) -> None:
        """Everything else has ended."""
        ...


class Record(Protocol):
    """The store, as far as a pass writes it."""

    @property
    def runs(self) -> _Runs:
        """The passes."""
        ...

    @property
    def outcomes(self) -> _Outcomes:
        """What became of changes."""
        ...


def plan_pass(
    planner: Planner, policy: Policy, remember: Callable[[], Memory], targets: Sequence[str] = ()
) -> Planned:
    """Observe, compare, and ask the brakes."""
    sights = planner.observe(policy)
    memory = remember()
    plan = planner.with_authors(planner.compare(policy, sights, memory, targets))
    return Planned(policy, plan, sights, memory, refusals(plan, sights, memory.limits), planner.now)


def require_digest(plan: Plan, digest: str, reviewed: Sequence[Mapping[str, Any]] = ()) -> None:
    """Raise DigestDiffers unless `plan` is that of `digest`; `reviewed` are its changes, where known."""
    if plan.digest == digest:
        return
    lines = difference(reviewed, plan) if reviewed else [f"now: {change.label}" for change in plan.changes]
    told = (
        "\n".join(f"  {line}" for line in lines) or "  no change differs: owner, systems, scope or limits do"
    )
    raise DigestDiffers(
        f"the plan has digest {plan.digest}, not the reviewed {digest}; nothing was written:\n{told}",
        hint="review the plan as it is now",
    )


def apply_pass(
    planned: Planned,
    planner: Planner,
    applier: Applier,
    record: Record,
    act: Act,
    *,
    on_outcomes: Callable[[Sequence[Outcome]], None] | None = None,
    apart: Apart | None = None,
) -> list[Outcome]:
    """Write the plan and keep the record of it; every change's outcome in the plan's order.

    With `apart` changes of power are not waited for: they are its business, and so is the record's end.
    Raises Braked before anything is written, and what the store raises, LeaseLost among it, as soon as it
    does.
    """
    if planned.refusals:
        raise Braked(planned.refusals)
    kept = remembered(planned.plan, planner.named(planned.policy), limits_of(planned.policy.limits, POLICY))
    run = record.runs.start(
        act.run_id,
        kind=act.kind,
        actor=act.actor,
        commit=act.commit,
        digest=planned.plan.digest,
        term=act.term,
        plan=kept,
        owner=planned.policy.owner,
    )

    def note(ended: Sequence[Outcome]) -> None:
        record.outcomes.record_all(run, ended)
        if on_outcomes is not None:
            on_outcomes(ended)

    plan = planned.plan
    if apart is not None:
        apart.take(run)
        plan = replace(plan, changes=tuple(one for one in plan.changes if one.section != LAST))
    try:
        outcomes = applier.apply(plan, on_outcomes=note)
    except KeyboardInterrupt:
        record.runs.finish(run, result="partial", detail="interrupted")
        raise
    outcomes = _looked_again(outcomes, planned, planner)
    if apart is not None:
        apart.close(outcomes, is_seen_whole=not plan.unobserved)
        return outcomes
    is_done = all(outcome.result is Result.APPLIED for outcome in outcomes) and not plan.unobserved
    record.runs.finish(run, result="done" if is_done else "partial", detail=summary(outcomes))
    return outcomes


def _looked_again(outcomes: list[Outcome], planned: Planned, planner: Planner) -> list[Outcome]:
    """A write without an answer is neither done nor failed: only the world can tell."""
    if not any(outcome.result is Result.UNKNOWN for outcome in outcomes):
        return outcomes
    sights = planner.observe(planned.policy)
    return settled(outcomes, planner.compare(planned.policy, sights, planned.memory))


def summary(outcomes: Sequence[Outcome]) -> str:
    """How many changes ended how, in words."""
    results = [outcome.result for outcome in outcomes]
    counted = {result: results.count(result) for result in Result}
    return ", ".join(f"{number} {result}" for result, number in counted.items() if number)
