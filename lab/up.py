"""`steward-lab up`: Proxmox VE and Keycloak over HTTPS, described in a folder for their clients.

Both are simulated, or Keycloak is a real one with the same accounts. The folder gets `lab.json` (addresses,
paths of the secrets, the control endpoint), `ca.pem` and one file for each secret; whatever is secret has
mode 0600. The folder describes the lab while it runs: ending removes `lab.json`.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import time
import uuid
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.control import Laboratory, control_application
from lab.keycloak.model import Keycloak
from lab.keycloak.real import RealSwitch, running_keycloak
from lab.keycloak.real_distribution import VERSION, needed_keycloak
from lab.keycloak.real_realm import create_realm, representation
from lab.keycloak.seed import LOOK_CLIENT, STEWARD_CLIENT, organisation
from lab.keycloak.server import FAULTS, REQUESTS
from lab.keycloak.server import application as keycloak_application
from lab.proxmox.server import application_for, new_datacenter
from lab.seed import CONTROLLER_ID, LOOK_ID, REALM, environment, populate
from lab.serving import start_site
from lab.tls import Authority, write_private

if TYPE_CHECKING:
    import ssl
    from collections import Counter
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from aiohttp import web

    from lab.keycloak.server import FaultSwitch
    from lab.proxmox.datacenter import Datacenter

__all__ = ["DESCRIPTION", "Plan", "run", "until_stopped"]

DESCRIPTION = "lab.json"
_KEYCLOAK_REALM = "acme"


@dataclass(frozen=True)
class Plan:
    """What to start, and where to leave its description. Ports 0 are free ones."""

    directory: Path
    nodes: int = 3
    guests: int = 40
    users: int = 200
    proxmox_port: int = 0
    keycloak_port: int = 0
    real_keycloak: bool = False


@dataclass(frozen=True)
class _Cluster:
    """The Proxmox VE of this lab, and the secrets of its tokens by file name."""

    center: Datacenter
    tokens: dict[str, str]


@dataclass(frozen=True)
class _SingleSignOn:
    """The Keycloak of this lab; a real one counts no requests."""

    url: str
    admin_password: str
    faults: FaultSwitch | RealSwitch
    requests: Counter[str] | None = None


async def until_stopped() -> None:
    """Return at SIGINT or SIGTERM."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()


def run(plan: Plan, *, on_ready: Callable[[dict[str, Any]], None], say: Callable[[str], None]) -> None:
    """Start, tell `on_ready` what `lab.json` holds, and stay up until stopped. Raises `LabError`.

    `say` hears what takes a while.
    """
    plan.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority, cluster = Authority.create(plan.directory), _cluster(plan)
    if plan.real_keycloak:
        # Before there is an event loop that the wait for it could block.
        with _real_keycloak(plan, authority, say) as keycloak:
            asyncio.run(_run(plan, authority, cluster, on_ready, keycloak))
    else:
        asyncio.run(_run(plan, authority, cluster, on_ready))


def _cluster(plan: Plan) -> _Cluster:
    tokens = {name: str(uuid.uuid4()) for name in ("proxmox-token", "proxmox-look-token")}
    center = new_datacenter(environment(nodes=plan.nodes, guests=plan.guests))
    populate(center, steward_secret=tokens["proxmox-token"], look_secret=tokens["proxmox-look-token"])
    return _Cluster(center, tokens)


@contextmanager
def _real_keycloak(plan: Plan, authority: Authority, say: Callable[[str], None]) -> Iterator[_SingleSignOn]:
    """A real Keycloak that holds what the simulated one would."""
    source = needed_keycloak()
    seeded = organisation(Keycloak(seed=0, clock=time.time), _KEYCLOAK_REALM, people=plan.users)
    say(f"starting Keycloak {VERSION} (about 15 s)")
    with running_keycloak(
        source, plan.directory, authority=authority, port=plan.keycloak_port, say=say
    ) as server:
        create_realm(server, representation(seeded))
        yield _SingleSignOn(server.url, server.password, RealSwitch(server.process))


async def _simulated_keycloak(stack: AsyncExitStack, plan: Plan, authority: Authority) -> _SingleSignOn:
    application = keycloak_application(realm=_KEYCLOAK_REALM, people=plan.users)
    url = await _serve(stack, application, plan.keycloak_port, authority.server_context("keycloak"))
    return _SingleSignOn(url, "admin", application[FAULTS], application[REQUESTS])


async def _run(
    plan: Plan,
    authority: Authority,
    cluster: _Cluster,
    on_ready: Callable[[dict[str, Any]], None],
    keycloak: _SingleSignOn | None = None,
) -> None:
    control_token = secrets.token_urlsafe(32)
    async with AsyncExitStack() as stack:
        proxmox = await _serve(
            stack, application_for(cluster.center), plan.proxmox_port, authority.server_context("proxmox")
        )
        sso = keycloak or await _simulated_keycloak(stack, plan, authority)
        laboratory = Laboratory(cluster.center, sso.faults, sso.requests)
        control = await _serve(stack, control_application(laboratory, control_token), 0, None)
        made_up = {"control-token": control_token, "keycloak-admin-password": sso.admin_password}
        files = _write_secrets(plan.directory, {**cluster.tokens, **made_up})
        described = {
            "pid": os.getpid(),
            "ca_file": str(authority.ca_file.absolute()),
            "control": {"url": control, "token_file": files["control-token"]},
            "proxmox": _describe_proxmox(proxmox, files),
            "keycloak": _describe_keycloak(sso.url, files),
        }
        path = write_private(plan.directory / DESCRIPTION, json.dumps(described, indent=2).encode() + b"\n")
        stack.callback(path.unlink, missing_ok=True)
        on_ready(described)
        await until_stopped()


async def _serve(stack: AsyncExitStack, app: web.Application, port: int, tls: ssl.SSLContext | None) -> str:
    runner, actual = await start_site(app, port=port, tls=tls)
    stack.push_async_callback(runner.cleanup)
    return f"{'https' if tls else 'http'}://127.0.0.1:{actual}"


def _write_secrets(directory: Path, values: dict[str, str]) -> dict[str, str]:
    # Keycloak's seed makes its secrets known: they are the clients' names.
    known = {"keycloak-secret": STEWARD_CLIENT, "keycloak-look-secret": LOOK_CLIENT}
    return {
        name: str(write_private(directory / name, f"{value}\n".encode()).absolute())
        for name, value in {**values, **known}.items()
    }


def _describe_proxmox(url: str, files: dict[str, str]) -> dict[str, Any]:
    return {
        "url": url,
        "cluster": "par1",
        "realm": REALM,
        "token_id": CONTROLLER_ID,
        "token_secret_file": files["proxmox-token"],
        "look": {"token_id": LOOK_ID, "token_secret_file": files["proxmox-look-token"]},
    }


def _describe_keycloak(url: str, files: dict[str, str]) -> dict[str, Any]:
    return {
        "url": url,
        "realm": _KEYCLOAK_REALM,
        "auth_realm": _KEYCLOAK_REALM,
        "client_id": STEWARD_CLIENT,
        "client_secret_file": files["keycloak-secret"],
        "look": {"client_id": LOOK_CLIENT, "client_secret_file": files["keycloak-look-secret"]},
        "admin": {"realm": "master", "username": "admin", "password_file": files["keycloak-admin-password"]},
    }
