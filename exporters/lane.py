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

NO_BUDGET_SECONDS = 3600.0

_SHORTEST_WAIT_SECONDS = 0.05
_SHORTEST_PAUSE_SECONDS = 0.001


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
        self.owner: _Worker[T] | None = owner
        self.outcomes: dict[str, Outcome[T]] = {}
        self.freed: Callable[[str], None] = lambda _name: None
        self.stopwatch: Callable[[], float] = perf_counter
        self._done = done
        self._lock = threading.Lock()
        self._place = 0
        self._running: Job[T] | None = None
        self._started = monotonic()

    def run(self, worker: "_Worker[T]") -> bool:
        """Run what is left; False where the batch was given to another thread meanwhile, and this one has to
        end.
        """
        with self._lock:
            if self.owner is not worker:
                return False
            job = self._next()
        while job is not None:
            result = outcome(job, self.stopwatch)
            with self._lock:
                if self.owner is not worker:
                    self.freed(job.name)
                    return False
                self.outcomes[job.name] = result
                self._place += 1
                job = self._next()
        self._done()
        return True

    def _next(self) -> Job[T] | None:
        """Begin the next job; the caller holds the lock."""
        self._running = self.jobs[self._place] if self._place < len(self.jobs) else None
        self._started = monotonic()
        return self._running

    def seconds_left(self, deadline_seconds: float) -> float:
        """Until the job that is running now is overdue."""
        return self._started + deadline_seconds - monotonic()

    def seconds_allowed(self, ends: float, deadline_seconds: float) -> float:
        """What the running job may take of a budget that ends at `ends`: half of what was left when it began,
        so that others get the rest.
        """
        return max(_SHORTEST_WAIT_SECONDS, min(deadline_seconds, (ends - self._started) / 2))

    def current(self) -> Job[T] | None:
        place = self._place
        return self.jobs[place] if place < len(self.jobs) else None

    def give_up(self, job: Job[T], heir: Callable[[], "_Worker[T]"]) -> None:
        """Leave `job` to the thread that is in it and go on in another, unless it came back just now."""
        with self._lock:
            if self._running is not job:
                return
            self._leave(job)
            self._started = monotonic()
            self.owner = owner = heir()
        owner.inbox.put(self)

    def abandon(self) -> str | None:
        """Leave everything that is not done yet; the name of the job that a thread is left in."""
        with self._lock:
            left = self.jobs[self._place :]
            job = self._running if left else None
            if job is not None:
                self._leave(job)
            for waiting in self.jobs[self._place :]:
                self.outcomes[waiting.name] = Outcome(None, StuckError(waiting.name, 0.0), 0.0)
            self._place = len(self.jobs)
            if left:
                self.owner = None
            return None if job is None else job.name

    def _leave(self, job: Job[T]) -> None:
        seconds = monotonic() - self._started
        self.outcomes[job.name] = Outcome(None, StuckError(job.name, seconds), seconds)
        self._place += 1
        self._running = None


