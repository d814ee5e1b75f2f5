"""/cluster/backup (pve-manager:PVE/API2/Backup.pm, PVE/Jobs/VZDump.pm). Schedules are kept, not run."""

from __future__ import annotations

import uuid

from lab.proxmox.accounts import ROOT
from lab.proxmox.checks import OnPath
from lab.proxmox.errors import ApiError, not_permitted, wrong_parameters
from lab.proxmox.formats import split_list
from lab.proxmox.methods import Call, Method
from lab.proxmox.schema import Field, Schema, boolean, integer, text
from lab.proxmox.sections import refuse_line_feeds, settled

__all__ = ["METHODS", "VZDUMP_OPTIONS"]

_READ = OnPath("/", ("Sys.Audit",))
_MANAGE = OnPath("/", ("Sys.Modify",))
_ID = Field(pattern=r"\S+", max_length=50)
_ONLY_ROOT = ("tmpdir", "dumpdir", "script")

_NUMBERS = frozenset(
    {"all", "enabled", "repeat-missed", "protected", "remove", "quiet", "stdexcludes", "stop", "stopwait"}
    | {"bwlimit", "ionice", "lockwait", "pigz", "zstd"}
)
_OPTIONS: Schema = {
    "all": boolean(),
    "bwlimit": integer(minimum=0),
    "comment": text(optional=True, max_length=512),
    "compress": Field(optional=True, enum=("0", "1", "gzip", "lzo", "zstd")),
    "dow": text("day", optional=True, listed=True, requires="starttime"),
    "dumpdir": text(optional=True),
    "enabled": boolean(),
    "exclude": text("vmid", optional=True, listed=True),
    "exclude-path": text(optional=True, listed=True),
    "fleecing": text("backup-fleecing", optional=True),
    "ionice": integer(minimum=0, maximum=8),
    "lockwait": integer(minimum=0),
    "mailnotification": Field(optional=True, enum=("always", "failure")),
    "mailto": text("mail-or-user", optional=True, listed=True),
    "mode": Field(optional=True, enum=("snapshot", "suspend", "stop")),
    "node": text("node", optional=True),
    "notes-template": text(optional=True, max_length=1024, requires="storage"),
    "notification-mode": Field(optional=True, enum=("auto", "legacy-sendmail", "notification-system")),
    "pbs-change-detection-mode": Field(optional=True, enum=("legacy", "data", "metadata")),
    "performance": text("backup-performance", optional=True),
    "pigz": integer(),
    "pool": text(optional=True),
    "protected": boolean(requires="storage"),
    "prune-backups": text("prune-backups", optional=True),
    "quiet": boolean(),
    "remove": boolean(),
    "repeat-missed": boolean(),
    "schedule": text(optional=True, max_length=128),
    "script": text(optional=True),
    "starttime": Field(optional=True, pattern=r"\d{1,2}:\d{1,2}"),
    "stdexcludes": boolean(),
    "stop": boolean(),
    "stopwait": integer(minimum=0),
    "storage": text("storageid", optional=True),
    "tmpdir": text(optional=True),
    "vmid": text("vmid", optional=True, listed=True),
    "zstd": integer(),
}
_OF_JOBS = ("comment", "dow", "enabled", "node", "repeat-missed", "schedule", "starttime")
_DELETABLE = (_OPTIONS.keys() - _OF_JOBS) | {"comment", "node", "repeat-missed"}
VZDUMP_OPTIONS: Schema = {name: field for name, field in _OPTIONS.items() if name not in _OF_JOBS}
"""What a backup takes that is made at once."""


def list_jobs(call: Call) -> object:
    """All jobs, with the instant of their next run."""
    next_run = int(call.center.now()) // 86400 * 86400 + 86400
    return [{**job, "next-run": next_run} for job in call.center.backup_jobs.values()]


