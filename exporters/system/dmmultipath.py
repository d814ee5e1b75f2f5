"""The `dmmultipath` collector: node_dmmultipath_*, devices of the device mapper that have several paths.

/sys/block/dm-*; a path is active where its disk says `running` (SCSI) or `live` (NVMe).
"""

from dataclasses import dataclass
from functools import partial

from exporters.collector import Collector, Host
from exporters.errors import NoDataError, SourceError
from exporters.samples import Family, Kind, Metric, label
from exporters.system.devices import count, text
from exporters.system.tree import Tree
from exporters.system.unchanged import Unchanged

_FOLDER = "block"
_LABELS = ("device", "sysfs_name")
_BYTES_PER_SECTOR = 512


def _gauge(name: str, words: str, labels: tuple[str, ...] = _LABELS) -> Metric:
    return Metric(f"node_dmmultipath_{name}", Kind.GAUGE, words, labels)


_INFO = _gauge("device_info", "What the device is.", (*_LABELS, "uuid"))
_ACTIVE = _gauge("device_active", "Whether the device is in use, and not suspended.")
_SIZE = _gauge("device_size_bytes", "Size of the device.")
_PATHS = _gauge("device_paths", "Paths to the device.")
_PATHS_ACTIVE = _gauge("device_paths_active", "Paths whose disk is running.")
_PATHS_FAILED = _gauge("device_paths_failed", "Paths whose disk is not running.")
_STATE = _gauge("path_state", "State of a path's disk.", ("device", "path", "state"))
_WELL = ("running", "live")


@dataclass(frozen=True, slots=True)
class Device:
    """A device with several paths; `paths` has the disk's name and state of each."""

    name: str
    node: str
    uuid: str
    is_suspended: bool
    sectors: int
    paths: tuple[tuple[str, str], ...]

    @property
    def active(self) -> int:
        """How many of the paths are active."""
        return sum(state in _WELL for _, state in self.paths)


def read(tree: Tree) -> list[Device]:
    """The devices.

    Raises:
        NoDataError: the kernel does not show its block devices.
        OSError: a file of one cannot be read.
        SourceError: one has no size.
    """
    found = []
    for node in tree.sys_list(_FOLDER):
        if node.startswith("dm-") and text(tree, f"{_FOLDER}/{node}/dm/uuid").startswith("mpath-"):
            try:
                found.append(_device(tree, node))
            except FileNotFoundError:  # it was taken away just now
                continue
    if not found and not tree.sys_has(_FOLDER):
        raise NoDataError("no /sys/block")
    return found


def _device(tree: Tree, node: str) -> Device:
    folder = f"{_FOLDER}/{node}"
    sectors = count(tree.attribute(f"{folder}/size"))
    if sectors is None:
        raise SourceError(f"/sys/{folder}/size", "no number of sectors")
    return Device(
        label(tree.attribute(f"{folder}/dm/name")),
        node,
        text(tree, f"{folder}/dm/uuid"),
        tree.attribute(f"{folder}/dm/suspended") == b"1",
        sectors,
        tuple(
            (path, text(tree, f"{_FOLDER}/{path}/device/state")) for path in tree.sys_list(f"{folder}/slaves")
        ),
    )


def collect(raw: list[Device]) -> list[Family]:
    """The devices and the state of their paths."""
    if not raw:
        return []
    rows = tuple((one.name, one.node) for one in raw)
    states = tuple((one.name, *path) for one in raw for path in one.paths)
    return [
        Family(_INFO, tuple((one.name, one.node, one.uuid) for one in raw), (1,) * len(raw)),
        Family(_ACTIVE, rows, [int(not one.is_suspended) for one in raw]),
        Family(_SIZE, rows, [one.sectors * _BYTES_PER_SECTOR for one in raw]),
        Family(_PATHS, rows, [len(one.paths) for one in raw]),
        Family(_PATHS_ACTIVE, rows, [one.active for one in raw]),
        Family(_PATHS_FAILED, rows, [len(one.paths) - one.active for one in raw]),
        Family(_STATE, states, (1,) * len(states)),
    ]


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Unchanged(partial(read, host.tree), collect))
