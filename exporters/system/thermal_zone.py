"""The `thermal_zone` collector: node_thermal_zone_temp and node_cooling_device_* of /sys/class/thermal.

https://docs.kernel.org/driver-api/thermal/sysfs-api.html. A zone that is switched off, or whose sensor fails,
is at 0 degrees, as in node_exporter; a cooling device that fails is absent.
"""

from collections.abc import Iterator

from exporters.collector import Collector, Host
from exporters.samples import Kind, Metric
from exporters.system.devices import Cell, Sensors, text, whole
from exporters.system.tree import Tree

_TEMPERATURE = Metric(
    "node_thermal_zone_temp", Kind.GAUGE, "Temperature of the zone in degrees Celsius.", ("type", "zone")
)
_STATE = Metric(
    "node_cooling_device_cur_state", Kind.GAUGE, "How much the device cools or throttles.", ("name", "type")
)
_MOST = Metric(
    "node_cooling_device_max_state",
    Kind.GAUGE,
    "Most that the device can cool or throttle.",
    ("name", "type"),
)
_FOLDER = "class/thermal"
_ZONE = "thermal_zone"
_DEVICE = "cooling_device"


def find(tree: Tree) -> Iterator[Cell]:
    """The zones and the cooling devices."""
    for node in tree.sys_list(_FOLDER):
        folder = f"{_FOLDER}/{node}"
        zone, device = node.removeprefix(_ZONE), node.removeprefix(_DEVICE)
        if zone != node and zone[:1].isdigit():
            yield Cell(_TEMPERATURE, (text(tree, f"{folder}/type"), zone), f"{folder}/temp", _celsius, 0)
        elif device != node and device[:1].isdigit():
            row = (device, text(tree, f"{folder}/type"))
            yield Cell(_STATE, row, f"{folder}/cur_state", whole)
            yield Cell(_MOST, row, f"{folder}/max_state", whole)


def _celsius(raw: bytes) -> float:
    return whole(raw) / 1000


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Sensors(host.tree, _FOLDER, lambda: find(host.tree), is_usual=True).collect)
