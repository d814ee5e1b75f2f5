"""Where the collectors read: /proc, /sys, the root file system and udev's data, each at a path that may be
another.

Files of a live /proc and /sys, wherever they are mounted, are opened once and read again from their start
(the kernel writes them anew for a read at offset 0; proc(5)), which saves two of five system calls. Files of
a saved tree are opened each time.
"""

import os
from errno import ENODEV
from pathlib import Path
from typing import TypeVar

from exporters.errors import SourceError

T = TypeVar("T")

_PAGE_BYTES = 1 << 12
_CHUNK_BYTES = 1 << 14
_LIMIT_BYTES = 1 << 23
_MOST_OPEN_FILES = 512
_RECORDS = frozenset(
    {
        *("loadavg", "meminfo", "self/statm", "stat"),
        *("net/netstat", "net/snmp", "net/snmp6", "net/sockstat", "net/sockstat6"),
        *("pressure/cpu", "pressure/io", "pressure/irq", "pressure/memory"),
    }
)
"""Files of /proc that the kernel writes as one record (single_open in their sources): a read that is given
less than it has room for was given all (seq_read_iter in fs/seq_file.c). So it is with /sys and /proc/sys."""


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
        self._udev_data = str(udev_data)
        self._open: dict[str, int] = {}
        self._live = frozenset(
            root for root, sign in ((self._procfs, "self"), (self._sysfs, "kernel")) if _is_live(root, sign)
        )
        self._shared: dict[type, object] = {}

    @property
    def proc_is_live(self) -> bool:
        """Whether /proc is the running kernel's, here or mounted elsewhere, and no saved copy."""
        return self._procfs in self._live

    @property
    def sys_is_live(self) -> bool:
        """Whether /sys is the running kernel's."""
        return self._sysfs in self._live

    def shared(self, kind: type[T]) -> T:
        """The one `kind()` of all collectors of this tree: they take turns with what it reads."""
        made = self._shared.get(kind)
        if not isinstance(made, kind):
            made = self._shared[kind] = kind()
        return made

    def proc(self, name: str) -> bytes:
        """The file `name` below /proc."""
        return self._read(self._procfs, name, is_record=name in _RECORDS or name.startswith("sys/"))

    def proc_or(self, name: str, absent: bytes) -> bytes:
        """The file `name` below /proc, or `absent` where the kernel has no such file or refuses it."""
        try:
            return self.proc(name)
        except OSError:
            return absent

    def proc_once(self, name: str) -> bytes:
        """The file `name` below /proc, not kept open: for files that come and go, as those of a process."""
        return read_file(f"{self._procfs}/{name}")

    def proc_list(self, name: str) -> list[str]:
        """Names in a folder below /proc, in no order."""
        return os.listdir(f"{self._procfs}/{name}")  # noqa: PTH208 - thousands of names, no objects wanted

    def sys(self, name: str) -> bytes:
        """The file `name` below /sys."""
        return self._read(self._sysfs, name, is_record=True)

    def sys_or(self, name: str, absent: bytes) -> bytes:
        """The file `name` below /sys, or `absent` where the kernel has no such file or refuses it."""
        try:
            return self.sys(name)
        except OSError:
            return absent

    def sys_once(self, name: str) -> bytes:
        """The first page of the file `name` below /sys, not kept open: for devices whose names others get."""
        return _read_page(f"{self._sysfs}/{name}")

    def attribute(self, name: str) -> bytes:
        """The attribute `name` below /sys, without the white space around it.

        One read has all of it: the kernel gives an attribute a page at most
        (https://docs.kernel.org/filesystems/sysfs.html).
        """
        path = f"{self._sysfs}/{name}"
        if self._sysfs not in self._live:
            return _read_page(path)
        descriptor = self._open.get(path)
        if descriptor is not None:
            try:
                return os.pread(descriptor, _PAGE_BYTES, 0).strip()
            except OSError as error:
                if error.errno != ENODEV:  # the sensor's own trouble: asking again costs its time again
                    raise
                os.close(self._open.pop(path))
        if len(self._open) >= _MOST_OPEN_FILES:
            return _read_page(path)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._open[path] = descriptor
        return os.pread(descriptor, _PAGE_BYTES, 0).strip()

    def sys_nodes(self, name: str) -> tuple[tuple[str, int], ...]:
        """Sorted names in a folder below /sys, each with its inode, which tells a device from the one that
        had its name before; none where there is no such folder.
        """
        try:
            with os.scandir(f"{self._sysfs}/{name}") as entries:
                return tuple(sorted((entry.name, entry.inode()) for entry in entries))
        except OSError:
            return ()

    def sys_has(self, name: str) -> bool:
        """Whether there is anything called `name` below /sys."""
        return os.access(f"{self._sysfs}/{name}", os.F_OK)

    def sys_path(self, name: str) -> str:
        """Path of what is called `name` below /sys."""
        return f"{self._sysfs}/{name}"

    def sys_list(self, name: str) -> list[str]:
        """Sorted names in a folder below /sys; none where there is no such folder."""
        try:
            return sorted(os.listdir(f"{self._sysfs}/{name}"))  # noqa: PTH208 - each scrape lists many
        except OSError:
            return []

    def udev(self, name: str) -> str:
        """Path of a file of udev's data base."""
        return f"{self._udev_data}/{name}"

    def below_root(self, path: str) -> str:
        """A path of the root file system, as this process reaches it."""
        return path if self.rootfs == "/" else self.rootfs + path

    def close(self) -> None:
        """Close the files that are kept open."""
        while self._open:
            os.close(self._open.popitem()[1])

    def _read(self, root: str, name: str, *, is_record: bool) -> bytes:
        path = f"{root}/{name}"
        if root not in self._live:
            return read_file(path)
        descriptor = self._open.get(path)
        if descriptor is not None:
            try:
                return _read_whole(descriptor, path, is_record=is_record)
            except (
                OSError
            ):  # the device behind it has gone (ENODEV, ESRCH); one of the same name may have come
                os.close(self._open.pop(path))
        if len(self._open) >= _MOST_OPEN_FILES:
            return read_file(path)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._open[path] = descriptor
        return _read_whole(descriptor, path, is_record=is_record)


