"""The `drbd` collector: node_drbd_* of /proc/drbd, which DRBD 8 has; off by default.

The letters: "Status information in /proc/drbd" of https://linbit.com/drbd-user-guide/users-guide-drbd-8-4/.
KiB become bytes, but for nr, which node_exporter leaves as it is.
"""

from functools import partial

from exporters.collector import Collector, Host
from exporters.errors import NoDataError, SourceError
from exporters.samples import Family, Kind, Metric, Number, Row, label
from exporters.system.tree import Tree
from exporters.system.unchanged import Unchanged

_KIB = 1024


def _metric(name: str, kind: Kind, words: str, labels: tuple[str, ...] = ("device",)) -> Metric:
    return Metric(f"node_drbd_{name}", kind, words, labels)


_NUMBERS: dict[str, tuple[Metric, int]] = {
    "ns": (_metric("network_sent_bytes_total", Kind.COUNTER, "Bytes sent to the peer."), _KIB),
    "nr": (_metric("network_received_bytes_total", Kind.COUNTER, "KiB received from the peer."), 1),
    "dw": (_metric("disk_written_bytes_total", Kind.COUNTER, "Bytes written to the disk here."), _KIB),
    "dr": (_metric("disk_read_bytes_total", Kind.COUNTER, "Bytes read from the disk here."), _KIB),
    "al": (_metric("activitylog_writes_total", Kind.COUNTER, "Updates of the activity log."), 1),
    "bm": (_metric("bitmap_writes_total", Kind.COUNTER, "Updates of the bitmap."), 1),
    "lo": (_metric("local_pending", Kind.GAUGE, "Requests to the disk here that are open."), 1),
    "pe": (_metric("remote_pending", Kind.GAUGE, "Requests to the peer that it has not answered."), 1),
    "ua": (_metric("remote_unacknowledged", Kind.GAUGE, "Requests of the peer not answered yet."), 1),
    "ap": (_metric("application_pending", Kind.GAUGE, "Requests of programs not answered yet."), 1),
    "ep": (_metric("epochs", Kind.GAUGE, "Epochs under way."), 1),
    "oos": (_metric("out_of_sync_bytes", Kind.GAUGE, "Bytes known to be out of sync."), _KIB),
}
_SIDES: dict[str, tuple[Metric, str]] = {
    "ro": (
        _metric("node_role_is_primary", Kind.GAUGE, "Whether the node is primary.", ("device", "node")),
        "Primary",
    ),
    "ds": (
        _metric(
            "disk_state_is_up_to_date", Kind.GAUGE, "Whether its disk is up to date.", ("device", "node")
        ),
        "UpToDate",
    ),
}
_CONNECTED = _metric("connected", Kind.GAUGE, "Whether the peer is connected.")

Seen = dict[Metric, dict[Row, Number]]


def read(tree: Tree) -> bytes:
    """The text of /proc/drbd.

    Raises:
        NoDataError: there is none.
    """
    try:
        return tree.proc("drbd")
    except FileNotFoundError as error:
        raise NoDataError("no /proc/drbd") from error


def collect(raw: bytes) -> list[Family]:
    """What stands in the words `key:value`; a number alone, `0:`, begins a device.

    Raises:
        SourceError: a number is none.
    """
    seen: Seen = {}
    device = "unknown"
    for word in raw.split():
        key, _, value = label(word).partition(":")
        if value == "" and key.isascii() and key.isdigit() and word.endswith(b":"):
            device = f"drbd{int(key)}"
        elif ":" not in value:
            _note(seen, device, key, value)
    return [Family(metric, tuple(rows), tuple(rows.values())) for metric, rows in seen.items()]


def _note(seen: Seen, device: str, key: str, value: str) -> None:
    if key in _NUMBERS:
        metric, factor = _NUMBERS[key]
        try:
            seen.setdefault(metric, {}).setdefault((device,), int(value) * factor)
        except ValueError as error:
            raise SourceError("/proc/drbd", f"{key}:{value}") from error
    elif key in _SIDES and "/" in value:
        metric, well = _SIDES[key]
        for side, state in zip(("local", "remote"), value.split("/"), strict=False):
            seen.setdefault(metric, {}).setdefault((device, side), int(state == well))
    elif key == "cs":
        seen.setdefault(_CONNECTED, {}).setdefault((device,), int(value == "Connected"))


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Unchanged(partial(read, host.tree), collect))
