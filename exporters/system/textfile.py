"""The `textfile` collector: metrics that other programs leave in files *.prom of a folder.

As in node_exporter a file is read whole or not at all, files with time stamps are refused, and families of
the same name come together where type and help agree. Beside its series, which say that something is wrong,
`steward_textfile_error` says which file and why; the line is in the log. A file is parsed anew only when it
has changed. No file can take a metric that a collector has.
"""

import glob
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from stat import S_ISREG

from exporters.collector import Collector, Host
from exporters.samples import Family, Kind, Metric, Number, label
from exporters.settings import texts
from exporters.system.textfile_parse import MOST_SERIES, Key, Parsed, Reason, TextError, parse, rows

logger = logging.getLogger(__name__)

DIRECTORY = texts(
    "collector.textfile.directory",
    (),
    "Folder with text files of metrics (*.prom); globs are followed, and the flag may be repeated.",
)
SETTINGS = (DIRECTORY,)

MOST_FILES = 1000
MOST_BYTES = 1 << 23
"""What may be there beside `MOST_SERIES` of all files together: files in all folders, bytes of a file."""

_MTIME = Metric(
    "node_textfile_mtime_seconds",
    Kind.GAUGE,
    "When the text file, which could be read, was changed.",
    ("file",),
)
_SCRAPE_ERROR = Metric(
    "node_textfile_scrape_error", Kind.GAUGE, "Whether a text file or a folder of them could not be used."
)
_ERROR = Metric(
    "steward_textfile_error",
    Kind.GAUGE,
    "Set where a text file, or a family in it, was left out, and why.",
    ("file", "reason"),
)
_OWN = frozenset({_MTIME.name, _SCRAPE_ERROR.name, _ERROR.name})
_NANOSECONDS = 10**9


class Fault(StrEnum):
    """Why something was left out, beside what `Reason` has for a whole text."""

    UNREADABLE = "unreadable"
    TOO_LARGE = "too_large"
    TYPE = "type"
    HELP = "help"
    DUPLICATE = "duplicate"
    TAKEN = "taken"


@dataclass(frozen=True, slots=True)
class File:
    """A text file: its families, or the fault that it has. `stamp` tells whether it has changed since."""

    path: str
    stamp: tuple[int, ...]
    families: tuple[Parsed, ...] = ()
    fault: str = ""
    detail: str = ""
    mtime_seconds: int = 0
    room: int = 0
    """How many series it might have had, where it had more."""

    @property
    def size(self) -> int:
        """Its series."""
        return sum(len(family.series) for family in self.families)


@dataclass(frozen=True, slots=True)
class Raw:
    """The files in their order, folders that could not be read, and those of which files were passed over."""

    files: tuple[File, ...]
    unreadable: tuple[str, ...] = ()
    crowded: tuple[str, ...] = ()


@dataclass(slots=True)
class _Merged:
    kind: Kind
    help: str | None
    files: list[str]
    series: dict[Key, Number] = field(default_factory=dict)
    parts: list[Parsed] = field(default_factory=list)


class TextFiles:
    """Reads the folders."""

    def __init__(self, folders: Sequence[str]) -> None:
        self._folders = [folder for folder in folders if folder]
        self._files: dict[str, File] = {}
        self._raw = Raw(())
        self._families: tuple[Family, ...] | None = None
        self._faults: frozenset[tuple[str, str]] = frozenset()
        self._is_taken: Callable[[str], bool] = lambda _: False

    def give_way(self, is_taken: Callable[[str], bool]) -> None:
        """Be told how to ask whether another collector has a metric of that name."""
        self._is_taken = is_taken

    def collect(self) -> tuple[Family, ...]:
        """Read and collect; the same tuple as before where no file has changed."""
        raw = self.read()
        if self._families is None or raw != self._raw or self._has_lost_a_name():
            self._raw = raw
            families, faults = collect(raw, self._is_taken)
            self._families = tuple(families)
            self._complain(faults)
        return self._families

    def read(self) -> Raw:
        """Look at each file, and read those that have changed."""
        files: dict[str, File] = {}
        unreadable, crowded = [], []
        room = MOST_SERIES
        for folder in _folders(self._folders):
            try:
                names = sorted(filter(_is_wanted, os.listdir(folder)))  # noqa: PTH208 - names alone are wanted
            except OSError as error:
                unreadable.append(folder)
                logger.debug(
                    "folder of text files cannot be read", extra={"path": folder, "reason": str(error)}
                )
                continue
            for name in names:
                if len(files) >= MOST_FILES:
                    crowded.append(folder)
                    break
                path = os.path.normpath(f"{folder}/{name}")
                files[path] = file = read_file(path, self._files.get(path), room)
                room -= file.size
        self._files = files
        return Raw(tuple(files.values()), tuple(unreadable), tuple(crowded))

    def _has_lost_a_name(self) -> bool:
        return any(self._is_taken(family.metric.name) for family in self._families or ())

    def _complain(self, faults: dict[tuple[str, str], str]) -> None:
        for (path, reason), detail in faults.items():
            if (path, reason) not in self._faults:
                logger.warning("text file left out", extra={"path": path, "reason": f"{reason}: {detail}"})
        self._faults = frozenset(faults)