class Lane(Generic[T]):
    """Runs batches of jobs in a thread of its own; the caller starts the next batch when the last is
    finished.
    """

    def __init__(
        self,
        name: str,
        *,
        beside: "Lane[T] | None" = None,
        stopwatch: Callable[[], float] = perf_counter,
    ) -> None:
        """A lane `beside` another runs jobs of the same names: what is stuck in one is stuck for both.
        `stopwatch` measures jobs, in seconds.
        """
        self._name = name
        self._worker: _Worker[T] | None = None
        self._stuck: set[str] = set() if beside is None else beside._stuck  # noqa: SLF001 - of its own kind
        self._stopwatch = stopwatch

    @property
    def stuck(self) -> frozenset[str]:
        """Names of the jobs that have not come back; each holds one thread."""
        return frozenset(self._stuck)

    def run(self, jobs: Sequence[Job[T]], budget_seconds: float) -> dict[str, Outcome[T]]:
        """Run the jobs and wait; what is stuck already is not started again.

        Each job may take its own deadline, but once time runs short (several are stuck at once, as all mounts
        of a dead server are) only half of what is left of `budget_seconds`. However many jobs come back, they
        take nothing of each other's patience.
        """
        return self.start(jobs, budget_seconds)()

    def start(self, jobs: Sequence[Job[T]], budget_seconds: float) -> Callable[[], dict[str, Outcome[T]]]:
        """Begin what `run` does; the call that is returned waits. So several lanes work side by side."""
        finished = threading.Event()
        batch, outcomes = self._begin(jobs, finished.set)
        ends = monotonic() + budget_seconds

        def wait() -> dict[str, Outcome[T]]:
            while batch is not None and not finished.is_set():
                job = batch.current()
                if job is None:
                    finished.wait()
                    break
                deadline = max(_SHORTEST_WAIT_SECONDS, min(job.deadline_seconds, (ends - monotonic()) / 2))
                if batch.seconds_left(deadline) <= 0:
                    self.give_up(batch, job)
                else:
                    finished.wait(min(batch.seconds_left(deadline), batch.shortest_deadline_seconds))
            return outcomes

        return wait

    async def run_async(
        self, jobs: Sequence[Job[T]], budget_seconds: float = NO_BUDGET_SECONDS
    ) -> dict[str, Outcome[T]]:
        """The same for an event loop, which stays free meanwhile.

        Each job has its own deadline and at most half of what is left of the budget; what is not done when
        the budget has been spent is stuck.
        """
        loop = asyncio.get_running_loop()
        finished: asyncio.Future[None] = loop.create_future()
        batch, outcomes = self._begin(jobs, lambda: _tell(loop, finished))
        if batch is None:
            return outcomes
        watching = _Watch(self, batch, loop, finished, monotonic() + budget_seconds)
        watching.look()
        try:
            await finished
        finally:
            watching.end()
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
        batch.stopwatch = self._stopwatch
        self._worker.inbox.put(batch)
        return batch, batch.outcomes

    def give_up(self, batch: _Batch[T], job: Job[T]) -> None:
        """Let the batch go on in another thread than the one that is stuck in `job`."""

        def heir() -> _Worker[T]:
            self._stuck.add(job.name)
            self._worker = _Worker(self._name)
            return self._worker

        batch.give_up(job, heir)

    def abandon(self, batch: _Batch[T]) -> None:
        """End the batch as it is."""
        stuck = batch.abandon()
        if batch.owner is None:
            if stuck is not None:
                self._stuck.add(stuck)
            self._worker = None


class _Watch(Generic[T]):
    """Looks after a batch from an event loop: at the running job's deadline, and at the end of the budget."""

    def __init__(
        self,
        lane: Lane[T],
        batch: _Batch[T],
        loop: asyncio.AbstractEventLoop,
        finished: "asyncio.Future[None]",
        ends: float,
    ) -> None:
        self._lane = lane
        self._batch = batch
        self._loop = loop
        self._finished = finished
        self._ends = ends
        self._timer: asyncio.TimerHandle | None = None

    def look(self) -> None:
        batch, ends = self._batch, self._ends
        job = batch.current()
        if job is None or self._finished.done():
            return
        if ends <= monotonic():
            self._lane.abandon(batch)
            _resolve(self._finished)
            return
        allowed = batch.seconds_allowed(ends, job.deadline_seconds)
        if batch.seconds_left(allowed) <= 0:
            self._lane.give_up(batch, job)
        left = min(batch.seconds_left(allowed), batch.shortest_deadline_seconds, ends - monotonic())
        self._timer = self._loop.call_later(max(left, _SHORTEST_PAUSE_SECONDS), self.look)

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def outcome(job: Job[T], stopwatch: Callable[[], float] = perf_counter) -> Outcome[T]:
    """Run a job here and now, however long it takes."""
    begun = stopwatch()
    try:
        value = job.call()
    except Exception as error:  # noqa: BLE001 - the isolating runner: one failure, one gap
        return Outcome(None, error, stopwatch() - begun)
    return Outcome(value, None, stopwatch() - begun)


def _tell(loop: asyncio.AbstractEventLoop, finished: "asyncio.Future[None]") -> None:
    try:
        loop.call_soon_threadsafe(_resolve, finished)
    except RuntimeError:  # the loop was closed while the jobs ran: nobody waits any more
        return


def _resolve(finished: "asyncio.Future[None]") -> None:
    if not finished.done():
        finished.set_result(None)
