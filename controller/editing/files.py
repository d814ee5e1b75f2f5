"""Files of a policy on disk: found, read within limits, replaced whole or not at all."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from controller.errors import ControllerError
from controller.policy.document import MAX_FILE_BYTES
from controller.policy.folder import repository

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["content", "policy_files", "replace", "require_as_read"]

_NEW_FILE_MODE = 0o644


def policy_files(paths: Sequence[Path]) -> list[Path]:
    """The files that `paths` name, and the *.yaml below the folders among them.

    Hidden ones are passed over, and links that lead out of the repository, as no policy has them.
    Raises ControllerError for what is not there, and where there is no file at all.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            found.update(dict.fromkeys(_below(path)))
        elif path.exists():
            found[path] = None
        else:
            raise ControllerError(f"{path} is not there")
    if not found:
        raise ControllerError(f"no *.yaml files in {', '.join(map(str, paths))}")
    return list(found)


def _below(folder: Path) -> Iterator[Path]:
    top = repository(folder)
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent) / name
            is_policy = name.endswith(".yaml") and not name.startswith(".")
            if is_policy and path.resolve().is_relative_to(top):
                yield path


def content(path: Path) -> bytes:
    """The bytes of a regular file, one more than a policy file may have at most. Raises ControllerError."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise ControllerError(f"{path} is no regular file")
            return stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ControllerError(f"{path} cannot be read: {error.strerror}") from error


def require_as_read(path: Path, read: bytes | None, shown: str) -> None:
    """Raise ControllerError where the file is no longer what was read (None: it was not there).

    Messages call it `shown`.
    """
    now = content(path) if path.exists() else None
    if now != read:
        raise ControllerError(
            f"{shown} was changed by somebody else meanwhile; it was left as it is", hint="do this again"
        )


def replace(path: Path, text: str, read: bytes | None, shown: str) -> None:
    """Put `text` in the place of what was `read`, or make the file: at once, with the mode that it had.

    A link stays one: the file that it leads to is replaced. Raises ControllerError, which calls the file
    `shown`; then nothing changed.
    """
    require_as_read(path, read, shown)
    target = path.resolve()
    if target.exists() and not os.access(target, os.W_OK):
        raise ControllerError(f"{shown} cannot be written: it is read-only for us")
    try:
        mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else _NEW_FILE_MODE
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(text.encode("utf-8"))
                stream.flush()
                os.fchmod(stream.fileno(), mode)
                os.fsync(stream.fileno())
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ControllerError(f"{shown} cannot be written: {error.strerror}") from error
