"""node_pressure_*: how long tasks waited or stalled for want of a resource, from /proc/pressure
(Documentation/accounting/psi.rst; totals are in microseconds).
"""

from collections.abc import Mapping, Sequence
from errno import EOPNOTSUPP

from exporters.collector import Collector, Host
from exporters.errors import NoDataError, SourceError
from exporters.samples import Family, Kind, Metric
from exporters.system.tree import Tree


def _counter(name: str, text: str) -> Metric:
    return Metric(f"node_pressure_{name}_seconds_total", Kind.COUNTER, text)


_METRICS = {
    "cpu": ((b"some", _counter("cpu_waiting", "Time that some task waited for a CPU, in seconds.")),),
    "io": (
        (b"some", _counter("io_waiting", "Time that some task waited for I/O, in seconds.")),
        (b"full", _counter("io_stalled", "Time that all tasks waited for I/O, in seconds.")),
    ),
    "memory": (
        (b"some", _counter("memory_waiting", "Time that some task waited for memory, in seconds.")),
        (b"full", _counter("memory_stalled", "Time that all tasks waited for memory, in seconds.")),
    ),
    "irq": ((b"full", _counter("irq_stalled", "Time that all tasks waited for interrupts, in seconds.")),),
}
"""By resource; the CPU cannot stall all, and interrupts (since Linux 6.1) only all."""
_THOUSAND = 1000

Raw = Mapping[str, bytes]
"""The text of each file below /proc/pressure that is there."""


class Pressure:
    """Remembers which resources a running kernel has: they do not change."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._there: Sequence[str] = tuple(_METRICS)

    def collect(self) -> list[Family]:
        """Read and collect."""
        raw = read(self._tree, self._there)
        if self._tree.proc_is_live:
            self._there = tuple(raw)
        return collect(raw)


def read(tree: Tree, resources: Sequence[str] = tuple(_METRICS)) -> Raw:
    """Read what the kernel has of these.

    Raises:
        NoDataError: the kernel is older than 4.20, or was built or started without PSI.
    """
    texts = {}
    for resource in resources:
        try:
            texts[resource] = tree.proc(f"pressure/{resource}")
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno == EOPNOTSUPP:  # psi=0 on the kernel's command line
                break
            raise
    if not texts:
        raise NoDataError("no /proc/pressure")
    return texts


def parse(text: bytes) -> dict[bytes, int]:
    """The totals by the first word of each line, in microseconds.

    Raises:
        SourceError: a line of `some` or `full` has no total.
    """
    totals = {}
    for line in text.split(b"\n"):
        kind = line[:4]
        if kind in (b"some", b"full"):
            try:
                totals[kind] = int(line.rpartition(b"total=")[2])
            except ValueError as error:
                raise SourceError("/proc/pressure", str(error)) from error
    return totals


def collect(raw: Raw) -> list[Family]:
    """A family for each total that is there."""
    families = []
    for resource, text in raw.items():
        totals = parse(text)
        families += [
            # Divided twice as node_exporter does: once would round otherwise in the last digit.
            metric.one(totals[kind] / _THOUSAND / _THOUSAND)
            for kind, metric in _METRICS[resource]
            if kind in totals
        ]
    return families


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Pressure(host.tree).collect)
