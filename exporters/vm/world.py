"""What is known of a cluster: the last answer of each part, and what is remembered across readings."""

import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime

from exporters.samples import Number
from exporters.vm.answers import ReplicationJob, Resource, Status, Task
from exporters.vm.errors import DeniedError

_MOST_TASKS_SEEN = 20_000
_MOST_LOGS_OF_A_NODE = 10
_MOST_DENIED = 200
_BEGUN = re.compile(r"INFO: Backup started at (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)")
_ENDED = re.compile(r"INFO: Backup finished at (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)")
_FINISHED = re.compile(r"INFO: Finished Backup of VM (\d{3,9}) ")
_FAILED = re.compile(r"ERROR: Backup of VM (\d{3,9}) failed")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A vzdump task whose log is to be read from line `start` on; `begun` is when its first guest was."""

    task: Task
    start: int = 0
    begun: datetime | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """Whether a part answered last, and when it last did so, in unixtime."""

    ok: bool
    succeeded_at: float | None


class Tasks:
    """Counts each task once, by node and type; those that had ended before the first look count as 0."""

    def __init__(self) -> None:
        self.failures: dict[tuple[str, str], int] = {}
        self._seen: dict[str, None] = {}
        self._since: Number | None = None

    def add(self, listed: tuple[Task, ...]) -> None:
        """Take a list of tasks. What an absent node brings along that ended before the first look is old."""
        for task in listed:
            key = (task.node, task.type)
            is_new = task.upid not in self._seen and self._since is not None and task.endtime >= self._since
            self.failures[key] = self.failures.get(key, 0) + (is_new and task.has_failed)
        _remember(self._seen, (task.upid for task in listed))
        if self._since is None:
            self._since = max((task.endtime for task in listed), default=0)


class Backups:
    """When each guest, by vmid, was last backed up, and when that last failed.

    Two sources, the later one holds: logs of vzdump tasks, which a token that may only look can read, and the
    backups that storages list, which needs Datastore.AllocateSpace with VM.Backup, or Datastore.Allocate.
    """

    def __init__(self) -> None:
        self.succeeded: dict[str, Number] = {}
        self.failed: dict[str, Number] = {}
        self.wanted: dict[str, Wanted] = {}
        self._read: dict[str, None] = {}

    def add_tasks(self, listed: tuple[Task, ...]) -> None:
        """Take vzdump tasks: one of a single guest speaks for itself, the log of others has to be read."""
        for task in listed:
            if task.type != "vzdump" or task.upid in self._read:
                continue
            if task.id.isdigit():
                self._done(task.upid)
                _later(self.failed if task.has_failed else self.succeeded, task.id, task.endtime)
            elif task.upid not in self.wanted:
                self._want(task)

    def add_log(self, wanted: Wanted, lines: tuple[str, ...], *, is_last: bool) -> None:
        """Take lines of a task's log.

        They tell local times of the node, whose zone nobody tells; what counts is how long after the task's
        first guest each was done.
        """
        begun, at = wanted.begun, wanted.task.endtime
        vmid = ""
        for line in lines:
            if (match := _BEGUN.match(line)) is not None:
                begun = begun or _instant(match[1])
            elif (match := _FINISHED.match(line)) is not None:
                vmid = match[1]
                _later(self.succeeded, vmid, wanted.task.starttime)
            elif (match := _ENDED.match(line)) is not None and vmid:
                ended = _instant(match[1])
                if begun is not None and ended is not None:
                    at = wanted.task.starttime + (ended - begun).total_seconds()
                _later(self.succeeded, vmid, min(at, wanted.task.endtime))
                vmid = ""
            elif (match := _FAILED.match(line)) is not None:
                _later(self.failed, match[1], wanted.task.endtime)
        if is_last:
            self._done(wanted.task.upid)
        else:
            self.wanted[wanted.task.upid] = Wanted(wanted.task, wanted.start + len(lines), begun)

    def add_stored(self, newest: Mapping[str, Number]) -> None:
        """Take the newest backup of each guest that a storage has."""
        for vmid, at in newest.items():
            _later(self.succeeded, vmid, at)

    def give_up(self, upid: str) -> None:
        """A log cannot be read, and never will."""
        self._done(upid)

    def keep(self, vmids: frozenset[str]) -> None:
        """Forget guests that are no more."""
        for known in (self.succeeded, self.failed):
            for vmid in known.keys() - vmids:
                del known[vmid]

    def _want(self, task: Task) -> None:
        of_node = sum(wanted.task.node == task.node for wanted in self.wanted.values())
        if of_node < _MOST_LOGS_OF_A_NODE:
            self.wanted[task.upid] = Wanted(task)
        else:
            # Lists begin with the newest: what is left over are backups long since made again.
            self._done(task.upid)

    def _done(self, upid: str) -> None:
        self.wanted.pop(upid, None)
        _remember(self._read, (upid,))


@dataclass
class World:
    """A cluster as known after a reading; texts by node name where a part belongs to a node."""

    resources: tuple[Resource, ...] = ()
    status: Status | None = None
    local: str = ""
    version: Mapping[str, str] = field(default_factory=dict)
    not_backed_up: tuple[str, ...] | None = None
    qdevice: Mapping[str, str] = field(default_factory=dict)
    subscriptions: dict[str, Mapping[str, str]] = field(default_factory=dict)
    replication_sources: frozenset[str] = frozenset()
    replications: dict[str, tuple[ReplicationJob, ...]] = field(default_factory=dict)
    onboot: dict[str, Number | None] = field(default_factory=dict)
    privileges: Mapping[str, frozenset[str]] | None = None
    tasks: Tasks = field(default_factory=Tasks)
    backups: Backups = field(default_factory=Backups)
    denied: dict[str, DeniedError] = field(default_factory=dict)
    answered: dict[str, Answered] = field(default_factory=dict)
    nodes_answering: dict[str, bool] = field(default_factory=dict)
    requests: int = 0

    def take_resources(self, rows: tuple[Resource, ...]) -> None:
        """Take /cluster/resources; guests of dead nodes keep their texts, what is gone is forgotten."""
        before = {row.id: row for row in self.resources}
        self.resources = tuple(row.remembering(before.get(row.id)) for row in rows)
        present = {row.id for row in self.resources if row.is_guest}
        for gone in self.onboot.keys() - present:
            del self.onboot[gone]
        self.backups.keep(frozenset(row.vmid for row in self.resources if row.is_guest))
        nodes = {row.node for row in self.resources if row.kind == "node"}
        for gone in (
            self.subscriptions.keys() | self.replications.keys() | self.nodes_answering.keys()
        ) - nodes:
            self.subscriptions.pop(gone, None)
            self.replications.pop(gone, None)
            self.nodes_answering.pop(gone, None)

    def refuse(self, key: str, error: DeniedError) -> None:
        """Remember that a part was refused."""
        if key in self.denied or len(self.denied) < _MOST_DENIED:
            self.denied[key] = error

    def keep_denied(self, keys: AbstractSet[str]) -> None:
        """Forget refusals of parts that are no more."""
        for gone in self.denied.keys() - keys:
            del self.denied[gone]


def _remember(seen: dict[str, None], upids: Iterable[str]) -> None:
    """Put task identifiers last, and let go of the oldest of too many."""
    for upid in upids:
        seen.pop(upid, None)
        seen[upid] = None
    while len(seen) > _MOST_TASKS_SEEN:
        del seen[next(iter(seen))]


def _later(known: dict[str, Number], vmid: str, at: Number) -> None:
    known[vmid] = max(at, known.get(vmid, at))


def _instant(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
