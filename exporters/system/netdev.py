"""The `netdev` collector: node_network_{receive,transmit}_*_total of each network device.

The kernel is asked over rtnetlink where it is the one that runs here (exporters/system/links.py), and
/proc/net/dev is read in a saved tree, where netlink is refused, or where the flag says so. /proc/net/dev has
the counters already summed as node_exporter's names want them (drop with missed, frame with length, over and
crc errors, carrier with aborted, heartbeat and window errors: net/core/net-procfs.c), all but the packets
that nobody handled, which come from /sys then.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from exporters.collector import Collector, Host
from exporters.errors import SourceError
from exporters.samples import Family, Metric, Rows, label
from exporters.settings import expression, switch
from exporters.system.addresses import address_info
from exporters.system.filters import accepts
from exporters.system.links import ALIAS, Link, Links
from exporters.system.netdev_counters import DETAILED, FILE_DETAILED, FILE_SUMMED, SUMMED, Counter, metric
from exporters.system.tree import Tree

logger = logging.getLogger(__name__)

INCLUDE = expression("collector.netdev.device-include", "", "Devices to report; not with device-exclude.")
EXCLUDE = expression("collector.netdev.device-exclude", "", "Devices not to report.")
ADDRESS_INFO = switch(
    "collector.netdev.address-info", default=False, help_text="Report the addresses of each device too."
)
NETLINK = switch(
    "collector.netdev.netlink",
    default=True,
    help_text="Ask the kernel over netlink, else read /proc/net/dev.",
)
LABEL_ALIAS = switch(
    "collector.netdev.label-ifalias", default=False, help_text="Label the series with the device's alias."
)
DETAILED_METRICS = switch(
    "collector.netdev.enable-detailed-metrics",
    default=False,
    help_text="Report each counter of the kernel under its own name, instead of the sums of /proc/net/dev.",
)
SETTINGS = (INCLUDE, EXCLUDE, ADDRESS_INFO, NETLINK, LABEL_ALIAS, DETAILED_METRICS)

_HEAD_LINES = 2
_FILE_COLUMNS = len(FILE_SUMMED)
_NOHANDLER = "receive_nohandler"
_WRAP = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Raw:
    """The rows of the devices, and a column of counters for each place of the source's list of them."""

    rows: Rows
    columns: Sequence[Sequence[int]]


class Devices:
    """Reads /proc/net/dev: the devices that the filter accepts; by default all of them."""

    def __init__(
        self,
        tree: Tree,
        accept: Callable[[str], bool] | None = None,
        *,
        detailed: bool = False,
        with_alias: bool = False,
        with_unhandled: bool = True,
    ) -> None:
        self._tree = tree
        self._accept = accepts() if accept is None else accept
        self._counters = FILE_DETAILED if detailed else FILE_SUMMED
        self._with_alias = with_alias
        self._with_unhandled = with_unhandled
        self._labels = ("device", "ifalias") if with_alias else ("device",)
        self._unhandled = metric(_NOHANDLER, self._labels)
        self._metrics = tuple(metric(name, self._labels) for name, _ in self._counters)

    def collect(self) -> list[Family]:
        """Read and collect."""
        counters = parse(self._tree.proc("net/dev"), self._accept)
        rows = tuple(self._row(device) for device in counters)
        raw = Raw(rows, list(zip(*counters.values(), strict=True)))
        families = collect(raw, self._counters, self._metrics)
        return [*families, self._nohandler(rows)] if self._with_unhandled else families

    def _row(self, device: str) -> tuple[str, ...]:
        if not self._with_alias:
            return (device,)
        return device, label(self._tree.sys_or(f"class/net/{device}/ifalias", b"").strip())

    def _nohandler(self, rows: Rows) -> Family:
        known = {}
        for row in rows:
            text = self._tree.sys_or(f"class/net/{row[0]}/statistics/rx_nohandler", b"").strip()
            if text.isdigit():
                known[row] = int(text)
        return Family(self._unhandled, tuple(known), tuple(known.values()))


