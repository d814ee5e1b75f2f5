"""The one place where the policy room touches a disk: a folder's files, read within limits.

Symbolic links are followed only where they stay inside the repository; nothing else is ever opened.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from controller.policy.document import MAX_FILE_BYTES, read_document
from controller.policy.parse import MAX_FOLDER_BYTES, SETTINGS_FILE, bases, parse
from controller.policy.position import SourcePosition
from controller.policy.problems import PolicyErrors, Problem

if TYPE_CHECKING:
    from controller.policy.model import Policy

__all__ = ["Contents", "load", "read", "read_folder", "repository"]


@dataclass(frozen=True)
class Contents:
    """The files of a policy folder and of what it extends, by path below `top`; `root` is its own path there.

    Positions show `prefix` before each path, so that it reads as the folder was given.
    """

    top: Path
    root: str
    prefix: str
    files: dict[str, bytes]
    problems: tuple[Problem, ...]

    def parse(self) -> Policy:
        """The policy that the files are. Raises PolicyErrors."""
        try:
            policy = parse(self.files, self.root, prefix=self.prefix)
        except PolicyErrors as errors:
            raise PolicyErrors([*errors.problems, *self.problems]) from None
        if self.problems:
            raise PolicyErrors(self.problems)
        return policy


def load(folder: Path) -> Policy:
    """Read, unite and check the policy in `folder`; positions show paths as `folder` was given.

    Raises PolicyErrors, also for what cannot be read: a folder that is hidden from us must not look empty,
    and one that is not there is not one without files.
    """
    if not folder.exists():
        place = SourcePosition(str(folder / SETTINGS_FILE), 1, 1)
        raise PolicyErrors([Problem(place, f"there is no folder {folder}; name that of one environment")])
    return read(folder).parse()


def read(folder: Path) -> Contents:
    """The files of the policy in `folder`; what could not be read stands in `problems`."""
    top = repository(folder)
    root = folder.resolve().relative_to(top).as_posix()
    prefix = _prefix(folder, root)
    problems: list[Problem] = []
    files = read_folder(top, "" if root == "." else root, prefix, problems)
    return Contents(top, "" if root == "." else root, prefix, files, tuple(problems))


def repository(folder: Path) -> Path:
    """The folder that `extends` may not lead out of: the Git work tree, else the parent of `folder`."""
    resolved = folder.resolve()
    for candidate in (resolved, *resolved.parents):
        if (candidate / ".git").exists():
            return candidate
    return resolved.parent


def read_folder(top: Path, root: str, prefix: str, problems: list[Problem]) -> dict[str, bytes]:
    """The files of the folder `root` and of the folders that it extends, by path below `top`.

    What is not read, and why, is added to `problems`, with `prefix` before each path.
    """
    reader = _Reader(top, prefix, problems)
    waiting, seen = [root], set[str]()
    while waiting:
        folder = waiting.pop()
        if folder in seen or folder.startswith(("..", "/")):
            continue
        seen.add(folder)
        reader.read(top / folder)
        settings = f"{folder}/{SETTINGS_FILE}" if folder else SETTINGS_FILE
        if settings in reader.files:
            document = read_document(reader.files[settings], settings)
            waiting.extend(base for base, _ in bases(document, folder))
    return reader.files


@dataclass
class _Reader:
    """Reads files below `top` and follows no link out of it."""

    top: Path
    prefix: str
    problems: list[Problem]
    files: dict[str, bytes] = field(default_factory=dict)
    _seen: set[Path] = field(default_factory=set)

    def read(self, folder: Path) -> None:
        """Read the files below `folder` that end in .yaml or .yml; one that is not there has none."""
        for parent, folders, names in os.walk(folder, followlinks=True, onerror=self._no_folder):
            here = Path(parent)
            if not self._is_new(here):
                folders.clear()
                continue
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                if name.endswith((".yaml", ".yml")) and not name.startswith("."):
                    self._read_file(here / name)

    def _is_new(self, folder: Path) -> bool:
        real = folder.resolve()
        if not real.is_relative_to(self.top):
            self._problem(folder, "a link out of the repository is not followed")
            return False
        is_new = real not in self._seen
        self._seen.add(real)
        return is_new

    def _read_file(self, path: Path) -> None:
        if not path.resolve().is_relative_to(self.top):
            self._problem(path, "a link out of the repository is not followed")
            return
        left = MAX_FOLDER_BYTES + 1 - sum(map(len, self.files.values()))
        try:
            self.files[self._name(path)] = _content(path, max(0, min(MAX_FILE_BYTES + 1, left)))
        except OSError as error:
            self._problem(path, f"cannot be read: {error.strerror or type(error).__name__}")

    def _no_folder(self, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            self._problem(Path(error.filename), f"cannot be read: {error.strerror}")

    def _name(self, path: Path) -> str:
        return path.relative_to(self.top).as_posix()

    def _problem(self, path: Path, message: str) -> None:
        self.problems.append(Problem(SourcePosition(self.prefix + self._name(path), 1, 1), message))


def _content(path: Path, limit: int) -> bytes:
    """At most `limit` bytes of a regular file; opened without waiting, as a pipe would never end."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return stream.read(limit)


def _prefix(folder: Path, root: str) -> str:
    """What to put before a path below the repository, so that it reads as the caller wrote the folder."""
    parts = 0 if root == "." else len(Path(root).parts)
    given = Path(os.path.normpath(folder))
    if (
        ".." not in given.parts
        and len(given.parts) >= parts
        and given.parts[len(given.parts) - parts :] == Path(root).parts[:parts]
    ):
        shown = Path(*given.parts[: len(given.parts) - parts]).as_posix()
    else:
        shown = os.path.relpath(folder.resolve().parents[parts - 1] if parts else folder.resolve())
    return "" if shown == "." else shown.rstrip("/") + "/"
