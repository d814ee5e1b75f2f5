"""node_processes_*: processes and threads of the host by state, from /proc/PID/stat (proc_pid_stat(5)).

The walk over all of /proc runs in the background at its own interval. A process that ends between the list
and the reading of its file is not counted. Threads are looked at only where a process has more than one.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from exporters.background import Background
from exporters.collector import Collector, Host
from exporters.errors import SourceError
from exporters.samples import Family, Kind, Metric, Rows
from exporters.system.tree import Tree

INTERVAL_SECONDS = 30.0
"""The walk costs as much as ten collectors, and grows with the host."""
FIRST_WAIT_SECONDS = 1.5


def _gauge(name: str, text: str, labels: tuple[str, ...] = ()) -> Metric:
    return Metric(f"node_processes_{name}", Kind.GAUGE, text, labels)


_THREADS = _gauge("threads", "Threads on this host.")
_MOST_THREADS = _gauge("max_threads", "Threads that there may be on this host.")
_STATE = _gauge("state", "Processes in each state.", ("state",))
_THREADS_STATE = _gauge("threads_state", "Threads in each state.", ("thread_state",))
_PIDS = _gauge("pids", "Processes on this host.")
_MOST_PIDS = _gauge("max_processes", "Number up to which the kernel gives process ids.")
_STATE_PLACE, _THREADS_PLACE = 0, 17
"""Places in /proc/PID/stat after the command's closing bracket (fields 3 and 20)."""


@dataclass(frozen=True, slots=True)
class Raw:
    """Counts over all processes, and the kernel's two limits."""

    pids: int
    threads: int
    states: Mapping[str, int]
    thread_states: Mapping[str, int]
    most_threads: int
    most_pids: int


def read(tree: Tree) -> Raw:
    """Walk over /proc.

    Raises:
        SourceError: a file is malformed.
        OSError: /proc or a limit may not be read.
    """
    pids = threads = 0
    states: Counter[str] = Counter()
    thread_states: Counter[str] = Counter()
    for pid in tree.proc_list("."):
        if not pid.isdigit():
            continue
        found = _stat(tree, f"{pid}/stat")
        if found is None:
            continue
        state, count = found
        pids += 1
        threads += count
        states[state] += 1
        thread_states.update(
            [state] if count == 1 and tree.proc_is_live else _thread_states(tree, pid, state)
        )
    return Raw(
        pids,
        threads,
        states,
        thread_states,
        _limit(tree, "sys/kernel/threads-max"),
        _limit(tree, "sys/kernel/pid_max"),
    )


def _thread_states(tree: Tree, pid: str, state: str) -> list[str]:
    """States of a process's threads, the first of which is in the state of the process; none where it has
    ended meanwhile.
    """
    try:
        names = tree.proc_list(f"{pid}/task")
    except (FileNotFoundError, ProcessLookupError):
        return []
    found = [_stat(tree, f"{pid}/task/{name}/stat") for name in names if name.isdigit() and name != pid]
    return [*([state] if pid in names else []), *(each[0] for each in found if each is not None)]


def _stat(tree: Tree, name: str) -> tuple[str, int] | None:
    """State and number of threads; None where the process has ended meanwhile."""
    try:
        return parse(tree.proc_once(name))
    except (FileNotFoundError, ProcessLookupError):
        return None


def parse(stat: bytes) -> tuple[str, int]:
    """State and number of threads; the command before them may hold brackets and blanks.

    Raises:
        SourceError: it is no such line.
    """
    fields = stat.rpartition(b")")[2].split(None, _THREADS_PLACE + 1)
    try:
        return fields[_STATE_PLACE].decode("ascii"), int(fields[_THREADS_PLACE])
    except (IndexError, ValueError) as error:
        raise SourceError("/proc/PID/stat", f"malformed: {error}") from error


def _limit(tree: Tree, name: str) -> int:
    text = tree.proc(name)
    try:
        return int(text)
    except ValueError as error:
        raise SourceError(f"/proc/{name}", str(error)) from error


def collect(raw: Raw) -> list[Family]:
    """States that some process or thread is in, and the totals."""
    return [
        _THREADS.one(raw.threads),
        _MOST_THREADS.one(raw.most_threads),
        _by_state(_STATE, raw.states),
        _by_state(_THREADS_STATE, raw.thread_states),
        _PIDS.one(raw.pids),
        _MOST_PIDS.one(raw.most_pids),
    ]


def _by_state(metric: Metric, counts: Mapping[str, int]) -> Family:
    states = tuple(sorted(counts))
    return Family(metric, _rows(states), [counts[state] for state in states])


@lru_cache(maxsize=16)
def _rows(states: tuple[str, ...]) -> Rows:
    return tuple((state,) for state in states)


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Background(
        "processes",
        lambda: collect(read(host.tree)),
        interval_seconds=INTERVAL_SECONDS,
        first_wait_seconds=FIRST_WAIT_SECONDS,
    ).collector()
