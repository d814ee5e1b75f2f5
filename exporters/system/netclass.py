"""The `netclass` collector: node_network_* properties of each network device.

The kernel is asked over netlink where it is the one that runs here (exporters/system/netclass_kernel.py);
files of /sys/class/net are read in a saved tree, and where netlink is refused. Both give the same series.
"""

import logging
import re
from collections.abc import Sequence

from exporters.collector import Collector, Host
from exporters.errors import SourceError
from exporters.samples import Family, Kind, Metric, Rows
from exporters.settings import expression, switch
from exporters.system.ethtool import Modes
from exporters.system.links import Links
from exporters.system.netclass_files import WORDS, Device, Files, Raw
from exporters.system.netclass_kernel import Kernel

logger = logging.getLogger(__name__)

IGNORED = expression("collector.netclass.ignored-devices", "^$", "Devices not to report.")
IGNORE_INVALID_SPEED = switch(
    "collector.netclass.ignore-invalid-speed", default=False, help_text="Leave out a speed below 0: unknown."
)
NETLINK = switch(
    "collector.netclass.netlink",
    default=True,
    help_text="Ask the kernel over netlink, with the series of the files; else read the files.",
)
SETTINGS = (IGNORED, IGNORE_INVALID_SPEED, NETLINK)

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
    address, broadcast, duplex, state, alias = (words.get(name, "") for name in WORDS)
    return (device.name, address, broadcast, duplex, state, admin, alias)


def _over(devices: Sequence[Device], file: str, metric: Metric) -> Family:
    having = [device for device in devices if file in device.numbers]
    return Family(metric, tuple((device.name,) for device in having), [each.numbers[file] for each in having])


class NetClass:
    """Collects from the kernel where it answers, else from the files, and makes families only of news."""

    def __init__(self, files: Files, kernel: Kernel | None, *, ignore_invalid_speed: bool = False) -> None:
        self._files = files
        self._kernel = kernel
        self._ignore_invalid_speed = ignore_invalid_speed
        self._raw: Raw | None = None
        self._families: tuple[Family, ...] = ()

    def collect(self) -> tuple[Family, ...]:
        """Read and collect."""
        raw = self._read()
        if raw is not self._raw:
            self._families = tuple(collect(raw, ignore_invalid_speed=self._ignore_invalid_speed))
            self._raw = raw
        return self._families

    def _read(self) -> Raw:
        if self._kernel is not None:
            try:
                return self._kernel.read()
            except (OSError, SourceError) as error:
                logger.debug("netlink refused error=%s", error)
        return self._files.read()


def build(host: Host) -> Collector:
    """The collector on this host."""
    ignored = re.compile(host.settings[IGNORED]).search
    files = Files(host.tree, ignored)
    kernel = None
    if host.settings[NETLINK] and host.tree.sys_is_live and host.tree.proc_is_live:
        kernel = Kernel(host.tree, host.tree.shared(Links), ignored, Modes())
    found = NetClass(files, kernel, ignore_invalid_speed=host.settings[IGNORE_INVALID_SPEED])
    return Collector(found.collect, kernel.close if kernel is not None else lambda: None)
