"""backup.run: a path set goes into a restic repository, both named in agent.yaml.

The repository has to exist: making one is the owner's decision (`restic init`), and an automatic one would
turn a lost disk into an empty backup that looks fresh. The password travels as a file name, never as an
argument or in the environment. Exit statuses are those of restic's manual ("Scripting", exit codes; 10 to
12 since 0.17).
"""

import os
import pwd
import socket
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from agent.actions.backup_repository import tell_repository
from agent.actions.backup_state import BackupState, Snapshot, write_state
from agent.actions.work import Ending, Work
from agent.configuration import Repository
from agent.errors import AgentError
from agent.logs import log
from agent.protection import Protection
from agent.runner import Command, Finished
from protocol.errors import NotStrictJson
from protocol.kinds.backup_run import Args, Result
from protocol.wire import decode_typed

__all__ = ["perform", "restic_command", "summary"]

_TAG = "steward"
_REASONS = {
    3: "backup_incomplete",
    10: "repository_missing",
    11: "repository_locked",
    12: "wrong_password",
}
_WORDS = {
    b"wrong password or no key found": "wrong_password",
    b"already locked": "repository_locked",
    b"unable to open config file": "repository_missing",
    b"no space left on device": "repository_full",
}


@dataclass(frozen=True)
class _Sources:
    """Resolved paths to read, and what is left out below them."""

    paths: tuple[str, ...]
    excluded: tuple[str, ...]


class _Summary(msgspec.Struct, frozen=True, tag_field="message_type", tag="summary"):
    """What of restic's last message counts (restic's manual, "Scripting", JSON output of backup)."""

    snapshot_id: str
    total_files_processed: int
    total_bytes_processed: int
    data_added: int
    total_duration: float | None = None
    files_new: int | None = None
    files_changed: int | None = None
    files_unmodified: int | None = None
    dirs_new: int | None = None
    dirs_changed: int | None = None
    dirs_unmodified: int | None = None


class _CannotStartError(Exception):
    """A precondition does not hold; the argument is the ending."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.reason)
        self.ending = ending


def perform(work: Work) -> Ending:
    """Run the backup and leave its state for the exporter."""
    args = msgspec.convert(dict(work.args), Args)
    started_at = work.clock()
    snapshot = None
    try:
        ending, snapshot = _back_up(work, args, started_at)
    except _CannotStartError as stop:
        ending = stop.ending
    except (AgentError, OSError) as error:
        log("backup failed", set=args.set, repository=args.repository, error=str(error))
        ending = Ending("failed", "agent_error")
    result = ending.result
    state = BackupState(
        set=args.set,
        repository=args.repository,
        outcome=ending.outcome,
        started_at=started_at,
        finished_at=work.clock(),
        snapshot=str(result.get("snapshot_id", "")),
        files=int(result.get("files", 0)),
        bytes=int(result.get("bytes_processed", 0)),
        reason=ending.reason,
        exit_status=ending.exit_status,
        last_success=snapshot,
    )
    try:
        write_state(work.loaded.backups_directory, state)
    except OSError as error:
        log("the backup's state cannot be written", set=args.set, error=str(error))
        return (
            ending
            if ending.outcome != "done"
            else replace(ending, outcome="failed", reason="state_not_written")
        )
    return ending


def _back_up(work: Work, args: Args, started_at: int) -> tuple[Ending, Snapshot | None]:
    """Run restic; with the ending comes the snapshot, where it is a success."""
    settings = work.loaded.settings
    repository = settings.repositories.get(args.repository)
    paths = settings.path_sets.get(args.set)
    if repository is None or paths is None:
        # The limits may name more than the owner has defined.
        raise _CannotStartError(Ending("refused", "args_not_allowed"))
    _check_repository(repository)
    sources = _sources(work, paths, repository)
    cache = work.loaded.executor_directory / "cache"
    command = restic_command(settings.executor.restic, repository, sources.paths, sources.excluded, cache)
    finished = work.run(command)
    ending = _ending(finished)
    tell_repository(work, args.repository, repository)
    # Who owns a directory above may have turned a part of the path into a link, or away, while restic ran;
    # restic skips a path that is gone and still says that all went well.
    if ending.outcome == "done" and _sources(work, paths, repository).paths != sources.paths:
        return replace(ending, outcome="failed", reason="path_changed"), None
    return ending, _snapshot(finished.stdout, sources, started_at) if ending.outcome == "done" else None


def restic_command(
    program: str, repository: Repository, paths: Sequence[str], excluded: Sequence[str], cache: Path
) -> Command:
    """Build the command; pure. Paths are absolute, so none can be taken for an option."""
    return Command(
        (
            program,
            "--json",
            f"--repo={repository.url}",
            f"--password-file={repository.password_file}",
            f"--cache-dir={cache}",
            "backup",
            f"--tag={_TAG}",
            *(f"--exclude={_literal(path)}" for path in excluded),
            "--",
            *paths,
        ),
        # One status line a minute: the last line, the summary, is what counts.
        {"RESTIC_PROGRESS_FPS": "0.016"},
    )


def summary(stdout: bytes) -> Result | None:
    """Return what restic's last `summary` message says, or None where there is none."""
    message = _last_message(stdout)
    if message is None:
        return None
    told = {
        "snapshot_id": message.snapshot_id,
        "files": message.total_files_processed,
        "bytes_processed": message.total_bytes_processed,
        "bytes_added": message.data_added,
    }
    try:
        return msgspec.convert(told, Result)
    except msgspec.ValidationError:
        return None


