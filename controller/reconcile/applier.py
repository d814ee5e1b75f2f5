"""The writing half of a pass: carry out a plan, change by change, and say of each what became of it.

Stages follow the plan's order (realm, roles, users, assignments; deletions backwards; power). Within a stage
independent changes run side by side under the system's own limit, each as soon as what it needs has ended;
those that a system takes in one request go together. The invariant that makes interruption harmless: a
change is written only after everything that it depends on was, so any prefix of a plan leaves a world from
which planning anew yields exactly the rest.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from controller.plan.change import Change, Operation, Outcome, Result
from controller.plan.plan import Plan, ordered, stage
from controller.reconcile.readiness import Readiness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from controller.resources.resource import Resource

__all__ = ["Applier", "Target", "settled"]


@dataclass(frozen=True)
class Target:
    """One system as applying sees it; `concurrency` bounds the changes under way at once."""

    name: str
    writer: Any
    resources: tuple[Resource, ...]
    concurrency: int

    def resource(self, section: str) -> Resource:
        """The resource of a section. Raises KeyError for a section that this system has not."""
        return {resource.section: resource for resource in self.resources}[section]


@dataclass(frozen=True)
class Applier:
    """Carries out plans on `targets`."""

    targets: Sequence[Target]

    def apply(
        self, plan: Plan, *, on_outcomes: Callable[[Sequence[Outcome]], None] | None = None
    ) -> list[Outcome]:
        """Every change's outcome, in the order of the plan.

        `on_outcomes` hears of outcomes as they end, in this thread; what it raises stops the pass before
        further changes are begun (a lease that was lost, a store that is full).
        """
        ended: dict[str, Outcome] = {}
        systems = {target.name: target for target in self.targets}
        with ExitStack() as stack:
            pools = {
                name: stack.enter_context(ThreadPoolExecutor(target.concurrency, thread_name_prefix=name))
                for name, target in systems.items()
            }
            for changes in _stages(plan):
                for outcomes in _run(changes, systems, pools, ended):
                    ended.update((outcome.change.identity, outcome) for outcome in outcomes)
                    if on_outcomes is not None:
                        on_outcomes(outcomes)
        return [ended[change.identity] for change in ordered(plan.changes)]


def _stages(plan: Plan) -> Iterator[list[Change]]:
    for _, changes in groupby(ordered(plan.changes), key=stage):
        yield list(changes)


def _run(
    changes: Sequence[Change],
    systems: Mapping[str, Target],
    pools: Mapping[str, ThreadPoolExecutor],
    ended: Mapping[str, Outcome],
) -> Iterator[Sequence[Outcome]]:
    """One stage: each change begins as soon as what it needs has ended.

    Whoever iterates puts what is yielded into `ended` before asking for more.
    """
    readiness = Readiness(changes)
    under_way: set[Future[Sequence[Outcome]]] = set()
    answers: SimpleQueue[Future[Sequence[Outcome]]] = SimpleQueue()
    try:
        while True:
            taken = readiness.take() or ([] if under_way else readiness.take_all())
            skipped = [outcome for change in taken if (outcome := _skipped(change, ended))]
            blocked = {outcome.change.identity for outcome in skipped}
            ready = [change for change in taken if change.identity not in blocked]
            for system, batch in _batches(ready, systems):
                future = pools[system].submit(_isolated, systems[system], batch)
                under_way.add(future)
                future.add_done_callback(answers.put)
            outcomes = skipped or (_answered(answers, under_way) if under_way else [])
            if not outcomes:
                return
            yield outcomes
            readiness.end(outcome.change for outcome in outcomes)
    finally:
        for future in under_way:
            future.cancel()


def _answered(
    answers: SimpleQueue[Future[Sequence[Outcome]]], under_way: set[Future[Sequence[Outcome]]]
) -> list[Outcome]:
    """What has ended: waits for one, takes what is there besides, so that the record is written at once."""
    futures = [answers.get()]
    while not answers.empty():
        futures.append(answers.get())
    under_way.difference_update(futures)
    return [outcome for future in futures for outcome in future.result()]


def _skipped(change: Change, ended: Mapping[str, Outcome]) -> Outcome | None:
    for name in change.depends_on:
        needed = ended.get(name)
        if needed is not None and needed.result is not Result.APPLIED and not _stands_anyway(needed.change):
            return Outcome(change, Result.SKIPPED, f"needs {name}, which ended as {needed.result}")
    return None


def _stands_anyway(needed: Change) -> bool:
    """A realm that is there holds people, whatever became of its settings: a secret of its mail server that
    cannot be read must not keep anybody's access open.
    """
    return needed.section == "realm" and needed.operation is Operation.UPDATE


def _batches(
    changes: Sequence[Change], systems: Mapping[str, Target]
) -> Iterator[tuple[str, Sequence[Change]]]:
    """Changes together where the system takes many of their operation at once, everything else one by one."""
    together: dict[tuple[str, str, Operation], list[Change]] = {}
    for change in changes:
        resource = systems[change.system].resource(change.section)
        if resource.takes_many(change.operation):
            together.setdefault((change.system, change.section, change.operation), []).append(change)
        else:
            yield change.system, [change]
    for (system, section, _), alike in together.items():
        size = systems[system].resource(section).batch
        for start in range(0, len(alike), size):
            yield system, alike[start : start + size]


def _isolated(target: Target, changes: Sequence[Change]) -> Sequence[Outcome]:
    """Write one change, or a batch of them; what nobody foresaw fails these changes alone."""
    resource = target.resource(changes[0].section)
    try:
        if resource.apply_many is not None and resource.takes_many(changes[0].operation):
            told = resource.apply_many(target.writer, changes)
        else:
            told = [resource.apply(target.writer, change) for change in changes]
    except Exception as error:  # noqa: BLE001 - the isolating runner
        reason = f"unexpected {type(error).__name__}: {error}"
        return [Outcome(change, Result.FAILED, reason) for change in changes]
    by_identity = {outcome.change.identity: outcome for outcome in told}
    untold = "nothing was said of it, which is a bug: look whether it was written"
    return [by_identity.get(change.identity) or Outcome(change, Result.UNKNOWN, untold) for change in changes]


def settled(outcomes: Sequence[Outcome], fresh: Plan) -> list[Outcome]:
    """The outcomes once the world was observed again: an `unknown` that is no longer needed was applied.

    Where its section could not be seen, or the change is still needed, it stays unknown.
    """
    needed = {change.identity for change in fresh.changes}
    unseen = {(gap.system, gap.section) for gap in fresh.unobserved}

    def settle(outcome: Outcome) -> Outcome:
        change = outcome.change
        is_open = change.identity in needed or (change.system, change.section) in unseen
        if outcome.result is not Result.UNKNOWN or is_open:
            return outcome
        return Outcome(change, Result.APPLIED, "no answer came; seen as done when observed again")

    return [settle(outcome) for outcome in outcomes]
