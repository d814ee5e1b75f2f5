"""/nodes/{node}/tasks (pve-manager:PVE/API2/Tasks.pm)."""

from __future__ import annotations

import re

from lab.proxmox.errors import wrong_parameters
from lab.proxmox.formats import split_list
from lab.proxmox.guests import NODE
from lab.proxmox.methods import Call, Listing, Method
from lab.proxmox.schema import Field, boolean, integer, text
from lab.proxmox.tasks import Task, is_upid

__all__ = ["METHODS"]

_DEFAULT_LIMIT = 50
_TASK = {"node": NODE, "upid": text()}
_WINDOW = {"start": integer(minimum=0), "limit": integer(minimum=0)}


def list_tasks(call: Call) -> object:
    """Tasks of a node, by default only finished ones; the result is called `status` here."""
    params, node, now = call.params, call.params["node"], call.center.now()
    source = params.get("source", "archive")
    tasks: list[Task] = []
    if source in {"active", "all"}:
        tasks += call.center.tasks.active(node, swept=call.center.environment.live_statistics)
    if source in {"archive", "all"}:
        tasks += call.center.tasks.archive(node, now)
    sees_all = call.rights.check(call.who, f"/nodes/{node}", ("Sys.Audit",), quiet=True)
    found = [task for task in tasks if (sees_all or task.belongs_to(call.who)) and _is_wanted(call, task)]
    start, limit = int(params.get("start", 0)), int(params.get("limit", _DEFAULT_LIMIT))
    return Listing([_listed(task) for task in found[start : start + limit]], len(found))


def _listed(task: Task) -> dict[str, object]:
    if not task.archived:
        # Upstream has not looked yet whether it has ended.
        return {**task.described(), "status": "RUNNING"}
    return {**task.described(), "endtime": task.endtime, "status": task.exitstatus}


def _is_wanted(call: Call, task: Task) -> bool:
    params = call.params
    if params.get("typefilter", task.type) != task.type or params.get("vmid", task.id) != task.id:
        return False
    if params.get("userfilter", "").lower() not in task.who.partition("!")[0].lower():
        return False
    if not int(params.get("since", 0)) <= task.starttime <= int(params.get("until", task.starttime)):
        return False
    if call.flag("errors"):
        return _status_type(task) != "ok"
    wanted = params.get("statusfilter")
    return wanted is None or _status_type(task) in split_list(wanted.lower())


def _status_type(task: Task) -> str:
    status = task.exitstatus if task.archived else None
    if status is None or status == "unexpected status":
        return "unknown"
    if status == "OK":
        return "ok"
    return "warning" if re.fullmatch(r"WARNINGS: \d+", status) else "error"


def _known(call: Call) -> Task | None:
    upid = call.params["upid"]
    if not is_upid(upid):
        raise wrong_parameters({"upid": "unable to parse worker upid"})
    return call.center.tasks.find(upid)


def _owner(call: Call) -> str:
    return call.params["upid"].split(":")[7].partition("!")[0]


def _find(call: Call, privilege: str) -> Task:
    task = _known(call)
    if task is None:
        raise wrong_parameters({"upid": "no such task"})
    if not task.belongs_to(call.who):
        call.rights.check(call.who, f"/nodes/{call.params['node']}", (privilege,))
    return task


def show_index(call: Call) -> object:
    """What a task has."""
    del call
    return [{"name": "log"}, {"name": "status"}]


def show_status(call: Call) -> object:
    """Whether a task still runs, and how it ended."""
    task = _find(call, "Sys.Audit")
    if task.is_running:
        return {**task.described(), "status": "running"}
    return {**task.described(), "status": "stopped", "exitstatus": task.exitstatus}


def show_log(call: Call) -> object:
    """The lines that a task wrote."""
    task = _known(call)
    if not (task.belongs_to(call.who) if task else call.who == _owner(call)):
        call.rights.check(call.who, f"/nodes/{call.params['node']}", ("Sys.Audit",))
    lines = (task.log or ["no content"]) if task else ["unable to open file - No such file or directory"]
    start, limit = int(call.params.get("start", 0)), int(call.params.get("limit", _DEFAULT_LIMIT))
    limit = limit or len(lines)
    shown: list[dict[str, object]] = [
        {"n": number, "t": line}
        for number, line in enumerate(lines, start=1)
        if start < number <= start + limit
    ]
    return Listing(shown, len(lines))


def stop_task(call: Call) -> object:
    """Stop a task; one that has ended is left as it is."""
    _find(call, "Sys.Modify").kill(call.center.now())
    return None


METHODS = (
    Method(
        "GET",
        "/nodes/{node}/tasks",
        list_tasks,
        {
            "node": NODE,
            **_WINDOW,
            "errors": boolean(),
            "since": integer(),
            "until": integer(),
            "source": Field(optional=True, enum=("archive", "active", "all")),
            "statusfilter": text("task-status", optional=True, listed=True),
            "typefilter": text(optional=True),
            "userfilter": text(optional=True),
            "vmid": Field(kind="integer", format="vmid", optional=True, minimum=100, maximum=999_999_999),
        },
        open_to="all",
        proxied=True,
    ),
    Method("GET", "/nodes/{node}/tasks/{upid}", show_index, _TASK, open_to="all"),
    Method("DELETE", "/nodes/{node}/tasks/{upid}", stop_task, _TASK, open_to="all", proxied=True),
    Method(
        "GET",
        "/nodes/{node}/tasks/{upid}/log",
        show_log,
        {**_TASK, **_WINDOW, "download": boolean()},
        open_to="all",
        proxied=True,
    ),
    Method("GET", "/nodes/{node}/tasks/{upid}/status", show_status, _TASK, open_to="all", proxied=True),
)