def read_file(path: str, known: File | None, room: int = MOST_SERIES) -> File:
    """A file of at most `room` series as it is now; `known` again where it has not changed.

    A pipe is not waited for. A file that is changed while it is read is malformed for now.
    """
    try:
        found = os.stat(path)  # noqa: PTH116 - at each scrape, for each file
        stamp = _stamp(found)
        if known is not None and known.stamp == stamp and known.size <= room <= (known.room or room):
            return known
        if not S_ISREG(found.st_mode):
            return File(path, stamp, fault=Fault.UNREADABLE, detail="not a file")
        if found.st_size > MOST_BYTES:
            return File(path, stamp, fault=Fault.TOO_LARGE, detail=f"{found.st_size} bytes")
        with open(path, "rb", opener=_opener) as file:
            text = file.read(MOST_BYTES + 1)
            if _stamp(os.fstat(file.fileno())) != stamp:
                return File(path, (), fault="malformed", detail="it is being written")
        return File(path, stamp, tuple(parse(text, room)), mtime_seconds=found.st_mtime_ns // _NANOSECONDS)
    except OSError as error:
        return File(path, (), fault=Fault.UNREADABLE, detail=str(error))
    except TextError as error:
        tried = room if error.reason is Reason.TOO_MANY else 0
        return File(path, stamp, fault=error.reason, detail=str(error), room=tried)


def collect(raw: Raw, is_taken: Callable[[str], bool]) -> tuple[list[Family], dict[tuple[str, str], str]]:
    """The families of all files and our own, and the faults: file and reason, with words for the log."""
    faults = {(folder, str(Fault.UNREADABLE)): "cannot be listed" for folder in raw.unreadable}
    for folder in raw.crowded:
        faults[folder, str(Reason.TOO_MANY)] = f"more than {MOST_FILES} files in all folders"
    merged: dict[str, _Merged] = {}
    owners: dict[str, str] = {}
    for file in raw.files:
        if file.fault:
            faults[file.path, str(file.fault)] = file.detail
            continue
        for family in file.families:
            fault = _fault(family, merged, owners, is_taken)
            if fault is not None:
                faults[file.path, str(fault)] = family.name
                continue
            owners.update(dict.fromkeys(family.series_names, family.name))
            _merge(family, file.path, merged)
    families = [_family(name, each) for name, each in merged.items()]
    good = [file for file in raw.files if not file.fault]
    families += [
        Family(_MTIME, _paths(file.path for file in good), [file.mtime_seconds for file in good]),
        _SCRAPE_ERROR.one(int(bool(faults))),
        Family(_ERROR, tuple((_text(path), reason) for path, reason in faults), [1] * len(faults)),
    ]
    return families, faults


def _fault(
    family: Parsed, merged: dict[str, _Merged], owners: dict[str, str], is_taken: Callable[[str], bool]
) -> Fault | None:
    if any(name in _OWN or is_taken(name) for name in family.series_names):
        return Fault.TAKEN
    if any(owners.get(name, family.name) != family.name for name in family.series_names):
        return Fault.TYPE
    known = merged.get(family.name)
    if known is None:
        return None
    if known.kind is not family.kind:
        return Fault.TYPE
    if known.help is not None and family.help is not None and known.help != family.help:
        return Fault.HELP
    return None if known.series.keys().isdisjoint(family.series) else Fault.DUPLICATE


def _merge(family: Parsed, path: str, merged: dict[str, _Merged]) -> None:
    known = merged.setdefault(family.name, _Merged(family.kind or Kind.UNTYPED, None, []))
    known.help = family.help if known.help is None else known.help
    known.files.append(_text(path))
    known.series.update(family.series)
    known.parts.append(family)


def _family(name: str, merged: _Merged) -> Family:
    labels = tuple(dict.fromkeys(label for part in merged.parts for label in part.labels))
    help_text = f"Metric read from {', '.join(merged.files)}" if merged.help is None else merged.help
    metric = Metric(name, merged.kind, help_text, labels, is_sparse=bool(merged.kind.suffixes))
    whole = Parsed(name, merged.kind, None, merged.series)
    return Family(metric, tuple(rows(whole, labels)), tuple(merged.series.values()))


def _folders(patterns: Iterable[str]) -> list[str]:
    """The folders that the patterns mean; a pattern that means none stands for itself."""
    found = []
    for pattern in patterns:
        # pathlib passes over what the shell and node_exporter take for a match
        matches = glob.glob(pattern, include_hidden=True) if glob.has_magic(pattern) else []  # noqa: PTH207
        found += sorted(matches) or [pattern]
    return found


def _is_wanted(name: str) -> bool:
    return name.endswith(".prom")


def _stamp(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev)


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def _paths(paths: Iterable[str]) -> tuple[tuple[str], ...]:
    return tuple((_text(path),) for path in paths)


def _text(path: str) -> str:
    return label(os.fsencode(path))


def build(host: Host) -> Collector:
    """The collector on this host."""
    files = TextFiles(host.settings[DIRECTORY])
    return Collector(files.collect, gives_way=files.give_way)
