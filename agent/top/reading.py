"""Readings of the collectors as numbers, and what two of them say together: rates."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from exporters.collector import Collector, Host
from exporters.errors import ExporterError, NoDataError
from exporters.gpu.state import GpuState, gpus
from exporters.lane import Job, Lane
from exporters.samples import Family, Number, Row
from exporters.table import wanted

__all__ = ["COLLECTORS", "Reader", "Reading", "collectors", "rates"]

COLLECTORS = (
    "cpu",
    "loadavg",
    "meminfo",
    "pressure",
    "filesystem",
    "diskstats",
    "netdev",
    "systemd",
    "units",
    "users",
    "gpu",
    "pve",
    "backup",
)
"""What the screen shows, where its flags switch it on."""

_DEADLINE_SECONDS = 0.4
_FIRST_DEADLINE_SECONDS = 2.0
"""At first: what is read in the background has to begin."""
_BUDGET_SECONDS = 1.0


@dataclass(frozen=True)
class Reading:
    """One reading: families by metric name, the GPUs, and why a collector has nothing, by its name.

    `at` is seconds of a clock that never goes back; `times` says when a metric was read where that was
    before, as it is with what is read in the background.
    """

    at: float
    families: Mapping[str, Family] = field(default_factory=dict)
    gpus: tuple[GpuState, ...] = ()
    problems: Mapping[str, str] = field(default_factory=dict)
    times: Mapping[str, float] = field(default_factory=dict)

    def time_of(self, name: str) -> float:
        """When a metric was read."""
        return self.times.get(name, self.at)

    def values(self, name: str) -> dict[Row, Number]:
        """The series of a metric by its label values, in the metric's order of labels."""
        family = self.families.get(name)
        return {} if family is None else dict(zip(family.rows, family.values, strict=True))

    def one(self, name: str) -> Number | None:
        """The value of a metric without labels."""
        return self.values(name).get(())

    def by(self, name: str, *labels: str) -> dict[tuple[str, ...], Number]:
        """The series of a metric by these labels alone, in this order; series that become alike are added."""
        family = self.families.get(name)
        if family is None:
            return {}
        places = [family.metric.labels.index(label) for label in labels if label in family.metric.labels]
        summed: dict[tuple[str, ...], Number] = {}
        for row, value in zip(family.rows, family.values, strict=True):
            key = tuple(row[place] for place in places)
            summed[key] = summed.get(key, 0) + value
        return summed


@dataclass(frozen=True)
class _Half:
    """What one collector said, and when."""

    at: float
    families: Sequence[Family]


class Reader:
    """Runs the collectors of the screen, each with a deadline: a dead mount must not freeze the screen."""

    def __init__(self, collectors: Mapping[str, Collector]) -> None:
        self._collectors = collectors
        self._lane = Lane[Sequence[Family]]("top")
        self._pairs: dict[str, tuple[_Half, _Half]] = {}

    def read(self, at: float) -> tuple[Reading, Reading]:
        """Read everything once; gives this reading, and the one before it to compare it with.

        A collector that reads in the background may say the same for a while: it is compared with what it
        said otherwise, at the time when it said so.
        """
        deadline = _DEADLINE_SECONDS if self._pairs else _FIRST_DEADLINE_SECONDS
        jobs = [Job(name, one.collect, deadline) for name, one in self._collectors.items()]
        outcomes = self._lane.run(jobs, max(_BUDGET_SECONDS, deadline))
        problems: dict[str, str] = {}
        for name, outcome in outcomes.items():
            if outcome.value is not None:
                self._keep(name, _Half(at - self._age(name), outcome.value))
            else:
                self._pairs.pop(name, None)
                if not isinstance(outcome.error, NoDataError):
                    problems[name] = str(outcome.error)
        before = _joined(at, (pair[0] for pair in self._pairs.values()))
        after = _joined(at, (pair[1] for pair in self._pairs.values()))
        return before, replace(after, gpus=self._gpus(), problems=problems)

    def close(self) -> None:
        """Let go of threads and files."""
        self._lane.close()
        for one in self._collectors.values():
            one.close()

    def _keep(self, name: str, half: _Half) -> None:
        last = self._pairs.get(name, (half, half))[1]
        if half.families is not last.families:
            self._pairs[name] = (last, half)
        else:
            self._pairs.setdefault(name, (half, half))

    def _age(self, name: str) -> float:
        age_seconds = self._collectors[name].age_seconds
        return 0.0 if age_seconds is None else age_seconds() or 0.0

    def _gpus(self) -> tuple[GpuState, ...]:
        if "gpu" in self._collectors:
            with suppress(ExporterError):  # stands among the problems: `collect` has raised the same
                return gpus(self._collectors["gpu"])
        return ()


def collectors(host: Host) -> dict[str, Collector]:
    """The collectors of the screen on this host.

    Raises:
        SettingError: a flag belongs to no collector, or has a value that it does not take.
    """
    return {row.name: row.build(host) for row in wanted(host.settings) if row.name in COLLECTORS}


def _joined(at: float, halves: Iterable[_Half]) -> Reading:
    families: dict[str, Family] = {}
    times: dict[str, float] = {}
    for half in halves:
        for family in half.families:
            families[family.metric.name] = family
            times[family.metric.name] = half.at
    return Reading(at, families, times=times)


def rates(before: Reading, after: Reading, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    """How much each counter grew per second, by these labels; one that went back or is new is left out."""
    seconds = after.time_of(name) - before.time_of(name)
    if seconds <= 0:
        return {}
    earlier = before.by(name, *labels)
    return {
        key: (value - earlier[key]) / seconds
        for key, value in after.by(name, *labels).items()
        if key in earlier and value >= earlier[key]
    }
