"""Starting and stopping guests of Proxmox VE, and the tasks that do it.

A call that starts or stops answers with a task's identifier at once; the outcome is in the task. What the
methods raise is said in controller/clients/proxmox.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from controller.clients.proxmox_wire import converted
from controller.errors import ControllerError
from controller.power_values import GuestState, ProxmoxTask

if TYPE_CHECKING:
    from controller.clients.proxmox_connection import ProxmoxConnection
    from controller.clients.proxmox_glance import Reads
    from controller.power_values import GuestAddress

__all__ = ["PowerReader", "PowerSwitch"]

_MOST_TASKS = 500
_RUNNING = ("running", "RUNNING")


class _Managed(msgspec.Struct):
    managed: bool = False


class _StateRow(msgspec.Struct):
    """GET …/status/current."""

    status: str
    lock: str = ""
    template: bool = False
    ha: _Managed = msgspec.field(default_factory=_Managed)


class _TaskRow(msgspec.Struct):
    """A row of GET /nodes/{node}/tasks, where `status` is the result."""

    upid: str
    node: str
    type: str
    user: str
    starttime: int
    id: str = ""
    tokenid: str = ""
    endtime: int | None = None
    status: str = ""
    exitstatus: str = ""

    def value(self, result: str) -> ProxmoxTask:
        user = f"{self.user}!{self.tokenid}" if self.tokenid else self.user
        return ProxmoxTask(
            self.upid, self.node, self.type, self.id, user, self.starttime, self.endtime, result
        )


class PowerReader:
    """What guests do now, and tasks."""

    def __init__(self, reads: Reads, own_user: str = "") -> None:
        self._reads = reads
        self.own_user = own_user
        """Ourselves as tasks name us: user@realm!token."""

    def current(self, guest: GuestAddress) -> GuestState:
        """What a guest does now. Raises `NotThere` where it is not on that node."""
        path = (*_path(guest), "status", "current")
        row = converted(self._reads.get(*path), _StateRow, f"GET /{'/'.join(path)}")
        return GuestState(row.status, row.lock, row.ha.managed, row.template)

    def running_tasks(self, node: str) -> dict[str, ProxmoxTask]:
        """The tasks of a node that have not ended, by identifier."""
        found = self._tasks(node, source="active")
        return {task.upid: task for task in found if task.is_running}

    def tasks(self, node: str, *, since: int = 0) -> list[ProxmoxTask]:
        """The newest tasks of a node that began at `since` or later: ours, and all with Sys.Audit there."""
        return self._tasks(node, source="all", since=str(since))

    def task(self, node: str, upid: str) -> ProxmoxTask:
        """One task. Raises `TerminalError` for one that Proxmox VE does not know."""
        path = ("nodes", node, "tasks", upid, "status")
        row = converted(self._reads.get(*path), _TaskRow, f"GET /nodes/{node}/tasks/…/status")
        result = "" if row.status in _RUNNING else row.exitstatus or "unexpected status"
        return row.value(result)

    def _tasks(self, node: str, **params: str) -> list[ProxmoxTask]:
        data = self._reads.get("nodes", node, "tasks", limit=str(_MOST_TASKS), **params)
        rows = converted(data, list[_TaskRow], f"GET /nodes/{node}/tasks")
        return [row.value("" if row.status in _RUNNING else row.status) for row in rows]


class PowerSwitch(PowerReader):
    """Starts and stops guests; each call gives the identifier of the task that does it.

    `TransientError` with Proxmox's words where something stands in the way just now, `OutcomeUnknown` where
    no answer came: the task may be there all the same.
    """

    def __init__(self, connection: ProxmoxConnection, own_user: str = "") -> None:
        super().__init__(connection, own_user)
        self._connection = connection

    def start(self, guest: GuestAddress) -> str:
        """Start it."""
        return self._post(guest, "start")

    def shutdown(self, guest: GuestAddress, *, timeout_seconds: int, force: bool) -> str:
        """Ask it to end; only with `force` is it stopped where it does not obey in time."""
        forced = {"forceStop": "1"} if force else {}
        return self._post(guest, "shutdown", timeout=str(timeout_seconds), **forced)

    def stop(self, guest: GuestAddress) -> str:
        """Pull the plug."""
        return self._post(guest, "stop")

    def _post(self, guest: GuestAddress, what: str, **data: str) -> str:
        upid = self._connection.post(*_path(guest), "status", what, **data)
        if not isinstance(upid, str) or not upid.startswith("UPID:"):
            raise ControllerError(f"Proxmox VE answered {what} of guest {guest.vmid} with no task")
        return upid


def _path(guest: GuestAddress) -> tuple[str, ...]:
    return ("nodes", guest.node, guest.kind, str(guest.vmid))
