"""node_schedstat_*: time that tasks ran on each CPU or waited for it, from /proc/schedstat
(Documentation/scheduler/sched-stats.rst; versions 14 to 17 have these three fields at one place).
"""

from collections.abc import Mapping
from functools import lru_cache, partial

from exporters.collector import Collector, Host
from exporters.errors import NoDataError, SourceError
from exporters.samples import Family, Kind, Metric, Rows
from exporters.system.tree import Tree
from exporters.system.unchanged import Unchanged

_LABELS = ("cpu",)
_RUNNING = Metric(
    "node_schedstat_running_seconds_total",
    Kind.COUNTER,
    "Time that tasks ran on this CPU, in seconds.",
    _LABELS,
)
_WAITING = Metric(
    "node_schedstat_waiting_seconds_total",
    Kind.COUNTER,
    "Time that tasks which could run waited for this CPU, in seconds.",
    _LABELS,
)
_SLICES = Metric(
    "node_schedstat_timeslices_total", Kind.COUNTER, "Time slices that were run on this CPU.", _LABELS
)
_FIRST, _END = 7, 10
_PER_SECOND = 1_000_000_000

Raw = Mapping[str, tuple[int, int, int]]
"""Nanoseconds run, nanoseconds waited and time slices, by CPU."""


def read(tree: Tree) -> Raw:
    """Read /proc/schedstat.

    Raises:
        NoDataError: the kernel keeps no such statistics (CONFIG_SCHEDSTATS).
    """
    try:
        return parse(tree.proc("schedstat"))
    except FileNotFoundError as error:
        raise NoDataError("no /proc/schedstat") from error


def parse(text: bytes) -> dict[str, tuple[int, int, int]]:
    """The CPU lines; lines of domains and of others are passed over.

    Raises:
        SourceError: a CPU line has no numbers where they belong.
    """
    found = {}
    for line in text.split(b"\n"):
        if line[:3] != b"cpu":
            continue
        fields = line.split()
        try:
            running, waiting, slices = map(int, fields[_FIRST:_END])
            found[str(int(fields[0][3:]))] = (running, waiting, slices)
        except ValueError as error:
            raise SourceError("/proc/schedstat", str(error)) from error
    return found


def collect(raw: Raw) -> list[Family]:
    """Three families over the CPUs."""
    rows = _rows(tuple(raw))
    every = raw.values()
    return [
        Family(_RUNNING, rows, [running / _PER_SECOND for running, _, _ in every]),
        Family(_WAITING, rows, [waiting / _PER_SECOND for _, waiting, _ in every]),
        Family(_SLICES, rows, [slices for _, _, slices in every]),
    ]


@lru_cache(maxsize=4)
def _rows(cpus: tuple[str, ...]) -> Rows:
    return tuple((cpu,) for cpu in cpus)


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Unchanged(partial(read, host.tree), collect))
