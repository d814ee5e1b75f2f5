"""Properties of network devices from the kernel itself, over netlink, as /sys/class/net has them.

Twenty-five files for each device are a second for five thousand of them; one list and one question about
speeds are a few hundredths. What netlink does not tell (dev_id, addr_assign_type, name_assign_type, and the
flags without what the kernel adds) is read from its file when something else about the device has changed.
"""

import os
import sys
from collections.abc import Callable

from exporters.errors import SourceError
from exporters.samples import label
from exporters.system import links as ifla
from exporters.system.ethtool import Mode, Modes
from exporters.system.links import Link, Links
from exporters.system.netclass_files import FOLDER, MOST_CHARACTERS, Device, Raw, attribute, number
from exporters.system.tree import Tree

_FILES = ("addr_assign_type", "dev_id", "flags", "name_assign_type")
_NUMBERS = {
    "carrier_changes": ifla.CARRIER_CHANGES,
    "carrier_up_count": ifla.CARRIER_UP,
    "carrier_down_count": ifla.CARRIER_DOWN,
    "link_mode": ifla.LINK_MODE,
    "mtu": ifla.MTU,
    "netdev_group": ifla.GROUP,
    "tx_queue_len": ifla.QUEUE_LENGTH,
}
_STATES = ("unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up")
"""In the order of IF_OPER_* (linux/if.h; RFC 2863)."""
_IFF_UP = 0x1
_IFF_DORMANT = 0x20000
_ATTEMPTS = 3
_COMPARED = 16


class Kernel:
    """Asks for the devices, except those that `ignored` finds.

    /sys may show another network namespace than this process's (a container with the host's /sys): the two
    are compared (names, and of the first few numbers and addresses) before the first answer is believed, and
    where they differ, nothing is.
    """

    def __init__(
        self, tree: Tree, links: Links, ignored: Callable[[str], object], modes: Modes | None
    ) -> None:
        self._tree = tree
        self._links = links
        self._ignored = ignored
        self._modes = modes
        self._attempts_left = _ATTEMPTS
        self._is_checked = False
        self._seen: tuple[tuple[Link, ...], dict[int, Mode]] = ((), {})
        self._devices: dict[int, tuple[Link, Mode | None, Device]] = {}
        self._raw = Raw(())

    def read(self) -> Raw:
        """All devices; the same object as before where nothing changed.

        Raises:
            OSError: the kernel refuses.
            SourceError: an answer is malformed, or /sys shows other devices.
        """
        if not self._attempts_left:
            raise SourceError("/sys/class/net", "other devices than the kernel's")
        links = self._links.read()
        if not self._is_checked:
            self._check(links)
        modes = self._read_modes(links)
        if links is not self._seen[0] or modes != self._seen[1]:
            self._learn(links, modes)
        return self._raw

    def close(self) -> None:
        """Close the sockets."""
        self._links.close()
        if self._modes is not None:
            self._modes.close()

    def _check(self, links: tuple[Link, ...]) -> None:
        names = {os.fsdecode(link.name) for link in links}
        if names != {name for name in self._tree.sys_list(FOLDER) if name != "bonding_masters"} or not all(
            self._is_same(link) for link in links[:_COMPARED]
        ):
            self._attempts_left -= 1  # it may also be a device that came or went just now
            raise SourceError("/sys/class/net", "other devices than the kernel's")
        self._is_checked = True

    def _is_same(self, link: Link) -> bool:
        name = os.fsdecode(link.name)
        index = attribute(self._tree, name, "ifindex")
        address = attribute(self._tree, name, "address")
        return index == b"%d" % link.index and address == _address(link, ifla.ADDRESS).encode()

    def _read_modes(self, links: tuple[Link, ...]) -> dict[int, Mode]:
        if self._modes is not None:
            try:
                return self._modes.read()
            except FileNotFoundError:  # the kernel has no such family, and will not have it
                self._modes.close()
                self._modes = None
            except (OSError, SourceError):
                self._modes.close()
        return {link.index: mode for link in links if (mode := self._file_mode(link)) is not None}

    def _file_mode(self, link: Link) -> Mode | None:
        if not link.flags & _IFF_UP:
            return None
        name = os.fsdecode(link.name)
        speed = attribute(self._tree, name, "speed")
        duplex = attribute(self._tree, name, "duplex")
        return None if speed is None or duplex is None else (number(speed), label(duplex))

    def _learn(self, links: tuple[Link, ...], modes: dict[int, Mode]) -> None:
        devices = {}
        once: dict[str, Device] = {}
        for link in links:
            if self._ignored(label(link.name)):
                continue
            mode = modes.get(link.index) if link.flags & _IFF_UP else None
            kept = self._devices.get(link.index)
            if kept is None or kept[0] is not link or kept[1] != mode:
                device = self._device(link, mode)
                if device is None:  # it went meanwhile
                    continue
                kept = (link, mode, device)
            devices[link.index] = kept
            once.setdefault(kept[2].name, kept[2])
        self._devices = devices
        self._raw = Raw(tuple(once.values()))
        self._seen = (links, modes)

    def _device(self, link: Link, mode: Mode | None) -> Device | None:
        name = os.fsdecode(link.name)
        numbers = {"ifindex": link.index, "type": link.type}
        for file in _FILES:
            text = attribute(self._tree, name, file)
            if text is not None:
                numbers[file] = number(text)
        if "flags" not in numbers:
            return None
        words = _words(link)
        for file, kind in _NUMBERS.items():
            if kind in link.attributes:
                numbers[file] = _integer(link, kind)
        numbers["iflink"] = _integer(link, ifla.LINK) if ifla.LINK in link.attributes else link.index
        if link.flags & _IFF_UP:
            numbers["carrier"] = _integer(link, ifla.CARRIER)
            numbers["dormant"] = int(bool(link.flags & _IFF_DORMANT))
        if mode is not None:
            numbers["speed"], words["duplex"] = mode
        return Device(label(link.name), words, numbers)


def _words(link: Link) -> dict[str, str]:
    state = _integer(link, ifla.STATE)
    return {
        "address": _address(link, ifla.ADDRESS),
        "broadcast": _address(link, ifla.BROADCAST),
        "operstate": _STATES[state] if state < len(_STATES) else "unknown",
        "ifalias": label(link.attributes.get(ifla.ALIAS, b"").rstrip(b"\0")[:MOST_CHARACTERS].strip()),
    }


def _address(link: Link, kind: int) -> str:
    return link.attributes.get(kind, b"").hex(":")


def _integer(link: Link, kind: int) -> int:
    """A number of one to four bytes; 0 where the kernel leaves it out."""
    return int.from_bytes(link.attributes.get(kind, b""), sys.byteorder)
