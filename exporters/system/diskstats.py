"""node_disk_* of each block device from /proc/diskstats, /sys/block and udev's data base.

Fields: kernel's Documentation/admin-guide/iostats.rst. Sectors there are 512 bytes whatever the device's own;
times are milliseconds. Partitions, loop and ram devices are left out by default, as in node_exporter.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from exporters.collector import Collector, Host
from exporters.errors import SourceError
from exporters.samples import Block, Family, Kind, Metric, Number, Shape, label
from exporters.settings import expression
from exporters.system.filters import accepts, chosen
from exporters.system.tree import Tree, read_file

INCLUDE = expression("collector.diskstats.device-include", "", "Devices to report; not with device-exclude.")
EXCLUDE = expression(
    "collector.diskstats.device-exclude",
    r"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$",
    "Devices not to report.",
)
SETTINGS = (INCLUDE, EXCLUDE)

_BYTES_PER_SECTOR = 512
_SECONDS_PER_MILLISECOND = 0.001  # a product as in node_exporter, whose last digits differ from a quotient's
_NAME_FIELDS = 3
_LEAST_FIELDS = 14
"""Before Linux 2.6.25 the line of a partition was shorter and meant something else."""


def _counter(name: str, text: str) -> Metric:
    return Metric(f"node_disk_{name}", Kind.COUNTER, text, ("device",))


_COLUMNS: tuple[tuple[Metric, float], ...] = (
    (_counter("reads_completed_total", "Reads completed."), 1),
    (_counter("reads_merged_total", "Reads merged with others in the queue."), 1),
    (_counter("read_bytes_total", "Bytes read."), _BYTES_PER_SECTOR),
    (
        _counter("read_time_seconds_total", "Time that all reads took together."),
        _SECONDS_PER_MILLISECOND,
    ),
    (_counter("writes_completed_total", "Writes completed."), 1),
    (_counter("writes_merged_total", "Writes merged with others in the queue."), 1),
    (_counter("written_bytes_total", "Bytes written."), _BYTES_PER_SECTOR),
    (
        _counter("write_time_seconds_total", "Time that all writes took together."),
        _SECONDS_PER_MILLISECOND,
    ),
    (Metric("node_disk_io_now", Kind.GAUGE, "Requests under way.", ("device",)), 1),
    (
        _counter("io_time_seconds_total", "Time with at least one request under way."),
        _SECONDS_PER_MILLISECOND,
    ),
    (
        _counter(
            "io_time_weighted_seconds_total",
            "Time that all requests took together, the ones under way included.",
        ),
        _SECONDS_PER_MILLISECOND,
    ),
    (_counter("discards_completed_total", "Discards completed."), 1),
    (_counter("discards_merged_total", "Discards merged with others in the queue."), 1),
    (_counter("discarded_sectors_total", "Sectors of 512 bytes discarded."), 1),
    (
        _counter("discard_time_seconds_total", "Time that all discards took together."),
        _SECONDS_PER_MILLISECOND,
    ),
    (_counter("flush_requests_total", "Flushes completed."), 1),
    (
        _counter(
            "flush_requests_time_seconds_total",
            "Time that all flushes took together.",
        ),
        _SECONDS_PER_MILLISECOND,
    ),
)
_INFO = Metric(
    "node_disk_info",
    Kind.GAUGE,
    "What the device is.",
    ("device", "major", "minor", "model", "path", "revision", "rotational", "serial", "wwn"),
)
_FILESYSTEM = Metric(
    "node_disk_filesystem_info",
    Kind.GAUGE,
    "The file system on the device.",
    ("device", "type", "usage", "uuid", "version"),
)
_MAPPER = Metric(
    "node_disk_device_mapper_info",
    Kind.GAUGE,
    "What the device mapper says of the device.",
    ("device", "lv_layer", "lv_name", "name", "uuid", "vg_name"),
)
_ATA = {
    "ID_ATA_WRITE_CACHE": Metric(
        "node_disk_ata_write_cache", Kind.GAUGE, "Whether the ATA disk has a write cache.", ("device",)
    ),
    "ID_ATA_WRITE_CACHE_ENABLED": Metric(
        "node_disk_ata_write_cache_enabled",
        Kind.GAUGE,
        "Whether the ATA disk's write cache is on.",
        ("device",),
    ),
    "ID_ATA_ROTATION_RATE_RPM": Metric(
        "node_disk_ata_rotation_rate_rpm",
        Kind.GAUGE,
        "Rotations a minute of the ATA disk; 0 of one without platters.",
        ("device",),
    ),
}


@dataclass(frozen=True, slots=True)
class Disk:
    """One line of /proc/diskstats, and what /sys and udev add: "1" for a spinning disk, and properties."""

    name: str
    major: str
    minor: str
    counters: tuple[int, ...]
    rotational: str
    properties: Mapping[str, str]


class Disks:
    """Keeps udev's answer for a device until its file changes."""

    def __init__(self, tree: Tree, accept: Callable[[str], bool] | None = None) -> None:
        self._tree = tree
        self._accept = accepts(exclude=EXCLUDE.default) if accept is None else accept
        self._udev: dict[str, tuple[tuple[int, int], Mapping[str, str]]] = {}
        self._known: Sequence[tuple[object, ...]] = ()
        self._shape = Shape(())
        self._end: list[Number] = []

    def collect(self) -> Sequence[Family]:
        """Read and collect; while the devices are the same, only their counters are news."""
        raw = self.read()
        known = [
            (disk.name, disk.major, disk.minor, disk.rotational, disk.properties, len(disk.counters))
            for disk in raw
        ]
        if known != self._known:
            families = collect(raw)
            self._shape = Shape((family.metric, family.rows) for family in families)
            self._end = [value for family in families[len(_COLUMNS) + bool(raw) :] for value in family.values]
            self._known = known
        return Block(self._shape, (*[1] * len(raw), *_counted(raw), *self._end))

    def read(self) -> list[Disk]:
        """The accepted devices.

        Raises:
            SourceError: a line of /proc/diskstats is malformed.
        """
        disks = []
        for line in self._tree.proc("diskstats").split(b"\n"):
            fields = line.split()
            if len(fields) < _LEAST_FIELDS or not self._accept(name := label(fields[2])):
                continue
            try:
                counters = tuple(map(int, fields[_NAME_FIELDS:]))
            except ValueError as error:
                raise SourceError("/proc/diskstats", str(error)) from error
            disks.append(self._disk(name, label(fields[0]), label(fields[1]), counters))
        return disks

    def _disk(self, name: str, major: str, minor: str, counters: tuple[int, ...]) -> Disk:
        # The slash of a device such as cciss/c0d0 is an exclamation mark in /sys.
        spinning = self._tree.sys_or(f"block/{name.replace('/', '!')}/queue/rotational", b"0").strip() == b"1"
        return Disk(
            name, major, minor, counters, "1" if spinning else "0", self._properties(f"b{major}:{minor}")
        )

    def _properties(self, name: str) -> Mapping[str, str]:
        path = self._tree.udev(name)
        try:
            status = os.stat(path)  # noqa: PTH116 - a path as text
            stamp = (status.st_ino, status.st_mtime_ns)
            known = self._udev.get(name)
            if known is None or known[0] != stamp:
                known = self._udev[name] = (stamp, parse_properties(read_file(path)))
        except OSError:  # no udev here, as in a container: the labels stay empty
            return {}
        return known[1]