def _last_message(stdout: bytes) -> _Summary | None:
    for line in reversed(stdout.splitlines()):
        try:
            return decode_typed(line, _Summary)
        except NotStrictJson:
            continue
    return None


def _snapshot(stdout: bytes, sources: _Sources, started_at: int) -> Snapshot | None:
    """Tell the snapshot as restic keeps it: with this host's name, the executor's user, and sorted paths."""
    message = _last_message(stdout)
    if message is None:
        return None
    try:
        username = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        username = ""  # as restic does for a user without an entry
    return Snapshot(
        snapshot=message.snapshot_id,
        started_at=started_at,
        hostname=socket.gethostname(),
        username=username,
        paths=tuple(sorted(sources.paths)),
        tags=(_TAG,),
        files=message.total_files_processed,
        bytes=message.total_bytes_processed,
        bytes_added=message.data_added,
        duration_seconds=message.total_duration,
        files_new=message.files_new,
        files_changed=message.files_changed,
        files_unmodified=message.files_unmodified,
        dirs_new=message.dirs_new,
        dirs_changed=message.dirs_changed,
        dirs_unmodified=message.dirs_unmodified,
    )


def _check_repository(repository: Repository) -> None:
    place = Path(repository.url)
    try:
        if not (place / "config").is_file():
            raise _CannotStartError(Ending("failed", "repository_missing"))
    except OSError:
        raise _CannotStartError(Ending("failed", "repository_unreadable")) from None
    try:
        found = Path(repository.password_file).stat()
    except OSError:
        raise _CannotStartError(Ending("failed", "password_file_missing")) from None
    exposed = stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP
    strange = found.st_uid not in {0, os.geteuid()}
    if not stat.S_ISREG(found.st_mode) or found.st_mode & exposed or strange:
        raise _CannotStartError(Ending("failed", "password_file_exposed"))


def _sources(work: Work, paths: Sequence[str], repository: Repository) -> _Sources:
    """Resolve the set, and see that nothing protected is read or written; raises _CannotStartError."""
    settings = work.loaded.settings
    own = (
        work.loaded.state,
        work.loaded.path,
        Path(settings.socket),
        *(Path(each.password_file) for each in settings.repositories.values()),
    )
    protection = Protection(own)
    if protection.twins():
        raise _CannotStartError(Ending("refused", "protected_hard_link"))
    target = os.path.realpath(repository.url)
    if protection.objection(Path(target)):
        raise _CannotStartError(Ending("refused", "protected_path"))
    resolved, excluded = [], [target]
    for path in paths:
        # restic stores a link named on its command line as a link: the owner meant what it points to.
        real = Path(os.path.realpath(path))
        if protection.objection(real):
            raise _CannotStartError(Ending("refused", "protected_path"))
        try:
            if not real.exists():
                raise _CannotStartError(Ending("failed", "path_missing"))
        except OSError:
            raise _CannotStartError(Ending("failed", "path_unreadable")) from None
        resolved.append(str(real))
        excluded.extend(protection.inside(real))
    return _Sources(tuple(resolved), tuple(sorted(set(excluded))))


def _ending(finished: Finished) -> Ending:
    if finished.ended == "cancelled":
        return Ending("interrupted", "executor_stopped")
    if finished.ended == "not_started":
        return Ending("failed", "restic_missing")
    if finished.ended != "exited" or finished.exit_status is None:
        return Ending("failed", finished.ended)
    result = summary(finished.stdout)
    told = msgspec.to_builtins(result) if result else {}
    if finished.exit_status:
        reason = _REASONS.get(finished.exit_status) or _said(finished.stderr)
        return Ending("failed", reason, finished.exit_status, told)
    if result is None:
        return Ending("failed", "no_summary", finished.exit_status)
    return Ending("done", "", 0, told)


def _said(stderr: bytes) -> str:
    """Tell the reason by what restic said: before 0.17 its exit status does not."""
    return next((reason for words, reason in _WORDS.items() if words in stderr), "restic_failed")


def _literal(path: str) -> str:
    """Escape a path for restic's patterns (Go's filepath.Match)."""
    return "".join(f"\\{sign}" if sign in "*?[]\\" else sign for sign in path)
