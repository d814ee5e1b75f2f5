"""/version, /nodes and /nodes/{node}/status (pve-manager:PVE/API2.pm, PVE/API2/Nodes.pm)."""

from __future__ import annotations

from lab.proxmox.checks import OnPath
from lab.proxmox.methods import Call, Method
from lab.proxmox.schema import text
from lab.proxmox.statistics import node_row

__all__ = ["METHODS"]

_VERSIONS = {
    "9.2": {"release": "9.2", "repoid": "14a22df35955d97d", "version": "9.2.11"},
    "8.4": {"release": "8.4", "repoid": "2a5fa54a8503f96d", "version": "8.4.1"},
}
_NODE = text("node")


def show_version(call: Call) -> object:
    """The version of the API."""
    return _VERSIONS[call.center.environment.release]


def list_nodes(call: Call) -> object:
    """Every node; numbers only with Sys.Audit on it."""
    environment = call.center.environment
    return [
        node_row(
            call.center,
            node,
            with_numbers=call.rights.check(call.who, f"/nodes/{node}", ("Sys.Audit",), quiet=True),
        )
        for node in environment.nodes
    ]


def show_node(call: Call) -> object:
    """Load of one node."""
    row = node_row(call.center, call.params["node"], with_numbers=True)
    version = _VERSIONS[call.center.environment.release]
    return {
        "pveversion": f"pve-manager/{version['version']}/{version['repoid']}",
        "uptime": row.get("uptime", 0),
        "cpu": row.get("cpu", 0),
        "cpuinfo": {"cpus": row.get("maxcpu", 0)},
        "memory": {"total": row.get("maxmem", 0), "used": row.get("mem", 0)},
        "rootfs": {"total": row.get("maxdisk", 0), "used": row.get("disk", 0)},
    }


METHODS = (
    Method("GET", "/version", show_version, open_to="all"),
    Method("GET", "/nodes", list_nodes, open_to="all"),
    Method(
        "GET",
        "/nodes/{node}/status",
        show_node,
        {"node": _NODE},
        OnPath("/nodes/{node}", ("Sys.Audit",)),
        proxied=True,
    ),
)
