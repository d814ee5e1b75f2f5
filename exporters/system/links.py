"""Network devices as the kernel lists them over rtnetlink(7): one dump for the collectors that need it.

Statistics are left out of the list and asked for apart (RTM_GETSTATS, since Linux 4.7): the list hardly ever
changes, and the kernel tells when it does, so it is asked for then and once a minute. Where it says the same,
the very same tuple is handed out again, so that what was made of it still holds.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from socket import AF_INET
from struct import Struct
from time import monotonic

from exporters.errors import SourceError
from exporters.system.netlink import Changes, Channel, Message, attribute, attributes

ADDRESS, BROADCAST, NAME, MTU, LINK = 1, 2, 3, 4, 5
QUEUE_LENGTH, STATE, LINK_MODE, ALIAS, GROUP = 13, 16, 17, 20, 27
CARRIER, CARRIER_CHANGES, CARRIER_UP, CARRIER_DOWN = 33, 35, 47, 48
PROMISCUITY, ALL_MULTICAST = 30, 61
_KEPT = frozenset(
    (
        *(ADDRESS, BROADCAST, NAME, MTU, LINK, QUEUE_LENGTH, STATE, LINK_MODE, ALIAS, GROUP),
        *(CARRIER, CARRIER_CHANGES, CARRIER_UP, CARRIER_DOWN, PROMISCUITY, ALL_MULTICAST),
    )
)
"""Attributes of linux/if_link.h (IFLA_*) that a `Link` keeps."""

_ROUTE = 0
_GET_LINK, _GET_ADDRESS, _GET_NEIGHBOURS, _GET_STATISTICS = 18, 22, 30, 94
_NEIGHBOURS = bytes((AF_INET, *[0] * 11))  # struct ndmsg
_IFINFO = Struct("=BxHiII")  # family, type, index, flags, change: struct ifinfomsg
_EXTENSIONS = 29
_SKIP_STATISTICS = 8
_LINKS = _IFINFO.pack(0, 0, 0, 0, 0) + attribute(_EXTENSIONS, _SKIP_STATISTICS.to_bytes(4, sys.byteorder))
_STATISTICS = Struct("=B3xiI")  # family, index, mask: struct if_stats_msg
_LINK_64 = 1  # IFLA_STATS_LINK_64, also as a bit of the mask
_COUNTERS = Struct("=HH24Q")  # an attribute and struct rtnl_link_stats64 up to rx_nohandler
_LINK_CHANGES = 1  # RTMGRP_LINK
_LIST_SECONDS = 60.0  # a few changes are not told of, such as a group written to /sys
_FRESH_SECONDS = 0.5  # a list of thousands takes long enough for the next collector to find it old


@dataclass(frozen=True, slots=True)
class Link:
    """A network device: its number, its name in the kernel's bytes, its type (linux/if_arp.h) and flags
    (linux/if.h), and of its attributes those that are kept.
    """

    index: int
    name: bytes
    type: int
    flags: int
    attributes: dict[int, bytes]


class Links:
    """The devices of this network namespace. Collectors of one scrape share a reading: it is kept for
    `fresh_seconds`.
    """

    def __init__(
        self,
        channel: Channel | None = None,
        changes: Changes | None = None,
        *,
        fresh_seconds: float = _FRESH_SECONDS,
        steady: Callable[[], float] = monotonic,
    ) -> None:
        self._channel = Channel(_ROUTE) if channel is None else channel
        self._changes = Changes(_ROUTE, _LINK_CHANGES) if channel is None else changes
        self._listed_at = float("-inf")
        self._fresh_seconds = fresh_seconds
        self._steady = steady
        self._read_at = float("-inf")
        self._links: tuple[Link, ...] = ()
        self._bodies: dict[int, tuple[bytes, Link]] = {}

    def read(self) -> tuple[Link, ...]:
        """All devices in the kernel's order; the same object as before where nothing changed.

        Raises:
            OSError: the kernel refuses, or lacks rtnetlink.
            SourceError: an answer is malformed.
        """
        now = self._steady()
        if now - self._read_at < self._fresh_seconds:
            return self._links
        if self._changed() or now - self._listed_at >= _LIST_SECONDS:
            self._listed_at = float("-inf")  # if the list fails, the next reading asks again
            self._list()
            self._listed_at = now
        self._read_at = now
        return self._links

    def _changed(self) -> bool:
        try:
            return self._changes is None or self._changes.happened()
        except OSError:  # then every list has to be asked for
            return True

    def _list(self) -> None:
        bodies = {}
        for datagram, start, end in self._channel.dump(_GET_LINK, _LINKS):
            body = datagram[start:end]
            link = self._link(body)
            bodies[link.index] = (body, link)
        links = tuple(link for _, link in bodies.values())
        if len(links) != len(self._links) or any(map(_differ, links, self._links)):
            self._links = links
        self._bodies = bodies

    def statistics(self) -> dict[int, tuple[int, ...]]:
        """Counters by number of the device, in the order of struct rtnl_link_stats64 (linux/if_link.h).

        Raises:
            OSError: the kernel refuses, or is older than 4.7.
            SourceError: an answer is malformed.
        """
        request = _STATISTICS.pack(0, 0, _LINK_64)
        return dict(map(_counters, self._channel.dump(_GET_STATISTICS, request)))

    def addresses(self) -> list[Message]:
        """The messages about addresses (struct ifaddrmsg).

        Raises:
            OSError: the kernel refuses.
            SourceError: an answer is malformed.
        """
        return self._channel.dump(_GET_ADDRESS, bytes(8))

    def neighbours(self) -> list[Message]:
        """The messages about IPv4 neighbours (struct ndmsg).

        Raises:
            OSError: the kernel refuses.
            SourceError: an answer is malformed.
        """
        return self._channel.dump(_GET_NEIGHBOURS, _NEIGHBOURS)

    def close(self) -> None:
        """Close the sockets; they are opened again when they are needed."""
        self._channel.close()
        if self._changes is not None:
            self._changes.close()

    def _link(self, body: bytes) -> Link:
        if len(body) < _IFINFO.size:
            raise SourceError("rtnetlink", f"device in {len(body)} bytes")
        _, kind, index, flags, _ = _IFINFO.unpack_from(body)
        old_body, old = self._bodies.get(index, (b"", None))
        if old is not None and body == old_body:
            return old
        found = attributes(body, _IFINFO.size, len(body))
        kept = {kind: value for kind, value in found.items() if kind in _KEPT}
        link = Link(index, kept.get(NAME, b"").rstrip(b"\0"), kind, flags, kept)
        return old if old is not None and link == old else link


def _differ(one: Link, other: Link) -> bool:
    return one is not other


def _counters(message: Message) -> tuple[int, tuple[int, ...]]:
    datagram, start, end = message
    if end - start < _STATISTICS.size + _COUNTERS.size:
        raise SourceError("rtnetlink", f"statistics in {end - start} bytes")
    index = _STATISTICS.unpack_from(datagram, start)[1]
    length, kind, *counters = _COUNTERS.unpack_from(datagram, start + _STATISTICS.size)
    if kind != _LINK_64 or length < _COUNTERS.size:
        raise SourceError("rtnetlink", f"statistics of type {kind}")
    return index, tuple(counters)
