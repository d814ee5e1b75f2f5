"""The writing half of a pass: carry out a plan, change by change, and say of each what became of it.

Stages follow the plan's order (realm, roles, users, assignments; deletions backwards). Within a stage
independent changes run side by side under the system's own limit; creations that a system takes in one
request go together. The invariant that makes interruption harmless: a change is written only after
everything that it depends on was, so any prefix of a plan leaves a world from which planning anew yields
exactly the rest.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from controller.plan.change import Change, Operation, Outcome, Result
from controller.plan.plan import Plan, ordered, rank

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
            for stage in _stages(plan):
                for outcomes in _run(stage, systems, pools, ended):
                    ended.update((outcome.change.identity, outcome) for outcome in outcomes)
                    if on_outcomes is not None:
                        on_outcomes(outcomes)
        return [ended[change.identity] for change in ordered(plan.changes)]


def _stages(plan: Plan) -> Iterator[list[Change]]:
    def stage(change: Change) -> tuple[bool, int]:
        return change.operation is Operation.DELETE, rank(change.section)

    for _, changes in groupby(ordered(plan.changes), key=stage):
        yield list(changes)


def _run(
    stage: Sequence[Change],
    systems: Mapping[str, Target],
    pools: Mapping[str, ThreadPoolExecutor],
    ended: Mapping[str, Outcome],
) -> Iterator[Sequence[Outcome]]:
    """Waves of a stage: what depends on a change of the same stage waits for the next wave."""
    waiting = list(stage)
    while waiting:
        names = {change.identity for change in waiting}
        wave = [change for change in waiting if not names & set(change.depends_on)] or waiting
        skipped = [outcome for change in wave if (outcome := _skipped(change, ended))]
        if skipped:
            yield skipped
        blocked = {outcome.change.identity for outcome in skipped}
        ready = [change for change in wave if change.identity not in blocked]
        futures = [
            pools[system].submit(_isolated, systems[system], batch)
            for system, batch in _batches(ready, systems)
        ]
        yield from _results(futures)
        begun = {change.identity for change in wave}
        waiting = [change for change in waiting if change.identity not in begun]


def _results(futures: Sequence[Future[Sequence[Outcome]]]) -> Iterator[Sequence[Outcome]]:
    try:
        for future in as_completed(futures):
            yield future.result()
    finally:
        for future in futures:
            future.cancel()


def _skipped(change: Change, ended: Mapping[str, Outcome]) -> Outcome | None:
    for name in change.depends_on:
        needed = ended.get(name)
        if needed is not None and needed.result is not Result.APPLIED:
            return Outcome(change, Result.SKIPPED, f"needs {name}, which ended as {needed.result}")
    return None


def _batches(
    changes: Sequence[Change], systems: Mapping[str, Target]
) -> Iterator[tuple[str, Sequence[Change]]]:
    """Creations together where the system takes many in one request, everything else one by one."""
    together: dict[tuple[str, str], list[Change]] = {}
    for change in changes:
        resource = systems[change.system].resource(change.section)
        if change.operation is Operation.CREATE and resource.create_many is not None:
            together.setdefault((change.system, change.section), []).append(change)
        else:
            yield change.system, [change]
    for (system, section), creations in together.items():
        size = systems[system].resource(section).batch
        for start in range(0, len(creations), size):
            yield system, creations[start : start + size]


def _isolated(target: Target, changes: Sequence[Change]) -> Sequence[Outcome]:
    """Write one change, or a batch of creations; what nobody foresaw fails these changes alone."""
    resource = target.resource(changes[0].section)
    try:
        if changes[0].operation is Operation.CREATE and resource.create_many is not None:
            return resource.create_many(target.writer, changes)
        return [resource.apply(target.writer, change) for change in changes]
    except Exception as error:  # noqa: BLE001 - the isolating runner
        reason = f"unexpected {type(error).__name__}: {error}"
        return [Outcome(change, Result.FAILED, reason) for change in changes]


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
