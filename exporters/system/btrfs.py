"""The `btrfs` collector: node_btrfs_* of /sys/fs/btrfs, and of each device what the file system answers.

/sys: https://btrfs.readthedocs.io/en/latest/ch-sysfs.html. Errors and free space of devices come by ioctl
from a mount point (exporters/system/btrfs_devices.py); where that is not allowed, only their size is told.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from exporters.collector import Collector, Host
from exporters.errors import SourceError
from exporters.samples import Family, Kind, Metric, Number, Row, label
from exporters.system.btrfs_devices import Device, Devices
from exporters.system.devices import count, text
from exporters.system.filesystem import Mount, parse
from exporters.system.tree import Tree

_FOLDER = "fs/btrfs"
_BYTES_PER_SECTOR = 512
_TYPES = ("data", "metadata", "system")
_COPIES = {"single": 1, "raid0": 1, "dup": 2, "raid1": 2, "raid10": 2, "raid1c3": 3, "raid1c4": 4}
_WORDS = 2
_PARITIES = {"raid5": 1, "raid6": 2}


def _metric(name: str, words: str, *labels: str) -> Metric:
    kind = Kind.COUNTER if name.endswith("_total") else Kind.GAUGE
    return Metric(f"node_btrfs_{name}", kind, words, ("uuid", *labels))


_INFO = _metric("info", "The file system.", "label")
_RESERVE = _metric("global_rsv_size_bytes", "Size of the global reserve.")
_COMMITS = _metric("commits_total", "Commits.")
_LAST = _metric("last_commit_seconds", "Duration of the last commit.")
_LONGEST = _metric("max_commit_seconds", "Duration of the longest commit.")
_SECONDS = _metric("commit_seconds_total", "Time spent on commits.")
_RESERVED = _metric("reserved_bytes", "Space that is reserved.", "block_group_type")
_USED = _metric("used_bytes", "Space in use.", "block_group_type", "mode")
_SIZE = _metric("size_bytes", "Space allocated.", "block_group_type", "mode")
_RATIO = _metric("allocation_ratio", "Bytes on devices for a byte of data.", "block_group_type", "mode")
_DEVICE_SIZE = Metric(
    "node_btrfs_device_size_bytes",
    Kind.GAUGE,
    "Size of the device.",
    ("uuid", "btrfs_dev_uuid", "device"),
    is_sparse=True,
)
_UNUSED = _metric(
    "device_unused_bytes", "Space of the device that is not allocated.", "btrfs_dev_uuid", "device"
)
_ERRORS = _metric("device_errors_total", "Errors of the device.", "btrfs_dev_uuid", "device", "type")


@dataclass(frozen=True, slots=True)
class Layout:
    """What one type of data takes in one profile."""

    kind: str
    mode: str
    total: int
    used: int


@dataclass(frozen=True, slots=True)
class Volume:
    """A file system; `commits` has the counters of commit_stats, `sizes` bytes by device."""

    uuid: str
    label: str
    reserve: int
    commits: Mapping[str, int]
    reserved: Mapping[str, int]
    layouts: Sequence[Layout]
    sizes: Mapping[str, int]
    devices: Sequence[Device] | None


class Volumes:
    """The file systems of this host. `devices` asks them by ioctl."""

    def __init__(self, tree: Tree, devices: Devices | None = None) -> None:
        self._tree = tree
        self._devices = Devices(tree) if devices is None else devices

    def collect(self) -> list[Family]:
        """Read and collect."""
        return collect(self.read())

    def read(self) -> list[Volume]:
        """The file systems.

        Raises:
            SourceError: commit_stats is malformed.
        """
        names = [name for name in self._tree.sys_list(_FOLDER) if "-" in name]
        if not names:
            return []
        asked = self._devices.read(self._mounts())
        return [self._volume(name, asked) for name in names]

    def _mounts(self) -> list[Mount]:
        try:
            return parse(self._tree.proc("1/mountinfo"), self._tree.rootfs)
        except (OSError, SourceError):  # hidden from us, or not there: /sys is what is left
            return []

    def _volume(self, name: str, asked: Mapping[str, tuple[Device, ...]]) -> Volume:
        folder = f"{_FOLDER}/{name}"
        uuid = text(self._tree, f"{folder}/metadata_uuid") or name
        sizes = {
            device: self._number(f"{folder}/devices/{device}/size") * _BYTES_PER_SECTOR
            for device in self._tree.sys_list(f"{folder}/devices")
        }
        return Volume(
            uuid,
            text(self._tree, f"{folder}/label"),
            self._number(f"{folder}/allocation/global_rsv_size"),
            commits(self._tree.sys_or(f"{folder}/commit_stats", b"")),
            {kind: self._number(f"{folder}/allocation/{kind}/bytes_reserved") for kind in _TYPES},
            tuple(self._layouts(f"{folder}/allocation")),
            sizes,
            asked.get(uuid.replace("-", "")),
        )

    def _layouts(self, folder: str) -> Iterator[Layout]:
        for kind in _TYPES:
            for mode in self._tree.sys_list(f"{folder}/{kind}"):
                place = f"{folder}/{kind}/{mode}"
                if self._tree.sys_list(place):
                    total, used = self._number(f"{place}/total_bytes"), self._number(f"{place}/used_bytes")
                    yield Layout(kind, mode, total, used)

    def _number(self, file: str) -> int:
        """A number of /sys; 0 where the kernel does not have it, as in node_exporter."""
        return count(text(self._tree, file).encode()) or 0


def commits(raw: bytes) -> dict[str, int]:
    """Counters of commit_stats, which Linux has since 6.0.

    Raises:
        SourceError: a line is not a word and a number.
    """
    counters = {}
    for line in raw.split(b"\n"):
        words = line.split()
        if words:
            number = count(words[-1])
            if len(words) != _WORDS or number is None:
                raise SourceError("commit_stats", f"malformed line {line[:80]!r}")
            counters[label(words[0])] = number
    return counters


def ratio(mode: str, devices: int) -> float:
    """How many bytes a profile takes for one of data; 0 where it is not known."""
    if mode in _PARITIES:
        parity = _PARITIES[mode]
        return devices / (devices - parity) if devices > parity else 0
    return _COPIES.get(mode, 0)


Sample = tuple[Metric, Row, Number]


def collect(raw: Sequence[Volume]) -> list[Family]:
    """Sizes, commits and devices of each file system."""
    found: dict[Metric, dict[Row, Number]] = {}
    for volume in raw:
        for metric, row, value in (*_of_volume(volume), *_of_devices(volume)):
            found.setdefault(metric, {})[volume.uuid, *row] = value
    return [Family(metric, tuple(rows), tuple(rows.values())) for metric, rows in found.items()]


def _of_volume(volume: Volume) -> Iterator[Sample]:
    yield _INFO, (volume.label,), 1
    yield _RESERVE, (), volume.reserve
    yield _COMMITS, (), volume.commits.get("commits", 0)
    yield _LAST, (), volume.commits.get("last_commit_ms", 0) / 1000
    yield _LONGEST, (), volume.commits.get("max_commit_ms", 0) / 1000
    yield _SECONDS, (), volume.commits.get("total_commit_ms", 0) / 1000
    for kind, reserved in volume.reserved.items():
        yield _RESERVED, (kind,), reserved
    for layout in volume.layouts:
        row = (layout.kind, layout.mode)
        yield _USED, row, layout.used
        yield _SIZE, row, layout.total
        yield _RATIO, row, ratio(layout.mode, len(volume.sizes))


def _of_devices(volume: Volume) -> Iterator[Sample]:
    if volume.devices is None:
        for name, size in volume.sizes.items():
            yield _DEVICE_SIZE, ("", name), size
        return
    for device in volume.devices:
        row = (device.uuid, device.name)
        yield _DEVICE_SIZE, row, device.size
        yield _UNUSED, row, device.size - device.used
        yield _ERRORS, (*row, "write"), device.errors.write
        yield _ERRORS, (*row, "read"), device.errors.read
        yield _ERRORS, (*row, "flush"), device.errors.flush
        yield _ERRORS, (*row, "corruption"), device.errors.corruption
        yield _ERRORS, (*row, "generation"), device.errors.generation


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Volumes(host.tree).collect)
