"""/cluster/resources and /cluster/status (pve-manager:PVE/API2/Cluster.pm)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.proxmox.checks import OnPath
from lab.proxmox.errors import wrong_parameters
from lab.proxmox.guests import GUEST
from lab.proxmox.methods import Call, Method
from lab.proxmox.schema import Field
from lab.proxmox.statistics import node_row, storage_row, vm_row

if TYPE_CHECKING:
    from lab.proxmox.environment import Guest
    from lab.proxmox.tasks import Task

__all__ = ["METHODS"]

_TYPES = ("vm", "storage", "node", "sdn")
_ZONE = "localnetwork"


def list_resources(call: Call) -> object:
    """Everything that the caller may see, in one list."""
    wanted = call.params.get("type")
    rows: list[dict[str, object]] = []
    if wanted in {None, "vm"}:
        guests = [_guest_row(call, guest) for guest in call.center.environment.guests.values()]
        if wanted is None:
            rows += _pool_rows(call, guests)
        rows += [_visible(call, row) for row in guests if _may(call, f"/vms/{row['vmid']}", "VM.Audit")]
    if wanted in {None, "node"}:
        rows += [_node_row(call, node) for node in call.center.environment.nodes]
    if wanted in {None, "storage"}:
        rows += _storage_rows(call)
    if wanted in {None, "sdn"}:
        rows += _network_rows(call)
    return rows


def _may(call: Call, path: str, privilege: str) -> bool:
    return call.rights.check(call.who, path, (privilege,), quiet=True)


def _guest_row(call: Call, guest: Guest) -> dict[str, object]:
    row = vm_row(call.center, guest)
    pool = call.center.accounts.pool_of(guest.vmid)
    if pool is not None:
        row["pool"] = pool
    if guest.vmid in call.center.environment.ha_managed:
        row["hastate"] = call.center.environment.ha_states.get(str(guest.vmid), "started")
    for name in ("lock", "tags"):
        if guest.config and guest.config.get(name):
            row[name] = guest.config[name]
    return row


def _node_row(call: Call, node: str) -> dict[str, object]:
    row = node_row(call.center, node, with_numbers=_may(call, f"/nodes/{node}", "Sys.Audit"))
    state = call.center.environment.ha_states.get(node)
    return row if state is None else {**row, "hastate": state}


def _visible(call: Call, row: dict[str, object]) -> dict[str, object]:
    """The row without its pool, where the caller may not see that."""
    if "pool" in row and not _may(call, f"/pool/{row['pool']}", "Pool.Audit"):
        return {name: value for name, value in row.items() if name != "pool"}
    return row


def _pool_rows(call: Call, guests: list[dict[str, object]]) -> list[dict[str, object]]:
    rows = []
    for name in sorted(call.center.accounts.pools):
        if _may(call, f"/pool/{name}", "Pool.Audit"):
            members = [row for row in guests if row.get("pool") == name and row.get("uptime")]
            rows.append({"id": f"/pool/{name}", "pool": name, "type": "pool", **_sum(members)})
    return rows


def _sum(running: list[dict[str, object]]) -> dict[str, object]:
    """The load of a pool: that of its running members, the processor weighed by their number of cores."""
    if not running:
        return {}
    cores = sum(_value(row, "maxcpu") for row in running)
    busy = sum(_value(row, "cpu") * _value(row, "maxcpu") for row in running)
    return {
        "uptime": max(_value(row, "uptime") for row in running),
        "mem": sum(_value(row, "mem") for row in running),
        "maxmem": sum(_value(row, "maxmem") for row in running),
        "maxcpu": cores,
        "cpu": busy / cores if cores else 0,
    }


def _value(row: dict[str, object], name: str) -> float:
    value = row.get(name, 0)
    return value if isinstance(value, (int, float)) else 0


def _storage_rows(call: Call) -> list[dict[str, object]]:
    environment = call.center.environment
    return [
        storage_row(call.center, storage, node)
        for storage in environment.storages.values()
        if _may(call, f"/storage/{storage.name}", "Datastore.Audit")
        for node in environment.nodes
        if not storage.nodes or node in storage.nodes
    ]


def _network_rows(call: Call) -> list[dict[str, object]]:
    """Each node has the zone that stands for its own bridges."""
    if not _may(call, f"/sdn/zones/{_ZONE}", "SDN.Audit"):
        return []
    return [
        {
            "id": f"network/{node}/zone/{_ZONE}",
            "network": _ZONE,
            "network-type": "zone",
            "node": node,
            "status": "ok",
            "type": "network",
        }
        for node in call.center.environment.nodes
    ]


def show_status(call: Call) -> object:
    """The cluster and its members."""
    environment = call.center.environment
    nodes: list[dict[str, object]] = [
        {
            "id": f"node/{node.name}",
            "name": node.name,
            "type": "node",
            "nodeid": node.number,
            "online": int(node.online),
            "local": int(node.name == call.center.local_node),
            "ip": node.address,
            "level": "",
        }
        for node in environment.nodes.values()
    ]
    if not environment.cluster_name:
        return nodes
    cluster = {"id": "cluster", "type": "cluster", "name": environment.cluster_name, "version": len(nodes)}
    quorate = sum(node.online for node in environment.nodes.values()) * 2 > len(nodes)
    return [{**cluster, "nodes": len(nodes), "quorate": int(quorate)}, *nodes]


def show_qdevice(call: Call) -> object:
    """The quorum device as this node sees it; nothing where there is none (PVE/API2/ClusterConfig.pm)."""
    return call.center.environment.qdevice


_MOST_TASKS = 25


def list_tasks(call: Call) -> object:
    """What every node tells of its tasks: those that run, and of the others the newest."""
    sees_all = call.rights.check(call.who, "/", ("Sys.Audit",), quiet=True)
    rows: list[dict[str, object]] = []
    for node in call.center.environment.nodes:
        running = call.center.tasks.running(node)
        rows += [_without(task.described(), "pstart") for task in running if sees_all or _owns(call, task)]
        ended = call.center.tasks.ended(node)[: max(0, _MOST_TASKS - len(running))]
        rows += [
            {
                **_without(task.described(), "pstart", "pid"),
                "endtime": task.endtime,
                "saved": "1",
                "status": task.exitstatus,
            }
            for task in ended
            if sees_all or _owns(call, task)
        ]
    return rows


def _owns(call: Call, task: Task) -> bool:
    return call.who == task.who.partition("!")[0]


def _without(row: dict[str, object], *names: str) -> dict[str, object]:
    return {name: value for name, value in row.items() if name not in names}


def next_vmid(call: Call) -> object:
    """The lowest free number, or the number asked for where it is free."""
    guests, asked = call.center.environment.guests, call.params.get("vmid")
    if asked is None:
        return str(next(vmid for vmid in range(100, 1_000_000) if vmid not in guests))
    if int(asked) in guests:
        raise wrong_parameters({"vmid": f"VM {asked} already exists"})
    return asked


METHODS = (
    Method("GET", "/cluster/nextid", next_vmid, {"vmid": GUEST["vmid"].maybe()}, open_to="all"),
    Method(
        "GET",
        "/cluster/resources",
        list_resources,
        {"type": Field(optional=True, enum=_TYPES)},
        open_to="all",
    ),
    Method("GET", "/cluster/tasks", list_tasks, open_to="all"),
    Method("GET", "/cluster/config/qdevice", show_qdevice, check=OnPath("/", ("Sys.Audit",))),
    Method("GET", "/cluster/status", show_status, check=OnPath("/", ("Sys.Audit",))),
)
