"""The status page: what is so right now, rendered on the server, readable without JavaScript.

It shows names of people and machines, so it is answered to this machine only until people can log in: from
elsewhere one goes through `ssh -L`. Nothing on it can change anything.
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from controller.api.problems import Problem
from controller.api.site import site_of
from controller.errors import ControllerError

if TYPE_CHECKING:
    from controller.api.site import Site
    from controller.store import Host

__all__ = ["routes"]

_SHOWN_CHANGES = 200
_SHOWN_ROWS = 12
_SHOWN_HOSTS = 50
"""Those with trouble first; a page of thousands would be drawn anew all day."""
_STALE_SECONDS = 180
_CALM_SECONDS = 1.0
"""At most so often is a page told that something changed."""
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_STATIC = {"style.css": "text/css", "live.js": "text/javascript", "mark.svg": "image/svg+xml"}


def routes() -> list[web.RouteDef]:
    """The routes of the page and its three files."""
    return [
        web.get("/", _page),
        web.get("/events", _events),
        *(web.get(f"/static/{name}", _static) for name in _STATIC),
    ]


async def _page(request: web.Request) -> web.Response:
    _require_local(request)
    site = site_of(request)
    view = await site.call(_view, site)
    text = _environment().get_template("status.html").render(view)
    return web.Response(text=text, content_type="text/html", charset="utf-8", headers=_HEADERS)


async def _static(request: web.Request) -> web.Response:
    name = request.path.rpartition("/")[2]
    body = (resources.files("controller.api") / "templates" / name).read_bytes()
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "max-age=300"}
    return web.Response(body=body, content_type=_STATIC[name], charset="utf-8", headers=headers)


async def _events(request: web.Request) -> web.StreamResponse:
    """Server-sent events (HTML standard, 9.2): one `changed` whenever something on the page did."""
    _require_local(request)
    site = site_of(request)
    response = web.StreamResponse(headers={**_HEADERS, "Content-Type": "text/event-stream"})
    await response.prepare(request)
    ticket = site.wakeups.ticket("status")
    await response.write(b": open\n\n")
    while not site.wakeups.is_closed():
        changed = await site.wakeups.wait("status", ticket, 30)
        ticket = site.wakeups.ticket("status")
        await response.write(b"event: changed\ndata: -\n\n" if changed else b": still here\n\n")
        await site.wakeups.wait("nobody rings this", 0, _CALM_SECONDS)  # a large fleet changes all the time
    return response


def _require_local(request: web.Request) -> None:
    try:
        is_local = ipaddress.ip_address(request.remote or "").is_loopback
    except ValueError:
        is_local = False
    if not is_local:
        detail = "the status page is for this machine; from elsewhere: ssh -L 8443:127.0.0.1:8443 HOST"
        raise Problem(403, "forbidden", detail)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("controller.api", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["utc"] = _utc
    return environment


def _view(site: Site) -> dict[str, Any]:
    now, situation = site.now(), site.situation
    hosts = sorted(
        ((host, _state(host, now)) for host in site.store.hosts.listed()),
        key=lambda pair: (pair[1] == "up" and pair[0].name in situation.named_hosts, pair[0].name),
    )
    names = {host.host_id: host.name for host in site.store.hosts.listed(include_revoked=True)}
    try:
        trust_version, trust_note = site.trust.version(), ""
    except ControllerError as error:
        trust_version, trust_note = 0, str(error)
    return {
        "ago": lambda instant: _ago(now, instant),
        "now": now,
        "site": site,
        "situation": situation,
        "hosts": hosts[:_SHOWN_HOSTS],
        "host_count": len(hosts),
        "hidden_hosts": max(0, len(hosts) - _SHOWN_HOSTS),
        "unnamed": {host.name for host, _ in hosts if host.name not in situation.named_hosts},
        "missing": sorted(set(situation.named_hosts.labels) - {host.name for host, _ in hosts}),
        "calling": sum(state == "up" for _, state in hosts),
        "names": names,
        "changes": situation.plan[:_SHOWN_CHANGES],
        "hidden_changes": max(0, len(situation.plan) - _SHOWN_CHANGES),
        "actions": site.store.actions.latest(_SHOWN_ROWS),
        "slots": site.store.power_slots.latest("", _SHOWN_ROWS),
        "runs": site.store.runs.latest(_SHOWN_ROWS),
        "entries": site.store.audit.latest(_SHOWN_ROWS),
        "trust_version": trust_version,
        "trust_note": trust_note,
    }


def _state(host: Host, now: int) -> str:
    if host.quarantined_at is not None:
        return "quarantined"
    if host.last_poll_at is None:
        return "new"
    return "up" if now - host.last_poll_at <= _STALE_SECONDS else "silent"


def _utc(instant: int | None) -> str:
    return "" if instant is None else datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _ago(now: int, instant: int | None) -> str:
    """An age as people say it: `now`, `40 s ago`, `12 min ago`, `3 h ago`, `5 d ago`.

    `in …` for what is to come.
    """
    if instant is None:
        return "never"
    age = now - instant
    size = abs(age)
    for limit, unit, name in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if size < limit:
            text = f"{size // unit} {name}"
            break
    else:
        text = f"{size // 86_400} d"
    if size < 2:
        return "now"
    return f"in {text}" if age < 0 else f"{text} ago"