def _is_live(root: str, sign: str) -> bool:
    """The root of procfs and of sysfs is inode 1 of a file system without a device (fs/proc/root.c,
    fs/kernfs/mount.c) and has this sign; a saved tree lies in a folder of an ordinary one.
    """
    try:
        status = os.stat(root)  # noqa: PTH116 - a path as text
    except OSError:
        return False
    is_root = status.st_ino == 1 and os.major(status.st_dev) == 0
    return is_root and os.path.lexists(f"{root}/{sign}")


def _read_page(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(descriptor, _PAGE_BYTES, 0).strip()
    finally:
        os.close(descriptor)


def read_file(path: str) -> bytes:
    """A whole file, opened and closed; a pipe in its place is not waited for.

    Raises:
        OSError: it is not there or may not be read, or is a pipe.
        SourceError: it does not end.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return _read_whole(descriptor, path)
    finally:
        os.close(descriptor)


def _read_whole(descriptor: int, path: str, *, is_record: bool = False) -> bytes:
    data = os.pread(descriptor, _CHUNK_BYTES, 0)
    size = len(data)
    if is_record and size < _CHUNK_BYTES:
        return data
    # A file of several records comes a page at a time, whatever is asked for; only an empty read is the end.
    while chunk := os.pread(descriptor, _CHUNK_BYTES, size) if size else b"":
        data += chunk
        size = len(data)
        if size > _LIMIT_BYTES:
            raise SourceError(path, f"more than {_LIMIT_BYTES} bytes")
    return data
