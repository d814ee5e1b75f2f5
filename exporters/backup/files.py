"""Reads the state files of backups: `<folder>/*.json` of path sets, `<folder>/repositories/*.json`.

agent/actions/backup_state.py writes them. A file is taken whole or not at all: what is damaged, hostile or of
another version costs itself and is counted. Fields that are not known here are passed over.
"""

import json
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from pathlib import Path
from time import perf_counter
from typing import TypeVar

from exporters.errors import NoDataError, SourceError
from exporters.samples import Number

VERSION = 1
_MOST_FILES = 1000
_LONGEST_FILE_BYTES = 1 << 16
_LONGEST_TEXT = 4096
_MOST_TEXTS = 1000
_MOST = 1 << 62

T = TypeVar("T")
Parse = Callable[[object], T]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The last snapshot of a set, as restic told it; None is what restic did not tell."""

    started_at: Number
    hostname: str
    username: str
    paths: tuple[str, ...]
    tags: tuple[str, ...]
    files: Number
    bytes: Number
    bytes_added: Number | None
    duration_seconds: Number | None
    files_new: Number | None
    files_changed: Number | None
    files_unmodified: Number | None
    dirs_new: Number | None
    dirs_changed: Number | None
    dirs_unmodified: Number | None
    program_version: str | None


@dataclass(frozen=True, slots=True)
class Proof:
    """The last check of a repository, or the last restore drill of a set."""

    outcome: str
    started_at: Number
    finished_at: Number
    files: Number | None
    bytes: Number | None
    last_success_at: Number | None


@dataclass(frozen=True, slots=True)
class SetState:
    """The last run of a set into a repository; times are unixtime."""

    set: str
    repository: str
    outcome: str
    reason: str
    started_at: Number
    finished_at: Number
    files: Number
    bytes: Number
    last_success_at: Number | None
    last_success: Snapshot | None
    drill: Proof | None


@dataclass(frozen=True, slots=True)
class RepositoryState:
    """A repository: snapshots and locks in it when `counted_at`, its last check, and what restic's `stats`
    say once an action asked.
    """

    repository: str
    snapshots: Number | None
    locks: Number | None
    counted_at: Number | None
    check: Proof | None
    size: Number | None
    uncompressed_size: Number | None
    compression_ratio: Number | None
    blobs: Number | None


@dataclass(frozen=True, slots=True)
class Raw:
    """The states that could be read, how many files could not, and what the reading took."""

    sets: tuple[SetState, ...]
    repositories: tuple[RepositoryState, ...]
    unreadable: int
    seconds: float = 0.0


def read(folder: Path) -> Raw:
    """Read all state files.

    Raises:
        NoDataError: there is no such folder, or nothing in it: no backup has run here yet.
        OSError: it may not be read.
    """
    begun = perf_counter()
    sets, bad_sets = _read_all(folder, parse_set, lambda state: (state.set, state.repository))
    repositories, bad_repositories = _read_all(
        folder / "repositories", parse_repository, lambda state: (state.repository,)
    )
    unreadable = bad_sets + bad_repositories
    if not sets and not repositories and not unreadable:
        raise NoDataError("no backup has run")
    return Raw(sets, repositories, unreadable, perf_counter() - begun)


def parse_set(text: bytes) -> SetState:
    """The state of a set in a file's text.

    Raises:
        SourceError: it is too long, no JSON object, of another version, or a field is not what it should be.
    """
    raw = _object(text)
    return SetState(
        set=_text(raw["set"]),
        repository=_text(raw["repository"]),
        outcome=_text(raw["outcome"]),
        reason=_text(raw.get("reason", "")),
        started_at=_number(raw["started_at"]),
        finished_at=_number(raw["finished_at"]),
        files=_number(raw["files"]),
        bytes=_number(raw["bytes"]),
        last_success_at=_told(raw, "last_success_at", _number),
        last_success=_told(raw, "last_success", _snapshot),
        drill=_told(raw, "drill", _proof),
    )


def parse_repository(text: bytes) -> RepositoryState:
    """The state of a repository in a file's text.

    Raises:
        SourceError: as `parse_set` does.
    """
    raw = _object(text)
    return RepositoryState(
        repository=_text(raw["repository"]),
        snapshots=_told(raw, "snapshots", _number),
        locks=_told(raw, "locks", _number),
        counted_at=_told(raw, "counted_at", _number),
        check=_told(raw, "check", _proof),
        size=_told(raw, "size", _number),
        uncompressed_size=_told(raw, "uncompressed_size", _number),
        compression_ratio=_told(raw, "compression_ratio", _number),
        blobs=_told(raw, "blobs", _number),
    )


def _read_all(
    folder: Path, parse: Callable[[bytes], T], key: Callable[[T], tuple[str, ...]]
) -> tuple[tuple[T, ...], int]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.name.endswith(".json"))
    except FileNotFoundError:
        return (), 0
    states: dict[tuple[str, ...], T] = {}
    for name in islice(names, _MOST_FILES):
        try:
            state = parse(_content(folder / name))
        except (OSError, SourceError):
            continue
        states.setdefault(key(state), state)
    return tuple(states.values()), len(names) - len(states)


def _content(path: Path) -> bytes:
    # A pipe of that name must not hold the reader, hence O_NONBLOCK.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise SourceError("backup state", "no plain file")
        return file.read(_LONGEST_FILE_BYTES + 1)


class _Fields(dict[str, object]):
    """The fields of an object; one that is required and absent is a fault of the file."""

    def __missing__(self, name: str) -> object:
        raise SourceError("backup state", f"{name} is missing")


def _object(text: bytes) -> _Fields:
    if len(text) > _LONGEST_FILE_BYTES:
        raise SourceError("backup state", "too long")
    try:
        raw = _fields(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise SourceError("backup state", "no JSON") from error
    if raw.get("version", VERSION) != VERSION:
        raise SourceError("backup state", "of a version that is not known here")
    return raw


def _fields(raw: object) -> _Fields:
    if not isinstance(raw, dict):
        raise SourceError("backup state", "no object")
    return _Fields(raw)


def _told(raw: Mapping[str, object], name: str, parse: Parse[T]) -> T | None:
    value = raw.get(name)
    return None if value is None else parse(value)


def _snapshot(value: object) -> Snapshot:
    raw = _fields(value)
    return Snapshot(
        started_at=_number(raw["started_at"]),
        hostname=_text(raw["hostname"]),
        username=_text(raw["username"]),
        paths=_texts(raw["paths"]),
        tags=_texts(raw["tags"]),
        files=_number(raw["files"]),
        bytes=_number(raw["bytes"]),
        bytes_added=_told(raw, "bytes_added", _number),
        duration_seconds=_told(raw, "duration_seconds", _number),
        files_new=_told(raw, "files_new", _number),
        files_changed=_told(raw, "files_changed", _number),
        files_unmodified=_told(raw, "files_unmodified", _number),
        dirs_new=_told(raw, "dirs_new", _number),
        dirs_changed=_told(raw, "dirs_changed", _number),
        dirs_unmodified=_told(raw, "dirs_unmodified", _number),
        program_version=_told(raw, "program_version", _text),
    )


def _proof(value: object) -> Proof:
    raw = _fields(value)
    return Proof(
        outcome=_text(raw["outcome"]),
        started_at=_number(raw["started_at"]),
        finished_at=_number(raw["finished_at"]),
        files=_told(raw, "files", _number),
        bytes=_told(raw, "bytes", _number),
        last_success_at=_told(raw, "last_success_at", _number),
    )


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > _MOST_TEXTS:
        raise SourceError("backup state", "no list of texts")
    return tuple(map(_text, value))


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise SourceError("backup state", "no text of a sane length")
    # JSON can carry half of a surrogate pair, which no label can.
    return value.encode("utf-8", "replace").decode()


def _number(value: object) -> Number:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise SourceError("backup state", "no number")
    if not isfinite(value) or not 0 <= value <= _MOST:
        raise SourceError("backup state", "a number out of its range")
    return value
