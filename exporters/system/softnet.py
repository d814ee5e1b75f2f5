"""The `softnet` collector: node_softnet_* of each CPU from /proc/net/softnet_stat.

Columns of hexadecimal numbers, more of them in newer kernels (net/core/net-procfs.c): received_rps since
2.6.39, flow_limit_count since 3.10, the backlog and the CPU's number since 5.14. Those that the kernel lacks
are 0, as node_exporter has them, and CPUs are numbered by line then.
"""

from dataclasses import dataclass

from exporters.collector import Collector, Host
from exporters.errors import NoDataError, SourceError
from exporters.samples import Family, Kind, Metric, Rows
from exporters.system.tree import Tree

_LABELS = ("cpu",)


def _counter(name: str, text: str) -> Metric:
    return Metric(f"node_softnet_{name}_total", Kind.COUNTER, text, _LABELS)


_COLUMNS = (
    (0, _counter("processed", "Packets that the CPU has processed.")),
    (1, _counter("dropped", "Packets dropped because the backlog was full.")),
    (2, _counter("times_squeezed", "Times that polling ended with work left, out of budget or time.")),
    (8, _counter("cpu_collision", "Times that sending found the device's lock taken.")),
    (9, _counter("received_rps", "Times that another CPU woke this one to receive.")),
    (10, _counter("flow_limit_count", "Packets dropped by the flow limit.")),
    (11, Metric("node_softnet_backlog_len", Kind.GAUGE, "Packets in the backlog.", _LABELS)),
)
_LEAST_COLUMNS = 9
_INDEX_COLUMN = 12
_MOST = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Raw:
    """A tuple of thirteen numbers for each CPU; the last is its number."""

    cpus: tuple[tuple[int, ...], ...]


class Softnet:
    """Reads, and hands out the same rows while the CPUs are the same."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._indexes: list[int] = []
        self._rows: Rows = ()

    def collect(self) -> list[Family]:
        """Read and collect.

        Raises:
            NoDataError: there is no such file.
        """
        try:
            raw = parse(self._tree.proc("net/softnet_stat"))
        except FileNotFoundError as error:
            raise NoDataError("no /proc/net/softnet_stat") from error
        indexes = [cpu[_INDEX_COLUMN] for cpu in raw.cpus]
        if indexes != self._indexes:
            self._indexes, self._rows = indexes, tuple((str(index),) for index in indexes)
        return collect(raw, self._rows)


def parse(text: bytes) -> Raw:
    """The numbers of each CPU.

    Raises:
        SourceError: a line has fewer than nine columns or they are not 32-bit numbers.
    """
    lines = text.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return Raw(tuple(_cpu(number, line) for number, line in enumerate(lines)))


def _cpu(number: int, line: bytes) -> tuple[int, ...]:
    columns = line.split()
    if len(columns) < _LEAST_COLUMNS:
        raise SourceError("/proc/net/softnet_stat", f"{len(columns)} columns")
    try:
        numbers = [int(column, 16) for column in columns[: _INDEX_COLUMN + 1]]
    except ValueError as error:
        raise SourceError("/proc/net/softnet_stat", str(error)) from error
    if min(numbers) < 0 or max(numbers) > _MOST:
        raise SourceError("/proc/net/softnet_stat", "not a 32-bit number")
    if len(numbers) <= _INDEX_COLUMN:
        return (*numbers[:11], *[0] * (_INDEX_COLUMN - len(numbers[:11])), number)
    return tuple(numbers)


def collect(raw: Raw, rows: Rows) -> list[Family]:
    """A family for each column; `rows` name the CPUs."""
    columns = list(zip(*raw.cpus, strict=True))
    return [Family(metric, rows, columns[place]) for place, metric in _COLUMNS] if columns else []


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Softnet(host.tree).collect)
