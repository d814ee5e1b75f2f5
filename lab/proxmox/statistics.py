"""Rows of /cluster/resources and of the lists of nodes and pools (pve-manager:PVE/API2Tools.pm).

Numbers come from the last line that upstream's status daemon sent for a node, guest or storage; without a
line the status is `unknown` and there are no numbers. With `live_statistics` the lines are made from the
guests as they stand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.proxmox.datacenter import Datacenter
    from lab.proxmox.environment import Guest, Storage

__all__ = ["node_row", "storage_row", "vm_row"]

_GIB = 2**30
_CPUS_OF_A_LIVE_NODE = 32
_MEMORY_OF_A_LIVE_NODE = 256 * _GIB


def _number(values: list[str], index: int) -> int | float:
    text = values[index] if index < len(values) else ""
    if not text:
        return 0
    value = float(text)
    return int(value) if value.is_integer() else value


def _line(center: Datacenter, key: str) -> tuple[list[str] | None, bool]:
    """The values of a statistics line and whether it is of the 9.0 format."""
    kind, _, name = key.partition("/")
    rrd = center.environment.rrd
    current = rrd.get(f"pve-{kind}-9.0/{name}")
    if current is not None:
        return current, True
    return rrd.get(f"{'pve2.3' if kind == 'vm' else 'pve2'}-{kind}/{name}"), False


def node_row(center: Datacenter, name: str, *, with_numbers: bool) -> dict[str, object]:
    """A node; `uptime cpu mem disk` only while it is online."""
    environment = center.environment
    node = environment.nodes[name]
    row: dict[str, object] = {"id": f"node/{name}", "node": name, "type": "node", "status": "unknown"}
    values, _ = _line(center, f"node/{name}")
    if environment.live_statistics:
        values = _live_node(center, name)
    if values is not None:
        if node.online:
            row["status"] = "online"
            if with_numbers:
                row |= {"uptime": _number(values, 0), "cpu": _number(values, 5)}
                row |= {"mem": _number(values, 8), "disk": _number(values, 12)}
        row["level"] = values[1]
        if with_numbers:
            row |= {
                "maxcpu": _number(values, 4),
                "maxmem": _number(values, 7),
                "maxdisk": _number(values, 11),
            }
    if environment.clustered and not node.online:
        row["status"] = "offline"
    return row


_VM_COLUMNS = (
    (5, "maxcpu"), (6, "cpu"), (7, "maxmem"), (8, "mem"), (9, "maxdisk"), (10, "disk"),
    (11, "netin"), (12, "netout"), (13, "diskread"), (14, "diskwrite"),
)  # fmt: skip


def vm_row(center: Datacenter, guest: Guest) -> dict[str, object]:
    """A guest."""
    row: dict[str, object] = {
        "id": f"{guest.type}/{guest.vmid}",
        "vmid": guest.vmid,
        "node": guest.node,
        "type": guest.type,
        "status": "unknown",
    }
    values, is_current = _line(center, f"vm/{guest.vmid}")
    if center.environment.live_statistics:
        # A dead node sends nothing: its guests turn unknown, nameless, and lose their numbers.
        values = _live_vm(center, guest) if center.environment.nodes[guest.node].online else None
        is_current = center.environment.release.startswith("9.")
    if values is not None:
        row |= {
            "uptime": _number(values, 0),
            "name": values[1],
            "status": values[2],
            "template": int(values[3] or 0),
        }
        row |= {name: _number(values, index) for index, name in _VM_COLUMNS}
        if is_current:
            row["memhost"] = _number(values, 15)
    return row


def storage_row(center: Datacenter, storage: Storage, node: str) -> dict[str, object]:
    """A storage as one node has it."""
    row: dict[str, object] = {
        "id": f"storage/{node}/{storage.name}",
        "storage": storage.name,
        "node": node,
        "type": "storage",
        "plugintype": storage.type,
        "status": "unknown",
        "shared": storage.shared,
        "content": storage.content,
    }
    values, _ = _line(center, f"storage/{node}/{storage.name}")
    if center.environment.live_statistics and center.environment.nodes[node].online:
        values = ["", str(1024 * _GIB), str(384 * _GIB)]
    if values is not None:
        row |= {"maxdisk": _number(values, 1), "disk": _number(values, 2), "status": "available"}
    return row


def _live_node(center: Datacenter, name: str) -> list[str]:
    guests = [
        guest for guest in center.environment.guests.values() if guest.node == name and guest.is_running
    ]
    memory = sum(_memory_bytes(guest) for guest in guests) // 2
    values = ["86400", "", "", "0.5", _CPUS_OF_A_LIVE_NODE, min(1.0, len(guests) / 64), "0.01"]
    return [
        str(value) for value in (*values, _MEMORY_OF_A_LIVE_NODE, memory, 8 * _GIB, 0, 100 * _GIB, 12 * _GIB)
    ]


def _live_vm(center: Datacenter, guest: Guest) -> list[str]:
    config = guest.config or {}
    up = guest.is_running
    memory = _memory_bytes(guest)
    uptime = int(center.now() - guest.started_at) if up and guest.started_at else (3600 if up else 0)
    cpus = int(config.get("cores", "1")) * int(config.get("sockets", "1"))
    kind, key = ("CT", "hostname") if guest.type == "lxc" else ("VM", "name")
    name = config.get(key) or config.get("name", f"{kind}{guest.vmid}")
    values = [uptime, name, "running" if up else "stopped", config.get("template", "0"), int(center.now())]
    traffic = [(guest.vmid % 7 + 1) * uptime * scale if up else 0 for scale in (1000, 700, 300, 500)]
    cpu = 0.01 * (guest.vmid % 50)
    if guest.load is not None:
        cpu, traffic = guest.load[0], [guest.load[1], 0, 0, 0]
    used = [cpu if up else 0, memory, memory // 2 if up else 0, 32 * _GIB, 0]
    return [str(value) for value in (*values, cpus, *used, *traffic, memory // 2 if up else 0)]


def _memory_bytes(guest: Guest) -> int:
    return int((guest.config or {}).get("memory", "512")) * 2**20
