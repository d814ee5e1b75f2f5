"""Properties of network devices from /sys/class/net, one file each.

What a device does not have, or refuses to tell while it is down (carrier, dormant, speed, duplex), is absent.
Documentation/ABI/testing/sysfs-class-net.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass

from exporters.errors import NoDataError
from exporters.samples import label
from exporters.system.tree import Tree

FOLDER = "class/net"
_OCTAL = re.compile(rb"0[0-7]+")  # without its o, as Go has it
_LIMIT = 1 << 63
WORDS = ("address", "broadcast", "duplex", "operstate", "ifalias")
MOST_CHARACTERS = 128
"""As far as node_exporter reads such a file."""
NUMBERS = (
    "addr_assign_type",
    "carrier",
    "carrier_changes",
    "carrier_up_count",
    "carrier_down_count",
    "dev_id",
    "dormant",
    "flags",
    "ifindex",
    "iflink",
    "link_mode",
    "mtu",
    "name_assign_type",
    "netdev_group",
    "speed",
    "tx_queue_len",
    "type",
)


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
        names = self._tree.sys_list(FOLDER)
        if not names:
            raise NoDataError("no /sys/class/net")
        once: dict[str, Device] = {}
        for name in names:
            device = label(os.fsencode(name))
            if not self._ignored(device) and self._is_folder(name):
                once.setdefault(device, self._device(name, device))
        return Raw(tuple(once.values()))

    def _is_folder(self, name: str) -> bool:
        """Not a file, such as bonding_masters."""
        return os.path.isdir(self._tree.sys_path(f"{FOLDER}/{name}"))  # noqa: PTH112 - of many

    def _device(self, name: str, device: str) -> Device:
        words, numbers = {}, {}
        for file in WORDS:
            text = attribute(self._tree, name, file)
            if text is not None:
                words[file] = label(text)
        for file in NUMBERS:
            text = attribute(self._tree, name, file)
            if text is not None:
                numbers[file] = number(text)
        return Device(device, words, numbers)


def attribute(tree: Tree, name: str, file: str) -> bytes | None:
    """What a file of a device says; None where there is none, or the device does not tell."""
    try:
        return tree.sys_once(f"{FOLDER}/{name}/{file}")[:MOST_CHARACTERS].strip()
    except OSError:
        return None


def number(text: bytes) -> int:
    """A number with its prefix of a base; 0 where it is none of 64 bits, as node_exporter reads it."""
    try:
        value = int(text, 0)
    except ValueError:
        value = int(text, 8) if _OCTAL.fullmatch(text) else 0
    return value if -_LIMIT <= value < _LIMIT else 0
