"""What machines ask.

Is it alive, is it ready, how is each dependency, what are its metrics, whom to scrape.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from aiohttp import web

from controller.api.metrics import CONTENT_TYPE
from controller.api.problems import Problem
from controller.api.site import site_of
from controller.api.targets import target
from controller.errors import ControllerError

if TYPE_CHECKING:
    from controller.api.site import Site

__all__ = ["routes"]


def routes() -> list[web.RouteDef]:
    """The routes of this module."""
    return [
        web.get("/healthz", _healthz),
        web.get("/readyz", _readyz),
        web.get("/api/health", _health),
        web.get("/metrics", _metrics),
        web.get("/sd/prometheus", _targets),
    ]


async def _healthz(_request: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def _readyz(request: web.Request) -> web.Response:
    faults = {name: state for name, state in (await _dependencies(site_of(request))).items() if state != "ok"}
    critical = faults.keys() & {"store", "trust"}
    lines = "".join(f"{name}: {state}\n" for name, state in sorted(faults.items()))
    return web.Response(status=503 if critical else 200, text=lines or "ok\n")


async def _health(request: web.Request) -> web.Response:
    site = site_of(request)
    dependencies = await _dependencies(site)
    is_well = all(state == "ok" for state in dependencies.values())
    return web.json_response(
        {
            "status": "ok" if is_well else "degraded",
            "version": site.version,
            "instance": site.instance,
            "uptime_seconds": site.now() - site.situation.started_at,
            "dependencies": dependencies,
        }
    )


async def _metrics(request: web.Request) -> web.Response:
    site = site_of(request)
    await site.call(_refresh, site)
    return web.Response(body=site.metrics.text(), headers={"Content-Type": CONTENT_TYPE})


async def _targets(request: web.Request) -> web.Response:
    site = site_of(request)
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    is_right = hmac.compare_digest(token.strip().encode(), site.sd_token.encode())
    if scheme.lower() != "bearer" or not site.sd_token or not is_right:
        raise Problem(401, "unauthorized", "this needs the service discovery's bearer token")
    hosts = await site.call(site.store.hosts.listed)
    named = site.situation.named_hosts
    found = (target(host.name, host.metrics_address, named.labels_of(host.name)) for host in hosts)
    return web.json_response([one for one in found if one is not None])


def _refresh(site: Site) -> None:
    """Bring what other processes change (a revocation, a new trust document) into the metrics."""
    site.metrics.saw_hosts(site.store.hosts.listed())
    site.metrics.audit_seq.set(site.store.audit.head().seq)
    try:
        newest = site.trust.last()
    except ControllerError:
        return
    site.metrics.saw_trust(newest.version, newest.expires_at)


async def _dependencies(site: Site) -> dict[str, str]:
    states = dict(site.situation.dependencies)
    try:
        await site.call(site.store.audit.head)
        states["store"] = "ok"
    except ControllerError as error:
        states["store"] = str(error)
    try:
        newest = await site.call(site.trust.last)
        states["trust"] = "ok" if newest.expires_at > site.now() else "the trust document has expired"
    except ControllerError as error:
        states["trust"] = str(error)
    return states
