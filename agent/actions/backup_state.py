"""The state of the last backup of a set, left as a file for the exporter, which never asks the repository."""

from pathlib import Path

import msgspec

from agent.files import make_directory, write_atomically
from protocol.errors import NotStrictJson
from protocol.wire import decode_typed

__all__ = ["BackupState", "write_state"]


class BackupState(msgspec.Struct, frozen=True):
    """`<state>/backups/<set>.<repository>.json`; times are Unix seconds, `bytes` is what was read.

    `last_success_at` is carried on through failures and null before the first success.
    """

    set: str
    repository: str
    outcome: str
    started_at: int
    finished_at: int
    snapshot: str
    files: int
    bytes: int
    exit_status: int | None = None
    last_success_at: int | None = None


def write_state(directory: Path, state: BackupState) -> None:
    """Replace the file of the state's set and repository; raises OSError."""
    make_directory(directory, 0o755)
    path = directory / f"{state.set}.{state.repository}.json"
    last = state.finished_at if state.outcome == "done" else _last_success(path, state)
    complete = msgspec.structs.replace(state, last_success_at=last)
    write_atomically(path, msgspec.json.encode(complete) + b"\n", mode=0o644)


def _last_success(path: Path, now: BackupState) -> int | None:
    try:
        before = decode_typed(path.read_bytes(), BackupState)
    except (OSError, NotStrictJson):
        return None  # the first backup, or a file that was damaged: no success is known
    same = (before.set, before.repository) == (now.set, now.repository)
    return before.last_success_at if same else None
