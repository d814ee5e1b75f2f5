"""The registry: an explicit table of collectors, each run isolated, timed and with a deadline of its own.

A collector that raises or hangs costs its own series; the scrape is answered and says so. All collectors of a
scrape run one after the other in one lane (see exporters/lane.py), so an ordinary scrape needs one thread and
a stuck collector one more. A collector read less than `fresh_seconds` ago is not read again: scrapes that
overlap or follow at once share a reading. Collectors that would make a scrape slow are read in the background
(exporters/slow.py). A collector without anything to read (`NoDataError`: no such hardware) is not a failure
and has a series of its own; it is asked again a minute later, as is one that had nothing to tell.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic, perf_counter, time

from exporters import pace
from exporters.collector import Collector
from exporters.errors import BusyError, ExporterError, SampleError, UnknownCollectorError
from exporters.lane import NO_BUDGET_SECONDS, Job, Lane, Outcome
from exporters.owners import Owners
from exporters.reading import Packer, Reading
from exporters.slow import Slow
from exporters.states import ABOUT_NAMES, DEADLINE_SECONDS, About, Report, Source, State, report
from exporters.text import Format, Renderer, Rendering

__all__ = ["Reading", "Registry", "Report", "Source"]

logger = logging.getLogger(__name__)

BUDGET_SECONDS = 9.5
"""What a scrape may take that does not say how long it waits: Prometheus waits 10 s."""
ABSENT_SECONDS = 60.0
"""How long to take no for an answer: a machine lacks half of what can be read, and hardly ever gets it."""


class Registry:
    """Runs the collectors of a table; see the module's words. `clock` gives unixtime, `steady` never goes
    back, `stopwatch` measures runs.
    """

    def __init__(
        self,
        sources: Iterable[Source],
        *,
        fresh_seconds: float = 1.0,
        clock: Callable[[], float] = time,
        steady: Callable[[], float] = monotonic,
        stopwatch: Callable[[], float] = perf_counter,
    ) -> None:
        self._states: dict[str, State] = {}
        self._jobs: dict[tuple[str, Format], Job[Rendering]] = {}
        for source in sources:
            if source.name in self._states:
                raise SampleError(f"collector {source.name!r} is in the table twice")
            self._states[source.name] = State(source)
        self._fresh_seconds = fresh_seconds
        self._clock = clock
        self._steady = steady
        self._lane = Lane[Rendering]("exporters", stopwatch=stopwatch)
        self._slow = Slow(
            Lane[Rendering]("exporters-slow", beside=self._lane, stopwatch=stopwatch),
            run=self._read_slow,
            settle=self._settle,
            steady=steady,
        )
        self._about = About()
        self._about_renderers = (Renderer(), Renderer())
        self._packer = Packer()
        self._packing = Lane[bytes]("exporters-gzip")
        giving_way = {
            name: give_way
            for name, state in self._states.items()
            if (give_way := state.source.collector.gives_way) is not None
        }
        self._owners = Owners(frozenset(giving_way), ABOUT_NAMES)
        for name, give_way in giving_way.items():
            give_way(partial(self._owners.is_taken, name))
        self._one_at_a_time = asyncio.Lock()
        self._under_way: set[asyncio.Future[Reading]] = set()
        self._wanted = Format.TEXT
        self._last: _Last | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the collectors, in the order of the table."""
        return tuple(self._states)

    def collector(self, name: str) -> Collector | None:
        """The collector of this name, None where it is switched off."""
        state = self._states.get(name)
        return None if state is None else state.source.collector

    def reports(self) -> list[Report]:
        """How each collector fares; reads nothing."""
        now = self._steady()
        return [report(state, now) for state in self._states.values()]

    def select(self, collect: Collection[str], exclude: Collection[str]) -> tuple[str, ...]:
        """The collectors for `collect[]` or `exclude[]` of a query; both empty means all.

        Raises:
            UnknownCollectorError: a name is not in the table, or both were given.
        """
        if collect and exclude:
            raise UnknownCollectorError("collect[] and exclude[] cannot be combined")
        for name in (*collect, *exclude):
            if name not in self._states:
                raise UnknownCollectorError(f"no such collector: {name}")
        return tuple(name for name in self._states if (name in collect if collect else name not in exclude))

    async def scrape(
        self,
        names: tuple[str, ...] | None = None,
        wanted: Format = Format.TEXT,
        budget_seconds: float = BUDGET_SECONDS,
    ) -> Reading:
        """Read the collectors `names` (all by default) and write them together with how they fared.

        What does not come within `budget_seconds` is missing. A caller that is cancelled does not interrupt
        the reading, which others may be waiting for.

        Raises:
            BusyError: another scrape went on for so long that this one never had its turn.
        """
        reading = asyncio.ensure_future(self.scrape_whole(names, wanted, budget_seconds))
        self._under_way.add(reading)
        reading.add_done_callback(self._under_way.discard)
        return await asyncio.shield(reading)

    async def scrape_whole(
        self,
        names: tuple[str, ...] | None = None,
        wanted: Format = Format.TEXT,
        budget_seconds: float = BUDGET_SECONDS,
    ) -> Reading:
        """The same for a caller that nobody cancels, which saves a task; raises what `scrape` raises."""
        return await self._scrape(self.names if names is None else names, wanted, budget_seconds)

    async def pack(self, reading: Reading) -> None:
        """Compress a large reading without stopping everything else meanwhile."""
        await self._packing.run_async([Job("gzip", lambda: reading.gzipped, NO_BUDGET_SECONDS)])

    def close(self) -> None:
        """Let go of threads and files; a stuck thread ends with the process."""
        self._slow.close()
        self._lane.close()
        self._packing.close()
        for state in self._states.values():
            state.source.collector.close()

    async def _scrape(self, names: tuple[str, ...], wanted: Format, budget_seconds: float) -> Reading:
        arrived = self._steady()
        ends = monotonic() + budget_seconds
        await self._take_turn(budget_seconds)
        try:
            now = self._steady()
            states = [self._states[name] for name in names]
            due = [state for state in states if not state.is_slow and self._is_due(state, arrived, now)]
            if not due and (last := self._last) is not None and last.answers(names, wanted, arrived, now):
                return last.reading
            if due:
                jobs = [self._job(state, wanted) for state in due]
                self._settle(due, await self._lane.run_async(jobs, ends - monotonic()), now)
            slow = [state for state in states if state.is_slow]
            if slow:
                await self._slow.wait(slow, ends)
            reading = await self._put_together(states, wanted)
            fresh_until = now + self._fresh_seconds
            self._last = _Last(names, wanted, fresh_until, self._steady(), reading)
            self._wanted = wanted
            self._sort_out(states)
            self._slow.scraped(arrived, [state for state in self._states.values() if state.is_slow])
            return reading
        finally:
            self._one_at_a_time.release()

    async def _take_turn(self, budget_seconds: float) -> None:
        if not self._one_at_a_time.locked():
            await self._one_at_a_time.acquire()
            return
        try:
            await asyncio.wait_for(self._one_at_a_time.acquire(), budget_seconds)
        except TimeoutError as error:
            raise BusyError("another scrape is still under way") from error

    def _is_due(self, state: State, arrived: float, now: float) -> bool:
        """A reading that ended after the scrape came in is new enough, however long it took."""
        least_seconds = ABSENT_SECONDS if state.is_absent else self._fresh_seconds
        return now - state.read_at >= least_seconds and state.finished_at <= arrived

    def _job(self, state: State, wanted: Format) -> Job[Rendering]:
        job = self._jobs.get((state.source.name, wanted))
        if job is None:
            run = partial(_run, state, wanted)
            job = Job(state.source.name, run, state.source.deadline_seconds)
            self._jobs[state.source.name, wanted] = job
        return job

    def _read_slow(self, state: State) -> Rendering:
        """One run in the background, with everything that the next scrape would have to do."""
        wanted = self._wanted
        rendering = state.collect()
        self._packer.prepare(state.source.name, wanted, rendering.text(wanted))
        return rendering

    def _settle(
        self, states: Sequence[State], outcomes: Mapping[str, Outcome[Rendering]], began: float
    ) -> None:
        ended, now = self._steady(), self._clock()
        for state in states:
            outcome = outcomes[state.source.name]
            error = outcome.error or self._clash(state)
            state.settle(outcome, error, began, ended, now)
            self._complain(state, error)

    def _clash(self, state: State) -> ExporterError | None:
        """A metric must stand in one group of lines; see exporters/owners.py."""
        names = state.renderer.names
        if names is state.claimed:
            return None
        try:
            losers = self._owners.claim(state.source.name, names)
        except SampleError as error:
            return error
        for loser in losers:
            self._states[loser].rendering = None
            self._states[loser].claimed = None
        state.claimed = names
        return None

    def _complain(self, state: State, error: Exception | None) -> None:
        """One line in the log when a collector begins to fail or fails otherwise than before, not one a
        scrape.
        """
        if error is None and not state.complaint:
            return
        complaint = "" if error is None or state.no_data else f"{type(error).__name__}: {error}"
        if complaint and type(error).__name__ != state.complaint.partition(":")[0]:
            logger.warning("collector failed", extra={"collector": state.source.name, "reason": complaint})
        elif state.complaint and not complaint:
            logger.warning("collector is well again", extra={"collector": state.source.name})
        state.complaint = complaint

    async def _put_together(self, states: Sequence[State], wanted: Format) -> Reading:
        unwritten = [
            Job(
                f"{state.source.name} in {wanted.name}",
                partial(_write, state.rendering, wanted),
                DEADLINE_SECONDS,
            )
            for state in states
            if state.rendering is not None and not state.rendering.has(wanted)
        ]
        if unwritten:
            await self._lane.run_async(unwritten)
        parts = [
            (state.source.name, state.rendering.text(wanted))
            for state in states
            if state.rendering is not None and state.rendering.has(wanted)
        ]
        for state in states:
            if state.rendering is not None and (blocks := state.rendering.blocks(wanted)) is not None:
                self._packer.take(state.source.name, wanted, state.rendering.text(wanted), blocks)
        about = (self._about.faring(states), self._about.moving(states, self._steady()))
        faring, moving = (
            renderer.reading(families)
            for renderer, families in zip(self._about_renderers, about, strict=True)
        )
        parts.append(("=", faring.text(wanted)))
        parts.append(("", moving.text(wanted) + wanted.end))
        return Reading(wanted, parts, self._packer)

    def _sort_out(self, states: Sequence[State]) -> None:
        """Choose again what is read in the background; what has a background of its own never is."""
        seconds = {
            state.source.name: state.seconds for state in states if state.source.collector.age_seconds is None
        }
        slow = frozenset(state.source.name for state in states if state.is_slow)
        if not slow and sum(seconds.values()) <= pace.FOREGROUND_SECONDS:
            return
        chosen = pace.slow_ones(seconds, slow)
        for name in seconds:
            self._states[name].is_slow = name in chosen


@dataclass(frozen=True, slots=True)
class _Last:
    """The last answer, for scrapes that overlap or follow at once."""

    names: tuple[str, ...]
    format: Format
    fresh_until: float
    ended: float
    reading: Reading

    def answers(self, names: tuple[str, ...], wanted: Format, arrived: float, now: float) -> bool:
        return (self.names, self.format) == (names, wanted) and (
            now < self.fresh_until or arrived < self.ended
        )


def _run(state: State, wanted: Format) -> Rendering:
    rendering = state.collect()
    rendering.text(wanted)
    return rendering


def _write(rendering: Rendering, wanted: Format) -> Rendering:
    rendering.text(wanted)
    return rendering
