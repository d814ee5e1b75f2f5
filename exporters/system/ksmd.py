"""node_ksmd_*: merging of equal pages, from /sys/kernel/mm/ksm (https://docs.kernel.org/admin-guide/mm/ksm.html)."""

from collections.abc import Mapping
from functools import partial

from exporters.collector import Collector, Host
from exporters.errors import NoDataError, SourceError
from exporters.samples import Family, Kind, Metric
from exporters.system.tree import Tree
from exporters.system.unchanged import Unchanged

_FOLDER = "kernel/mm/ksm"


def _metric(name: str, text: str, kind: Kind = Kind.GAUGE) -> Metric:
    return Metric(f"node_ksmd_{name}", kind, text)


_METRICS = {
    "full_scans": _metric("full_scans_total", "Times that all pages were scanned.", Kind.COUNTER),
    "merge_across_nodes": _metric("merge_across_nodes", "Whether pages of different NUMA nodes are merged."),
    "pages_shared": _metric("pages_shared", "Pages that are shared."),
    "pages_sharing": _metric("pages_sharing", "Places that share them: pages that were saved."),
    "pages_to_scan": _metric("pages_to_scan", "Pages to scan before the daemon sleeps."),
    "pages_unshared": _metric(
        "pages_unshared", "Pages that are looked at again and again and are unlike all."
    ),
    "pages_volatile": _metric("pages_volatile", "Pages that change too fast to be merged."),
    "run": _metric("run", "What the daemon does: 0 stopped, 1 running, 2 stopped and all unmerged."),
    "sleep_millisecs": _metric("sleep_seconds", "How long the daemon sleeps between two scans."),
}
_MILLISECONDS = 1000

Raw = Mapping[str, int]
"""The numbers by file name."""


def read(tree: Tree) -> Raw:
    """Read the files.

    Raises:
        NoDataError: the kernel has no KSM.
        SourceError: one is no number.
    """
    if not tree.sys_has(_FOLDER):
        raise NoDataError(f"no /sys/{_FOLDER}")
    try:
        return {name: int(tree.attribute(f"{_FOLDER}/{name}")) for name in _METRICS}
    except ValueError as error:
        raise SourceError(f"/sys/{_FOLDER}", str(error)) from error


def collect(raw: Raw) -> list[Family]:
    """A family for each file."""
    return [
        _METRICS[name].one(value / _MILLISECONDS if name == "sleep_millisecs" else value)
        for name, value in raw.items()
    ]


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Unchanged(partial(read, host.tree), collect))
