"""Where the collectors read: /proc, /sys, the root file system and udev's data, each at a path that may be
another.

Files of a live /proc and /sys are opened once and read again from their start (the kernel writes them anew
for a read at offset 0; proc(5)), which saves two of five system calls. Files of a saved or mounted tree are
opened each time.
"""

import os
from pathlib import Path

from exporters.errors import SourceError

_CHUNK_BYTES = 1 << 16
_LIMIT_BYTES = 1 << 23
_MOST_OPEN_FILES = 512


class Tree:
    """The four roots of node_exporter's --path.* flags, and reading below them.

    Raises, from each method that reads:
        OSError: the file is not there or may not be read.
        SourceError: the file does not end.
    """

    def __init__(
        self,
        *,
        procfs: Path = Path("/proc"),
        sysfs: Path = Path("/sys"),
        rootfs: Path = Path("/"),
        udev_data: Path = Path("/run/udev/data"),
    ) -> None:
        self.rootfs = str(rootfs)
        self._procfs = str(procfs)
        self._sysfs = str(sysfs)
        self._udev_data = udev_data
        self._open: dict[str, int] = {}
        self._live = frozenset(root for root in ("/proc", "/sys") if root in (self._procfs, self._sysfs))

    def proc(self, name: str) -> bytes:
        """The file `name` below /proc."""
        return self._read(self._procfs, name)

    def sys(self, name: str) -> bytes:
        """The file `name` below /sys."""
        return self._read(self._sysfs, name)

    def sys_or(self, name: str, absent: bytes) -> bytes:
        """The file `name` below /sys, or `absent` where the kernel has no such file or refuses it."""
        try:
            return self._read(self._sysfs, name)
        except OSError:
            return absent

    def sys_list(self, name: str) -> list[str]:
        """Sorted names in a folder below /sys; none where there is no such folder."""
        try:
            return sorted(path.name for path in Path(self._sysfs, name).iterdir())
        except OSError:
            return []

    def udev(self, name: str) -> Path:
        """Path of a file of udev's data base."""
        return self._udev_data / name

    def below_root(self, path: str) -> str:
        """A path of the root file system, as this process reaches it."""
        return path if self.rootfs == "/" else self.rootfs + path

    def close(self) -> None:
        """Close the files that are kept open."""
        while self._open:
            os.close(self._open.popitem()[1])

    def _read(self, root: str, name: str) -> bytes:
        path = f"{root}/{name}"
        if root not in self._live:
            return read_file(path)
        descriptor = self._open.get(path)
        if descriptor is not None:
            try:
                return _read_whole(descriptor, path)
            except (
                OSError
            ):  # the device behind it has gone (ENODEV, ESRCH); one of the same name may have come
                os.close(self._open.pop(path))
        if len(self._open) >= _MOST_OPEN_FILES:
            return read_file(path)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._open[path] = descriptor
        return _read_whole(descriptor, path)


def read_file(path: str) -> bytes:
    """A whole file, opened and closed.

    Raises:
        OSError: it is not there or may not be read.
        SourceError: it does not end.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _read_whole(descriptor, path)
    finally:
        os.close(descriptor)


def _read_whole(descriptor: int, path: str) -> bytes:
    data = os.pread(descriptor, _CHUNK_BYTES, 0)
    size = len(data)
    # A file of several records comes a page at a time, whatever is asked for; only an empty read is the end.
    while chunk := os.pread(descriptor, _CHUNK_BYTES, size) if size else b"":
        data += chunk
        size = len(data)
        if size > _LIMIT_BYTES:
            raise SourceError(path, f"more than {_LIMIT_BYTES} bytes")
    return data
