"""/cluster/ha/resources (pve-ha-manager:src/PVE/API2/HA/Resources.pm). No recording holds them."""

from __future__ import annotations

import hashlib

from lab.proxmox.checks import OnPath
from lab.proxmox.errors import ApiError
from lab.proxmox.methods import Call, Method
from lab.proxmox.schema import Field, text

__all__ = ["METHODS"]

_READ = OnPath("/", ("Sys.Audit",))
_KINDS = {"qemu": "vm", "lxc": "ct"}


def _resources(call: Call) -> dict[str, dict[str, object]]:
    environment = call.center.environment
    kinds = {
        vmid: _KINDS[environment.guests[vmid].type] if vmid in environment.guests else "vm"
        for vmid in sorted(environment.ha_managed)
    }
    listed = "".join(f"{kind}: {vmid}\n\tstate started\n\n" for vmid, kind in kinds.items())
    digest = hashlib.sha1(listed.encode(), usedforsecurity=False).hexdigest()
    return {
        f"{kind}:{vmid}": {"sid": f"{kind}:{vmid}", "type": kind, "state": "started", "digest": digest}
        for vmid, kind in kinds.items()
    }


def list_resources(call: Call) -> object:
    """The guests that the manager looks after."""
    wanted = call.params.get("type")
    return [row for row in _resources(call).values() if wanted in {None, row["type"]}]


def read_resource(call: Call) -> object:
    """One of them; a number alone stands for the guest of that number."""
    named = call.params["sid"]
    guest = call.center.environment.guests.get(int(named)) if named.isdecimal() else None
    sid = f"{_KINDS[guest.type]}:{named}" if guest is not None else named
    found = _resources(call).get(sid)
    if found is None:
        raise ApiError(f"no such resource '{sid}'\n")
    return found


METHODS = (
    Method(
        "GET",
        "/cluster/ha/resources",
        list_resources,
        {"type": Field(optional=True, enum=("ct", "vm"))},
        _READ,
    ),
    Method("GET", "/cluster/ha/resources/{sid}", read_resource, {"sid": text("ha-resource")}, _READ),
)