def read_job(call: Call) -> object:
    """One job."""
    name = call.params["id"]
    if name not in call.center.backup_jobs:
        raise wrong_parameters({"id": f"No such job '{name}'"})
    return call.center.backup_jobs[name]


def create_job(call: Call) -> object:
    """Create a job; the storage need not exist."""
    params = dict(call.params)
    _require_rights(call, params.get("storage", "local"))
    _settle_schedule(params, required=True)
    name = params.pop("id", None) or str(uuid.uuid4())
    if name in call.center.backup_jobs:
        raise ApiError(f"Job '{name}' already exists\n")
    job = {"id": name, "type": "vzdump", "enabled": 1, **_typed(params)}
    _check_selection(job)
    refuse_line_feeds(params.values())
    call.center.backup_jobs[name] = settled(job)
    return None


def update_job(call: Call) -> object:
    """Change what is given; another selection of guests replaces the former one."""
    params, jobs = dict(call.params), call.center.backup_jobs
    name, deleted = params.pop("id"), split_list(params.pop("delete", ""))
    _require_rights(call, "local" if "storage" in deleted else params.get("storage", ""))
    _settle_schedule(params, required=False)
    given = _typed(params)
    _check_conflicts(given)
    if not (given or deleted):
        raise ApiError("no options specified\n")
    if name not in jobs:
        raise ApiError("no such vzdump job\n")
    changed = dict(jobs[name])
    for option in deleted:
        if option not in _DELETABLE:
            raise _inside({"delete": f"unknown option '{option}'"})
        changed.pop(option, None)
    changed.update(given)
    for other in _dropped(given, changed):
        changed.pop(other, None)
    _check_selection(changed)
    refuse_line_feeds(params.values())
    jobs[name] = settled(changed)
    return None


def _dropped(given: dict[str, object], job: dict[str, object]) -> tuple[str, ...]:
    """What a new selection of guests drops of the former one."""
    if "vmid" in given:
        return ("all", "exclude", "pool")
    if given.get("all"):
        return ("vmid", "pool")
    return ("vmid", "all", "exclude") if job.get("pool") else ()


def _require_rights(call: Call, storage: str) -> None:
    """What a job may hold beyond the right to have one: the checks that the method itself makes."""
    pool = call.params.get("pool")
    if pool:
        if pool not in call.center.accounts.pools:
            raise not_permitted(f"pool '{pool}' does not exist")
        call.rights.check(call.who, f"/pool/{pool}", ("VM.Backup",))
    if call.who == ROOT:
        return
    for option in _ONLY_ROOT:
        if option in call.params:
            raise wrong_parameters({option: "Only root may set this option."})
    if storage:
        call.rights.check(call.who, f"/storage/{storage}", ("Datastore.Allocate",))


def _settle_schedule(params: dict[str, str], *, required: bool) -> None:
    """The older pair of `dow` and `starttime` becomes a schedule."""
    if "schedule" in params and "starttime" in params:
        raise wrong_parameters({"starttime": "'starttime' and 'schedule' cannot both be set"})
    if "schedule" not in params and "starttime" not in params and required:
        raise wrong_parameters({"schedule": "neither 'starttime' nor 'schedule' were set"})
    starttime, days = params.pop("starttime", ""), params.pop("dow", "")
    if starttime:
        params["schedule"] = f"{days} {starttime}".strip()


def delete_job(call: Call) -> object:
    """Delete a job."""
    if call.center.backup_jobs.pop(call.params["id"], None) is None:
        raise _inside({"id": f"No such job '{call.params['id']}'"})
    return None


def _inside(errors: dict[str, str]) -> ApiError:
    """A parameter error that upstream raises under its lock, where it becomes a plain failure."""
    return ApiError(wrong_parameters(errors).as_text())


