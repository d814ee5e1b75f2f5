"""node_swap_*: each swap device or file, from /proc/swaps (proc_swaps(5); sizes are in KiB)."""

from collections.abc import Sequence
from dataclasses import dataclass

from exporters.collector import Collector, Host
from exporters.errors import SourceError
from exporters.samples import Family, Kind, Metric, label
from exporters.system.tree import Tree

_LABELS = ("device", "swap_type")
_SIZE = Metric("node_swap_size_bytes", Kind.GAUGE, "Size of the swap device in bytes.", _LABELS)
_USED = Metric("node_swap_used_bytes", Kind.GAUGE, "Used part of the swap device in bytes.", _LABELS)
_PRIORITY = Metric(
    "node_swap_priority", Kind.GAUGE, "Priority of the swap device; the highest is used first.", _LABELS
)
_BYTES_PER_KIB = 1024


@dataclass(frozen=True, slots=True)
class Swap:
    """A line of the file; sizes in KiB."""

    device: str
    kind: str
    size: int
    used: int
    priority: int


def read(tree: Tree) -> bytes:
    """The text of /proc/swaps."""
    return tree.proc("swaps")


def parse(text: bytes) -> list[Swap]:
    """The lines after the head.

    Raises:
        SourceError: a line has fewer than five fields, or no numbers in them.
    """
    swaps = {}
    for line in text.split(b"\n")[1:]:
        if not line:
            continue
        try:
            device, kind, size, used, priority = line.split()[:5]
            swap = Swap(label(device), label(kind), int(size), int(used), int(priority))
        except ValueError as error:
            raise SourceError("/proc/swaps", str(error)) from error
        swaps[swap.device, swap.kind] = swap
    return list(swaps.values())


def collect(raw: Sequence[Swap]) -> list[Family]:
    """Size, used part and priority of each."""
    rows = tuple((swap.device, swap.kind) for swap in raw)
    return [
        Family(_SIZE, rows, [swap.size * _BYTES_PER_KIB for swap in raw]),
        Family(_USED, rows, [swap.used * _BYTES_PER_KIB for swap in raw]),
        Family(_PRIORITY, rows, [swap.priority for swap in raw]),
    ]


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(lambda: collect(parse(read(host.tree))))
