"""node_buddyinfo_blocks: free blocks of memory by size, from /proc/buddyinfo (proc_buddyinfo(5)).

`size` is the exponent: a block has 2^size pages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from exporters.collector import Collector, Host
from exporters.errors import SourceError
from exporters.samples import Family, Kind, Metric, Rows, label
from exporters.system.tree import Tree

_BLOCKS = Metric(
    "node_buddyinfo_blocks", Kind.GAUGE, "Free blocks of 2^size pages.", ("node", "zone", "size")
)


@dataclass(frozen=True, slots=True)
class Zone:
    """A line: node, zone, and the number of free blocks of each size."""

    node: str
    zone: str
    blocks: tuple[int, ...]


def parse(text: bytes) -> list[Zone]:
    """The lines `Node 0, zone DMA 1 0 …`.

    Raises:
        SourceError: a line is another.
    """
    zones = []
    for line in text.split(b"\n"):
        words = line.split()
        if not words:
            continue
        try:
            _, node, _, zone, *blocks = words
            zones.append(Zone(label(node.rstrip(b",")), label(zone.rstrip(b",")), tuple(map(int, blocks))))
        except ValueError as error:
            raise SourceError("/proc/buddyinfo", str(error)) from error
    return zones


def collect(raw: Sequence[Zone]) -> list[Family]:
    """A series for each size of each zone."""
    rows = _rows(tuple((zone.node, zone.zone, len(zone.blocks)) for zone in raw))
    return [Family(_BLOCKS, rows, [count for zone in raw for count in zone.blocks])]


@lru_cache(maxsize=2)
def _rows(zones: tuple[tuple[str, str, int], ...]) -> Rows:
    return tuple((node, zone, str(size)) for node, zone, sizes in zones for size in range(sizes))


def read(tree: Tree) -> bytes:
    """The text of /proc/buddyinfo."""
    return tree.proc("buddyinfo")


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(lambda: collect(parse(read(host.tree))))
