"""Readings of the collectors as numbers, and what two of them say together: rates."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from exporters.build import source
from exporters.collector import Host
from exporters.errors import ExporterError, NoDataError
from exporters.gpu.state import GpuState, gpus
from exporters.lane import Job, Lane
from exporters.samples import Family, Number, Row
from exporters.table import wanted

__all__ = ["COLLECTORS", "Reader", "Reading", "rates"]

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
_BUDGET_SECONDS = 1.0


@dataclass(frozen=True)
class Reading:
    """One reading: families by metric name, the GPUs, and why a collector has nothing, by its name.

    `at` is seconds of a clock that never goes back.
    """

    at: float
    families: Mapping[str, Family] = field(default_factory=dict)
    gpus: tuple[GpuState, ...] = ()
    problems: Mapping[str, str] = field(default_factory=dict)

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


class Reader:
    """Runs the collectors of the screen, each with a deadline: a dead mount must not freeze the screen."""

    def __init__(self, host: Host, collectors: Sequence[str] = COLLECTORS) -> None:
        rows = [row for row in wanted(host.settings) if row.name in collectors]
        self._sources = [source(row, host) for row in rows]
        self._lane = Lane[Sequence[Family]]("top")
        self._jobs = [Job(one.name, one.collector.collect, _DEADLINE_SECONDS) for one in self._sources]

    def read(self, at: float) -> Reading:
        """Read everything once."""
        outcomes = self._lane.run(self._jobs, _BUDGET_SECONDS)
        families: dict[str, Family] = {}
        problems: dict[str, str] = {}
        for name, outcome in outcomes.items():
            if outcome.value is not None:
                families.update({family.metric.name: family for family in outcome.value})
            elif not isinstance(outcome.error, NoDataError):
                problems[name] = str(outcome.error)
        return Reading(at, families, self._gpus(), problems)

    def close(self) -> None:
        """Let go of threads and files."""
        self._lane.close()
        for one in self._sources:
            one.collector.close()

    def _gpus(self) -> tuple[GpuState, ...]:
        states: list[GpuState] = []
        for one in self._sources:
            if one.name == "gpu":
                with suppress(ExporterError):  # stands among the problems: `collect` has raised the same
                    states += gpus(one.collector)
        return tuple(states)


def rates(before: Reading, after: Reading, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    """How much each counter grew per second, by these labels; one that went back or is new is left out."""
    seconds = after.at - before.at
    if seconds <= 0:
        return {}
    earlier = before.by(name, *labels)
    return {
        key: (value - earlier[key]) / seconds
        for key, value in after.by(name, *labels).items()
        if key in earlier and value >= earlier[key]
    }