def parse(text: bytes, accept: Callable[[str], bool]) -> dict[str, tuple[int, ...]]:
    """Counters of /proc/net/dev by device name.

    Raises:
        SourceError: a line is not a name and sixteen numbers of 64 bits.
    """
    counters: dict[str, tuple[int, ...]] = {}
    for line in text.split(b"\n")[_HEAD_LINES:]:
        name, colon, fields = line.rpartition(b":")
        if not colon:
            continue
        device = label(name.strip())
        if not accept(device):
            continue
        try:
            numbers = tuple(map(int, fields.split()))
        except ValueError as error:
            raise SourceError("/proc/net/dev", str(error)) from error
        if len(numbers) != _FILE_COLUMNS:
            raise SourceError("/proc/net/dev", f"{len(numbers)} counters of {device!r}")
        if min(numbers) < 0 or max(numbers) > _WRAP:
            raise SourceError("/proc/net/dev", f"a counter of {device!r} is not one of 64 bits")
        counters.setdefault(device, numbers)
    return counters


class Kernel:
    """Asks the kernel. The rows are made anew only when the list of devices changes."""

    def __init__(
        self, links: Links, accept: Callable[[str], bool], *, detailed: bool = False, with_alias: bool = False
    ) -> None:
        self._links = links
        self._accept = accept
        self._counters = DETAILED if detailed else SUMMED
        self._with_alias = with_alias
        self._metrics = tuple(
            metric(name, ("device", "ifalias") if with_alias else ("device",)) for name, _ in self._counters
        )
        self._seen: tuple[Link, ...] = ()
        self._devices: dict[int, tuple[str, ...]] = {}
        self._rows: Rows = ()

    def collect(self) -> list[Family]:
        """Read and collect."""
        return collect(self.read(), self._counters, self._metrics)

    def read(self) -> Raw:
        """The counters of the accepted devices.

        Raises:
            OSError: the kernel refuses.
            SourceError: an answer is malformed.
        """
        links = self._links.read()
        if links is not self._seen:
            self._learn(links)
        statistics = self._links.statistics()
        try:
            return Raw(self._rows, list(zip(*[statistics[index] for index in self._devices], strict=True)))
        except KeyError:  # one went between the two questions
            there = {row: statistics[index] for index, row in self._devices.items() if index in statistics}
            return Raw(tuple(there), list(zip(*there.values(), strict=True)))

    def _learn(self, links: tuple[Link, ...]) -> None:
        rows: dict[str, tuple[int, tuple[str, ...]]] = {}
        for link in links:
            device = label(link.name)
            if self._accept(device):
                alias = (label(link.attributes.get(ALIAS, b"").rstrip(b"\0")),) if self._with_alias else ()
                rows.setdefault(device, (link.index, (device, *alias)))
        self._devices = dict(rows.values())
        self._rows = tuple(self._devices.values())
        self._seen = links


def collect(raw: Raw, counters: Sequence[Counter], metrics: Sequence[Metric]) -> list[Family]:
    """A family for each counter, over all devices."""
    if not raw.rows:
        return []
    return [
        Family(each, raw.rows, _sum([raw.columns[place] for place in places]))
        for each, (_, places) in zip(metrics, counters, strict=True)
    ]


def _sum(columns: Sequence[Sequence[int]]) -> Sequence[int]:
    """Sums device by device, which wrap at 64 bits as the kernel's own."""
    first, *others = columns
    others = [column for column in others if any(column)]
    return [sum(numbers) & _WRAP for numbers in zip(first, *others, strict=True)] if others else first


class NetDev:
    """Asks the kernel, and reads the files where that is refused or `kernel` is None."""

    def __init__(self, files: Devices, kernel: Kernel | None) -> None:
        self._files = files
        self._kernel = kernel

    def collect(self) -> list[Family]:
        """Read and collect."""
        if self._kernel is not None:
            try:
                return self._kernel.collect()
            except (OSError, SourceError) as error:
                logger.debug("rtnetlink refused error=%s", error)
        return self._files.collect()


def build(host: Host) -> Collector:
    """The collector on this host."""
    settings = host.settings
    accept = accepts(include=settings[INCLUDE], exclude=settings[EXCLUDE])
    detailed, with_alias = settings[DETAILED_METRICS], settings[LABEL_ALIAS]
    files = Devices(
        host.tree, accept, detailed=detailed, with_alias=with_alias, with_unhandled=settings[NETLINK]
    )
    if not host.tree.proc_is_live:
        return Collector(files.collect)
    links = host.tree.shared(Links)
    kernel = Kernel(links, accept, detailed=detailed, with_alias=with_alias) if settings[NETLINK] else None
    found = NetDev(files, kernel)
    if not settings[ADDRESS_INFO]:
        return Collector(found.collect, links.close)
    return Collector(lambda: [*found.collect(), address_info(links, accept)], links.close)
