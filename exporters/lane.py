"""A lane: one thread that runs jobs in turn, and is given up to a job that does not come back.

A thread stuck in a system call cannot be killed (a dead NFS server holds statfs for ever), so the bookkeeping
is: the stuck job keeps the thread it has, a new thread takes the jobs that remain, and the stuck job is not
started again until the old one has returned. N stuck sources cost N threads, however many scrapes come by.

The thread that runs a job and whoever watches its deadline agree under the batch's lock on who owns the
batch: after `give_up` the old thread stores nothing any more.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from time import monotonic, perf_counter
from typing import Generic, TypeVar

from exporters.errors import StuckError

T = TypeVar("T")

_SHORTEST_WAIT_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Job(Generic[T]):
    """A call with a name that is its own within the lane, and the seconds that it may take."""

    name: str
    call: Callable[[], T]
    deadline_seconds: float


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What became of a job: its `value`, or the `error` it raised (`StuckError` where it is still out)."""

    value: T | None
    error: Exception | None
    seconds: float


class _Worker(Generic[T]):
    def __init__(self, name: str) -> None:
        self.inbox: SimpleQueue[_Batch[T] | None] = SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def _work(self) -> None:
        while (batch := self.inbox.get()) is not None and batch.run(self):
            pass


class _Batch(Generic[T]):
    """Jobs on their way through a lane."""

    def __init__(self, jobs: Sequence[Job[T]], owner: "_Worker[T]", done: Callable[[], None]) -> None:
        self.jobs = jobs
        # Who waits for one job may find another running: never wait longer than the least patient allows.
        self.shortest_deadline_seconds = min(job.deadline_seconds for job in jobs)
        self.owner = owner
        self.outcomes: dict[str, Outcome[T]] = {}
        self.freed: Callable[[str], None] = lambda _name: None
        self._done = done
        self._lock = threading.Lock()
        self._place = 0
        self._started = monotonic()

    def run(self, worker: "_Worker[T]") -> bool:
        """Run what is left; False where the batch was given to another thread meanwhile, and this one has to
        end.
        """
        while self._place < len(self.jobs):
            job = self.jobs[self._place]
            self._started = monotonic()
            outcome = _outcome(job)
            with self._lock:
                if self.owner is not worker:
                    self.freed(job.name)
                    return False
                self.outcomes[job.name] = outcome
                self._place += 1
        self._done()
        return True

    def seconds_left(self, deadline_seconds: float) -> float:
        """Until the job that is running now is overdue."""
        return self._started + deadline_seconds - monotonic()

    def current(self) -> Job[T] | None:
        place = self._place
        return self.jobs[place] if place < len(self.jobs) else None

    def give_up(self, job: Job[T], heir: Callable[[], "_Worker[T]"]) -> None:
        """Leave `job` to the thread that is in it and go on in another, unless it came back just now."""
        with self._lock:
            if self.current() is not job:
                return
            seconds = monotonic() - self._started
            self.outcomes[job.name] = Outcome(None, StuckError(job.name, seconds), seconds)
            self._place += 1
            self._started = monotonic()
            self.owner = heir()
        self.owner.inbox.put(self)


class Lane(Generic[T]):
    """Runs batches of jobs in a thread of its own; the caller starts the next batch when the last is
    finished.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._worker: _Worker[T] | None = None
        self._stuck: set[str] = set()

    @property
    def stuck(self) -> frozenset[str]:
        """Names of the jobs that have not come back; each holds one thread."""
        return frozenset(self._stuck)

    def run(self, jobs: Sequence[Job[T]], budget_seconds: float) -> dict[str, Outcome[T]]:
        """Run the jobs and wait; what is stuck already is not started again.

        Each job may take its own deadline, but once time runs short (several are stuck at once, as all mounts
        of a dead server are) only its share of what is left of `budget_seconds`.
        """
        finished = threading.Event()
        batch, outcomes = self._begin(jobs, finished.set)
        ends = monotonic() + budget_seconds
        while batch is not None and not finished.is_set():
            job = batch.current()
            if job is None:
                finished.wait()
                break
            share = (ends - monotonic()) / max(1, len(batch.jobs) - len(batch.outcomes))
            deadline = max(_SHORTEST_WAIT_SECONDS, min(job.deadline_seconds, share))
            if batch.seconds_left(deadline) <= 0:
                self._give_up(batch, job)
            else:
                finished.wait(min(batch.seconds_left(deadline), batch.shortest_deadline_seconds))
        return outcomes

    async def run_async(self, jobs: Sequence[Job[T]]) -> dict[str, Outcome[T]]:
        """The same for an event loop, which stays free meanwhile; each job has its own deadline."""
        loop = asyncio.get_running_loop()
        finished: asyncio.Future[None] = loop.create_future()
        batch, outcomes = self._begin(jobs, lambda: _tell(loop, finished))
        if batch is None:
            return outcomes
        timer = loop.call_later(batch.shortest_deadline_seconds, self._watch, batch, loop, finished)
        try:
            await finished
        finally:
            timer.cancel()
        return outcomes

    def close(self) -> None:
        """Let the thread end after what it is doing."""
        if self._worker is not None:
            self._worker.inbox.put(None)
            self._worker = None

    def _begin(
        self, jobs: Sequence[Job[T]], done: Callable[[], None]
    ) -> tuple[_Batch[T] | None, dict[str, Outcome[T]]]:
        skipped: dict[str, Outcome[T]] = {
            job.name: Outcome(None, StuckError(job.name, job.deadline_seconds), 0.0)
            for job in jobs
            if job.name in self._stuck
        }
        free = [job for job in jobs if job.name not in skipped]
        if not free:
            return None, skipped
        if self._worker is None:
            self._worker = _Worker(self._name)
        batch = _Batch(free, self._worker, done)
        batch.outcomes.update(skipped)
        batch.freed = self._stuck.discard
        self._worker.inbox.put(batch)
        return batch, batch.outcomes

    def _give_up(self, batch: _Batch[T], job: Job[T]) -> None:
        def heir() -> _Worker[T]:
            self._stuck.add(job.name)
            self._worker = _Worker(self._name)
            return self._worker

        batch.give_up(job, heir)

    def _watch(
        self, batch: _Batch[T], loop: asyncio.AbstractEventLoop, finished: asyncio.Future[None]
    ) -> None:
        job = batch.current()
        if job is None or finished.done():
            return
        left = batch.seconds_left(job.deadline_seconds)
        if left <= 0:
            self._give_up(batch, job)
            left = batch.shortest_deadline_seconds
        pause = min(left, batch.shortest_deadline_seconds)
        loop.call_later(pause, self._watch, batch, loop, finished)


def _outcome(job: Job[T]) -> Outcome[T]:
    begun = perf_counter()
    try:
        value = job.call()
    except Exception as error:  # noqa: BLE001 - the isolating runner: one failure, one gap
        return Outcome(None, error, perf_counter() - begun)
    return Outcome(value, None, perf_counter() - begun)


def _tell(loop: asyncio.AbstractEventLoop, finished: asyncio.Future[None]) -> None:
    def resolve() -> None:
        if not finished.done():
            finished.set_result(None)

    try:
        loop.call_soon_threadsafe(resolve)
    except RuntimeError:  # the loop was closed while the jobs ran: nobody waits any more
        return
