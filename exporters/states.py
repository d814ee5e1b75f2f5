"""What the registry knows of each collector, and the families that say so at each scrape."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from exporters.collector import Collector
from exporters.errors import NoDataError
from exporters.lane import Outcome
from exporters.samples import Family, Kind, Metric, Number, Rows
from exporters.text import Renderer, Rendering

DEADLINE_SECONDS = 2.0

_NEVER = float("-inf")
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
    "Age of the reading, of a collector that is read in the background.",
    _LABELS,
)
ABOUT_NAMES = tuple(
    metric.name
    for metric in (_NODE_DURATION, _NODE_SUCCESS, _DURATION, _SUCCESS, _NO_DATA, _LAST_SUCCESS, _AGE)
)
"""Metrics that no collector can have."""


@dataclass(frozen=True, slots=True)
class Source:
    """A collector with its name, what one run may take, whether node_exporter has it under this name, and
    where it reads, for people.
    """

    name: str
    collector: Collector
    deadline_seconds: float = DEADLINE_SECONDS
    in_node_exporter: bool = False
    reads: str = ""


@dataclass(slots=True)
class State:
    """A collector and how its last run went.

    `read_at` and `finished_at` are instants of the registry's steady clock: when the scrape (or the reading
    in the background) began that the data is of, and when the run ended. `is_slow` says that it is read in
    the background; `seconds` is what its last run took, `why` what it said when it had nothing. `claimed`
    are the metrics that are known to be its own.
    """

    source: Source
    renderer: Renderer = field(default_factory=Renderer)
    rendering: Rendering | None = None
    read_at: float = _NEVER
    finished_at: float = _NEVER
    seconds: float = 0.0
    success: bool = False
    no_data: bool = False
    last_success: float | None = None
    complaint: str = ""
    why: str = ""
    is_slow: bool = False
    families: Sequence[Family] = ()
    claimed: frozenset[str] | None = None

    @property
    def is_absent(self) -> bool:
        """Whether there was nothing to read or to tell. What has a background of its own looks again by
        itself.
        """
        is_empty = self.no_data or (self.rendering is not None and self.rendering.is_empty)
        return is_empty and self.source.collector.age_seconds is None

    def collect(self) -> Rendering:
        """One run of the collector.

        One that reads in a background of its own hands out the very same families until it has read anew;
        their rendering is kept, with its texts.
        """
        families = self.source.collector.collect()
        has_background = self.source.collector.age_seconds is not None
        if has_background and families is self.families and self.rendering is not None:
            return self.rendering
        rendering = self.renderer.reading(families)
        self.families = families if has_background else ()
        return rendering

    def settle(
        self, outcome: Outcome[Rendering], error: Exception | None, began: float, ended: float, now: float
    ) -> None:
        """Take the outcome of a run; `error` is the outcome's or one of the registry's, `now` is unixtime."""
        self.read_at = began
        self.finished_at = ended
        self.seconds = outcome.seconds
        self.no_data = isinstance(error, NoDataError)
        self.success = error is None or self.no_data
        self.rendering = outcome.value if error is None else None
        self.why = "" if error is None else str(error)
        if self.success:
            self.last_success = now

    def age_seconds(self, now: float) -> Number | None:
        """Age of what is served, where it is not read at the scrape; `now` is of the steady clock."""
        age_seconds = self.source.collector.age_seconds
        own = None if age_seconds is None else age_seconds()
        if not self.is_slow or self.read_at == _NEVER:
            return own
        return round(now - self.read_at + (own or 0), 3)


@dataclass(frozen=True, slots=True)
class Report:
    """How a collector fares, for people. `state` is one of waiting, ok, no data, failed."""

    name: str
    state: str
    seconds: float
    age_seconds: Number | None
    is_slow: bool
    why: str
    last_success: float | None
    reads: str


def report(state: State, now: float) -> Report:
    """How a collector fares; `now` is of the steady clock."""
    if state.read_at == _NEVER:
        how = "waiting"
    elif state.no_data:
        how = "no data"
    else:
        how = "ok" if state.success else "failed"
    return Report(
        name=state.source.name,
        state=how,
        seconds=state.seconds,
        age_seconds=state.age_seconds(now),
        is_slow=state.is_slow,
        why=state.why,
        last_success=state.last_success,
        reads=state.source.reads,
    )


class About:
    """Makes the families on the collectors of a scrape; what stays the same is the very same."""

    def __init__(self) -> None:
        self._names: tuple[str, ...] = ()
        self._rows: Rows = ()
        self._node_rows: Rows = ()
        self._flags: tuple[list[int], list[int], list[int]] = ([], [], [])
        self._faring: tuple[Family, ...] = ()

    def faring(self, states: Sequence[State]) -> Sequence[Family]:
        """Whether they succeeded: the same tuple as before where nothing changed."""
        self._know(states)
        flags = (
            [int(state.success and not state.no_data) for state in states if state.source.in_node_exporter],
            [int(state.success) for state in states],
            [int(state.no_data) for state in states],
        )
        if not self._faring or flags != self._flags:
            self._flags = flags
            self._faring = (
                Family(_NODE_SUCCESS, self._node_rows, flags[0]),
                Family(_SUCCESS, self._rows, flags[1]),
                Family(_NO_DATA, self._rows, flags[2]),
            )
        return self._faring

    def moving(self, states: Sequence[State], now: float) -> Sequence[Family]:
        """What each scrape changes; `now` is of the registry's steady clock."""
        self._know(states)
        rows = self._rows
        seconds = [round(state.seconds, 6) for state in states]
        well = [state for state in states if state.last_success is not None]
        ages = [(state.source.name, age) for state in states if (age := state.age_seconds(now)) is not None]
        return [
            Family(
                _NODE_DURATION,
                self._node_rows,
                [
                    taken
                    for state, taken in zip(states, seconds, strict=True)
                    if state.source.in_node_exporter
                ],
            ),
            Family(_DURATION, rows, seconds),
            Family(
                _LAST_SUCCESS,
                rows if len(well) == len(states) else tuple((state.source.name,) for state in well),
                [round(state.last_success or 0, 3) for state in well],
            ),
            Family(_AGE, tuple((name,) for name, _ in ages), [age for _, age in ages]),
        ]

    def _know(self, states: Sequence[State]) -> None:
        """Make the rows of these collectors, unless they are those of the last call."""
        names = tuple([state.source.name for state in states])
        if names == self._names:
            return
        self._names = names
        self._rows = tuple((name,) for name in names)
        self._node_rows = tuple((state.source.name,) for state in states if state.source.in_node_exporter)
        self._faring = ()
