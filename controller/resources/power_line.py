"""The changes of power of one cluster that are to be carried out, or are under way.

One thread works it off. Another may hand over more meanwhile, and take back what no task was begun for.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from controller.plan.change import Outcome, Result
from controller.power_values import InHand

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from controller.plan.change import Change
    from controller.resources.power_jobs import Job

__all__ = ["Line"]

_WITHDRAWN = "the policy does not want it any more; nothing was begun"


class Line:
    """Jobs in the order in which they came, at most one for each machine.

    A job is either in line, or begun: then a task of Proxmox VE may be there, and nobody takes it back.
    """

    def __init__(self, jobs: Iterable[Job] = ()) -> None:
        self._lock = threading.Lock()
        self._jobs = list(jobs)
        self._is_worked = False

    def open(self) -> list[Job]:
        """The jobs that have not ended."""
        with self._lock:
            return [job for job in self._jobs if job.outcome is None]

    def begin(self, job: Job) -> bool:
        """Say that a job is about to begin; False where it was taken back meanwhile."""
        with self._lock:
            job.is_beginning = job.outcome is None
            return job.is_beginning

    def ended(self) -> list[Job]:
        """The jobs that have ended since the last call; they leave the line."""
        with self._lock:
            over = [job for job in self._jobs if job.outcome is not None]
            self._jobs = [job for job in self._jobs if job.outcome is None]
            return over

    def in_hand(self) -> Mapping[str, InHand]:
        """What is in the line, by machine."""
        with self._lock:
            return {
                job.name: InHand(job.change, job.slot, is_begun=job.is_begun)
                for job in self._jobs
                if job.outcome is None
            }

    def keep(self, changes: Iterable[Change]) -> list[Change]:
        """Let what is in line be as a new plan has it; what is not in it any more ends as skipped.

        Returns the changes of machines that the line does not hold. A job that was begun goes on.
        """
        wanted = {change.key: change for change in changes}
        with self._lock:
            for job in self._jobs:
                if job.outcome is not None:
                    continue
                change = wanted.get(job.name)
                if job.is_begun or (change is not None and job.is_for(change)):
                    wanted.pop(job.name, None)
                    job.change = change if change is not None and not job.is_begun else job.change
                else:
                    job.outcome = Outcome(job.change, Result.SKIPPED, _WITHDRAWN)
        return list(wanted.values())

    def take(self, jobs: Iterable[Job]) -> bool:
        """Put jobs at the end; whether nobody works the line off, so that the caller has to see to it."""
        with self._lock:
            self._jobs += jobs
            was_idle, self._is_worked = not self._is_worked, bool(self._jobs)
            return was_idle and self._is_worked

    def rest(self) -> bool:
        """Whether all is done; then whoever worked the line off goes, and `take` asks for another."""
        with self._lock:
            self._is_worked = bool(self._jobs)
            return not self._is_worked

    def abandon(self) -> list[Job]:
        """Empty the line: whoever worked it off cannot go on. What was in it."""
        with self._lock:
            left, self._jobs, self._is_worked = self._jobs, [], False
            return left
