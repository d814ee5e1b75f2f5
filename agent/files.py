"""Files that must be whole, durable and private: written beside, synced, renamed."""

import os
import stat
from pathlib import Path

from agent.errors import AgentError

__all__ = ["check_private_directory", "make_directory", "read_private", "sync_directory", "write_atomically"]


def write_atomically(
    path: Path, data: bytes, *, mode: int = 0o600, owner: tuple[int, int] | None = None
) -> None:
    """Replace a file by `data`, durably; readers see the old content or the new. Raises OSError."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            # The umask must not decide who reads a key or a state file.
            os.fchmod(handle.fileno(), mode)
            if owner is not None:
                os.fchown(handle.fileno(), *owner)
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable; raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: Path, mode: int, *, owner: tuple[int, int] | None = None) -> None:
    """Make a directory with exactly this mode and owner; raises OSError."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)
    if owner is not None:
        os.chown(path, *owner)


def read_private(path: Path) -> bytes:
    """Read a key; raises AgentError where others could read it too, or where it is no plain file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        raise AgentError(f"{path}: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as handle:
        found = os.fstat(handle.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_mode & 0o077:
            raise AgentError(
                f"{path}: others may read it", hint=f"chmod 600 {path}, and enrol anew if they did"
            )
        return handle.read(1 << 16)


def check_private_directory(path: Path) -> None:
    """Nobody but this user and root may be able to swap what the directory holds; raises AgentError.

    A directory that the network process could write would let it replace trust or journal as a whole.
    """
    try:
        found = path.lstat()
    except OSError as error:
        raise AgentError(f"{path}: {error.strerror}", hint="enrol this host: steward-agent enroll") from error
    if not stat.S_ISDIR(found.st_mode):
        raise AgentError(f"{path}: is no directory")
    if found.st_uid not in {0, os.geteuid()} or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise AgentError(f"{path}: others than the executor's user may change it", hint=f"chmod 755 {path}")
