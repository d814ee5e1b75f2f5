"""The `fibrechannel` collector: node_fibrechannel_* of each host bus adapter, from /sys/class/fc_host.

Documentation/ABI/testing/sysfs-class-fc_host. A counter of all ones is one that the adapter does not have.
"""

from dataclasses import dataclass
from functools import partial

from exporters.collector import Collector, Host
from exporters.errors import NoDataError, SourceError
from exporters.samples import Family, Kind, Metric, label
from exporters.system.tree import Tree
from exporters.system.unchanged import Unchanged

_FOLDER = "class/fc_host"
_PROPERTIES = (
    "speed",
    "port_state",
    "port_type",
    "port_id",
    "port_name",
    "fabric_name",
    "symbolic_name",
    "supported_classes",
    "supported_speeds",
    "dev_loss_tmo",
)
_PREFIXED = {"port_id", "port_name", "fabric_name"}  # the kernel writes 0x before them
_INFO = Metric(
    "node_fibrechannel_info",
    Kind.GAUGE,
    "Properties of a host bus adapter; always 1.",
    ("fc_host", *_PROPERTIES),
)
_ABSENT = (1 << 64) - 1
_MOST_CHARACTERS = 128  # as far as node_exporter reads such a file


def _counter(name: str, text: str) -> Metric:
    return Metric(f"node_fibrechannel_{name}_total", Kind.COUNTER, text, ("fc_host",))


_COUNTERS = {
    "dumped_frames": _counter("dumped_frames", "Frames lost for want of host resources."),
    "error_frames": _counter("error_frames", "Frames received with errors."),
    "invalid_crc_count": _counter("invalid_crc", "Frames with a wrong check sum."),
    "rx_frames": _counter("rx_frames", "Frames received."),
    "rx_words": _counter("rx_words", "Words received."),
    "tx_frames": _counter("tx_frames", "Frames sent."),
    "tx_words": _counter("tx_words", "Words sent."),
    "seconds_since_last_reset": _counter("seconds_since_last_reset", "Seconds since the counters began."),
    "invalid_tx_word_count": _counter("invalid_tx_words", "Invalid words."),
    "link_failure_count": _counter("link_failure", "Times that the link failed."),
    "loss_of_sync_count": _counter("loss_of_sync", "Times that synchronisation was lost."),
    "loss_of_signal_count": _counter("loss_of_signal", "Times that the signal was lost."),
    "nos_count": _counter("nos", "Not-operational sequences received."),
    "fcp_packet_aborts": _counter("fcp_packet_aborts", "Packets that were aborted."),
}


@dataclass(frozen=True, slots=True)
class Adapter:
    """A host bus adapter: the values of its properties, and the counters that it has, by file name."""

    name: str
    properties: tuple[str, ...]
    counters: dict[str, int]


def read(tree: Tree) -> list[Adapter]:
    """Read each adapter.

    Raises:
        NoDataError: there is none.
        SourceError: a counter is no number.
    """
    names = tree.sys_list(_FOLDER)
    if not names:
        raise NoDataError("no fibre channel")
    return [
        Adapter(name, tuple(_property(tree, name, each) for each in _PROPERTIES), _counters(tree, name))
        for name in names
    ]


def _property(tree: Tree, adapter: str, name: str) -> str:
    value = label(tree.sys_or(f"{_FOLDER}/{adapter}/{name}", b"")[:_MOST_CHARACTERS].strip())
    return value[2:] if name in _PREFIXED and len(value) > 2 else value


def _counters(tree: Tree, adapter: str) -> dict[str, int]:
    counters = {}
    for name in _COUNTERS:
        path = f"{_FOLDER}/{adapter}/statistics/{name}"
        text = tree.sys_or(path, b"").strip()
        if not text:
            continue
        try:
            number = int(text, 0)
        except ValueError as error:
            raise SourceError(f"/sys/{path}", str(error)) from error
        if number != _ABSENT:
            counters[name] = number
    return counters


def collect(adapters: list[Adapter]) -> list[Family]:
    """The properties, and a family for each counter over the adapters that have it."""
    info = tuple((adapter.name, *adapter.properties) for adapter in adapters)
    families = [Family(_INFO, info, (1,) * len(info))]
    for name, metric in _COUNTERS.items():
        having = [adapter for adapter in adapters if name in adapter.counters]
        rows = tuple((adapter.name,) for adapter in having)
        families.append(Family(metric, rows, [adapter.counters[name] for adapter in having]))
    return families


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Unchanged(partial(read, host.tree), collect))
