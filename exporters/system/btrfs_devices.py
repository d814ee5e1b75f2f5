"""What a btrfs file system says of its devices when asked by ioctl at a mount point.

Numbers and structures: include/uapi/linux/btrfs.h. None of the three calls needs a privilege but to open the
mount point.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from errno import ENODEV
from fcntl import ioctl
from struct import Struct

from exporters.system.filesystem import Mount
from exporters.system.tree import Tree

_FS_INFO = 0x8400941F
_FS_INFO_BYTES = 1024
_FS = Struct("=QQ16s")
_DEV_INFO = 0xD000941E
_DEV_INFO_BYTES = 4096
_DEV = Struct("=Q16sQQ")
_PATH_BYTES = 1024
_DEV_STATS = 0xC4089434
_DEV_STATS_BYTES = 1032
_STATS = Struct("=QQQ5Q")
_COUNTERS = 5
_MOST_DEVICES = 1024

Ioctl = Callable[[int, int, bytearray], int]


@dataclass(frozen=True, slots=True)
class Errors:
    """Errors of a device since somebody last set them to 0."""

    write: int
    read: int
    flush: int
    corruption: int
    generation: int


@dataclass(frozen=True, slots=True)
class Device:
    """A device: name without its folder, own UUID, bytes and errors."""

    name: str
    uuid: str
    size: int
    used: int
    errors: Errors


class Devices:
    """Asks each file system once, at the first of its mount points that answers."""

    def __init__(self, tree: Tree, call: Ioctl = ioctl) -> None:
        self._tree = tree
        self._call = call

    def read(self, mounts: Sequence[Mount]) -> dict[str, tuple[Device, ...]]:
        """Devices by the UUID of their file system, 32 hexadecimal digits."""
        found: dict[str, tuple[Device, ...]] = {}
        done = set()
        for mount in mounts:
            if mount.kind == "btrfs" and mount.device not in done:
                try:
                    uuid, devices = self._ask(self._tree.below_root(os.fsdecode(mount.path)))
                except OSError:  # another mount point may be open to us
                    continue
                done.add(mount.device)
                found.setdefault(uuid, devices)
        return found

    def _ask(self, path: str) -> tuple[str, tuple[Device, ...]]:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            answer = bytearray(_FS_INFO_BYTES)
            self._call(descriptor, _FS_INFO, answer)
            last, count, uuid = _FS.unpack_from(answer)
            return uuid.hex(), tuple(self._devices(descriptor, last, count))
        finally:
            os.close(descriptor)

    def _devices(self, descriptor: int, last: int, count: int) -> Iterator[Device]:
        """Numbers of devices begin anywhere and have gaps."""
        for number in range(min(last, _MOST_DEVICES) + 1):
            if not count:
                return
            try:
                yield self._device(descriptor, number)
            except OSError as error:
                if error.errno != ENODEV:
                    raise
            else:
                count -= 1

    def _device(self, descriptor: int, number: int) -> Device:
        info = bytearray(_DEV_INFO_BYTES)
        _DEV.pack_into(info, 0, number, b"", 0, 0)
        self._call(descriptor, _DEV_INFO, info)
        _, uuid, used, size = _DEV.unpack_from(info)
        path = bytes(info[-_PATH_BYTES:]).partition(b"\0")[0]
        stats = bytearray(_DEV_STATS_BYTES)
        _STATS.pack_into(stats, 0, number, _COUNTERS, *(0,) * (1 + _COUNTERS))
        self._call(descriptor, _DEV_STATS, stats)
        counters = _STATS.unpack_from(stats)[-_COUNTERS:]
        name = path.rpartition(b"/")[2].decode("utf-8", "replace")
        return Device(name, dashed(uuid), size, used, Errors(*counters))


def dashed(uuid: bytes) -> str:
    """A UUID as people write it."""
    digits = uuid.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
