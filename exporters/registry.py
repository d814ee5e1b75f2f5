"""The registry: an explicit table of collectors, each run isolated, timed and with a deadline of its own.

A collector that raises or hangs costs its own series; the scrape is answered and says so. All collectors of a
scrape run one after the other in one lane (see exporters/lane.py), so an ordinary scrape needs one thread and
a stuck collector one more. A collector read less than `fresh_seconds` ago is not read again: scrapes that
overlap or follow at once share a reading. A collector without anything to read (`NoDataError`: no such
hardware) is not a failure and has a series of its own.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from time import monotonic, time

from exporters.collector import Collector
from exporters.errors import ExporterError, NoDataError, SampleError, UnknownCollectorError
from exporters.lane import Job, Lane, Outcome
from exporters.samples import Family, Kind, Metric, Number, Rows
from exporters.text import Renderer, gzip

logger = logging.getLogger(__name__)

DEADLINE_SECONDS = 2.0

_LABELS = ("collector",)
_NODE_DURATION = Metric(
    "node_scrape_collector_duration_seconds",
    Kind.GAUGE,
    "Time that the collector took, under node_exporter's name.",
    _LABELS,
)
_NODE_SUCCESS = Metric(
    "node_scrape_collector_success",
    Kind.GAUGE,
    "Whether the collector succeeded, under node_exporter's name.",
    _LABELS,
)
_DURATION = Metric(
    "steward_scrape_collector_duration_seconds",
    Kind.GAUGE,
    "Time that the last run of the collector took.",
    _LABELS,
)
_SUCCESS = Metric(
    "steward_scrape_collector_success",
    Kind.GAUGE,
    "Whether the last run of the collector ended well; 1 also where there is nothing to read.",
    _LABELS,
)
_NO_DATA = Metric(
    "steward_scrape_collector_no_data",
    Kind.GAUGE,
    "Whether there is nothing here for the collector to read: no such hardware, library or setting.",
    _LABELS,
)
_LAST_SUCCESS = Metric(
    "steward_scrape_collector_last_success_timestamp_seconds",
    Kind.GAUGE,
    "When the collector last ended well, in unixtime.",
    _LABELS,
)
_AGE = Metric(
    "steward_scrape_collector_age_seconds",
    Kind.GAUGE,
    "Age of the reading, of a collector that reads in the background at its own interval.",
    _LABELS,
)


@dataclass(frozen=True, slots=True)
class Source:
    """A collector with its name, what one run may take, and whether node_exporter has it under this name."""

    name: str
    collector: Collector
    deadline_seconds: float = DEADLINE_SECONDS
    in_node_exporter: bool = False


@dataclass(slots=True)
class _State:
    source: Source
    job: Job[str]
    renderer: Renderer = field(default_factory=Renderer)
    text: str = ""
    read_at: float = float("-inf")
    seconds: float = 0.0
    success: bool = False
    no_data: bool = False
    last_success: float | None = None
    complaint: str = ""


@dataclass(frozen=True)
class Reading:
    """The answer to a scrape: text format 0.0.4, and the same gzipped once somebody asks."""

    text: bytes

    @cached_property
    def gzipped(self) -> bytes:
        """The text in gzip's format, made at the first call."""
        return gzip(self.text)


