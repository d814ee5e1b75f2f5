"""Worker tasks and their identifiers (pve-common:src/PVE/UPID.pm, PVE/RESTEnvironment.pm).

A task either ends at once or, as a shutdown that a guest does not obey, at an instant in the future; it is
settled when somebody looks. Finished tasks come into the node's list only when upstream next sweeps its
list of workers: when another task starts, or here at the latest after ARCHIVED_AFTER_SECONDS.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lab.proxmox.accounts import split_token
from lab.proxmox.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["ARCHIVED_AFTER_SECONDS", "Task", "Tasks", "is_upid"]

# A real status daemon sweeps every 10 s; where the recordings come from none ran. Between the two.
ARCHIVED_AFTER_SECONDS = 60

_UPID = re.compile(
    r"UPID:[a-zA-Z0-9](?:[a-zA-Z0-9\-]*[a-zA-Z0-9])?:[0-9A-Fa-f]{8}:[0-9A-Fa-f]{8,9}:[0-9A-Fa-f]{8}:[^:\s/]+:[^:\s/]*:[^:\s/]+:"
)


def is_upid(text: str) -> bool:
    """Whether the text has the form of a task identifier."""
    return _UPID.fullmatch(text) is not None


@dataclass
class Task:
    """One worker. `outcome` is asked once `ends_at` has come: lines for the log, or upstream's error."""

    upid: str
    node: str
    pid: int
    pstart: int
    starttime: int
    type: str
    id: str
    who: str
    ends_at: float
    outcome: Callable[[], Iterable[str]]
    log: list[str] = field(default_factory=list)
    exitstatus: str | None = None
    endtime: int = 0
    archived: bool = False

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.exitstatus is None

    def settle(self, now: float) -> None:
        """End it if its time has come."""
        if not self.is_running or now < self.ends_at:
            return
        try:
            lines = list(self.outcome())
            self.log.extend(lines)
            warnings = sum(line.startswith("WARN: ") for line in lines)
            ended = f"WARNINGS: {warnings}" if warnings else "OK"
            self._end(ended, f"TASK {ended}", self.ends_at)
        except ApiError as error:
            text = " ".join(error.as_text().split("\n")).strip()
            self._end(text, f"TASK ERROR: {text}", self.ends_at)

    def kill(self, now: float) -> None:
        """End it as a worker that was stopped from outside."""
        if self.is_running:
            self._end("unexpected status", "received interrupt", now)

    def _end(self, exitstatus: str, last_line: str, at: float) -> None:
        self.exitstatus = exitstatus
        self.log.append(last_line)
        self.endtime = int(at)

    def described(self) -> dict[str, object]:
        """The fields of the identifier; a token's task names user and token apart."""
        token = split_token(self.who)
        fields: dict[str, object] = {
            "upid": self.upid,
            "node": self.node,
            "pid": self.pid,
            "pstart": self.pstart,
            "starttime": self.starttime,
            "type": self.type,
            "id": self.id,
            "user": token[0] if token else self.who,
        }
        return {**fields, "tokenid": token[1]} if token else fields

    def belongs_to(self, who: str) -> bool:
        """A user sees tasks of their tokens, not the other way round."""
        token = split_token(self.who)
        return who == self.who or (token is not None and who == token[0])


class Tasks:
    """All tasks of all nodes."""

    def __init__(self) -> None:
        self._by_upid: dict[str, Task] = {}
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._next_pid = 0x000010E1

    def start(
        self,
        kind: str,
        *,
        node: str,
        identifier: str,
        who: str,
        now: float,
        ends_at: float,
        outcome: Callable[[], Iterable[str]],
    ) -> Task:
        """Start a worker; one that ends now has ended when this returns."""
        self.sweep(now)
        pid, self._next_pid = self._next_pid, self._next_pid + 7
        pstart = 0x00100000 + pid * 3
        upid = f"UPID:{node}:{pid:08X}:{pstart:08X}:{int(now):08X}:{kind}:{identifier}:{who}:"
        task = Task(upid, node, pid, pstart, int(now), kind, identifier, who, ends_at, outcome)
        self._by_upid[upid] = task
        task.settle(now)
        return task

    def find(self, upid: str) -> Task | None:
        """The task with this identifier."""
        return self._by_upid.get(upid)

    def later(self, at: float, work: Callable[[], None]) -> None:
        """Have something done at an instant, by whoever looks first from then on."""
        self._later.append((at, work))

    def settle(self, now: float) -> None:
        """Do what is due, and end what has come to its end, in the order of the ends."""
        due = [work for at, work in self._later if at <= now]
        self._later = [(at, work) for at, work in self._later if at > now]
        for work in due:
            work()
        for task in sorted(
            (task for task in self._by_upid.values() if task.is_running), key=lambda task: task.ends_at
        ):
            task.settle(now)

    def sweep(self, now: float) -> None:
        """Settle, and archive what has ended."""
        self.settle(now)
        for task in self._by_upid.values():
            task.archived = task.archived or not task.is_running

    def archive(self, node: str, now: float) -> list[Task]:
        """Finished tasks of a node that its list shows, newest first."""
        for task in self._by_upid.values():
            if not task.is_running and now - task.endtime >= ARCHIVED_AFTER_SECONDS:
                task.archived = True
        return [task for task in reversed(self._by_upid.values()) if task.node == node and task.archived]

    def active(self, node: str, *, swept: bool) -> list[Task]:
        """Tasks that upstream takes for running: not archived yet, or, with `swept`, not ended."""
        return [
            task
            for task in self._by_upid.values()
            if node in {"", task.node} and (task.is_running or not (swept or task.archived))
        ]

    def ended(self, node: str = "") -> list[Task]:
        """Tasks that have ended, newest first, of one node or of all."""
        found = [task for task in self._by_upid.values() if not task.is_running and node in {"", task.node}]
        return list(reversed(found))

    def running(self, node: str = "") -> list[Task]:
        """Tasks that have not ended, of one node or of all."""
        return [task for task in self._by_upid.values() if task.is_running and node in {"", task.node}]
