"""The simulated Proxmox VE over HTTP (pve-http-server:src/PVE/APIServer/AnyEvent.pm).

`application` gives the aiohttp application; its state is `app[CENTER]`, so a test can look at it, count
requests and switch faults.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from aiohttp import web

from lab.proxmox.accounts import Accounts
from lab.proxmox.api import Answer, Credentials, Request, answer
from lab.proxmox.datacenter import Datacenter
from lab.proxmox.environment import read_environment
from lab.proxmox.privileges import EIGHT, NINE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from lab.proxmox.schema import Value

__all__ = ["CENTER", "application", "application_for", "new_datacenter"]

CENTER: web.AppKey[Datacenter] = web.AppKey("center", Datacenter)

_BASE = "/api2/json"
_MAX_BODY_BYTES = 512 * 1024
_FORM = "application/x-www-form-urlencoded"
_CREDENTIAL = r"(?:^|[\s;]){name}(?:=|\s)([^;]*)"


class _UnreadableError(Exception):
    """A request that upstream's server refuses before its API sees it."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def new_datacenter(environment: Mapping[str, Any], *, clock: Callable[[], float] = time.time) -> Datacenter:
    """A data centre as the environment describes it, with no accounts but root@pam; raises SeedError."""
    read = read_environment(environment)
    accounts = Accounts(catalogue=EIGHT if read.release.startswith("8.") else NINE)
    return Datacenter(read, clock, accounts=accounts)


def application(
    environment: Mapping[str, Any],
    *,
    delays: bool = True,
    plain: bool = False,
    clock: Callable[[], float] = time.time,
) -> web.Application:
    """A server for a new data centre.

    Without `delays` a 401 comes at once instead of after 3 s. With `plain` the header X-Lab-User stands for
    a fresh ticket of that user with its token against forged requests.
    """
    return application_for(new_datacenter(environment, clock=clock), delays=delays, plain=plain)


def application_for(
    center: Datacenter,
    *,
    delays: bool = True,
    plain: bool = False,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> web.Application:
    """A server for an existing data centre; `sleep` is how it waits where it answers late."""
    app = web.Application(client_max_size=_MAX_BODY_BYTES)
    app[CENTER] = center

    async def handle(request: web.Request) -> web.StreamResponse:
        if center.faults.latency_seconds:
            await sleep(center.faults.latency_seconds)
        if center.faults.down:
            return _drop(request)
        try:
            read = await _read(request, plain=plain)
        except _UnreadableError as refusal:
            return _closing(web.Response(status=refusal.status, reason=refusal.reason))
        result = answer(center, read)
        if delays and result.delay_seconds:
            await sleep(result.delay_seconds)
        return _respond(result, spoil=center.faults.malformed)

    app.router.add_route("*", "/{tail:.*}", handle)
    return app


def _drop(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def _closing(response: web.Response) -> web.Response:
    response.force_close()
    return response


def _respond(result: Answer, *, spoil: bool) -> web.Response:
    if result.body is None:
        return _closing(web.Response(status=result.status, reason=result.reason))
    text = json.dumps(result.body)
    response = web.Response(
        status=result.status,
        reason=result.reason,
        text=text[: len(text) // 2] if spoil else text,
        content_type="application/json",
    )
    return _closing(response) if result.status >= 400 else response


async def _read(request: web.Request, *, plain: bool) -> Request:
    path, _, query = request.raw_path.partition("?")
    # Upstream does not decode paths as UTF-8.
    path = unquote(path, encoding="latin-1")
    if path != _BASE and not path.startswith(f"{_BASE}/"):
        raise _UnreadableError(501, "no such uri")
    if request.method not in {"GET", "POST", "PUT", "DELETE"}:
        raise _UnreadableError(501, f"method '{request.method}' not available")
    values = {**await _body(request), **_form(query)}
    values.pop("_dc", None)
    return Request(request.method, path[len(_BASE) :] or "/", values, _credentials(request, plain=plain))


async def _body(request: web.Request) -> dict[str, Value]:
    if "chunked" in request.headers.get("Transfer-Encoding", "").lower():
        raise _UnreadableError(501, "chunked transfer encoding not supported")
    length = request.content_length or 0
    if not length:
        return {}
    if request.method in {"GET", "DELETE"}:
        raise _UnreadableError(501, f"Unexpected content for method '{request.method}'")
    if length > _MAX_BODY_BYTES:
        raise _UnreadableError(501, "for data too large")
    raw = await request.read()
    if request.content_type == _FORM:
        return _form(raw.decode("utf-8", "replace"))
    if request.content_type == "application/json":
        return _json(raw)
    raise _UnreadableError(506, f"upload '{request.content_type}' not supported")


def _form(text: str) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        earlier = values.get(name)
        if earlier is None:
            values[name] = value
        else:
            values[name] = [*(earlier if isinstance(earlier, list) else [earlier]), value]
    return values


def _json(raw: bytes) -> dict[str, Value]:
    try:
        decoded = json.loads(raw)
    except ValueError as error:
        raise _UnreadableError(400, "malformed JSON string") from error
    if not isinstance(decoded, dict):
        raise _UnreadableError(400, "unexpected JSON value")
    return {
        name: [_plain(element) for element in value] if isinstance(value, list) else _plain(value)
        for name, value in decoded.items()
        if value is not None
    }


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) else json.dumps(value)


def _credentials(request: web.Request, *, plain: bool) -> Credentials:
    header = request.headers.get("Authorization", "")
    ticket = request.cookies.get("PVEAuthCookie", "") or _extract("PVEAuthCookie", header)
    return Credentials(
        ticket=unquote(ticket),
        csrf=request.headers.get("CSRFPreventionToken", ""),
        api_token="" if ticket else unquote(_extract("PVEAPIToken", header)),
        trusted_user=request.headers.get("X-Lab-User", "") if plain else "",
    )


def _extract(name: str, header: str) -> str:
    found = re.search(_CREDENTIAL.format(name=name), header)
    return found[1].strip() if found else ""
