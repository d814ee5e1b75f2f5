"""The names of the published restic dashboard (restic-exporter 2), from what the state files tell.

Eight of them tell of the repository and carry no labels, so they are served where this host's backups know
exactly one repository: with two, nobody could say whose they are. The others tell of the last snapshot of
each combination of host, user and paths. What no action told is absent, where restic-exporter sends -1, 0
or 2.
"""

from collections.abc import Callable
from hashlib import sha256

from exporters.backup.files import Raw, RepositoryState, Snapshot
from exporters.backup.series import family
from exporters.samples import SINGLE, Family, Kind, Metric, Number, Row

_LABELS = (
    "client_hostname",
    "client_username",
    "client_version",
    "snapshot_hash",
    "snapshot_tag",
    "snapshot_tags",
    "snapshot_paths",
)


def _gauge(name: str, words: str, labels: tuple[str, ...] = ()) -> Metric:
    return Metric(f"restic_{name}", Kind.GAUGE, words, labels)


def _checked(state: RepositoryState) -> Number | None:
    return None if state.check is None else int(state.check.outcome == "done")


_SCRAPE = _gauge("scrape_duration_seconds", "Time that reading the state files took.")
_OF_REPOSITORY: tuple[tuple[Metric, Callable[[RepositoryState], Number | None]], ...] = (
    (_gauge("check_success", "Whether the last check of the repository went well."), _checked),
    (_gauge("locks_total", "Locks in the repository when last counted."), lambda state: state.locks),
    (_gauge("size_total", "Size of the repository, in bytes."), lambda state: state.size),
    (
        _gauge("uncompressed_size_total", "Size of what is in the repository before compression, in bytes."),
        lambda state: state.uncompressed_size,
    ),
    (
        _gauge("compression_ratio", "How many times smaller compression makes it."),
        lambda state: state.compression_ratio,
    ),
    (_gauge("blob_count_total", "Blobs in the repository."), lambda state: state.blobs),
    (
        _gauge("snapshots_total", "Snapshots in the repository when last counted."),
        lambda state: state.snapshots,
    ),
)
_OF_SNAPSHOT: tuple[tuple[Metric, Callable[[Snapshot], Number | None]], ...] = (
    (
        _gauge("backup_timestamp", "When the last backup began, in unixtime.", _LABELS),
        lambda snapshot: snapshot.started_at,
    ),
    (
        _gauge("backup_files_total", "Files in the last snapshot.", _LABELS),
        lambda snapshot: snapshot.files,
    ),
    (
        _gauge("backup_size_total", "Bytes of the files in the last snapshot.", _LABELS),
        lambda snapshot: snapshot.bytes,
    ),
    (
        _gauge("backup_files_new", "Files that the last backup met for the first time.", _LABELS),
        lambda snapshot: snapshot.files_new,
    ),
    (
        _gauge("backup_files_changed", "Files that had changed at the last backup.", _LABELS),
        lambda snapshot: snapshot.files_changed,
    ),
    (
        _gauge("backup_files_unmodified", "Files that were as before at the last backup.", _LABELS),
        lambda snapshot: snapshot.files_unmodified,
    ),
    (
        _gauge("backup_dirs_new", "Folders that the last backup met for the first time.", _LABELS),
        lambda snapshot: snapshot.dirs_new,
    ),
    (
        _gauge("backup_dirs_changed", "Folders that had changed at the last backup.", _LABELS),
        lambda snapshot: snapshot.dirs_changed,
    ),
    (
        _gauge("backup_dirs_unmodified", "Folders that were as before at the last backup.", _LABELS),
        lambda snapshot: snapshot.dirs_unmodified,
    ),
    (
        _gauge("backup_data_added_bytes", "Bytes that the last backup added.", _LABELS),
        lambda snapshot: snapshot.bytes_added,
    ),
    (
        _gauge("backup_duration_seconds", "Time that restic took for the last backup.", _LABELS),
        lambda snapshot: snapshot.duration_seconds,
    ),
)


def collect(raw: Raw, *, with_paths: bool) -> list[Family]:
    """The families that the states tell; `with_paths` puts the paths into their label."""
    names = {state.repository for state in raw.sets} | {state.repository for state in raw.repositories}
    only = [(SINGLE[0], state) for state in raw.repositories] if len(names) == 1 else []
    latest: dict[Row, Snapshot] = {}
    for state in raw.sets:
        snapshot = state.last_success
        if snapshot is not None:
            row = _row(snapshot, with_paths=with_paths)
            if row not in latest or latest[row].started_at < snapshot.started_at:
                latest[row] = snapshot
    snapshots = list(latest.items())
    return [
        *(family(metric, only, pick) for metric, pick in _OF_REPOSITORY),
        _SCRAPE.one(raw.seconds),
        *(family(metric, snapshots, pick) for metric, pick in _OF_SNAPSHOT),
    ]


def _row(snapshot: Snapshot, *, with_paths: bool) -> Row:
    """The labels; the hash is restic-exporter's, so that dashboards keep following the same series."""
    joined = ",".join(snapshot.paths)
    return (
        snapshot.hostname,
        snapshot.username,
        snapshot.program_version or "",
        sha256(f"{snapshot.hostname}{snapshot.username}{joined}".encode()).hexdigest(),
        snapshot.tags[0] if snapshot.tags else "",
        ",".join(snapshot.tags),
        joined if with_paths else "",
    )
