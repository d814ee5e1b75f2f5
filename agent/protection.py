"""What no kind of action may ever read or write, whatever agent.yaml allows.

Steward's own files (configuration, trust, journal, keys, units), /etc/shadow and its companions, sudoers,
PAM, /root/.ssh and the unit directories (actions.md section 5); and /proc and /sys, which show the memory of
whatever holds a key. Symbolic links are resolved; bind mounts
are found through /proc/self/mountinfo (proc(5)): a protected path is also protected under every other name
that its file system is mounted at. The twin of a protected secret with a second hard link cannot be found
without reading the whole disk, so nothing is read while such a twin exists.

A place that this process may not even look at (an executor without root, /root/.ssh) is protected by name:
what it cannot see it cannot read either.
"""

import contextlib
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

__all__ = ["SYSTEM_PATHS", "Mount", "Protection", "aliases", "parse_mounts"]

SYSTEM_PATHS = (
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/pam.conf",
    "/etc/pam.d",
    "/etc/systemd/system",
    "/etc/systemd/user",
    "/usr/lib/systemd/system",
    "/usr/local/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/system",
    "/root/.ssh",
    "/proc",
    "/sys",
)
"""Protected on every host."""

_SECRETS = ("/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/root/.ssh")
"""Of these a second hard link is an objection; packages may hard-link unit files among each other."""


@dataclass(frozen=True)
class Mount:
    """One line of mountinfo: device, the part of its file system that is mounted, and where."""

    device: str
    root: PurePosixPath
    point: PurePosixPath


def parse_mounts(text: str) -> list[Mount]:
    """Read /proc/self/mountinfo; fields 3 to 5, octal escapes undone."""
    mounts = []
    for line in text.split("\n"):  # a name may hold any other sign that splitlines() would break at
        fields = line.split(" ")
        if len(fields) >= 5:
            mounts.append(Mount(fields[2], _path(fields[3]), _path(fields[4])))
    return mounts


def aliases(path: PurePosixPath, mounts: Sequence[Mount]) -> set[PurePosixPath]:
    """Return every name under which a resolved path, or a part of it, is reachable through mounts."""
    covering = [mount for mount in mounts if path.is_relative_to(mount.point)]
    if not covering:
        return {path}
    # The last mount on the longest mount point is the one that is seen.
    home = max(enumerate(covering), key=lambda item: (len(item[1].point.parts), item[0]))[1]
    inside = home.root / path.relative_to(home.point)
    found = {path}
    for mount in mounts:
        if mount.device != home.device:
            continue
        if inside.is_relative_to(mount.root):
            found.add(mount.point / inside.relative_to(mount.root))
        elif mount.root.is_relative_to(inside):
            found.add(mount.point)
    return found


class Protection:
    """The protected places of this host at this moment, under all their names."""

    def __init__(self, own: Iterable[Path], mounts: Sequence[Mount] | None = None) -> None:
        """Take Steward's own files and directories; what does not exist yet is protected by name."""
        known = _mounts() if mounts is None else mounts
        mine = list(own)
        self.paths: set[PurePosixPath] = set()
        self._inodes: set[tuple[int, int]] = set()
        for place in (*mine, *(Path(path) for path in SYSTEM_PATHS)):
            real = Path(os.path.realpath(place))
            self.paths |= aliases(PurePosixPath(real), known)
            if (inode := _inode(real)) is not None:
                self._inodes.add(inode)
        self._secrets = (*mine, *(Path(path) for path in _SECRETS))

    def objection(self, path: Path) -> str:
        """Say why a resolved path must not be touched as a whole, or return an empty string."""
        pure = PurePosixPath(path)
        for protected in self.paths:
            if pure.is_relative_to(protected):
                return f"{path} is or lies in a protected place"
        for place in (path, *path.parents):
            if _inode(place) in self._inodes:
                return f"{path} is or lies in a protected place under another name"
        return ""

    def inside(self, path: Path) -> list[str]:
        """Return the protected places below a resolved path, to be left out of what is read there."""
        pure = PurePosixPath(path)
        return sorted(str(protected) for protected in self.paths if protected.is_relative_to(pure))

    def twins(self) -> list[str]:
        """Return protected secrets that have a second hard link somewhere."""
        found: list[str] = []
        for place in self._secrets:
            found += [str(path) for path in _near(place) if _has_twin(path)]
        return sorted(found)


def _mounts() -> list[Mount]:
    # Anybody who may mount chooses the name, which need not be UTF-8.
    return parse_mounts(Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape"))


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _near(place: Path) -> list[Path]:
    """Return a place and what lies up to two levels below it."""
    found = [place]
    with contextlib.suppress(OSError):
        found += [*place.glob("*"), *place.glob("*/*")]
    return found


def _has_twin(path: Path) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_nlink > 1


def _path(field: str) -> PurePosixPath:
    """Undo the octal escapes of mountinfo (space, tab, newline, backslash)."""
    raw = field.encode("utf-8", "surrogateescape")
    parts = raw.split(b"\\")
    text = parts[0] + b"".join(bytes([int(part[:3], 8)]) + part[3:] for part in parts[1:])
    return PurePosixPath(os.fsdecode(text))
