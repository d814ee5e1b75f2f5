"""node_filefd_*: open files of the whole machine and their limit, /proc/sys/fs/file-nr (proc_sys_fs(5))."""

from functools import partial

from exporters.collector import Collector, Host
from exporters.errors import SourceError
from exporters.samples import Family, Kind, Metric
from exporters.system.tree import Tree
from exporters.system.unchanged import Unchanged

_ALLOCATED = Metric("node_filefd_allocated", Kind.GAUGE, "File handles that are allocated.")
_MAXIMUM = Metric("node_filefd_maximum", Kind.GAUGE, "File handles that may be allocated.")


def read(tree: Tree) -> bytes:
    """The line of /proc/sys/fs/file-nr."""
    return tree.proc("sys/fs/file-nr")


def collect(raw: bytes) -> list[Family]:
    """The first and the third number; the second has been 0 since Linux 2.6.

    Raises:
        SourceError: there are not three numbers.
    """
    try:
        allocated, _, maximum = map(int, raw.split()[:3])
    except ValueError as error:
        raise SourceError("/proc/sys/fs/file-nr", str(error)) from error
    return [_ALLOCATED.one(allocated), _MAXIMUM.one(maximum)]


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Unchanged(partial(read, host.tree), collect))
