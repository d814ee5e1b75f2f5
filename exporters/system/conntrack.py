"""The `conntrack` collector: node_nf_conntrack_*, the table of tracked connections.

From /proc/sys/net/netfilter and /proc/net/stat/nf_conntrack. The statistics have a line for each CPU
(net/netfilter/nf_conntrack_standalone.c); their sums are reported.
"""

from dataclasses import dataclass
from functools import partial

from exporters.collector import Collector, Host
from exporters.errors import NoDataError, SourceError
from exporters.samples import Family, Kind, Metric
from exporters.system.tree import Tree
from exporters.system.unchanged import Unchanged


def _gauge(name: str, text: str) -> Metric:
    return Metric(f"node_nf_conntrack_{name}", Kind.GAUGE, text)


_ENTRIES = _gauge("entries", "Connections that are tracked now.")
_LIMIT = _gauge("entries_limit", "Connections that can be tracked at most.")
_STATISTICS = (
    (2, _gauge("stat_found", "Searches that found an entry.")),
    (4, _gauge("stat_invalid", "Packets that cannot be tracked.")),
    (5, _gauge("stat_ignore", "Packets of connections that have an entry already.")),
    (8, _gauge("stat_insert", "Entries put into the table.")),
    (9, _gauge("stat_insert_failed", "Entries that could not be put into the table.")),
    (10, _gauge("stat_drop", "Packets dropped because tracking failed.")),
    (11, _gauge("stat_early_drop", "Entries removed to make room for new ones.")),
    (16, _gauge("stat_search_restart", "Searches begun again because the table was resized.")),
)
_COLUMNS = (16, 17)  # the last since 2.6.35


@dataclass(frozen=True, slots=True)
class Raw:
    """The count, the limit, and the statistics summed over the CPUs, None where the kernel has none."""

    entries: int
    limit: int
    statistics: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Texts:
    """The three files; `statistics` is None where the kernel has none."""

    entries: bytes
    limit: bytes
    statistics: bytes | None


def read(tree: Tree) -> Raw:
    """Read the three files.

    Raises:
        NoDataError: connections are not tracked here.
        SourceError: a file is malformed.
    """
    return parse(texts(tree))


def texts(tree: Tree) -> Texts:
    """The files as they are.

    Raises:
        NoDataError: connections are not tracked here.
    """
    try:
        entries = tree.proc("sys/net/netfilter/nf_conntrack_count")
        limit = tree.proc("sys/net/netfilter/nf_conntrack_max")
    except FileNotFoundError as error:
        raise NoDataError("connections are not tracked") from error
    try:
        return Texts(entries, limit, tree.proc("net/stat/nf_conntrack"))
    except FileNotFoundError:
        return Texts(entries, limit, None)


def parse(found: Texts) -> Raw:
    """What the files say.

    Raises:
        SourceError: a file is malformed.
    """
    statistics = None if found.statistics is None else sums(found.statistics)
    return Raw(_number(found.entries), _number(found.limit), statistics)


def sums(text: bytes) -> tuple[int, ...]:
    """The seventeen statistics, summed over the CPUs.

    Raises:
        SourceError: a line is malformed.
    """
    total = [0] * _COLUMNS[1]
    for line in text.split(b"\n")[1:]:
        if not line:
            continue
        columns = line.split()
        if len(columns) not in _COLUMNS:
            raise SourceError("/proc/net/stat/nf_conntrack", f"{len(columns)} columns")
        try:
            for place, column in enumerate(columns):
                total[place] += int(column, 16)
        except ValueError as error:
            raise SourceError("/proc/net/stat/nf_conntrack", str(error)) from error
    return tuple(total)


def _number(text: bytes) -> int:
    if not text.strip().isdigit():
        raise SourceError("/proc/sys/net/netfilter", f"{text[:40]!r} is no number")
    return int(text)


def collect(raw: Raw) -> list[Family]:
    """A family for each number."""
    families = [_ENTRIES.one(raw.entries), _LIMIT.one(raw.limit)]
    if raw.statistics is not None:
        families += [metric.one(raw.statistics[place]) for place, metric in _STATISTICS]
    return families


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Unchanged(partial(texts, host.tree), lambda found: collect(parse(found))))
