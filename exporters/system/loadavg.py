"""node_load1, node_load5, node_load15 from /proc/loadavg (proc(5))."""

from exporters.collector import Collector, Host
from exporters.errors import SourceError
from exporters.samples import Family, Kind, Metric
from exporters.system.tree import Tree

_LOADS = tuple(
    Metric(f"node_load{minutes}", Kind.GAUGE, f"{minutes}m load average.") for minutes in (1, 5, 15)
)


def read(tree: Tree) -> bytes:
    """The line of /proc/loadavg."""
    return tree.proc("loadavg")


def collect(raw: bytes) -> list[Family]:
    """The first three fields.

    Raises:
        SourceError: there are fewer, or they are no numbers.
    """
    fields = raw.split()[:3]
    if len(fields) < len(_LOADS):
        raise SourceError("/proc/loadavg", "fewer than three fields")
    try:
        return [metric.one(float(field)) for metric, field in zip(_LOADS, fields, strict=True)]
    except ValueError as error:
        raise SourceError("/proc/loadavg", str(error)) from error


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(lambda: collect(read(host.tree)))
