"""The `cgroups` collector: node_cgroups_*, controllers of the kernel and how many groups each has.

/proc/cgroups (cgroups(7)). What the groups use is told by `units` (exporters/system/units.py).
"""

from functools import partial

from exporters.collector import Collector, Host
from exporters.errors import SourceError
from exporters.samples import Family, Kind, Metric, label
from exporters.system.tree import Tree
from exporters.system.unchanged import Unchanged

_LABELS = ("subsys_name",)
_GROUPS = Metric("node_cgroups_cgroups", Kind.GAUGE, "Control groups that the controller has.", _LABELS)
_ENABLED = Metric("node_cgroups_enabled", Kind.GAUGE, "Whether the controller is enabled.", _LABELS)
_FIELDS = 4


def read(tree: Tree) -> bytes:
    """The text of /proc/cgroups."""
    return tree.proc("cgroups")


def collect(raw: bytes) -> list[Family]:
    """Both families.

    Raises:
        SourceError: a line is not a name and three numbers.
    """
    found: dict[tuple[str], tuple[int, int]] = {}
    for line in raw.split(b"\n"):
        if not line or line.startswith(b"#"):
            continue
        fields = line.split()
        try:
            name, (_, groups, enabled) = fields[0], map(int, fields[1:_FIELDS])
        except (ValueError, IndexError) as error:
            raise SourceError("/proc/cgroups", str(error)) from error
        found[(label(name),)] = groups, enabled
    rows = tuple(found)
    return [
        Family(_GROUPS, rows, [groups for groups, _ in found.values()]),
        Family(_ENABLED, rows, [enabled for _, enabled in found.values()]),
    ]


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Unchanged(partial(read, host.tree), collect))
