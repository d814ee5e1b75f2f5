"""Reads in the background what would make scrapes slow; exporters/pace.py says which and when.

They share a lane of their own. A reading that has become too old because nobody scraped for long is not
served: the scrape waits for a new one as long as it can, and else the collector has failed.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from time import monotonic

from exporters import pace
from exporters.errors import ExporterError
from exporters.lane import Job, Lane, Outcome
from exporters.states import State
from exporters.text import Rendering

Settle = Callable[[Sequence[State], Mapping[str, Outcome[Rendering]], float], None]


class Slow:
    """The background's lane and timetable. `run` reads a collector, `settle` takes what came of it."""

    def __init__(
        self,
        lane: Lane[Rendering],
        *,
        run: Callable[[State], Rendering],
        settle: Settle,
        steady: Callable[[], float],
    ) -> None:
        self._lane = lane
        self._run = run
        self._settle = settle
        self._steady = steady
        self._states: tuple[State, ...] = ()
        self._last_scrape = float("-inf")
        self._gap_seconds = pace.LONGEST_GAP_SECONDS
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def scraped(self, arrived: float, states: Sequence[State]) -> None:
        """A scrape came in at `arrived`: plan the next reading of these."""
        gap = arrived - self._last_scrape
        if gap > 0:
            self._gap_seconds = min(gap, pace.LONGEST_GAP_SECONDS)
            self._last_scrape = arrived
        self._states = tuple(states)
        if self._task is None:
            self._plan()

    async def wait(self, states: Sequence[State], ends: float) -> None:
        """See that none of these is too old, waiting until `ends` (of time.monotonic) for new readings."""
        if not any(map(self._is_old, states)):
            return
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=max(0.0, ends - monotonic()))
        old = [state for state in states if self._is_old(state)]
        if old and self._task is None:
            self._begin(old)
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=max(0.0, ends - monotonic()))
        now = self._steady()
        late = [state for state in old if self._is_old(state)]
        self._settle(late, {state.source.name: _too_old(state, now) for state in late}, float("-inf"))

    async def finish(self) -> None:
        """Wait until nothing is being read."""
        if self._task is not None:
            await asyncio.wait((self._task,))

    def close(self) -> None:
        """Read nothing any more; a reading under way ends by itself."""
        self._states = ()
        self._cancel_timer()
        self._lane.close()

    def due_at(self, state: State) -> float:
        """When to read it next."""
        return pace.next_reading(self._last_scrape, self._gap_seconds, state.read_at, state.seconds)

    def _is_old(self, state: State) -> bool:
        age = self._steady() - state.read_at
        return age > pace.oldest_seconds(self._gap_seconds, state.seconds)

    def _plan(self) -> None:
        self._cancel_timer()
        # What was read since the last scrape is new enough until the next one.
        waiting = [state for state in self._states if state.is_slow and state.read_at <= self._last_scrape]
        if not waiting:
            return
        pause = max(0.0, min(map(self.due_at, waiting)) - self._steady())
        self._timer = asyncio.get_running_loop().call_later(pause, self._read_due)

    def _read_due(self) -> None:
        now = self._steady()
        due = [state for state in self._states if state.is_slow and self.due_at(state) <= now]
        if due and self._task is None:
            self._begin(due)
        else:
            self._plan()

    def _begin(self, states: Sequence[State]) -> None:
        self._task = asyncio.get_running_loop().create_task(self._read(states))
        self._task.add_done_callback(self._done)

    async def _read(self, states: Sequence[State]) -> None:
        began = self._steady()
        jobs = [Job(state.source.name, _call(self._run, state), pace.DEADLINE_SECONDS) for state in states]
        self._settle(states, await self._lane.run_async(jobs), began)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if not task.cancelled():
            task.result()
            self._plan()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _call(run: Callable[[State], Rendering], state: State) -> Callable[[], Rendering]:
    return lambda: run(state)


def _too_old(state: State, now: float) -> Outcome[Rendering]:
    age = now - state.read_at
    return Outcome(None, ExporterError(f"the last reading is {age:.0f} s old"), state.seconds)
