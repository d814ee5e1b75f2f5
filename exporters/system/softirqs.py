"""node_softirqs_functions_total: soft interrupts by CPU and kind, from /proc/softirqs (proc_softirqs(5)).

CPUs are numbered by their column, as node_exporter numbers them.
"""

from collections.abc import Mapping
from functools import lru_cache

from exporters.collector import Collector, Host
from exporters.errors import SourceError
from exporters.samples import Family, Kind, Metric, Rows
from exporters.system.tree import Tree

_TOTAL = Metric(
    "node_softirqs_functions_total", Kind.COUNTER, "Soft interrupts of each kind, by CPU.", ("cpu", "type")
)
_KINDS = frozenset(
    (b"HI", b"TIMER", b"NET_TX", b"NET_RX", b"BLOCK", b"IRQ_POLL", b"TASKLET", b"SCHED", b"HRTIMER", b"RCU")
)

Raw = Mapping[str, tuple[int, ...]]
"""Counts by kind, one for each CPU."""


def read(tree: Tree) -> bytes:
    """The text of /proc/softirqs."""
    return tree.proc("softirqs")


def parse(text: bytes) -> dict[str, tuple[int, ...]]:
    """The kinds that node_exporter knows.

    Raises:
        SourceError: a count is no number, or the file is empty.
    """
    if not text:
        raise SourceError("/proc/softirqs", "empty")
    found = {}
    for line in text.split(b"\n")[1:]:
        kind, colon, counts = line.strip().partition(b":")
        if colon and kind in _KINDS:
            try:
                found[kind.decode("ascii")] = tuple(map(int, counts.split()))
            except ValueError as error:
                raise SourceError("/proc/softirqs", str(error)) from error
    return found


def collect(raw: Raw) -> list[Family]:
    """A series for each kind on each CPU."""
    rows = _rows(tuple((kind, len(counts)) for kind, counts in raw.items()))
    return [Family(_TOTAL, rows, [count for counts in raw.values() for count in counts])]


@lru_cache(maxsize=2)
def _rows(kinds: tuple[tuple[str, int], ...]) -> Rows:
    return tuple((str(cpu), kind) for kind, cpus in kinds for cpu in range(cpus))


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(lambda: collect(parse(read(host.tree))))
