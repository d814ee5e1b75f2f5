"""node_zoneinfo_*: pages of each memory zone, from /proc/zoneinfo (proc_zoneinfo(5))."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from exporters.collector import Collector, Host
from exporters.samples import Family, Kind, Metric, label
from exporters.system.tree import Tree

_LABELS = ("node", "zone")


def _gauge(name: str, text: str) -> Metric:
    return Metric(f"node_zoneinfo_{name}", Kind.GAUGE, text, _LABELS)


def _counter(name: str, text: str) -> Metric:
    return Metric(f"node_zoneinfo_{name}_total", Kind.COUNTER, text, _LABELS)


_METRICS = {
    b"nr_free_pages": _gauge("nr_free_pages", "Free pages of the zone."),
    b"min": _gauge("min_pages", "Watermark below which only the kernel gets pages."),
    b"low": _gauge("low_pages", "Watermark below which the kernel begins to reclaim pages."),
    b"high": _gauge("high_pages", "Watermark above which the kernel ceases to reclaim pages."),
    b"scanned": _gauge("scanned_pages", "Pages scanned since the last were reclaimed."),
    b"spanned": _gauge("spanned_pages", "Pages that the zone spans, with holes."),
    b"present": _gauge("present_pages", "Pages that are there in the zone."),
    b"managed": _gauge("managed_pages", "Pages of the zone that the buddy system manages."),
    b"nr_active_anon": _gauge("nr_active_anon_pages", "Anonymous pages that were used of late."),
    b"nr_inactive_anon": _gauge("nr_inactive_anon_pages", "Anonymous pages that were not used of late."),
    b"nr_isolated_anon": _gauge(
        "nr_isolated_anon_pages", "Anonymous pages taken from the lists for a while."
    ),
    b"nr_anon_pages": _gauge("nr_anon_pages", "Anonymous pages that are mapped."),
    b"nr_anon_transparent_hugepages": _gauge(
        "nr_anon_transparent_hugepages", "Anonymous transparent huge pages in use."
    ),
    b"nr_active_file": _gauge("nr_active_file_pages", "Pages of files that were used of late."),
    b"nr_inactive_file": _gauge("nr_inactive_file_pages", "Pages of files that were not used of late."),
    b"nr_isolated_file": _gauge("nr_isolated_file_pages", "Pages of files taken from the lists for a while."),
    b"nr_file_pages": _gauge("nr_file_pages", "Pages of files."),
    b"nr_slab_reclaimable": _gauge("nr_slab_reclaimable_pages", "Pages of slabs that can be reclaimed."),
    b"nr_slab_unreclaimable": _gauge(
        "nr_slab_unreclaimable_pages", "Pages of slabs that cannot be reclaimed."
    ),
    b"nr_mlock_stack": _gauge("nr_mlock_stack_pages", "Pages locked by mlock(2), off the lists."),
    b"nr_kernel_stack": _gauge("nr_kernel_stacks", "Kernel stacks."),
    b"nr_mapped": _gauge("nr_mapped_pages", "Pages of files that are mapped."),
    b"nr_dirty": _gauge("nr_dirty_pages", "Pages to be written back."),
    b"nr_writeback": _gauge("nr_writeback_pages", "Pages being written back."),
    b"nr_unevictable": _gauge("nr_unevictable_pages", "Pages that cannot be evicted."),
    b"nr_shmem": _gauge("nr_shmem_pages", "Pages of shared memory and tmpfs."),
    b"nr_dirtied": _counter("nr_dirtied", "Pages that became dirty since boot."),
    b"nr_written": _counter("nr_written", "Pages that were written since boot."),
    b"numa_hit": _counter("numa_hit", "Pages that were got from the wanted node."),
    b"numa_miss": _counter("numa_miss", "Pages that were got here and wanted elsewhere."),
    b"numa_foreign": _counter("numa_foreign", "Pages that were wanted here and got elsewhere."),
    b"numa_interleave": _counter("numa_interleave", "Pages that were got here by interleaving."),
    b"numa_local": _counter("numa_local", "Pages that were got by a process of this node."),
    b"numa_other": _counter("numa_other", "Pages that were got by a process of another node."),
}
_HEAD = re.compile(rb"(\d+), zone\s+(\w+)")
_NUMBER = re.compile(rb"-?\d{1,19}")


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone of a node, with its fields by name and its `protection` array."""

    node: str
    zone: str
    fields: dict[bytes, int]
    protection: tuple[int, ...]


def parse(text: bytes) -> list[Zone]:
    """The zones; other lines, as those of each CPU's page sets, are passed over."""
    zones: dict[tuple[str, str], Zone] = {}
    for block in text.split(b"\nNode"):
        head = _HEAD.search(block)
        if head is not None:
            zone = _zone(label(head[1]), label(head[2]), block[head.end() :])
            zones[zone.node, zone.zone] = zone
    return list(zones.values())


def _zone(node: str, zone: str, lines: bytes) -> Zone:
    fields: dict[bytes, int] = {}
    protection: tuple[int, ...] = ()
    for line in lines.split(b"\n"):
        words = line.split(None, 2)
        if len(words) > 1 and words[0] in _METRICS and _NUMBER.fullmatch(words[1]):
            fields[words[0]] = int(words[1])
        elif words and words[0] == b"protection:":
            protection = tuple(map(int, _NUMBER.findall(line)))
    return Zone(node, zone, fields, protection)


def collect(raw: Sequence[Zone]) -> list[Family]:
    """A family for each field, over the zones that have it."""
    families = []
    for name, metric in _METRICS.items():
        having = [zone for zone in raw if name in zone.fields]
        rows = tuple((zone.node, zone.zone) for zone in having)
        families.append(Family(metric, rows, [zone.fields[name] for zone in having]))
    for place in range(max((len(zone.protection) for zone in raw), default=0)):
        having = [zone for zone in raw if place < len(zone.protection)]
        rows = tuple((zone.node, zone.zone) for zone in having)
        families.append(Family(_protection(place), rows, [zone.protection[place] for zone in having]))
    return families


@lru_cache(maxsize=16)
def _protection(place: int) -> Metric:
    return _gauge(f"protection_{place}", f"Pages kept from allocations that could use zone {place}.")


def read(tree: Tree) -> bytes:
    """The text of /proc/zoneinfo."""
    return tree.proc("zoneinfo")


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(lambda: collect(parse(read(host.tree))))
