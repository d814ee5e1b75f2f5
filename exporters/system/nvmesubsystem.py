"""The `nvmesubsystem` collector: node_nvmesubsystem_*, subsystems of /sys/class/nvme-subsystem and the paths
to them.
"""

import re
from dataclasses import dataclass
from functools import partial

from exporters.collector import Collector, Host
from exporters.errors import NoDataError
from exporters.samples import Family, Kind, Metric
from exporters.system.devices import text
from exporters.system.tree import Tree
from exporters.system.unchanged import Unchanged

_FOLDER = "class/nvme-subsystem"
_INFO = Metric(
    "node_nvmesubsystem_info",
    Kind.GAUGE,
    "What the subsystem is.",
    ("subsystem", "iopolicy", "model", "nqn", "serial"),
)
_NAMESPACE = Metric(
    "node_nvmesubsystem_namespace_info",
    Kind.GAUGE,
    "The block devices of the subsystem.",
    ("subsystem", "device"),
)
_PATHS = Metric(
    "node_nvmesubsystem_paths", Kind.GAUGE, "Controllers that lead to the subsystem.", ("subsystem",)
)
_LIVE = Metric(
    "node_nvmesubsystem_paths_live",
    Kind.GAUGE,
    "Those of the controllers whose state is live.",
    ("subsystem",),
)
_STATE = Metric(
    "node_nvmesubsystem_path_state",
    Kind.GAUGE,
    "1 for the state that the controller is in.",
    ("subsystem", "controller", "transport", "state"),
)
_STATES = ("connecting", "dead", "deleting", "live", "new", "resetting", "unknown")
_DELETING = "deleting (no IO)"
_CONTROLLER = re.compile(r"nvme[0-9]+")
_DEVICE = re.compile(r"nvme[0-9]+n[0-9]+")


@dataclass(frozen=True, slots=True)
class Subsystem:
    """A subsystem: what it is, its block devices, and name, transport and state of each controller."""

    name: str
    words: tuple[str, ...]
    devices: tuple[str, ...]
    controllers: tuple[tuple[str, str, str], ...]


def read(tree: Tree) -> list[Subsystem]:
    """The subsystems.

    Raises:
        NoDataError: there is none.
    """
    found = []
    for name in tree.sys_list(_FOLDER):
        if name.startswith("nvme-subsys"):
            folder = f"{_FOLDER}/{name}"
            nodes = tree.sys_list(folder)
            words = tuple(
                text(tree, f"{folder}/{file}") for file in ("iopolicy", "model", "subsysnqn", "serial")
            )
            controllers = tuple(
                (node, text(tree, f"{folder}/{node}/transport"), text(tree, f"{folder}/{node}/state"))
                for node in nodes
                if _CONTROLLER.fullmatch(node)
            )
            found.append(Subsystem(name, words, tuple(filter(_DEVICE.fullmatch, nodes)), controllers))
    if not found:
        raise NoDataError(f"nothing in /sys/{_FOLDER}")
    return found


def collect(raw: list[Subsystem]) -> list[Family]:
    """The subsystems, their devices and paths; each controller has a series for each state."""
    names = tuple((one.name,) for one in raw)
    devices = tuple((one.name, device) for one in raw for device in one.devices)
    paths = [(one.name, *controller) for one in raw for controller in one.controllers]
    states = tuple((name, node, transport, state) for name, node, transport, _ in paths for state in _STATES)
    return [
        Family(_INFO, tuple((one.name, *one.words) for one in raw), (1,) * len(raw)),
        Family(_NAMESPACE, devices, (1,) * len(devices)),
        Family(_PATHS, names, [len(one.controllers) for one in raw]),
        Family(_LIVE, names, [[_known(path[2]) for path in one.controllers].count("live") for one in raw]),
        Family(_STATE, states, [int(_known(path[3]) == state) for path in paths for state in _STATES]),
    ]


def _known(state: str) -> str:
    if state == _DELETING:
        return "deleting"
    return state if state in _STATES else "unknown"


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Unchanged(partial(read, host.tree), collect))
