"""The one place where the policy room touches a disk: a folder's files, read within limits.

Symbolic links are followed only where they stay inside the repository; nothing else is ever opened.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from controller.policy.document import MAX_FILE_BYTES, read_document
from controller.policy.parse import MAX_FOLDER_BYTES, SETTINGS_FILE, bases, parse
from controller.policy.position import SourcePosition
from controller.policy.problems import PolicyErrors, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controller.policy.model import Policy

__all__ = ["load", "read_folder", "repository"]


def load(folder: Path) -> Policy:
    """Read, unite and check the policy in `folder`; positions show paths as `folder` was given.

    Raises PolicyErrors, also where the folder is not there or cannot be read.
    """
    top = repository(folder)
    root = folder.resolve().relative_to(top).as_posix()
    files = read_folder(top, "" if root == "." else root)
    return parse(files, root, prefix=_prefix(folder, root))


def repository(folder: Path) -> Path:
    """The folder that `extends` may not lead out of: the Git work tree, else the parent of `folder`."""
    resolved = folder.resolve()
    for candidate in (resolved, *resolved.parents):
        if (candidate / ".git").exists():
            return candidate
    return resolved.parent


def read_folder(top: Path, root: str) -> dict[str, bytes]:
    """The files of the folder `root` and of the folders that it extends, by path below `top`."""
    files: dict[str, bytes] = {}
    waiting, seen = [root], set[str]()
    while waiting:
        folder = waiting.pop()
        if folder in seen or folder.startswith(("..", "/")):
            continue
        seen.add(folder)
        files.update(_read_files(top, top / folder))
        settings = f"{folder}/{SETTINGS_FILE}" if folder else SETTINGS_FILE
        if settings in files:
            document = read_document(files[settings], settings)
            waiting.extend(base for base, _ in bases(document, folder))
    return files


def _read_files(top: Path, folder: Path) -> Iterator[tuple[str, bytes]]:
    left = MAX_FOLDER_BYTES + 1
    for path in _walk(top, folder):
        name = path.relative_to(top).as_posix()
        try:
            with path.open("rb") as stream:
                data = stream.read(min(MAX_FILE_BYTES + 1, left))
        except OSError as error:
            raise _unreadable(name, error) from error
        left -= len(data)
        yield name, data
        if left <= 0:
            return


def _walk(top: Path, folder: Path) -> Iterator[Path]:
    """Files below `folder` that end in .yaml or .yml, each reached without leaving `top`."""
    seen: set[Path] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        here = Path(parent)
        real = here.resolve()
        if real in seen or not real.is_relative_to(top):
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = here / name
            if path.suffix in {".yaml", ".yml"} and path.is_file() and path.resolve().is_relative_to(top):
                yield path


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


def _unreadable(name: str, error: OSError) -> PolicyErrors:
    why = error.strerror or type(error).__name__
    return PolicyErrors([Problem(SourcePosition(name, 1, 1), f"cannot be read: {why}")])
