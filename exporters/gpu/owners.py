"""Who owns a process: the user, and the container or Proxmox guest that it runs in.

Read from /proc/PID/status and /proc/PID/cgroup (proc(5), cgroups(7)); names of users come from passwd below
--path.rootfs. The names of control groups are those that the runtimes give: docker-ID.scope and /docker/ID,
cri-containerd-ID.scope, crio-ID.scope, libpod-ID.scope (podman), kubepods/…/ID, lxc/NNN and lxc.payload.NNN,
qemu.slice/NNN.scope (Proxmox VE). A process that is gone or of another pid namespace has no owner here.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from exporters.errors import SourceError
from exporters.system.passwd import names
from exporters.system.tree import Tree, read_file

UNKNOWN = "unknown"
_SHORT_ID = 12
_LONG_ID = 64
_HEXADECIMAL = frozenset(b"0123456789abcdef")
_RUNTIMES = {
    b"docker-": "docker",
    b"cri-containerd-": "containerd",
    b"nerdctl-": "containerd",
    b"crio-": "crio",
    b"libpod-": "podman",
}
_PARENTS = {b"docker": "docker", b"libpod_parent": "podman", b"garden": "garden"}
_START_TIME = 19
"""Place of `starttime` in /proc/PID/stat behind the command's closing bracket (field 22; proc(5))."""


@dataclass(frozen=True, slots=True)
class Owner:
    """`container` is its id, as short as `docker ps` shows it, and `guest` such as lxc/101 or qemu/100; empty
    where the process is in none.
    """

    user: str
    container: str = ""
    runtime: str = ""
    guest: str = ""


NOBODY = Owner(UNKNOWN)


class Owners:
    """Finds owners by pid; a process is read once in its life, and told from a later one by its start."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._known: dict[int, tuple[bytes, Owner]] = {}
        self._names: dict[int, str] = {}
        self._passwd = Path(tree.below_root("/etc/passwd"))
        self._version: tuple[int, int, int] | None = None

    def of(self, pids: set[int]) -> dict[int, Owner]:
        """Owners of these processes; one that has just gone keeps the owner that it had."""
        self._learn_names()
        found = {pid: self._owner(pid) for pid in pids}
        for pid in self._known.keys() - pids:
            del self._known[pid]
        return found

    def _owner(self, pid: int) -> Owner:
        known = self._known.get(pid)
        try:
            start = start_time(self._tree.proc_once(f"{pid}/stat"))
            if known is not None and known[0] == start:
                return known[1]
            status = self._tree.proc_once(f"{pid}/status")
            cgroup = self._tree.proc_once(f"{pid}/cgroup")
            number = uid(status)
        except (OSError, SourceError):
            return NOBODY if known is None else known[1]
        container, runtime, guest = place(cgroup)
        owner = Owner(self._names.get(number, str(number)), container, runtime, guest)
        self._known[pid] = (start, owner)
        return owner

    def _learn_names(self) -> None:
        """Read passwd again where it is another one than before. A uid that it does not have, as those of a
        container, is called by its number.
        """
        try:
            stat = self._passwd.stat()
            version = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if version == self._version:
                return
            self._names = names(read_file(str(self._passwd)))
        except (OSError, SourceError):
            version, self._names = None, {}
        if version != self._version:
            self._version = version
            self._known.clear()


def start_time(stat: bytes) -> bytes:
    """When a process started, in clock ticks since boot.

    Raises:
        SourceError: this is no /proc/PID/stat.
    """
    fields = stat.rpartition(b")")[2].split()
    if len(fields) <= _START_TIME:
        raise SourceError("/proc/PID/stat", "too few fields")
    return fields[_START_TIME]


def uid(status: bytes) -> int:
    """The real uid of a process.

    Raises:
        SourceError: there is none.
    """
    for line in status.split(b"\n"):
        if line.startswith(b"Uid:"):
            fields = line.split()
            if len(fields) > 1 and fields[1].isdigit():
                return int(fields[1])
    raise SourceError("/proc/PID/status", "no Uid")


def place(cgroup: bytes) -> tuple[str, str, str]:
    """Container id, runtime and guest of a process's /proc/PID/cgroup; empty where it is in none.

    The unified hierarchy (0::) comes last in the file and the lines of version 1 before it; the first line
    that tells wins.
    """
    container, runtime, guest = "", "", ""
    for line in cgroup.split(b"\n"):
        parts = line.partition(b":")[2].partition(b":")[2].split(b"/")
        for parent, part in pairwise(parts):
            guest = guest or _guest(parent, part)
            if not container:
                container, runtime = _container(parent, part, parts)
        if container or guest:
            break
    return container, runtime, guest


def _guest(parent: bytes, part: bytes) -> str:
    name, _, kind = part.rpartition(b".")
    if parent == b"qemu.slice" and kind == b"scope" and name.isdigit():
        return f"qemu/{name.decode()}"
    if parent == b"lxc" and part.isdigit():
        return f"lxc/{part.decode()}"
    if part.startswith(b"lxc.payload.") and kind.isdigit():
        return f"lxc/{kind.decode()}"
    return ""


def _container(parent: bytes, part: bytes, parts: list[bytes]) -> tuple[str, str]:
    name = part.removesuffix(b".scope").removesuffix(b".service")
    for prefix, runtime in _RUNTIMES.items():
        if name.startswith(prefix) and _is_id(name[len(prefix) :]):
            return name[len(prefix) : len(prefix) + _SHORT_ID].decode(), runtime
    if _is_id(part):
        runtime = _PARENTS.get(
            parent, "kubernetes" if any(b"kubepods" in one for one in parts) else "container"
        )
        return part[:_SHORT_ID].decode(), runtime
    return "", ""


def _is_id(name: bytes) -> bool:
    return len(name) == _LONG_ID and _HEXADECIMAL.issuperset(name)
