"""Simulated Proxmox VE clusters for the tests of the `pve` collector, and scrapes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exporters.build import registry
from exporters.clients.https import Connection
from exporters.clients.tls import Trust
from exporters.collector import Host
from exporters.settings import Settings
from exporters.system.tree import Tree
from exporters.table import TABLE
from exporters.vm.api import KEPT_SECONDS, Api
from exporters.vm.options import node_address
from exporters.vm.reader import Reader
from lab.proxmox.accounts import Entry
from tests.exporters.exposition import Exposition, parse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from exporters.registry import Registry
    from tests.lab_servers import ProxmoxLab

LITTLE = {
    "subscriptions": {"pve1": {"status": "active", "level": "c", "nextduedate": "2027-03-01"}},
    "replications": [
        {
            "guest": 101,
            "target": "pve2",
            "last_sync": 1_700_000_000,
            "last_try": 1_700_000_300,
            "next_sync": 1_700_000_900,
            "fail_count": 2,
            "duration": 3.5,
            "error": "no route",
        }
    ],
    "qdevice": {
        "Model": "Net",
        "Algorithm": "Fifty-Fifty split",
        "QNetd host": "10.0.0.1:5403",
        "Tie-breaker": "Node with lowest node ID",
        "State": "Connected",
    },
    "backup_files": {"local": ["vzdump-qemu-101-2026_11_19-02_00_00.vma.zst"]},
    "ha_managed": [102],
    "ha_states": {"102": "migrate", "pve1": "online"},
}
"""What a cluster may have beyond nodes and guests."""


def environment(nodes: int, guests: int, **more: Any) -> dict[str, Any]:
    """A cluster; guests are spread over nodes in turn, every fifth is a container, every third is off."""
    return {
        "nodes": [{"node": f"pve{n}", "id": n, "online": 1} for n in range(1, nodes + 1)],
        "guests": [_guest(100 + n, f"pve{n % nodes + 1}", n) for n in range(guests)],
        "storages": ["local", {"storage": "ceph", "content": "images,rootdir", "shared": 1, "type": "rbd"}],
        "live_statistics": True,
        "cluster_name": "par1",
        **more,
    }


def _guest(vmid: int, node: str, n: int) -> dict[str, Any]:
    is_container = n % 5 == 0
    lines = [
        f"{'hostname' if is_container else 'name'}: guest-{n:04d}",
        "cores: 2",
        "memory: 2048",
        f"tags: team-{n % 4};owner-{n % 7}",
    ]
    lines += ["onboot: 1"] if n % 2 else []
    lines += ["lock: backup"] if n % 11 == 3 else []
    return {
        "vmid": vmid,
        "type": "lxc" if is_container else "qemu",
        "node": node,
        "config": "\n".join(lines) + "\n",
        "running": "stopped" if n % 3 == 0 else "running",
    }


def token_file(lab: ProxmoxLab) -> Path:
    """A file with the lab's token."""
    path = lab.ca_file.with_name("pve-token")
    path.write_text(f"{lab.token_id}={lab.token_secret}\n")
    path.chmod(0o600)
    return path


def grant(lab: ProxmoxLab, *entries: tuple[str, str]) -> None:
    """What the lab's user may, (path, role), in place of what it could."""
    accounts = lab.center.accounts
    for entry in [entry for entry in accounts.acl if entry.ugid == "steward@pve"]:
        del accounts.acl[entry]
    for path, role in entries:
        accounts.acl[Entry(path, "user", "steward@pve", role)] = 1
    accounts.settle()


def host(lab: ProxmoxLab, flags: Mapping[str, str] | None = None) -> Host:
    """A host that reads the lab with the collector `pve` alone."""
    given = {
        "collector.disable-defaults": "true",
        "collector.pve": "true",
        "collector.pve.url": lab.url,
        "collector.pve.ca-file": str(lab.ca_file),
        "collector.pve.token-file": str(token_file(lab)),
        **(flags or {}),
    }
    return Host(Tree(), Settings({name: (value,) for name, value in given.items()}), "elsewhere")


def registry_of(lab: ProxmoxLab, flags: Mapping[str, str] | None = None) -> Registry:
    """The registry of that host."""
    return registry(host(lab, flags), table=[row for row in TABLE if row.name == "pve"])


async def scrape(lab: ProxmoxLab, flags: Mapping[str, str] | None = None) -> Exposition:
    """One scrape, read back."""
    made = registry_of(lab, flags)
    try:
        return parse((await made.scrape()).text.decode())
    finally:
        made.close()


class Ticking:
    """A clock that moves by hand."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def reader(lab: ProxmoxLab, steady: Ticking, **options: Any) -> Reader:
    """A reader of the lab whose schedule follows the clock."""
    connection = Connection(node_address(lab.url), Trust(lab.ca_file), 5.0, kept_seconds=KEPT_SECONDS)
    token = f"{lab.token_id}={lab.token_secret}"
    return Reader(Api([connection], lambda: token), clock=steady, steady=steady, **options)
