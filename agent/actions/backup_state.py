"""What the backup actions leave for the exporter, as files: it never asks a repository.

`<state>/backups/<set>.<repository>.json` tells of one path set in one repository,
`<state>/backups/repositories/<repository>.json` of the repository as a whole. Times are Unix seconds. A part
that no action has told of is null; a new action writes its own part and carries the others on. Readers pass
over fields that they do not know and refuse a `version` that they do not know.
"""

from pathlib import Path
from typing import TypeVar

import msgspec

from agent.files import make_directory, write_atomically
from protocol.errors import NotStrictJson
from protocol.wire import decode_typed

__all__ = ["BackupState", "Proof", "RepositoryState", "Snapshot", "write_repository_state", "write_state"]

VERSION = 1

_State = TypeVar("_State", "BackupState", "RepositoryState")


class Snapshot(msgspec.Struct, frozen=True):
    """The last snapshot that a backup made, as restic told it; `paths` are sorted as restic keeps them.

    What the restic at hand does not tell is null.
    """

    snapshot: str
    started_at: int
    hostname: str
    username: str
    paths: tuple[str, ...]
    tags: tuple[str, ...]
    files: int
    bytes: int
    bytes_added: int
    duration_seconds: float | None = None
    files_new: int | None = None
    files_changed: int | None = None
    files_unmodified: int | None = None
    dirs_new: int | None = None
    dirs_changed: int | None = None
    dirs_unmodified: int | None = None
    program_version: str | None = None


class Proof(msgspec.Struct, frozen=True):
    """The last check of a repository or restore drill of a set; `last_success_at` outlives failures."""

    outcome: str
    started_at: int
    finished_at: int
    files: int | None = None
    bytes: int | None = None
    last_success_at: int | None = None


class BackupState(msgspec.Struct, frozen=True):
    """The last run of a set into a repository; `bytes` is what was read.

    `last_success_at` and `last_success` are carried on through failures and null before the first success.
    """

    set: str
    repository: str
    outcome: str
    started_at: int
    finished_at: int
    snapshot: str
    files: int
    bytes: int
    reason: str = ""
    exit_status: int | None = None
    last_success_at: int | None = None
    last_success: Snapshot | None = None
    drill: Proof | None = None
    version: int = VERSION


class RepositoryState(msgspec.Struct, frozen=True):
    """A repository: snapshots and locks in it when `counted_at`, and its last check."""

    repository: str
    snapshots: int | None = None
    locks: int | None = None
    counted_at: int | None = None
    check: Proof | None = None
    version: int = VERSION


def write_state(directory: Path, state: BackupState) -> None:
    """Replace the file of the state's set and repository; raises OSError."""
    path = directory / f"{state.set}.{state.repository}.json"
    before = _read(path, BackupState)
    if before is not None and (before.set, before.repository) != (state.set, state.repository):
        before = None
    if state.outcome == "done":
        state = msgspec.structs.replace(state, last_success_at=state.finished_at)
    _write(path, _carried_on(before, state))


def write_repository_state(directory: Path, state: RepositoryState) -> None:
    """Replace the file of the repository; raises OSError."""
    path = directory / "repositories" / f"{state.repository}.json"
    _write(path, _carried_on(_read(path, RepositoryState), state))


def _carried_on(before: _State | None, now: _State) -> _State:
    """What `now` says, and what it says nothing of as it was before."""
    if before is None:
        return now
    optional = (name for name in now.__struct_fields__ if name in _CARRIED and getattr(now, name) is None)
    return msgspec.structs.replace(now, **{name: getattr(before, name) for name in optional})


_CARRIED = frozenset(
    {"last_success_at", "last_success", "drill", "check", "snapshots", "locks", "counted_at"}
)


def _write(path: Path, state: BackupState | RepositoryState) -> None:
    make_directory(path.parent, 0o755)
    write_atomically(path, msgspec.json.encode(state) + b"\n", mode=0o644)


def _read(path: Path, kind: type[_State]) -> _State | None:
    """The state that stands there; None for the first one, and where the file was damaged."""
    try:
        return decode_typed(path.read_bytes(), kind)
    except (OSError, NotStrictJson):
        return None
