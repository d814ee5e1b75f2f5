"""The `netdev` collector: node_network_{receive,transmit}_*_total of each network device.

/proc/net/dev has all but one of node_exporter's counters, already summed as its names want them (drop with
missed, frame with length, over and crc errors, carrier with aborted, heartbeat and window errors:
net/core/net-procfs.c); packets that nobody handled come from /sys.
"""

from collections.abc import Callable
from dataclasses import dataclass

from exporters.collector import Collector, Host
from exporters.errors import SourceError
from exporters.samples import Family, Kind, Metric, label
from exporters.settings import expression
from exporters.system.filters import accepts
from exporters.system.tree import Tree

INCLUDE = expression("collector.netdev.device-include", "", "Devices to report; not with device-exclude.")
EXCLUDE = expression("collector.netdev.device-exclude", "", "Devices not to report.")
SETTINGS = (INCLUDE, EXCLUDE)

_FIELDS = [
    "receive_bytes",
    "receive_packets",
    "receive_errs",
    "receive_drop",
    "receive_fifo",
    "receive_frame",
    "receive_compressed",
    "receive_multicast",
    "transmit_bytes",
    "transmit_packets",
    "transmit_errs",
    "transmit_drop",
    "transmit_fifo",
    "transmit_colls",
    "transmit_carrier",
    "transmit_compressed",
]


def _metric(field: str) -> Metric:
    return Metric(
        f"node_network_{field}_total", Kind.COUNTER, f"Network device statistic {field}.", ("device",)
    )


_METRICS = tuple(map(_metric, _FIELDS))
_NOHANDLER = _metric("receive_nohandler")
_HEAD_LINES = 2


@dataclass(frozen=True, slots=True)
class Raw:
    """The counters of each accepted device, in the order of /proc/net/dev, and its unhandled packets."""

    counters: dict[str, tuple[int, ...]]
    nohandler: dict[str, int]


class Devices:
    """Reports the devices that the filter accepts; by default all of them, as node_exporter does."""

    def __init__(self, tree: Tree, accept: Callable[[str], bool] | None = None) -> None:
        self._tree = tree
        self._accept = accepts() if accept is None else accept

    def collect(self) -> list[Family]:
        """Read and collect."""
        return collect(self.read())

    def read(self) -> Raw:
        """Read /proc/net/dev, and a file of /sys for each device."""
        counters = parse(self._tree.proc("net/dev"), self._accept)
        nohandler = {}
        for device in counters:
            text = self._tree.sys_or(f"class/net/{device}/statistics/rx_nohandler", b"").strip()
            if text.isdigit():
                nohandler[device] = int(text)
        return Raw(counters, nohandler)


def parse(text: bytes, accept: Callable[[str], bool]) -> dict[str, tuple[int, ...]]:
    """Counters by device name.

    Raises:
        SourceError: a line is not a name and sixteen numbers.
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
        if len(numbers) != len(_METRICS):
            raise SourceError("/proc/net/dev", f"{len(numbers)} counters of {device!r}")
        counters.setdefault(device, numbers)
    return counters


def collect(raw: Raw) -> list[Family]:
    """A family for each counter, over all devices."""
    if not raw.counters:
        return []
    rows = tuple((device,) for device in raw.counters)
    columns = zip(*raw.counters.values(), strict=True)
    families = [Family(metric, rows, column) for metric, column in zip(_METRICS, columns, strict=True)]
    known = tuple((device,) for device in raw.nohandler)
    families.append(Family(_NOHANDLER, known, tuple(raw.nohandler.values())))
    return families


def build(host: Host) -> Collector:
    """The collector on this host."""
    accept = accepts(include=host.settings[INCLUDE], exclude=host.settings[EXCLUDE])
    return Collector(Devices(host.tree, accept).collect)