def _check_selection(job: dict[str, object]) -> None:
    """Guests are named by number, by pool, or all are taken, with exceptions."""
    _check_conflicts(job)
    if "exclude" in job and not job.get("pool"):
        job["all"] = 1
    if not any(job.get(option) for option in ("all", "stop", "pool", "vmid")):
        raise _inside({"vmid": "property is missing"})


def _check_conflicts(job: dict[str, object]) -> None:
    for option in ("all", "exclude", "pool"):
        if job.get(option) and job.get("vmid"):
            raise _inside({option: "option conflicts with option 'vmid'"})
    if "\n" in str(job.get("notes-template", "")):
        raise _inside({"notes-template": "contains a line feed"})


def _typed(params: dict[str, str]) -> dict[str, object]:
    typed: dict[str, object] = {}
    for name, value in params.items():
        if name == "prune-backups":
            typed[name] = dict(part.partition("=")[::2] for part in value.split(",") if part.strip())
        else:
            typed[name] = int(value) if name in _NUMBERS else value
    return typed


def show_included(call: Call) -> object:
    """The guests that a job takes; the lab's have no disks."""
    job = read_job(call)
    guests = call.center.environment.guests
    children: list[dict[str, object]] = []
    for vmid in sorted(_included(call, job if isinstance(job, dict) else {})):
        guest = guests.get(vmid)
        if guest is None:
            # Named in the job, but gone: all that can be told is its number.
            children.append({"id": str(vmid), "leaf": 1, "type": "unknown"})
            continue
        name = (guest.config or {}).get("name", f"VM{vmid}")
        children.append({"children": [], "id": str(vmid), "leaf": 1, "name": name, "type": guest.type})
    return {"children": children}


def _included(call: Call, job: dict[str, object]) -> set[int]:
    guests = call.center.environment.guests
    if job.get("pool"):
        pool = call.center.accounts.pools.get(str(job["pool"]))
        if pool is None:
            raise ApiError(f"pool '{job['pool']}' does not exist\n")
        chosen = pool.vms & guests.keys()
    elif job.get("vmid"):
        chosen = set(map(int, split_list(str(job["vmid"]))))
    else:
        chosen = guests.keys() - set(map(int, split_list(str(job.get("exclude", "")))))
    node = job.get("node")
    return {
        vmid
        for vmid in chosen
        if (node is None or vmid not in guests or guests[vmid].node == node)
        and call.rights.check(call.who, f"/vms/{vmid}", ("VM.Audit",), quiet=True)
    }


def show_uncovered(call: Call) -> object:
    """The guests that no job takes, of those that the caller may see (PVE/API2/Cluster/BackupInfo.pm)."""
    covered = {vmid for job in call.center.backup_jobs.values() for vmid in _included(call, job)}
    return [
        {
            "vmid": guest.vmid,
            "type": guest.type,
            "name": (guest.config or {}).get("hostname")
            or (guest.config or {}).get("name", f"VM{guest.vmid}"),
        }
        for guest in call.center.environment.guests.values()
        if guest.vmid not in covered
        and call.rights.check(call.who, f"/vms/{guest.vmid}", ("VM.Audit",), quiet=True)
    ]


METHODS = (
    Method("GET", "/cluster/backup-info/not-backed-up", show_uncovered, check=_READ),
    Method("GET", "/cluster/backup", list_jobs, check=_READ),
    Method(
        "POST", "/cluster/backup", create_job, {"id": text("configid", optional=True), **_OPTIONS}, _MANAGE
    ),
    Method("GET", "/cluster/backup/{id}", read_job, {"id": _ID}, _READ),
    Method(
        "PUT",
        "/cluster/backup/{id}",
        update_job,
        {"id": _ID, **_OPTIONS, "delete": text("configid", optional=True, listed=True)},
        _MANAGE,
    ),
    Method("DELETE", "/cluster/backup/{id}", delete_job, {"id": _ID}, _MANAGE),
    Method("GET", "/cluster/backup/{id}/included_volumes", show_included, {"id": _ID}, _READ),
)
