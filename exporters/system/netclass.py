"""The `netclass` collector: node_network_* properties of each network device, from /sys/class/net.

Documentation/ABI/testing/sysfs-class-net. What a device does not have, or refuses to tell while it is down
(carrier, dormant, speed, duplex), is absent.
"""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from exporters.collector import Collector, Host
from exporters.errors import NoDataError
from exporters.samples import Family, Kind, Metric, Rows, label
from exporters.settings import expression, switch
from exporters.system.tree import Tree

IGNORED = expression("collector.netclass.ignored-devices", "^$", "Devices not to report.")
IGNORE_INVALID_SPEED = switch(
    "collector.netclass.ignore-invalid-speed", default=False, help_text="Leave out a speed below 0: unknown."
)
SETTINGS = (IGNORED, IGNORE_INVALID_SPEED)

_LABELS = ("device",)
_UP = Metric("node_network_up", Kind.GAUGE, "Whether the state of operation is up.", _LABELS)
_INFO = Metric(
    "node_network_info",
    Kind.GAUGE,
    "Properties of a network device; always 1.",
    ("device", "address", "broadcast", "duplex", "operstate", "adminstate", "ifalias"),
)
_SPEED = Metric("node_network_speed_bytes", Kind.GAUGE, "Speed of the link in bytes per second.", _LABELS)
_BYTES_PER_MEGABIT = 125_000
_IFF_UP = 1


def _metric(name: str, text: str) -> Metric:
    kind = Kind.COUNTER if name.endswith("_total") else Kind.GAUGE
    return Metric(f"node_network_{name}", kind, text, _LABELS)


_NUMBERS = {
    "addr_assign_type": _metric("address_assign_type", "0 permanent, 1 random, 2 stolen, 3 set."),
    "carrier": _metric("carrier", "Whether there is a carrier."),
    "carrier_changes": _metric("carrier_changes_total", "Times that the carrier came or went."),
    "carrier_up_count": _metric("carrier_up_changes_total", "Times that the carrier came."),
    "carrier_down_count": _metric("carrier_down_changes_total", "Times that the carrier went."),
    "dev_id": _metric("device_id", "Number that tells devices with one address apart."),
    "dormant": _metric("dormant", "Whether the device waits for something before it is up."),
    "flags": _metric("flags", "Flags of the device as a number (linux/if.h)."),
    "ifindex": _metric("iface_id", "Number of the device."),
    "iflink": _metric("iface_link", "Number of the device that this one sits on."),
    "link_mode": _metric("iface_link_mode", "0 default, 1 dormant."),
    "mtu": _metric("mtu_bytes", "Largest packet."),
    "name_assign_type": _metric("name_assign_type", "1 by kernel, 2 predictable, 3 by user, 4 renamed."),
    "netdev_group": _metric("net_dev_group", "Group of the device."),
    "tx_queue_len": _metric("transmit_queue_length", "Packets that the transmit queue holds."),
    "type": _metric("protocol_type", "Kind of the device (linux/if_arp.h)."),
}
_FILES = (*_NUMBERS, "speed")
_WORDS = ("address", "broadcast", "duplex", "operstate", "ifalias")
_MOST_CHARACTERS = 128  # as far as node_exporter reads such a file


@dataclass(frozen=True, slots=True)
class Device:
    """A network device: its words, and its numbers by the name of their file; both without what it lacks."""

    name: str
    words: dict[str, str]
    numbers: dict[str, int]


@dataclass(frozen=True, slots=True)
class Raw:
    """All devices that are reported."""

    devices: tuple[Device, ...]


class Files:
    """Reads the devices from /sys, except those that `ignored` finds."""

    def __init__(self, tree: Tree, ignored: Callable[[str], object]) -> None:
        self._tree = tree
        self._ignored = ignored

    def read(self) -> Raw:
        """Read each device.

        Raises:
            NoDataError: there is no /sys/class/net.
        """
        names = self._tree.sys_list("class/net")
        if not names:
            raise NoDataError("no /sys/class/net")
        devices = (self._device(name) for name in names if self._is_wanted(name))
        once: dict[str, Device] = {}
        for device in devices:
            once.setdefault(device.name, device)
        return Raw(tuple(once.values()))

    def _is_wanted(self, name: str) -> bool:
        """Not a file, such as bonding_masters."""
        folder = self._tree.sys_path(f"class/net/{name}")
        return not self._ignored(name) and os.path.isdir(folder)  # noqa: PTH112 - of many, no objects wanted

    def _device(self, name: str) -> Device:
        words, numbers = {}, {}
        for file in _WORDS:
            text = self._text(name, file)
            if text is not None:
                words[file] = label(text)
        for file in _FILES:
            text = self._text(name, file)
            if text is not None:
                numbers[file] = _number(text)
        return Device(label(os.fsencode(name)), words, numbers)

    def _text(self, device: str, file: str) -> bytes | None:
        try:
            return self._tree.sys(f"class/net/{device}/{file}")[:_MOST_CHARACTERS].strip()
        except OSError:
            return None


def _number(text: bytes) -> int:
    """A number with its prefix of a base; 0 where it is none, as node_exporter reads it."""
    try:
        return int(text, 0)
    except ValueError:
        return int(text, 8) if text.isdigit() and text.startswith(b"0") else 0


def collect(raw: Raw, *, ignore_invalid_speed: bool = False) -> list[Family]:
    """A family for each property, over the devices that have it."""
    devices = raw.devices
    rows: Rows = tuple((device.name,) for device in devices)
    families = [
        Family(_UP, rows, [int(device.words.get("operstate") == "up") for device in devices]),
        Family(_INFO, tuple(map(_info, devices)), (1,) * len(devices)),
    ]
    for file, metric in _NUMBERS.items():
        families.append(_over(devices, file, metric))
    fast = [device for device in devices if device.numbers.get("speed", -1) >= 0 or not ignore_invalid_speed]
    speed = _over(fast, "speed", _SPEED)
    return [*families, speed._replace(values=[_bytes(number) for number in speed.values])]


def _bytes(megabits: float) -> int:
    """Bytes per second; -1, which is unknown, becomes -125000 as in node_exporter."""
    return int(megabits * _BYTES_PER_MEGABIT)


def _info(device: Device) -> tuple[str, ...]:
    words = device.words
    flags = device.numbers.get("flags")
    admin = "unknown" if flags is None else "up" if flags & _IFF_UP else "down"
    address, broadcast, duplex, state, alias = (words.get(name, "") for name in _WORDS)
    return (device.name, address, broadcast, duplex, state, admin, alias)


def _over(devices: Sequence[Device], file: str, metric: Metric) -> Family:
    having = [device for device in devices if file in device.numbers]
    return Family(metric, tuple((device.name,) for device in having), [each.numbers[file] for each in having])


def build(host: Host) -> Collector:
    """The collector on this host."""
    files = Files(host.tree, re.compile(host.settings[IGNORED]).search)
    ignore_invalid_speed = host.settings[IGNORE_INVALID_SPEED]
    return Collector(lambda: collect(files.read(), ignore_invalid_speed=ignore_invalid_speed))
