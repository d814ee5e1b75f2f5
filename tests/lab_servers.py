"""The lab's servers for tests: on a free port, over TLS, with credentials; stopped with the context."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.proxmox.accounts import Entry, Token, User
from lab.proxmox.server import application_for, new_datacenter
from lab.serving import serve_in_thread
from lab.tls import Authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from lab.proxmox.datacenter import Datacenter

SMALL: Mapping[str, Any] = {
    "nodes": [{"node": f"pve{n}", "id": n, "online": 1, "ip": "127.0.0.1"} for n in (1, 2, 3)],
    "guests": [
        {
            "vmid": 101,
            "type": "qemu",
            "node": "pve1",
            "config": "name: web-01\ncores: 2\nmemory: 2048\ntags: prod\n",
        },
        {
            "vmid": 102,
            "type": "qemu",
            "node": "pve2",
            "config": "name: db-01\ncores: 4\nmemory: 4096\n",
            "running": "running",
        },
        {"vmid": 200, "type": "lxc", "node": "pve3", "config": "name: ct-01\ncores: 1\nmemory: 512\n"},
    ],
    "storages": ["local"],
    "live_statistics": True,
    "cluster_name": "par1",
}
TOKEN_ID = "steward@pve!controller"
TOKEN_SECRET = "3f6c3f2e-0000-4000-8000-000000000001"


@dataclass(frozen=True)
class ProxmoxLab:
    """A running simulator: `center` is its state, `center.requests` counts what was asked."""

    url: str
    ca_file: Path
    token_id: str
    token_secret: str
    center: Datacenter


@contextmanager
def proxmox_lab(
    directory: Path,
    environment: Mapping[str, Any] = SMALL,
    *,
    role: str = "Administrator",
    populate: Callable[[Datacenter], object] | None = None,
    clock: Callable[[], float] = time.time,
) -> Iterator[ProxmoxLab]:
    """A simulated Proxmox VE over HTTPS with the token `steward@pve!controller` holding `role` on /."""
    center = new_datacenter(environment, clock=clock)
    center.accounts.users["steward@pve"] = User(tokens={"controller": Token(privsep=0)})
    center.accounts.acl[Entry("/", "user", "steward@pve", role)] = 1
    center.token_values[TOKEN_ID] = TOKEN_SECRET
    center.realms.by_name["keycloak"] = {"type": "openid", "issuer-url": "https://kc.example.org/realms/acme"}
    center.accounts.settle()
    if populate is not None:
        populate(center)
    authority = Authority.create(directory)
    with serve_in_thread(application_for(center, delays=False), tls=authority.server_context()) as url:
        yield ProxmoxLab(url, authority.ca_file, TOKEN_ID, TOKEN_SECRET, center)
