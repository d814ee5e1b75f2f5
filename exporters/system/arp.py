"""The `arp` collector: entries in the table of IPv4 neighbours, by device.

The kernel is asked over rtnetlink where it is the one that runs here; /proc/net/arp is read in a saved tree,
where netlink is refused, or where the flag says so. Entries that need no ARP are left out, as in that file.
"""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct

from exporters.collector import Collector, Host
from exporters.errors import NoDataError, SourceError
from exporters.samples import Family, Kind, Metric, label
from exporters.settings import expression, switch
from exporters.system.filters import accepts
from exporters.system.links import Links
from exporters.system.tree import Tree
from exporters.system.unchanged import Unchanged

logger = logging.getLogger(__name__)

INCLUDE = expression("collector.arp.device-include", "", "Devices to report; not with device-exclude.")
EXCLUDE = expression("collector.arp.device-exclude", "", "Devices not to report.")
NETLINK = switch(
    "collector.arp.netlink", default=True, help_text="Ask the kernel over netlink, else read /proc/net/arp."
)
SETTINGS = (INCLUDE, EXCLUDE, NETLINK)

_ENTRIES = Metric("node_arp_entries", Kind.GAUGE, "Neighbours in the ARP table.", ("device",))
_COLUMNS = 6
_HEAD_COLUMNS = 9
_NEIGHBOUR = Struct("=B3xIHBB")  # family, index, state, flags, type: struct ndmsg
_NO_ARP = 0x40


@dataclass(frozen=True, slots=True)
class Raw:
    """Entries by device name."""

    entries: dict[str, int]


def parse(text: bytes) -> Raw:
    """Count the entries of /proc/net/arp.

    Raises:
        SourceError: a line has not six columns.
    """
    counts: Counter[bytes] = Counter()
    for line in text.split(b"\n"):
        columns = line.split()
        if len(columns) == _COLUMNS:
            counts[columns[5]] += 1
        elif len(columns) not in (0, _HEAD_COLUMNS):
            raise SourceError("/proc/net/arp", f"{len(columns)} columns")
    entries: dict[str, int] = {}
    for device, count in counts.items():
        entries[label(device)] = entries.get(label(device), 0) + count
    return Raw(entries)


def count(links: Links) -> Raw:
    """Count the entries that the kernel tells of.

    Raises:
        OSError: the kernel refuses.
        SourceError: an answer is malformed.
    """
    neighbours = links.neighbours()
    names = {link.index: label(link.name) for link in links.read()} if neighbours else {}
    entries: dict[str, int] = {}
    for datagram, start, end in neighbours:
        if end - start < _NEIGHBOUR.size:
            raise SourceError("rtnetlink", f"neighbour in {end - start} bytes")
        _, index, state, _, _ = _NEIGHBOUR.unpack_from(datagram, start)
        if not state & _NO_ARP and index in names:
            entries[names[index]] = entries.get(names[index], 0) + 1
    return Raw(entries)


class Neighbours:
    """Counts the entries of the devices that the filter accepts."""

    def __init__(self, tree: Tree, accept: Callable[[str], bool], links: Links | None = None) -> None:
        self._tree = tree
        self._links = links
        self._accept = accept
        self.collect = Unchanged(self.read, self.families)
        """Reads and collects."""

    def read(self) -> Raw:
        """Count the entries.

        Raises:
            NoDataError: there is no such table.
        """
        if self._links is not None:
            try:
                return count(self._links)
            except (OSError, SourceError) as error:
                logger.debug("rtnetlink refused error=%s", error)
        try:
            return parse(self._tree.proc("net/arp"))
        except FileNotFoundError as error:
            raise NoDataError("no /proc/net/arp") from error

    def families(self, raw: Raw) -> list[Family]:
        """One family, of the devices that the filter accepts."""
        entries = {device: entries for device, entries in raw.entries.items() if self._accept(device)}
        return [Family(_ENTRIES, tuple((device,) for device in entries), list(entries.values()))]


def build(host: Host) -> Collector:
    """The collector on this host."""
    accept = accepts(include=host.settings[INCLUDE], exclude=host.settings[EXCLUDE])
    links = host.tree.shared(Links) if host.tree.proc_is_live and host.settings[NETLINK] else None
    return Collector(
        Neighbours(host.tree, accept, links).collect, links.close if links is not None else lambda: None
    )
