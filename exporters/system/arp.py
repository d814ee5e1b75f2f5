"""The `arp` collector: entries in the table of IPv4 neighbours, by device, from /proc/net/arp."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from exporters.collector import Collector, Host
from exporters.errors import NoDataError, SourceError
from exporters.samples import Family, Kind, Metric, Rows, label
from exporters.settings import expression
from exporters.system.filters import accepts
from exporters.system.tree import Tree

INCLUDE = expression("collector.arp.device-include", "", "Devices to report; not with device-exclude.")
EXCLUDE = expression("collector.arp.device-exclude", "", "Devices not to report.")
SETTINGS = (INCLUDE, EXCLUDE)

_ENTRIES = Metric("node_arp_entries", Kind.GAUGE, "Neighbours in the ARP table.", ("device",))
_COLUMNS = 6
_HEAD_COLUMNS = 9


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


class Neighbours:
    """Counts the entries of the devices that the filter accepts."""

    def __init__(self, tree: Tree, accept: Callable[[str], bool]) -> None:
        self._tree = tree
        self._accept = accept
        self._rows: Rows = ()

    def collect(self) -> list[Family]:
        """Read and collect.

        Raises:
            NoDataError: there is no such table.
        """
        try:
            return self.families(parse(self._tree.proc("net/arp")))
        except FileNotFoundError as error:
            raise NoDataError("no /proc/net/arp") from error

    def families(self, raw: Raw) -> list[Family]:
        """One family, with the same rows while the devices are the same."""
        rows = tuple((device,) for device in raw.entries if self._accept(device))
        if rows != self._rows:
            self._rows = rows
        return [Family(_ENTRIES, self._rows, [raw.entries[device] for (device,) in self._rows])]


def build(host: Host) -> Collector:
    """The collector on this host."""
    accept = accepts(include=host.settings[INCLUDE], exclude=host.settings[EXCLUDE])
    return Collector(Neighbours(host.tree, accept).collect)
