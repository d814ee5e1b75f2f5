"""Content of storages: here backups (pve-storage:src/PVE/API2/Storage/Content.pm)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.proxmox.checks import OnPath
from lab.proxmox.errors import ApiError
from lab.proxmox.guests import NODE
from lab.proxmox.methods import Call, Method
from lab.proxmox.schema import Field, integer, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.proxmox.environment import Backup

__all__ = ["METHODS"]

_STORAGE = {"node": NODE, "storage": text("storageid")}


def list_content(call: Call) -> object:
    """Volumes of a storage; backups that the caller may not use are left out without a word."""
    _require_storage(call)
    vmid = call.params.get("vmid")
    if call.params.get("content", "backup") != "backup":
        return []
    return [
        _described(backup)
        for backup in call.center.environment.backups
        if backup.storage == call.params["storage"]
        and vmid in {None, str(backup.vmid)}
        and _may_use(call, backup)
    ]


def _described(backup: Backup) -> dict[str, object]:
    row: dict[str, object] = {
        "volid": backup.volid,
        "content": "backup",
        "format": backup.format,
        "size": backup.size,
        "ctime": backup.created,
        "vmid": backup.vmid,
        "subtype": backup.type,
    }
    if backup.notes:
        row["notes"] = backup.notes
    if backup.protected:
        row["protected"] = 1
    return row


def _may_use(call: Call, backup: Backup) -> bool:
    def may(path: str, privilege: str) -> bool:
        return call.rights.check(call.who, path, (privilege,), quiet=True)

    storage = f"/storage/{backup.storage}"
    return may(storage, "Datastore.Allocate") or (
        may(storage, "Datastore.AllocateSpace") and may(f"/vms/{backup.vmid}", "VM.Backup")
    )


def delete_volume(call: Call) -> object:
    """Remove a backup in a task; a protected one stays, and the task says so."""
    _require_storage(call)
    storage, volume = call.params["storage"], call.params["volume"]
    volid = volume if ":" in volume else f"{storage}:{volume}"
    if volid.partition(":")[0] != storage:
        raise ApiError(f"volume '{volid}' is not on storage '{storage}'\n")
    backup = next((one for one in call.center.environment.backups if one.volid == volid), None)
    if backup is None:
        call.rights.check(call.who, f"/storage/{storage}", ("Datastore.Allocate",))
        raise ApiError(f"unable to parse directory volume name '{volid.partition(':')[2]}'\n")
    call.rights.check(call.who, f"/storage/{storage}", ("Datastore.AllocateSpace",))
    call.rights.check(call.who, f"/vms/{backup.vmid}", ("VM.Backup",))
    now = call.center.now()
    return call.center.tasks.start(
        "imgdel",
        node=call.params["node"],
        identifier=f"{backup.vmid}@{storage}",
        who=call.who,
        now=now,
        ends_at=now,
        outcome=lambda: _remove(call, backup),
    ).upid


def _remove(call: Call, backup: Backup) -> Iterator[str]:
    if backup.protected:
        raise ApiError(f"cannot remove protected volume 'backup/{backup.file}' on '{backup.storage}'\n")
    call.center.environment.backups.remove(backup)
    return iter((f"Removed volume '{backup.volid}'",))


def _require_storage(call: Call) -> None:
    storage = call.params["storage"]
    if storage not in call.center.environment.storages:
        raise ApiError(f"storage '{storage}' does not exist\n")


METHODS = (
    Method(
        "GET",
        "/nodes/{node}/storage/{storage}/content",
        list_content,
        {
            **_STORAGE,
            "content": text("content", optional=True),
            "vmid": Field(kind="integer", format="vmid", optional=True, minimum=100, maximum=999_999_999),
        },
        OnPath("/storage/{storage}", ("Datastore.Audit", "Datastore.AllocateSpace"), any_of=True),
        proxied=True,
    ),
    Method(
        "DELETE",
        "/nodes/{node}/storage/{storage}/content/{volume*}",
        delete_volume,
        {**_STORAGE, "volume": text(), "delay": integer(minimum=1, maximum=30)},
        open_to="all",
        proxied=True,
    ),
)
