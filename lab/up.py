"""`steward-lab up`: simulated Proxmox VE and Keycloak over HTTPS, described in a folder for their clients.

The folder gets `lab.json` (addresses, paths of the secrets, the control endpoint), `ca.pem` and one file
for each secret; whatever is secret has mode 0600. The folder describes the lab while it runs: ending
removes `lab.json`.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.control import Laboratory, control_application
from lab.keycloak.seed import LOOK_CLIENT, STEWARD_CLIENT
from lab.keycloak.server import FAULTS, REQUESTS
from lab.keycloak.server import application as keycloak_application
from lab.proxmox.server import application_for, new_datacenter
from lab.seed import CONTROLLER_ID, LOOK_ID, REALM, environment, populate
from lab.serving import start_site
from lab.tls import Authority, write_private

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

    from aiohttp import web

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


async def until_stopped() -> None:
    """Return at SIGINT or SIGTERM."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()


async def run(plan: Plan, *, on_ready: Callable[[dict[str, Any]], None]) -> None:
    """Start, tell `on_ready` what `lab.json` holds, and stay up until stopped. Raises `LabError`."""
    plan.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority = Authority.create(plan.directory)
    tokens = {name: str(uuid.uuid4()) for name in ("proxmox-token", "proxmox-look-token")}
    center = new_datacenter(environment(nodes=plan.nodes, guests=plan.guests))
    populate(center, steward_secret=tokens["proxmox-token"], look_secret=tokens["proxmox-look-token"])
    keycloak = keycloak_application(realm=_KEYCLOAK_REALM, people=plan.users)
    laboratory = Laboratory(center, keycloak[FAULTS], keycloak[REQUESTS])
    control_token = secrets.token_urlsafe(32)
    async with AsyncExitStack() as stack:
        proxmox = await _serve(
            stack, application_for(center), plan.proxmox_port, authority.server_context("proxmox")
        )
        sso = await _serve(stack, keycloak, plan.keycloak_port, authority.server_context("keycloak"))
        control = await _serve(stack, control_application(laboratory, control_token), 0, None)
        files = _write_secrets(plan.directory, {**tokens, "control-token": control_token})
        described = {
            "pid": os.getpid(),
            "ca_file": str(authority.ca_file.absolute()),
            "control": {"url": control, "token_file": files["control-token"]},
            "proxmox": _describe_proxmox(proxmox, files),
            "keycloak": _describe_keycloak(sso, files),
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
    # Keycloak's seed makes its secrets known: the lab's clients have their names, the administrator admin.
    known = {
        "keycloak-secret": STEWARD_CLIENT,
        "keycloak-look-secret": LOOK_CLIENT,
        "keycloak-admin-password": "admin",
    }
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
