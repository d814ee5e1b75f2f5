"""steward_backup_* from the backup state files, one JSON object for each set and repository.

Asking the repository itself reads gigabytes at each scrape (metrics exporters that do so are notorious); the
agent writes down what its last run did, and that is what is served here. `last_success` moves only with a
proven snapshot: that is the agent's business, and its time comes from the file as it is.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from exporters.background import Background
from exporters.collector import Collector, Host
from exporters.errors import NoDataError, SourceError
from exporters.samples import Family, Kind, Metric, Number
from exporters.settings import file_path

STATE = file_path("collector.backup.directory", None, "Folder of the state files that backups leave.")
SETTINGS = (STATE,)

_LABELS = ("set", "repository")
_LAST_SUCCESS = Metric(
    "steward_backup_last_success_timestamp_seconds",
    Kind.GAUGE,
    "When the backup last ended with a snapshot, in unixtime.",
    _LABELS,
)
_LAST_RUN = Metric(
    "steward_backup_last_run_timestamp_seconds",
    Kind.GAUGE,
    "When the last backup ended.",
    _LABELS,
)
_SUCCESS = Metric(
    "steward_backup_last_run_success", Kind.GAUGE, "Whether the last backup ended with a snapshot.", _LABELS
)
_DURATION = Metric(
    "steward_backup_last_run_duration_seconds", Kind.GAUGE, "Time that the last backup took.", _LABELS
)
_FILES = Metric("steward_backup_last_run_files", Kind.GAUGE, "Files that the last backup read.", _LABELS)
_BYTES = Metric("steward_backup_last_run_bytes", Kind.GAUGE, "Bytes that the last backup read.", _LABELS)
_UNREADABLE = Metric(
    "steward_backup_unreadable_state_files", Kind.GAUGE, "State files that are not what they should be."
)
_INTERVAL_SECONDS = 15.0
_MOST_FILES = 1000
_LONGEST_FILE_BYTES = 1 << 16
_DONE = "done"


@dataclass(frozen=True, slots=True)
class State:
    """A state file; times are unixtime, `last_success_at` is absent before the first success."""

    set: str
    repository: str
    outcome: str
    started_at: Number
    finished_at: Number
    files: Number
    bytes: Number
    last_success_at: Number | None


@dataclass(frozen=True, slots=True)
class Raw:
    """The states that could be read, and how many files could not."""

    states: tuple[State, ...]
    unreadable: int


def read(folder: Path) -> Raw:
    """Read `<folder>/*.json`.

    Raises:
        NoDataError: there is no such folder, or nothing in it: no backup has run here yet.
        OSError: it may not be read.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".json")[:_MOST_FILES]
    except FileNotFoundError as error:
        raise NoDataError("no backup has run") from error
    if not paths:
        raise NoDataError("no backup has run")
    states: dict[tuple[str, str], State] = {}
    unreadable = 0
    for path in paths:
        try:
            with path.open("rb") as file:
                state = parse(file.read(_LONGEST_FILE_BYTES + 1))
            states.setdefault((state.set, state.repository), state)
        except (OSError, SourceError):
            unreadable += 1
    return Raw(tuple(states.values()), unreadable)


def parse(text: bytes) -> State:
    """The state in a file's text; fields that are not known here are passed over.

    Raises:
        SourceError: it is too long, no JSON object, or a field is missing or of another type.
    """
    if len(text) > _LONGEST_FILE_BYTES:
        raise SourceError("backup state", "too long")
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise SourceError("backup state", "no JSON") from error
    if not isinstance(raw, dict):
        raise SourceError("backup state", "no object")
    last = raw.get("last_success_at")
    return State(
        set=_text(raw, "set"),
        repository=_text(raw, "repository"),
        outcome=_text(raw, "outcome"),
        started_at=_number(raw, "started_at"),
        finished_at=_number(raw, "finished_at"),
        files=_number(raw, "files"),
        bytes=_number(raw, "bytes"),
        last_success_at=None if last is None else _number(raw, "last_success_at"),
    )


def collect(raw: Raw) -> list[Family]:
    """A series of each metric for each set and repository."""
    states = raw.states
    succeeded = [state for state in states if state.last_success_at is not None]

    def family(metric: Metric, chosen: Sequence[State], pick: Callable[[State], Number]) -> Family:
        return Family(
            metric, tuple((state.set, state.repository) for state in chosen), list(map(pick, chosen))
        )

    return [
        family(_LAST_SUCCESS, succeeded, lambda state: state.last_success_at or 0),
        family(_LAST_RUN, states, lambda state: state.finished_at),
        family(_SUCCESS, states, lambda state: int(state.outcome == _DONE)),
        family(_DURATION, states, lambda state: max(0, state.finished_at - state.started_at)),
        family(_FILES, states, lambda state: state.files),
        family(_BYTES, states, lambda state: state.bytes),
        _UNREADABLE.one(raw.unreadable),
    ]


def _text(raw: Mapping[str, object], name: str) -> str:
    value = raw.get(name)
    if not isinstance(value, str):
        raise SourceError("backup state", f"{name} is no text")
    return value


def _number(raw: Mapping[str, object], name: str) -> Number:
    value = raw.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise SourceError("backup state", f"{name} is no number")
    return value


def build(host: Host) -> Collector:
    """The collector; without a folder it has no data."""
    folder = host.settings[STATE]
    if folder is None:
        return Collector(_nowhere)
    background = Background(
        "backup",
        lambda: collect(read(folder)),
        interval_seconds=_INTERVAL_SECONDS,
        idle_interval_seconds=_INTERVAL_SECONDS,
    )
    return background.collector()


def _nowhere() -> Sequence[Family]:
    raise NoDataError("no folder of backup states is named")
