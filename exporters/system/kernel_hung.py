"""Tasks that the kernel found hung since boot, from /proc/sys/kernel/hung_task_detect_count (since Linux
6.13; Documentation/admin-guide/sysctl/kernel.rst).

Under two names: node_exporter 1.12 calls it node_kernel_hung_tasks_total, the published dashboard "Node
Exporter Full" asks for node_kernel_hung_tasks.
"""

from functools import partial

from exporters.collector import Collector, Host
from exporters.errors import NoDataError, SourceError
from exporters.samples import Family, Kind, Metric
from exporters.system.tree import Tree
from exporters.system.unchanged import Unchanged

_TOTAL = Metric("node_kernel_hung_tasks_total", Kind.COUNTER, "Tasks that were found hung since boot.")
_ALIAS = Metric(
    "node_kernel_hung_tasks",
    Kind.GAUGE,
    "Tasks that were found hung since boot, under the name that published dashboards ask for.",
)


def read(tree: Tree) -> bytes:
    """The text of the kernel's counter.

    Raises:
        NoDataError: the kernel has none.
    """
    try:
        return tree.proc("sys/kernel/hung_task_detect_count")
    except FileNotFoundError as error:
        raise NoDataError("no hung_task_detect_count") from error


def collect(raw: bytes) -> list[Family]:
    """The count under both names.

    Raises:
        SourceError: it is no number.
    """
    try:
        count = int(raw)
    except ValueError as error:
        raise SourceError("/proc/sys/kernel/hung_task_detect_count", str(error)) from error
    return [_TOTAL.one(count), _ALIAS.one(count)]


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Unchanged(partial(read, host.tree), collect))
