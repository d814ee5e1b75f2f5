"""The `xfs` collector: node_xfs_* of each XFS file system, from /sys/fs/xfs/*/stats/stats.

Lines of a word and counters: https://docs.kernel.org/admin-guide/xfs.html, and fs/xfs/xfs_stats.c, where the
counters are 32 bits wide and wrap.
"""

from collections.abc import Mapping
from functools import partial

from exporters.collector import Collector, Host
from exporters.errors import SourceError
from exporters.samples import Family, Kind, Metric
from exporters.system.devices import count
from exporters.system.tree import Tree
from exporters.system.unchanged import Unchanged

_FOLDER = "fs/xfs"
_LINES: Mapping[str, tuple[str, ...]] = {
    "extent_alloc": (
        "extent_allocation_extents_allocated",
        "extent_allocation_blocks_allocated",
        "extent_allocation_extents_freed",
        "extent_allocation_blocks_freed",
    ),
    "abt": (
        "allocation_btree_lookups",
        "allocation_btree_compares",
        "allocation_btree_records_inserted",
        "allocation_btree_records_deleted",
    ),
    "blk_map": (
        "block_mapping_reads",
        "block_mapping_writes",
        "block_mapping_unmaps",
        "block_mapping_extent_list_insertions",
        "block_mapping_extent_list_deletions",
        "block_mapping_extent_list_lookups",
        "block_mapping_extent_list_compares",
    ),
    "bmbt": (
        "block_map_btree_lookups",
        "block_map_btree_compares",
        "block_map_btree_records_inserted",
        "block_map_btree_records_deleted",
    ),
    "dir": (
        "directory_operation_lookup",
        "directory_operation_create",
        "directory_operation_remove",
        "directory_operation_getdents",
    ),
    "ig": (
        "inode_operation_attempts",
        "inode_operation_found",
        "inode_operation_recycled",
        "inode_operation_missed",
        "inode_operation_duplicates",
        "inode_operation_reclaims",
        "inode_operation_attribute_changes",
    ),
    "rw": ("write_calls", "read_calls"),
    "vnodes": (
        "vnode_active",
        "vnode_allocate",
        "vnode_get",
        "vnode_hold",
        "vnode_release",
        "vnode_reclaim",
        "vnode_remove",
    ),
}
_METRICS = {
    (line, place): Metric(
        f"node_xfs_{name}_total", Kind.COUNTER, f"{name.replace('_', ' ').capitalize()} of XFS.", ("device",)
    )
    for line, names in _LINES.items()
    for place, name in enumerate(names)
}


def read(tree: Tree) -> dict[str, bytes]:
    """The text of each file system's counters, by its device."""
    return {
        device: text
        for device in tree.sys_list(_FOLDER)
        if (text := tree.sys_or(f"{_FOLDER}/{device}/stats/stats", b""))
    }


def parse(text: bytes) -> dict[tuple[str, int], int]:
    """The counters by line and place in it.

    Raises:
        SourceError: what stands in a line is no counter, or there are fewer than the kernel has.
    """
    counters = {}
    for line in text.split(b"\n"):
        word, *numbers = line.split() or (b"",)
        names = _LINES.get(word.decode("ascii", "replace"), ())
        if not names:
            continue
        if len(numbers) < len(names):
            raise SourceError("/sys/fs/xfs", f"{len(numbers)} counters in the line {word!r}")
        for place, number in enumerate(numbers[: len(names)]):
            counter = count(number)
            if counter is None:
                raise SourceError("/sys/fs/xfs", f"{number[:40]!r} is no counter")
            counters[word.decode(), place] = counter
    return counters


def collect(raw: Mapping[str, bytes]) -> list[Family]:
    """A family for each counter; one that a file system's kernel does not have counts 0.

    Raises:
        SourceError: a text is malformed.
    """
    if not raw:
        return []
    rows = tuple((device,) for device in raw)
    parsed = list(map(parse, raw.values()))
    return [
        Family(metric, rows, [counters.get(key, 0) for counters in parsed])
        for key, metric in _METRICS.items()
    ]


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Unchanged(partial(read, host.tree), collect))
