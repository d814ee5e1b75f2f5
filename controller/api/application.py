"""The two applications of a controller: one for the network, one for the Unix socket beside its data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from controller.api import agents, health, operators, status
from controller.api.problems import MAX_BODY_BYTES, answer_errors
from controller.api.site import put_site

if TYPE_CHECKING:
    from collections.abc import Iterable

    from controller.api.site import Site

__all__ = ["local_application", "public_application"]


def public_application(site: Site) -> web.Application:
    """What is served over TLS: agents, Prometheus, health, the status page."""
    return _application(site, (*agents.routes(), *health.routes(), *status.routes()))


def local_application(site: Site) -> web.Application:
    """What is served on the Unix socket: operators on this machine."""
    return _application(site, operators.routes())


def _application(site: Site, routes: Iterable[web.RouteDef]) -> web.Application:
    app = web.Application(middlewares=[answer_errors], client_max_size=MAX_BODY_BYTES)
    put_site(app, site)
    app.add_routes(list(routes))
    return app