class Registry:
    """Runs the collectors of a table; see the module's words. `clock` gives unixtime, `steady` never goes
    back.
    """

    def __init__(
        self,
        sources: Iterable[Source],
        *,
        fresh_seconds: float = 1.0,
        clock: Callable[[], float] = time,
        steady: Callable[[], float] = monotonic,
    ) -> None:
        self._states: dict[str, _State] = {}
        for source in sources:
            if source.name in self._states:
                raise SampleError(f"collector {source.name!r} is in the table twice")
            self._states[source.name] = self._state(source)
        self._fresh_seconds = fresh_seconds
        self._clock = clock
        self._steady = steady
        self._lane = Lane[str]("exporters")
        self._about = Renderer()
        self._owners: dict[str, str] = {}
        self._one_at_a_time = asyncio.Lock()
        self._under_way: set[asyncio.Future[Reading]] = set()
        self._last: tuple[tuple[str, ...], float, Reading] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the collectors, in the order of the table."""
        return tuple(self._states)

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

    async def scrape(self, names: tuple[str, ...] | None = None) -> Reading:
        """Read the collectors `names` (all by default) and render them together with how they fared.

        A caller that is cancelled does not interrupt the reading, which others may be waiting for.
        """
        reading = asyncio.ensure_future(self._scrape(self.names if names is None else names))
        self._under_way.add(reading)
        reading.add_done_callback(self._under_way.discard)
        return await asyncio.shield(reading)

    def close(self) -> None:
        """Let go of threads and files; a stuck thread ends with the process."""
        self._lane.close()
        for state in self._states.values():
            state.source.collector.close()

    async def _scrape(self, wanted: tuple[str, ...]) -> Reading:
        async with self._one_at_a_time:
            now = self._steady()
            due = [
                self._states[name]
                for name in wanted
                if now - self._states[name].read_at >= self._fresh_seconds
            ]
            if not due and self._last is not None and self._last[0] == wanted:
                return self._last[2]
            if due:
                outcomes = await self._lane.run_async([state.job for state in due])
                for state in due:
                    self._settle(state, outcomes[state.source.name], now)
            reading = Reading(self._join([self._states[name] for name in wanted]))
            self._last = (wanted, now, reading)
            return reading

    def _state(self, source: Source) -> _State:
        renderer = Renderer()

        def run() -> str:
            return renderer.render(source.collector.collect())

        return _State(source, Job(source.name, run, source.deadline_seconds), renderer)

    def _settle(self, state: _State, outcome: Outcome[str], now: float) -> None:
        state.read_at = now
        state.seconds = outcome.seconds
        error = outcome.error or self._clash(state)
        state.no_data = isinstance(error, NoDataError)
        state.success = error is None or state.no_data
        state.text = "" if error is not None or outcome.value is None else outcome.value
        if state.success:
            state.last_success = self._clock()
        self._complain(state, error)

    def _clash(self, state: _State) -> ExporterError | None:
        """A metric must stand in one group of lines, so it belongs to the collector that had it first."""
        for name in state.renderer.names:
            owner = self._owners.setdefault(name, state.source.name)
            if owner != state.source.name:
                return SampleError(f"{name} belongs to collector {owner}")
        return None

    def _complain(self, state: _State, error: Exception | None) -> None:
        """One line in the log when a collector begins to fail or fails otherwise than before, not one a
        scrape.
        """
        complaint = "" if error is None or state.no_data else f"{type(error).__name__}: {error}"
        if complaint and type(error).__name__ != state.complaint.partition(":")[0]:
            logger.warning("collector failed", extra={"collector": state.source.name, "reason": complaint})
        elif state.complaint and not complaint:
            logger.warning("collector is well again", extra={"collector": state.source.name})
        state.complaint = complaint

    def _join(self, states: Sequence[_State]) -> bytes:
        parts = [state.text for state in states]
        parts.append(self._about.render(_about(states)))
        return "".join(parts).encode()


def _about(states: Sequence[_State]) -> list[Family]:
    rows: Rows = tuple((state.source.name,) for state in states)
    node = [state for state in states if state.source.in_node_exporter]
    node_rows: Rows = tuple((state.source.name,) for state in node)
    well = [state for state in states if state.last_success is not None]
    families = [
        Family(_NODE_DURATION, node_rows, [round(state.seconds, 9) for state in node]),
        Family(_NODE_SUCCESS, node_rows, [int(state.success and not state.no_data) for state in node]),
        Family(_DURATION, rows, [round(state.seconds, 9) for state in states]),
        Family(_SUCCESS, rows, [int(state.success) for state in states]),
        Family(_NO_DATA, rows, [int(state.no_data) for state in states]),
        Family(
            _LAST_SUCCESS,
            tuple((state.source.name,) for state in well),
            [state.last_success or 0 for state in well],
        ),
    ]
    ages = [(state.source.name, age) for state in states if (age := _age(state)) is not None]
    families.append(Family(_AGE, tuple((name,) for name, _ in ages), [age for _, age in ages]))
    return families


def _age(state: _State) -> Number | None:
    age_seconds = state.source.collector.age_seconds
    return None if age_seconds is None else age_seconds()
