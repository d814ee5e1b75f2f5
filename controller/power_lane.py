"""Power beside the passes: a shutdown may take an hour, and no revocation is to wait for it.

    pass ──► keep: what is wanted now ──► take ──► line of a cluster ──► a thread works it off
      ▲                                                                         │
      └───────────── in_hand: what is in line, what was begun ◄─────────────────┘

Invariant: a machine is in one line, once. What was begun ends by itself; what only stands in line is as the
newest plan has it. Everything is claimed, sent and recorded under the lease's term, as in a pass.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from controller.errors import ControllerError
from controller.plan.change import Result
from controller.reconcile.passes import summary
from controller.resources.power_jobs import job_of
from controller.resources.power_line import Line
from controller.resources.proxmox_power_apply import Shift

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from controller.app import Controller
    from controller.leadership import Leadership
    from controller.plan.change import Change, Outcome
    from controller.power_values import InHand
    from controller.resources.power_jobs import Job
    from controller.store import Store
    from controller.store.runs import Run

__all__ = ["Errand", "PowerEnded", "PowerLane"]

_STEP_SECONDS = 0.5
_log = structlog.get_logger("steward.power")


@dataclass(frozen=True)
class PowerEnded:
    """Changes that have ended, and how slots did; `is_over` where nothing more is in the line."""

    outcomes: tuple[Outcome, ...]
    slots: Mapping[str, int]
    is_over: bool

    @property
    def is_whole(self) -> bool:
        """Whether each was applied."""
        return all(one.result is Result.APPLIED for one in self.outcomes)


@dataclass(eq=False)
class Errand:
    """The changes of power of one pass. The record of the pass ends when both have."""

    lane: PowerLane
    changes: Sequence[Change]
    run: Run = field(init=False)
    left: set[str] = field(default_factory=set)
    outcomes: list[Outcome] = field(default_factory=list)
    is_seen_whole: bool | None = None

    def take(self, run: Run) -> None:
        """The pass has begun: so may these."""
        self.run = run
        self.left = {change.identity for change in self.changes}
        self.lane.take(self)

    def close(self, outcomes: Sequence[Outcome], *, is_seen_whole: bool) -> None:
        """Everything else of the pass has ended."""
        self.lane.note(self, outcomes, is_seen_whole=is_seen_whole)


class PowerLane:
    """The lines of all clusters. `on_ended` is called on threads of the lane; it must return at once."""

    def __init__(
        self,
        open_controller: Callable[[], AbstractContextManager[Controller]],
        store: Store,
        leadership: Leadership,
        *,
        actor: str,
        is_stopping: Callable[[], bool],
    ) -> None:
        self._open = open_controller
        self._store = store
        self._leadership = leadership
        self._actor = actor
        self._is_stopping = is_stopping
        self._lines: dict[str, Line] = {}
        self._errands: dict[str, Errand] = {}
        self._threads: list[threading.Thread] = []
        self._recording = threading.Lock()
        self.on_ended: Callable[[PowerEnded], None] = lambda _ended: None

    def in_hand(self) -> Mapping[tuple[str, str], InHand]:
        """What is in line or under way, by system and machine."""
        return {
            (system, machine): taken
            for system, line in self._lines.items()
            for machine, taken in line.in_hand().items()
        }

    def keep(
        self, changes: Iterable[Change], seen: Mapping[tuple[str, str], InHand]
    ) -> tuple[list[Change], frozenset[tuple[str, str]]]:
        """Let the lines be as a new plan has it; `seen` is what was in hand when that was made.

        Returns the changes that are new, and the machines that have been begun. A change of a machine that
        has ended since is neither: the plan did not know it.
        """
        listed = list(changes)
        new: list[Change] = []
        for system in {*self._lines, *(change.system for change in listed)}:
            line = self._lines.setdefault(system, Line())
            new += line.keep(change for change in listed if change.system == system)
        now = self.in_hand()
        begun = frozenset(name for name, taken in now.items() if taken.is_begun)
        ended = seen.keys() - now.keys()
        return [one for one in new if (one.system, one.key) not in ended], begun

    def take(self, errand: Errand) -> None:
        """Put the changes of an errand in line."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        for system in sorted({change.system for change in errand.changes}):
            jobs = [job_of(change) for change in errand.changes if change.system == system]
            self._errands |= {job.change.identity: errand for job in jobs}
            line = self._lines.setdefault(system, Line())
            if line.take(jobs):
                thread = threading.Thread(
                    target=self._work, args=(system, line, errand.run.term), name=f"power {system}"
                )
                self._threads.append(thread)
                thread.start()

    def note(self, errand: Errand, outcomes: Sequence[Outcome], *, is_seen_whole: bool | None = None) -> None:
        """Add outcomes to the record of an errand's pass; with the last of them the pass has ended."""
        with self._recording:
            errand.outcomes += outcomes
            errand.left -= {one.change.identity for one in outcomes}
            if is_seen_whole is not None:
                errand.is_seen_whole = is_seen_whole
            if errand.left or errand.is_seen_whole is None:
                return
        is_done = errand.is_seen_whole and all(one.result is Result.APPLIED for one in errand.outcomes)
        told = summary(errand.outcomes)
        self._store.runs.finish(errand.run, result="done" if is_done else "partial", detail=told)

    def join(self) -> None:
        """Wait until all threads have ended, which they do soon once the service stops."""
        for thread in self._threads:
            thread.join()

    def goes_on(self) -> bool:
        """Whether anything may be sent still."""
        return not self._is_stopping() and self._leadership.may_write()

    def _work(self, system: str, line: Line, term: int) -> None:
        ended: Counter[str] = Counter()
        try:
            with self._open() as controller:
                desk = controller.desk(
                    actor=self._actor, term=term, wait=self._wait, ended=ended, goes_on=self.goes_on
                )
                writer = controller.proxmox_writer(system.partition(":")[2])
                Shift(writer, desk, line, on_ended=lambda jobs: self._ended(jobs, line, ended)).run()
        except ControllerError as error:  # the lease is gone, or the store: a later pass hands over again
            _log.error("power broken off", system=system, error=str(error))
            self._give_up(line, str(error), ended)
        except Exception as error:  # noqa: BLE001 - the isolating runner: a later pass hands over again
            _log.exception("power broken off", system=system)
            self._give_up(line, f"unexpected {type(error).__name__}", ended)

    def _ended(self, jobs: Sequence[Job], line: Line, ended: Counter[str]) -> None:
        outcomes = tuple(job.outcome for job in jobs if job.outcome is not None)
        of_errand: dict[str, list[Outcome]] = {}
        for one in outcomes:
            of_errand.setdefault(self._errands[one.change.identity].run.id, []).append(one)
        for told in of_errand.values():
            errand = self._errands[told[0].change.identity]
            self._store.outcomes.record_all(errand.run, told)
            self.note(errand, told)
        for one in outcomes:
            _log.info("power", machine=one.change.key, result=str(one.result), reason=one.reason)
        slots = dict(ended)
        ended.clear()
        self.on_ended(PowerEnded(outcomes, slots, is_over=not line.open()))

    def _give_up(self, line: Line, why: str, ended: Mapping[str, int]) -> None:
        """The changes that nobody carries out now; their passes have ended."""
        left = {errand.run.id for job in line.abandon() if (errand := self._errands.get(job.change.identity))}
        for run_id in left:
            try:
                self._store.runs.break_off(run_id, detail=why)
            except ControllerError as error:  # what ended the work may be the store itself
                _log.error("record of a pass not ended", run=run_id, error=str(error))
        self.on_ended(PowerEnded((), dict(ended), is_over=True))

    def _wait(self, seconds: float) -> bool:
        """Wait for tasks of Proxmox VE; False as soon as nothing may be written any more."""
        deadline = time.monotonic() + seconds
        while self.goes_on():
            left = deadline - time.monotonic()
            if left <= 0:
                return True
            time.sleep(min(left, _STEP_SECONDS))
        return False
