"""The `bcache` collector: node_bcache_* of /sys/fs/bcache.

https://docs.kernel.org/admin-guide/bcache.html. Many numbers there are written for people, as 1.1M: what is
behind the point are 1024ths cut short, not tenths (bch_hprint in drivers/md/bcache/util.c).
"""

from collections.abc import Callable, Iterator
from functools import partial

from exporters.collector import Collector, Host
from exporters.samples import Kind, Metric, Number
from exporters.settings import switch
from exporters.system.devices import Cell, Sensors
from exporters.system.tree import Tree

PRIORITY = switch(
    "collector.bcache.priorityStats", default=False, help_text="Also what is expensive to tell of a cache."
)
SETTINGS = (PRIORITY,)

_FOLDER = "fs/bcache"
_UNITS = {unit: 1024**power for power, unit in enumerate(b"kMGTPEZY", start=1)}

Parse = Callable[[bytes], Number]


def human(raw: bytes) -> int:
    """A number as bcache writes it.

    Raises:
        ValueError: it is none.
    """
    factor = _UNITS.get(raw[-1], 1) if raw else 1
    if factor == 1:
        return int(float(raw))
    before, _, behind = raw[:-1].partition(b".")
    return int((float(before) + float(behind or 0) / 10.24) * factor)


def signed(raw: bytes) -> int:
    """The same, with a sign.

    Raises:
        ValueError: it is none.
    """
    return -human(raw[1:]) if raw[:1] == b"-" else human(raw)


def line(raw: bytes, *, name: bytes, parse: Parse, unit: bytes = b"") -> Number:
    """The number in the line that begins with this name.

    Raises:
        ValueError: there is no such line, or no number in it.
    """
    for one in raw.split(b"\n"):
        if one.startswith(name):
            return parse(one.split()[-1].removesuffix(unit))
    raise ValueError(f"no line {name!r}")


def _nanoseconds(raw: bytes) -> float:
    # The file's name says microseconds; node_exporter takes them for nanoseconds.
    return human(raw) * 1e-9


def _present(raw: bytes) -> int:
    """A counter that the kernel has no more: node_exporter sends it where it counts.

    Raises:
        ValueError: it is 0.
    """
    count = human(raw)
    if not count:
        raise ValueError("0")
    return count


def _metric(name: str, words: str, *labels: str, kind: Kind = Kind.GAUGE) -> Metric:
    kind = Kind.COUNTER if name.endswith("_total") else kind
    return Metric(f"node_bcache_{name}", kind, words, ("uuid", *labels))


_SET: tuple[tuple[str, Metric, Parse], ...] = (
    (
        "average_key_size",
        _metric("average_key_size_sectors", "Data of a key in the tree, in sectors."),
        human,
    ),
    ("btree_cache_size", _metric("btree_cache_size_bytes", "Memory that the cache of the tree uses."), human),
    (
        "cache_available_percent",
        _metric("cache_available_percent", "Part of the cache without dirty data, in percent."),
        human,
    ),
    ("congested", _metric("congested", "How congested the cache is."), human),
    ("root_usage_percent", _metric("root_usage_percent", "How full the tree's root is, in percent."), human),
    ("tree_depth", _metric("tree_depth", "Depth of the tree."), human),
    (
        "internal/active_journal_entries",
        _metric("active_journal_entries", "Entries of the journal that the index does not have."),
        human,
    ),
    ("internal/btree_nodes", _metric("btree_nodes", "Nodes of the tree."), human),
    (
        "internal/btree_read_average_duration_us",
        _metric(
            "btree_read_average_duration_seconds", "Mean time of a read of the tree, as node_exporter has it."
        ),
        _nanoseconds,
    ),
    (
        "internal/cache_read_races",
        _metric("cache_read_races_total", "Reads during which the bucket was used anew."),
        human,
    ),
)


def _backing(name: str, words: str) -> Metric:
    return _metric(name, words, "backing_device")


