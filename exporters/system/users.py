"""The `users` collector: what each user's processes use. Off by default: its labels name people.

From /proc/PID/stat, status and io (proc(5)), all processes in the background. A counter of a user holds what
its processes used that have ended, up to the reading before their end. Whose files of /proc/PID/io may not be
read (another user's, unless we are root) does not count in I/O.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from exporters.background import Background
from exporters.collector import Collector, Host
from exporters.errors import SourceError
from exporters.samples import Family, Kind, Row
from exporters.settings import duration, whole
from exporters.system.passwd import read_names
from exporters.system.toplist import Numbers, TopList
from exporters.system.tree import Tree
from exporters.system.usage import OTHER, Series, Sheet, single

MOST = whole(
    "collector.users.most",
    20,
    "Users that have series of their own; the others are one called other.",
    least=1,
    most=10_000,
)
INTERVAL = duration("collector.users.interval", 15.0, "How often all processes are looked at.")
SETTINGS = (MOST, INTERVAL)

_SERIES = (
    Series(
        "cpu_seconds_total",
        Kind.COUNTER,
        "CPU time that the {}'s processes used.",
        (("cpu_user", "user"), ("cpu_system", "system")),
        ("mode",),
    ),
    single(
        "read_bytes", "io_read_bytes_total", Kind.COUNTER, "Bytes that the {}'s processes read from disks."
    ),
    single(
        "written_bytes",
        "io_written_bytes_total",
        Kind.COUNTER,
        "Bytes that the {}'s processes wrote to disks.",
    ),
    single("resident", "memory_resident_bytes", Kind.GAUGE, "Memory that the {}'s processes have in RAM."),
    single("processes", "processes", Kind.GAUGE, "Processes of the {}."),
    single("tasks", "tasks", Kind.GAUGE, "Processes and threads of the {}."),
)
_TICKS_PER_SECOND = 100
_UTIME, _STIME, _THREADS, _START, _RSS = 11, 12, 17, 19, 21
"""Places in /proc/PID/stat behind the command's closing bracket (fields 14, 15, 20, 22, 24)."""


class Used(NamedTuple):
    """What one user used: CPU time (in ticks while it is added up, then in seconds), bytes, and counts."""

    cpu_user: float = 0
    cpu_system: float = 0
    read_bytes: int | None = None
    written_bytes: int | None = None
    resident: int = 0
    processes: int = 0
    tasks: int = 0


_SHEET = Sheet("user", ("user",), _SERIES, Used._fields)


class Process(NamedTuple):
    """A process: its uid, and what it used; ticks of CPU, bytes (None where we may not know), threads."""

    uid: int
    utime: int
    stime: int
    resident: int
    threads: int
    read_bytes: int | None
    written_bytes: int | None


@dataclass(frozen=True, slots=True)
class Raw:
    """The processes, by pid and start, and names by uid."""

    processes: Mapping[tuple[str, int], Process]
    names: Mapping[int, str]


def read(tree: Tree) -> Raw:
    """Look at all processes; one that ends meanwhile is left out.

    Raises:
        OSError: /proc may not be listed.
        SourceError: a file is not as documented.
    """
    processes = {}
    for pid in tree.proc_list("."):
        if not pid.isdigit():
            continue
        try:
            stat, status = tree.proc_once(f"{pid}/stat"), tree.proc_once(f"{pid}/status")
        except OSError:
            continue
        start, process = parse(stat, status, _io(tree, pid))
        processes[pid, start] = process
    return Raw(processes, read_names(tree))


def parse(stat: bytes, status: bytes, io: bytes) -> tuple[int, Process]:
    """Start in ticks since boot, and what a process used.

    Raises:
        SourceError: a file is not as documented.
    """
    fields = stat.rpartition(b")")[2].split()
    try:
        utime, stime, threads, start, pages = [
            int(fields[place]) for place in (_UTIME, _STIME, _THREADS, _START, _RSS)
        ]
        uid = int(status.partition(b"\nUid:")[2].split(maxsplit=1)[0])
        counts = {name: int(value) for name, _, value in (line.partition(b":") for line in io.splitlines())}
    except (ValueError, IndexError) as error:
        raise SourceError("/proc/PID/stat, status or io", str(error)) from error
    resident = pages * _PAGE_BYTES
    return start, Process(
        uid, utime, stime, resident, threads, counts.get(b"read_bytes"), counts.get(b"write_bytes")
    )


_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def _io(tree: Tree, pid: str) -> bytes:
    try:
        return tree.proc_once(f"{pid}/io")
    except OSError:  # not ours, gone, or the kernel keeps no such account
        return b""


class Ledger:
    """Adds up what users used, over the ends of processes."""

    def __init__(self, most: int) -> None:
        self._before: Mapping[tuple[str, int], Process] = {}
        self._used: dict[Row, Used] = {}
        self._list = TopList[Row](most, _SHEET.is_counter, _weight)

    def collect(self, raw: Raw) -> list[Family]:
        """The families of a reading."""
        now = {row: used._replace(resident=0, processes=0, tasks=0) for row, used in self._used.items()}
        for key, process in raw.processes.items():
            row = (_name(process.uid, raw.names),)
            now[row] = _add(now.get(row, Used()), process, self._before.get(key))
        self._before, self._used = raw.processes, now
        used: dict[Row, Numbers] = {row: _in_seconds(each) for row, each in now.items()}
        return list(_SHEET.families(self._list.choose(used)))


def _name(uid: int, names: Mapping[int, str]) -> str:
    name = names.get(uid, "")
    return name if name not in ("", OTHER) else str(uid)


def _add(used: Used, process: Process, before: Process | None) -> Used:
    return Used(
        used.cpu_user + _step(process.utime, before.utime if before else 0),
        used.cpu_system + _step(process.stime, before.stime if before else 0),
        _more(used.read_bytes, process.read_bytes, before.read_bytes if before else 0),
        _more(used.written_bytes, process.written_bytes, before.written_bytes if before else 0),
        used.resident + process.resident,
        used.processes + 1,
        used.tasks + process.threads,
    )


def _in_seconds(used: Used) -> Used:
    return used._replace(
        cpu_user=used.cpu_user / _TICKS_PER_SECOND, cpu_system=used.cpu_system / _TICKS_PER_SECOND
    )


def _step(now: int, before: int) -> int:
    """The kernel's CPU times of a process may step back a little: they are scaled."""
    return max(0, now - before)


def _more(total: int | None, now: int | None, before: int | None) -> int | None:
    return total if now is None else (total or 0) + _step(now, before or 0)


def _weight(numbers: Numbers) -> float:
    """CPU time so far, and a second of it for each gibibyte: memory tells apart those that have used none."""
    used = Used._make(numbers)
    return used.cpu_user + used.cpu_system + used.resident / (1 << 30)


def build(host: Host) -> Collector:
    """The collector on this host, in the background."""
    ledger = Ledger(host.settings[MOST])

    def collected() -> Sequence[Family]:
        return ledger.collect(read(host.tree))

    return Background("users", collected, interval_seconds=host.settings[INTERVAL]).collector()
