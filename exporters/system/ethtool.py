"""Speed and duplex of all network devices at once, over ethtool's netlink interface (since Linux 5.6).

https://docs.kernel.org/networking/ethtool-netlink.html, LINKMODES_GET. The files `speed` and `duplex` of
/sys/class/net say the same of one device each.
"""

import sys
from struct import Struct

from exporters.errors import SourceError
from exporters.system.netlink import Channel, attribute, attributes

_GENERIC = 16
_CONTROL_FAMILY = 16
_GET_FAMILY, _FAMILY_ID, _FAMILY_NAME = 3, 1, 2
_GENERIC_HEADER = Struct("=BBH")  # command, version: struct genlmsghdr
_GET_LINK_MODES = 4
_HEADER, _SPEED, _DUPLEX = 1, 5, 6
_NESTED = 0x8000
_DEVICE_INDEX, _FLAGS = 1, 3
_COMPACT_BITS = Struct("=I").pack(1)
_DUPLEXES = {0: "half", 1: "full"}
_SIGNED = Struct("=i")

_REQUEST = _GENERIC_HEADER.pack(_GET_LINK_MODES, 1, 0) + attribute(
    _HEADER | _NESTED, attribute(_FLAGS, _COMPACT_BITS)
)

Mode = tuple[int, str]
"""Mbit/s, -1 where it is unknown, and `half`, `full` or `unknown`."""


class Modes:
    """Asks for the modes of all devices of this network namespace."""

    def __init__(self, channel: Channel | None = None) -> None:
        self._channel = Channel(_GENERIC) if channel is None else channel
        self._family = 0

    def read(self) -> dict[int, Mode]:
        """Modes by number of the device, of those that have any.

        Raises:
            OSError: the kernel has no such interface, or a driver fails.
            SourceError: an answer is malformed.
        """
        if not self._family:
            self._family = self._find()
        found = {}
        for datagram, start, end in self._channel.dump(self._family, _REQUEST):
            values = attributes(datagram, start + _GENERIC_HEADER.size, end)
            header = values.get(_HEADER, b"")
            device = attributes(header, 0, len(header)).get(_DEVICE_INDEX, b"")
            speed, duplex = values.get(_SPEED, b""), values.get(_DUPLEX, b"")
            if len(device) != _SIGNED.size or len(speed) != _SIGNED.size or not duplex:
                raise SourceError("ethtool netlink", "link modes without device, speed or duplex")
            index = _SIGNED.unpack(device)[0]
            found[index] = (_SIGNED.unpack(speed)[0], _DUPLEXES.get(duplex[0], "unknown"))
        return found

    def close(self) -> None:
        """Close the socket."""
        self._channel.close()

    def _find(self) -> int:
        request = _GENERIC_HEADER.pack(_GET_FAMILY, 1, 0) + attribute(_FAMILY_NAME, b"ethtool\0")
        for datagram, start, end in self._channel.ask(_CONTROL_FAMILY, request):
            family = attributes(datagram, start + _GENERIC_HEADER.size, end).get(_FAMILY_ID, b"")
            if len(family) == 2:
                return int.from_bytes(family, sys.byteorder)
        raise SourceError("generic netlink", "family without a number")
