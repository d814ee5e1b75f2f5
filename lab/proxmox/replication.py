"""Replication of guests' disks between nodes (pve-manager:PVE/API2/Replication.pm, ReplicationConfig.pm).

No recording holds it. A job of the environment has `guest target` and what its state tells: `last_sync`,
`last_try`, `next_sync`, `fail_count`, `duration`. Nothing is replicated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.proxmox.errors import ApiError
from lab.proxmox.guests import GUEST, NODE
from lab.proxmox.methods import Call, Method
from lab.proxmox.schema import Field

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["METHODS"]

_CONFIGURED = ("id", "type", "guest", "jobnum", "source", "target", "schedule")
_JOB = {"node": NODE, "id": Field(pattern=r"[1-9][0-9]{2,8}-\d{1,9}")}


def _jobs(call: Call) -> Iterator[dict[str, object]]:
    """Those of guests that the caller may see."""
    environment = call.center.environment
    for number, told in enumerate(environment.replications):
        guest = environment.guests[int(str(told["guest"]))]
        if call.rights.check(call.who, f"/vms/{guest.vmid}", ("VM.Audit",), quiet=True):
            named = {"id": f"{guest.vmid}-{number}", "jobnum": number, "type": "local", "schedule": "*/15"}
            yield {**named, "source": guest.node, "vmtype": guest.type, **told, "guest": guest.vmid}


def list_jobs(call: Call) -> object:
    """The jobs of the cluster, as configured."""
    return [{name: job[name] for name in _CONFIGURED} for job in _jobs(call)]


def list_states(call: Call) -> object:
    """What the node knows of the jobs that it is the source of."""
    wanted = call.params.get("guest")
    return [
        job
        for job in _jobs(call)
        if job["source"] == call.params["node"] and wanted in {None, str(job["guest"])}
    ]


def show_state(call: Call) -> object:
    """What the node knows of one job."""
    found = [job for job in _jobs(call) if job["id"] == call.params["id"]]
    if not found:
        raise ApiError(f"no such replication job '{call.params['id']}'\n")
    return found[0]


METHODS = (
    Method("GET", "/cluster/replication", list_jobs, open_to="all"),
    Method(
        "GET",
        "/nodes/{node}/replication",
        list_states,
        {"node": NODE, "guest": GUEST["vmid"].maybe()},
        open_to="all",
        proxied=True,
    ),
    Method("GET", "/nodes/{node}/replication/{id}/status", show_state, _JOB, open_to="all", proxied=True),
)