def parse_properties(text: bytes) -> dict[str, str]:
    """The device properties, lines `E:NAME=VALUE`, of a file below /run/udev/data (systemd's sd-device)."""
    lines = (label(line[2:]) for line in text.split(b"\n") if line.startswith(b"E:"))
    return {name: value for name, equals, value in (line.partition("=") for line in lines) if equals}


def collect(raw: list[Disk]) -> list[Family]:
    """A family for each field; an old kernel's lines are shorter and lack the later ones."""
    families = [Family(_INFO, tuple(map(_info_row, raw)), (1,) * len(raw))] if raw else []
    all_rows = tuple((disk.name,) for disk in raw)
    for place, (metric, factor) in enumerate(_COLUMNS):
        disks = [disk for disk in raw if len(disk.counters) > place]
        rows = all_rows if len(disks) == len(raw) else tuple((disk.name,) for disk in disks)
        families.append(Family(metric, rows, [disk.counters[place] * factor for disk in disks]))
    with_filesystem = tuple(_filesystem_row(disk) for disk in raw if disk.properties.get("ID_FS_TYPE"))
    mapped = tuple(_mapper_row(disk) for disk in raw if disk.properties.get("DM_NAME"))
    families.append(Family(_FILESYSTEM, with_filesystem, (1,) * len(with_filesystem)))
    families.append(Family(_MAPPER, mapped, (1,) * len(mapped)))
    return families + [_ata(raw, name, metric) for name, metric in _ATA.items()]


def _counted(raw: list[Disk]) -> list[Number]:
    """The values of all columns, one after the other."""
    return [
        disk.counters[place] * factor
        for place, (_, factor) in enumerate(_COLUMNS)
        for disk in raw
        if place < len(disk.counters)
    ]


def _info_row(disk: Disk) -> tuple[str, ...]:
    known = disk.properties
    serial = known.get("SCSI_IDENT_SERIAL") or known.get("ID_SERIAL_SHORT") or known.get("ID_SERIAL", "")
    model, path, revision = (known.get(name, "") for name in ("ID_MODEL", "ID_PATH", "ID_REVISION"))
    wwn = known.get("ID_WWN", "")
    return (disk.name, disk.major, disk.minor, model, path, revision, disk.rotational, serial, wwn)


def _filesystem_row(disk: Disk) -> tuple[str, ...]:
    names = ("ID_FS_TYPE", "ID_FS_USAGE", "ID_FS_UUID", "ID_FS_VERSION")
    return (disk.name, *(disk.properties.get(name, "") for name in names))


def _mapper_row(disk: Disk) -> tuple[str, ...]:
    names = ("DM_LV_LAYER", "DM_LV_NAME", "DM_NAME", "DM_UUID", "DM_VG_NAME")
    return (disk.name, *(disk.properties.get(name, "") for name in names))


def _ata(raw: list[Disk], name: str, metric: Metric) -> Family:
    rows, values = [], []
    for disk in raw:
        text = disk.properties.get(name, "")
        if disk.properties.get("ID_ATA") and text.isascii() and text.isdigit():
            rows.append((disk.name,))
            values.append(int(text))
    return Family(metric, tuple(rows), values)


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Disks(host.tree, chosen(host.settings, INCLUDE, EXCLUDE)).collect)
