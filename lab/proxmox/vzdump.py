"""Backups made at once: /nodes/{node}/vzdump (pve-manager:PVE/API2/VZDump.pm). No recording holds them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lab.proxmox.accounts import ROOT
from lab.proxmox.backup_jobs import VZDUMP_OPTIONS
from lab.proxmox.environment import Backup
from lab.proxmox.errors import ApiError, wrong_parameters
from lab.proxmox.formats import split_list
from lab.proxmox.guests import NODE
from lab.proxmox.methods import Call, Method
from lab.proxmox.schema import Field, boolean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.proxmox.environment import Guest

__all__ = ["METHODS"]

_ONLY_ROOT = ("tmpdir", "dumpdir", "script", "job-id")
_FORMATS = {"qemu": "vma.zst", "lxc": "tar.zst"}


def back_up(call: Call) -> object:
    """A task that backs up the guests of this node; the text OK where all that were named live elsewhere."""
    params = call.params
    for option in _ONLY_ROOT:
        if option in params and call.who != ROOT:
            raise wrong_parameters({option: "Only root may set this option."})
    named = split_list(params.get("vmid", ""))
    if not (named or call.flag("all") or params.get("pool")):
        raise wrong_parameters({"vmid": "property is missing"})
    if named and call.flag("all"):
        raise wrong_parameters({"all": "option conflicts with option 'vmid'"})
    storage = params.get("storage", "local")
    if storage not in call.center.environment.storages:
        raise ApiError(f"storage '{storage}' does not exist\n")
    call.rights.check(call.who, f"/storage/{storage}", ("Datastore.AllocateSpace",))
    for vmid in named:
        call.rights.check(call.who, f"/vms/{vmid}", ("VM.Backup",))
    guests = _guests(call, named)
    if named and not guests:
        return "OK"
    now = call.center.now()
    return call.center.tasks.start(
        "vzdump",
        node=params["node"],
        identifier=str(guests[0].vmid) if len(guests) == 1 else "",
        who=call.who,
        now=now,
        ends_at=now,
        outcome=lambda: _write(call, guests, storage, now),
    ).upid


def _guests(call: Call, named: list[str]) -> list[Guest]:
    """Those of the node that are meant; of `all` and of a pool only what the caller may back up."""
    params = call.params
    pool = call.center.accounts.pools.get(params.get("pool", ""))
    excluded = set(split_list(params.get("exclude", "")))
    return [
        guest
        for guest in call.center.environment.guests.values()
        if guest.node == params["node"]
        and str(guest.vmid) not in excluded
        and (str(guest.vmid) in named if named else pool is None or guest.vmid in pool.vms)
        and call.rights.check(call.who, f"/vms/{guest.vmid}", ("VM.Backup",), quiet=True)
    ]


def _write(call: Call, guests: list[Guest], storage: str, now: float) -> Iterator[str]:
    stamp = time.strftime("%Y_%m_%d-%H_%M_%S", time.gmtime(now))
    lines = ["INFO: starting new backup job: vzdump"]
    for guest in guests:
        kind = _FORMATS[guest.type]
        file = f"vzdump-{guest.type}-{guest.vmid}-{stamp}.{kind}"
        notes = call.params.get("notes-template", "")
        protected = call.flag("protected")
        backup = Backup(storage, file, guest.type, guest.vmid, kind, int(now), notes, protected)
        call.center.environment.backups.append(backup)
        lines.append(f"INFO: Finished Backup of VM {guest.vmid} (00:00:00)")
    return iter((*lines, "INFO: Backup job finished successfully"))


METHODS = (
    Method(
        "POST",
        "/nodes/{node}/vzdump",
        back_up,
        {
            **VZDUMP_OPTIONS,
            "node": NODE,
            "job-id": Field(optional=True, pattern=r"\S+", max_length=50),
            "stdout": boolean(),
        },
        open_to="all",
        proxied=True,
    ),
)
