"""steward_backup_* and restic_* from the state files that backups leave.

Asking the repository itself reads gigabytes at each scrape (exporters that do so are notorious); the agent
writes down what its last actions did, and that is what is served here. `last_success` moves only with a
proven snapshot: that is the agent's business, and its time comes from the file as it is.
"""

from collections.abc import Callable, Sequence

from exporters.background import Background
from exporters.backup import restic
from exporters.backup.files import Proof, Raw, RepositoryState, SetState, Snapshot, read
from exporters.backup.series import family
from exporters.collector import Collector, Host
from exporters.errors import NoDataError
from exporters.samples import Family, Kind, Metric, Number
from exporters.settings import file_path, switch

STATE = file_path("collector.backup.directory", None, "Folder of the state files that backups leave.")
PATHS = switch(
    "collector.backup.paths",
    default=False,
    help_text="Tell the paths of a snapshot in restic's label for them.",
)
SETTINGS = (STATE, PATHS)

_INTERVAL_SECONDS = 15.0
_DONE = "done"
_SET = ("set", "repository")
_REPOSITORY = ("repository",)


def _gauge(name: str, words: str, labels: tuple[str, ...] = _SET) -> Metric:
    return Metric(f"steward_backup_{name}", Kind.GAUGE, words, labels)


_INFO = _gauge(
    "last_run_info",
    "How the last backup ended, 1: its outcome, and why where it is not done.",
    (*_SET, "outcome", "reason"),
)
_UNREADABLE = _gauge("unreadable_state_files", "State files that are not what they should be.", ())


def _of_snapshot(pick: Callable[[Snapshot], Number | None]) -> Callable[[SetState], Number | None]:
    return lambda state: None if state.last_success is None else pick(state.last_success)


def _seconds(begun: Number, ended: Number) -> Number:
    return max(0, ended - begun)


_OF_SETS: tuple[tuple[Metric, Callable[[SetState], Number | None]], ...] = (
    (
        _gauge("last_success_timestamp_seconds", "When the backup last ended with a snapshot, in unixtime."),
        lambda state: state.last_success_at,
    ),
    (
        _gauge("last_success_duration_seconds", "Time that restic took for the last snapshot."),
        _of_snapshot(lambda snapshot: snapshot.duration_seconds),
    ),
    (
        _gauge("last_success_files", "Files in the last snapshot."),
        _of_snapshot(lambda snapshot: snapshot.files),
    ),
    (
        _gauge("last_success_bytes", "Bytes of the files in the last snapshot."),
        _of_snapshot(lambda snapshot: snapshot.bytes),
    ),
    (
        _gauge("last_success_added_bytes", "Bytes that the last snapshot added to the repository."),
        _of_snapshot(lambda snapshot: snapshot.bytes_added),
    ),
    (
        _gauge("last_run_timestamp_seconds", "When the last backup ended, in unixtime."),
        lambda state: state.finished_at,
    ),
    (
        _gauge("last_run_success", "Whether the last backup ended with a snapshot."),
        lambda state: int(state.outcome == _DONE),
    ),
    (
        _gauge("last_run_duration_seconds", "Time that the last backup took, good or not."),
        lambda state: _seconds(state.started_at, state.finished_at),
    ),
    (_gauge("last_run_files", "Files that the last backup read."), lambda state: state.files),
    (_gauge("last_run_bytes", "Bytes that the last backup read."), lambda state: state.bytes),
)
_OF_REPOSITORIES: tuple[tuple[Metric, Callable[[RepositoryState], Number | None]], ...] = (
    (
        _gauge("repository_snapshots", "Snapshots in the repository when last counted.", _REPOSITORY),
        lambda state: state.snapshots,
    ),
    (
        _gauge("repository_locks", "Locks in the repository when last counted.", _REPOSITORY),
        lambda state: state.locks,
    ),
    (
        _gauge("repository_counted_timestamp_seconds", "When they were counted, in unixtime.", _REPOSITORY),
        lambda state: state.counted_at,
    ),
)
_PROOFS: tuple[tuple[str, str, Callable[[Proof], Number | None]], ...] = (
    ("timestamp_seconds", "When the last {} ended, in unixtime.", lambda proof: proof.finished_at),
    ("success", "Whether the last {} went well.", lambda proof: int(proof.outcome == _DONE)),
    (
        "duration_seconds",
        "Time that the last {} took.",
        lambda proof: _seconds(proof.started_at, proof.finished_at),
    ),
    ("files", "Files that the last {} compared.", lambda proof: proof.files),
    ("bytes", "Bytes that the last {} read.", lambda proof: proof.bytes),
    (
        "success_timestamp_seconds",
        "When a {} last went well, in unixtime.",
        lambda proof: proof.last_success_at,
    ),
)
_CHECK = tuple(
    (_gauge(f"last_check_{name}", words.format("check"), _REPOSITORY), pick) for name, words, pick in _PROOFS
)
_DRILL = tuple(
    (_gauge(f"last_drill_{name}", words.format("restore drill")), pick) for name, words, pick in _PROOFS
)


def collect(raw: Raw, *, with_paths: bool = False) -> list[Family]:
    """A series of each metric for each set and repository that tells it, under our names and restic's."""
    sets = [((state.set, state.repository), state) for state in raw.sets]
    repositories = [((state.repository,), state) for state in raw.repositories]
    drills = [(row, state.drill) for row, state in sets if state.drill is not None]
    checks = [(row, state.check) for row, state in repositories if state.check is not None]
    info = tuple((state.set, state.repository, state.outcome, state.reason) for state in raw.sets)
    return [
        *(family(metric, sets, pick) for metric, pick in _OF_SETS),
        Family(_INFO, info, [1] * len(info)),
        *(family(metric, repositories, pick) for metric, pick in _OF_REPOSITORIES),
        *(family(metric, checks, pick) for metric, pick in _CHECK),
        *(family(metric, drills, pick) for metric, pick in _DRILL),
        _UNREADABLE.one(raw.unreadable),
        *restic.collect(raw, with_paths=with_paths),
    ]


def build(host: Host) -> Collector:
    """The collector; without a folder it has no data."""
    folder = host.settings[STATE]
    with_paths = host.settings[PATHS]
    if folder is None:
        return Collector(_nowhere)
    background = Background(
        "backup",
        lambda: collect(read(folder), with_paths=with_paths),
        interval_seconds=_INTERVAL_SECONDS,
        idle_interval_seconds=_INTERVAL_SECONDS,
    )
    return background.collector()


def _nowhere() -> Sequence[Family]:
    raise NoDataError("no folder of backup states is named")