_BACKING: tuple[tuple[str, Metric, Parse], ...] = (
    ("dirty_data", _backing("dirty_data_bytes", "Data in the cache that the device lacks."), human),
    (
        "writeback_rate_debug",
        _backing("dirty_target_bytes", "Dirty data that the cache aims at."),
        partial(line, name=b"target:", parse=human),
    ),
    (
        "writeback_rate_debug",
        _backing("writeback_rate", "Bytes per second that are written back."),
        partial(line, name=b"rate:", parse=human, unit=b"/sec"),
    ),
    (
        "writeback_rate_debug",
        _backing("writeback_rate_proportional_term", "The rate's proportional term."),
        partial(line, name=b"proportional:", parse=signed),
    ),
    (
        "writeback_rate_debug",
        _backing("writeback_rate_integral_term", "The rate's integral term."),
        partial(line, name=b"integral:", parse=signed),
    ),
    (
        "writeback_rate_debug",
        _backing("writeback_change", "The last step of the rate."),
        partial(line, name=b"change:", parse=signed, unit=b"/sec"),
    ),
    ("stats_total/bypassed", _backing("bypassed_bytes_total", "Bytes that went past the cache."), human),
    ("stats_total/cache_hits", _backing("cache_hits_total", "Requests that the cache answered."), human),
    ("stats_total/cache_misses", _backing("cache_misses_total", "Requests that it could not answer."), human),
    (
        "stats_total/cache_bypass_hits",
        _backing("cache_bypass_hits_total", "Requests past the cache that it could have answered."),
        human,
    ),
    (
        "stats_total/cache_bypass_misses",
        _backing("cache_bypass_misses_total", "Requests past the cache that it could not have answered."),
        human,
    ),
    (
        "stats_total/cache_miss_collisions",
        _backing(
            "cache_miss_collisions_total", "Data read for the cache that a write had put there already."
        ),
        human,
    ),
    ("stats_total/cache_readaheads", _backing("cache_readaheads_total", "Reads ahead."), _present),
)


def _cache(name: str, words: str, kind: Kind = Kind.GAUGE) -> Metric:
    return _metric(name, words, "cache_device", kind=kind)


_CACHE: tuple[tuple[str, Metric, Parse], ...] = (
    ("io_errors", _cache("io_errors", "Errors, which fade with time."), human),
    (
        "metadata_written",
        _cache("metadata_written_bytes_total", "Bytes written that are not data."),
        human,
    ),
    ("written", _cache("written_bytes_total", "Bytes of data written to the cache."), human),
)
_PRIORITIES: tuple[tuple[str, Metric, Parse], ...] = (
    (
        "priority_stats",
        _cache("priority_stats_unused_percent", "Part of the cache without data, in percent."),
        partial(line, name=b"Unused:", parse=int, unit=b"%"),
    ),
    (
        "priority_stats",
        _cache("priority_stats_metadata_percent", "What bcache itself takes of the cache, in percent."),
        partial(line, name=b"Metadata:", parse=int, unit=b"%"),
    ),
)


def find(tree: Tree, *, priorities: bool) -> Iterator[Cell]:
    """The files of each set, its backing devices and its caches."""
    of_cache = (*_CACHE, *_PRIORITIES) if priorities else _CACHE
    for uuid in tree.sys_list(_FOLDER):
        if "-" in uuid:
            folder = f"{_FOLDER}/{uuid}"
            yield from (Cell(metric, (uuid,), f"{folder}/{file}", parse, 0) for file, metric, parse in _SET)
            for node in tree.sys_list(folder):
                files = _files(node, of_cache)
                yield from (
                    Cell(metric, (uuid, node), f"{folder}/{node}/{file}", parse)
                    for file, metric, parse in files
                )


def _files(
    node: str, of_cache: tuple[tuple[str, Metric, Parse], ...]
) -> tuple[tuple[str, Metric, Parse], ...]:
    if node.startswith("bdev") and node[4:5].isdigit():
        return _BACKING
    if node.startswith("cache") and node[5:6].isdigit():
        return of_cache
    return ()


def build(host: Host) -> Collector:
    """The collector on this host."""
    priorities = host.settings[PRIORITY]
    sensors = Sensors(host.tree, _FOLDER, lambda: find(host.tree, priorities=priorities), is_usual=True)
    return Collector(sensors.collect)
