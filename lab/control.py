"""The lab's own switchboard: what runs, how often it was asked, and faults on demand.

It listens on loopback and asks for a token, so that no page in a browser can switch faults.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from aiohttp import web

from lab.errors import LabError
from lab.keycloak.real import RealSwitch

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Mapping, Sequence

    from lab.keycloak.server import FaultSwitch
    from lab.proxmox.datacenter import Datacenter

__all__ = ["FAULTS", "Laboratory", "control_application"]

FAULTS: Mapping[str, str] = {
    "node-down": "NODE: requests for it end with 595, its guests turn unknown",
    "node-up": "NODE: it is back",
    "proxmox-down": "connections to Proxmox VE are dropped",
    "proxmox-up": "Proxmox VE answers again",
    "proxmox-malformed": "Proxmox VE answers half a JSON text",
    "keycloak-down": "connections to Keycloak are dropped; a real one is halted, so that they hang",
    "keycloak-up": "Keycloak answers again",
    "keycloak-status": "CODE: every admin call of Keycloak is answered with it (401, 409, 429, 500, 502 …)",
    "keycloak-refuse": "NUMBER: so many good tokens are answered with 401",
    "keycloak-tokens": "CALLS: for how many calls a token is good, as if it ran out in the middle",
    "keycloak-lose": "NUMBER: so many writes are done and their answers lost",
    "keycloak-late": "SECONDS: Keycloak answers so much later than it is done",
    "keycloak-cut": "NUMBER: so many answers of Keycloak break off in the middle",
    "keycloak-truncate": "NUMBER: so many answers of Keycloak are half a JSON text",
    "keycloak-shift": "NUMBER: so many pages of users change before the next one is asked for",
    "latency": "SECONDS: both answer that much later; refused where Keycloak is real",
    "clear": "no faults, all nodes up",
}
"""The faults, and what each does with its argument."""

_KEYCLOAK_FAULTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "keycloak-status": ("status", {"times": 0}),
    "keycloak-refuse": ("refused_tokens", {}),
    "keycloak-tokens": ("token_uses", {}),
    "keycloak-lose": ("lost_answers", {}),
    "keycloak-late": ("late_seconds", {"times": 0}),
    "keycloak-cut": ("times", {"is_cut": True}),
    "keycloak-truncate": ("times", {"is_truncated": True}),
    "keycloak-shift": ("shifts", {}),
}
"""Which fault of the simulated Keycloak takes the argument, and what else is set."""

_LONGEST_LATENCY_SECONDS = 600.0
_LARGEST_NUMBER = 600


@dataclass(frozen=True)
class Laboratory:
    """The running parts; a real Keycloak counts no requests."""

    proxmox: Datacenter
    keycloak: FaultSwitch | RealSwitch | None = None
    keycloak_requests: Counter[str] | None = None

    def fault(self, name: str, arguments: Sequence[str]) -> None:
        """Switch a fault. Raises `LabError` for one that does not exist or cannot take the argument."""
        if name not in FAULTS:
            raise LabError(f"no fault {name!r}; there are {', '.join(FAULTS)}")
        wanted = 1 if FAULTS[name].partition(":")[0].isupper() else 0
        if len(arguments) != wanted:
            raise LabError(f"{name} takes {wanted or 'no'} argument{'s' if not wanted else ''}")
        actions: dict[str, Callable[[], object]] = {
            "node-down": lambda: self._node(arguments[0], online=False),
            "node-up": lambda: self._node(arguments[0], online=True),
            "proxmox-down": lambda: self._proxmox(down=True),
            "proxmox-up": lambda: self._proxmox(down=False, malformed=False),
            "proxmox-malformed": lambda: self._proxmox(malformed=True),
            "keycloak-down": lambda: self._keycloak(is_down=True),
            "keycloak-up": lambda: self._keycloak(is_down=False),
            **{
                name: partial(self._keycloak_fault, field, arguments, more)
                for name, (field, more) in _KEYCLOAK_FAULTS.items()
            },
            "latency": lambda: self._latency(arguments[0]),
            "clear": self._clear,
        }
        actions[name]()

    def _node(self, name: str, *, online: bool) -> None:
        nodes = self.proxmox.environment.nodes
        if name not in nodes:
            raise LabError(f"no node {name!r}; there are {', '.join(nodes)}")
        nodes[name].online = online

    def _proxmox(self, **changes: bool) -> None:
        for name, value in changes.items():
            setattr(self.proxmox.faults, name, value)

    def _keycloak(self, **changes: Any) -> None:
        if self.keycloak is None:
            raise LabError("this lab has no Keycloak")
        self.keycloak.alter(**changes)

    def _keycloak_fault(self, field: str, arguments: Sequence[str], more: Mapping[str, Any]) -> None:
        try:
            number = int(arguments[0])
        except ValueError as error:
            raise LabError(f"{arguments[0]!r} is no whole number") from error
        if not 0 <= number <= _LARGEST_NUMBER:
            raise LabError(f"a number between 0 and {_LARGEST_NUMBER}")
        self._keycloak(**{field: number}, **more)

    def _latency(self, text: str) -> None:
        try:
            seconds = float(text)
        except ValueError as error:
            raise LabError(f"{text!r} is no number of seconds") from error
        if not 0 <= seconds <= _LONGEST_LATENCY_SECONDS:
            raise LabError(f"a latency is between 0 and {_LONGEST_LATENCY_SECONDS:.0f} seconds")
        if self.keycloak is not None:
            self.keycloak.alter(latency_seconds=seconds)
        self.proxmox.faults.latency_seconds = seconds

    def _clear(self) -> None:
        self._proxmox(down=False, malformed=False)
        self._latency("0")
        for node in self.proxmox.environment.nodes.values():
            node.online = True
        if self.keycloak is not None:
            self.keycloak.clear()

    def status(self) -> dict[str, Any]:
        """What runs, what is wrong with it, how often it was asked."""
        center = self.proxmox
        shown: dict[str, Any] = {
            "proxmox": {
                "down": center.faults.down,
                "malformed": center.faults.malformed,
                "latency_seconds": center.faults.latency_seconds,
                "nodes": {
                    node.name: "up" if node.online else "down" for node in center.environment.nodes.values()
                },
                "guests": len(center.environment.guests),
                "requests": sum(center.requests.values()),
            }
        }
        if isinstance(self.keycloak, RealSwitch):
            shown["keycloak"] = self.keycloak.status()
        elif self.keycloak is not None:
            asked = sum((self.keycloak_requests or {}).values())
            shown["keycloak"] = {"down": self.keycloak.now.is_down, "requests": asked}
        return shown


def control_application(laboratory: Laboratory, token: str) -> web.Application:
    """GET /status and POST /faults/{name} with a JSON list of arguments; both ask for the bearer token."""

    def check(request: web.Request) -> None:
        given = request.headers.get("Authorization", "")
        if not secrets.compare_digest(given.encode(), f"Bearer {token}".encode()):
            raise web.HTTPUnauthorized(text="the lab's control token is missing or wrong")

    async def status(request: web.Request) -> web.Response:
        check(request)
        return web.json_response(laboratory.status())

    async def fault(request: web.Request) -> web.Response:
        check(request)
        arguments = await request.json()
        try:
            laboratory.fault(request.match_info["name"], [str(argument) for argument in arguments])
        except LabError as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response(laboratory.status())

    app = web.Application(client_max_size=4096)
    app.router.add_get("/status", status)
    app.router.add_post("/faults/{name}", fault)
    return app
