"""The simulated Keycloak as an aiohttp application.

Beside Keycloak's own addresses it answers under /lab: GET /lab/requests (how often each call was made), GET
/lab/mails (what it would have sent), and GET and PUT /lab/faults (see `Faults`). The application listens on
loopback in a laptop's lab: /lab asks for no token.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from dataclasses import asdict
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from aiohttp import web

from lab.keycloak import (
    client_parts,
    clients,
    events,
    flows,
    groups,
    identity_providers,
    imports,
    mails,
    mappings,
    profile,
    realms,
    roles,
    user_sessions,
    users,
)
from lab.keycloak.answers import Created, Refusal, brief_realm, realm_answer
from lab.keycloak.call import Actor, Call
from lab.keycloak.faults import Faults, FaultSwitch, answered, dropped
from lab.keycloak.model import Keycloak
from lab.keycloak.seed import organisation
from lab.keycloak.tokens import Tokens
from lab.keycloak.users import list_users

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from lab.keycloak.model import Realm

__all__ = ["FAULTS", "KEYCLOAK", "REQUESTS", "FaultSwitch", "Faults", "application", "serve"]

_LARGEST_BODY = 64 * 1024 * 1024
_FIELDS = "/realms/{realm}"
_PARTS: tuple[Any, ...] = (
    realms,
    profile,
    imports,
    users,
    user_sessions,
    mails,
    mappings,
    groups,
    roles,
    clients,
    client_parts,
    identity_providers,
    flows,
    events,
)
"""The modules with the admin calls; where two paths fit, the earlier one counts."""


KEYCLOAK = web.AppKey("keycloak", Keycloak)
FAULTS = web.AppKey("faults", FaultSwitch)
REQUESTS = web.AppKey("requests", Counter[str])
_TOKENS = web.AppKey("tokens", Tokens)


def application(
    *, seed: int = 0, realm: str = "acme", people: int = 200, clock: Callable[[], float] = time.time
) -> web.Application:
    """A Keycloak whose realm `realm` has `people` accounts with a history.

    The same seed, the same accounts.
    """
    keycloak = Keycloak(seed=seed, clock=clock)
    organisation(keycloak, realm, people=people)
    return serve(keycloak)


def serve(keycloak: Keycloak) -> web.Application:
    """The application around what a Keycloak holds."""
    app = web.Application(client_max_size=_LARGEST_BODY, middlewares=[_answering])
    app[KEYCLOAK], app[_TOKENS] = keycloak, Tokens(keycloak)
    app[FAULTS], app[REQUESTS] = FaultSwitch(), Counter()
    router = app.router
    router.add_get("/lab/requests", _lab_requests)
    router.add_get("/lab/mails", _lab_mails)
    router.add_get("/lab/faults", _lab_faults)
    router.add_put("/lab/faults", _lab_alter_faults)
    router.add_get("/health/ready", _ready)
    router.add_get(_FIELDS, _public_realm)
    router.add_get(f"{_FIELDS}/.well-known/openid-configuration", _discovery)
    router.add_get(f"{_FIELDS}/protocol/openid-connect/certs", _jwks)
    router.add_post(f"{_FIELDS}/protocol/openid-connect/token", _token)
    router.add_post(f"{_FIELDS}/protocol/openid-connect/logout", _logout)
    router.add_get("/admin/realms", _list_realms)
    router.add_post("/admin/realms", _create_realm)
    for method, path, handler in chain.from_iterable(part.ROUTES for part in _PARTS):
        router.add_route(method, f"/admin{_FIELDS}{path}", _admin(handler))
    return app


@web.middleware
async def _answering(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Counts the request, plays the faults, words the refusals."""
    if request.path.startswith("/lab/"):
        return await handler(request)
    switch = request.app[FAULTS]
    resource = request.match_info.route.resource
    request.app[REQUESTS][f"{request.method} {resource.canonical if resource else request.path}"] += 1
    if switch.now.latency_seconds:
        await asyncio.sleep(switch.now.latency_seconds)
    if switch.now.is_down:
        return dropped(request)
    if not request.path.startswith("/admin/"):
        return await _worded(request, handler)
    return await answered(request, switch, partial(_worded, handler=handler))


async def _worded(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refusal as refusal:
        return web.json_response(refusal.body, status=refusal.status)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed) as error:
        return web.json_response({"error": f"HTTP {error.status} {error.reason}"}, status=error.status)


def _admin(handler: Callable[[Call], Any]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        call = await _call(request, _realm(request, "Realm not found."))
        result = handler(call)
        if isinstance(result, Created):
            return _created(f"{call.url}/admin/realms/{call.realm.name}/{result.path}", result.body)
        if result is None:
            return web.Response(status=204)
        if handler is list_users and request.app[FAULTS].shifts():
            name = f"0-lab-{len(call.realm.users)}"
            call.keycloak.new_user(call.realm, name, roles=set())
        return web.json_response(result)

    return answer


def _created(location: str, body: Any) -> web.Response:
    headers = {"Location": quote(location, safe=":/")}
    return (
        web.Response(status=201, headers=headers)
        if body is None
        else web.json_response(body, status=201, headers=headers)
    )


async def _call(request: web.Request, realm: Realm) -> Call:
    actor = _actor(request)
    body, text = await _body(request)
    return Call(
        keycloak=request.app[KEYCLOAK],
        realm=realm,
        actor=actor,
        rights=_tokens(request).rights(actor, realm),
        url=_url(request),
        names=request.match_info,
        query=request.query,
        body=body,
        text=text,
    )


def _actor(request: web.Request) -> Actor:
    """Whose call it is. Raises `Refusal` 401."""
    authorization = request.headers.get("Authorization", "")
    actor = _tokens(request).actor(authorization)
    if not request.app[FAULTS].takes(authorization):
        raise Refusal(401, error="HTTP 401 Unauthorized")
    return actor


async def _body(request: web.Request) -> tuple[Any, str]:
    content = await request.read()
    if not content or request.method == "GET":
        return None, ""
    try:
        text = content.decode()
        return json.loads(text), text
    except ValueError as error:
        description = "Cannot parse the JSON"
        raise Refusal(400, error="invalid_request", error_description=description) from error


async def _list_realms(request: web.Request) -> web.Response:
    tokens, keycloak = _tokens(request), request.app[KEYCLOAK]
    actor = _actor(request)
    shown = []
    for realm in keycloak.realms.values():
        rights = tokens.rights(actor, realm)
        if rights and request.query.get("briefRepresentation") == "true":
            shown.append(brief_realm(realm))
        elif rights:
            shown.append(realm_answer(realm, rights))
    return web.json_response(shown)


async def _create_realm(request: web.Request) -> web.Response:
    actor = _actor(request)
    is_allowed = "create-realm" in _tokens(request).rights(actor, None)
    if actor.realm.name != "master" or not is_allowed:
        raise Refusal(403, error="HTTP 403 Forbidden")
    try:
        body, text = await _body(request)
    except Refusal as refusal:
        raise Refusal(400, errorMessage="unable to read contents from stream") from refusal
    realm = realms.create(request.app[KEYCLOAK], body, text)
    return _created(f"{_url(request)}/admin/realms/{realm.name}", None)


async def _token(request: web.Request) -> web.Response:
    realm = _realm(request, "Realm does not exist")
    return web.json_response(_tokens(request).grant(realm, _form(await request.post()), _url(request)))


async def _logout(request: web.Request) -> web.Response:
    _tokens(request).log_out(_realm(request, "Realm does not exist"), _form(await request.post()))
    return web.Response(status=204)


async def _discovery(request: web.Request) -> web.Response:
    realm = _realm(request, "Realm does not exist")
    return web.json_response(_tokens(request).discovery(realm, _url(request)))


async def _jwks(request: web.Request) -> web.Response:
    _realm(request, "Realm does not exist")
    return web.json_response(_tokens(request).jwks())


async def _public_realm(request: web.Request) -> web.Response:
    realm = _realm(request, "Realm does not exist")
    service = f"{_url(request)}/realms/{realm.name}/protocol/openid-connect"
    return web.json_response({"realm": realm.name, "token-service": service})


async def _ready(_: web.Request) -> web.Response:
    return web.json_response({"status": "UP", "checks": []})


async def _lab_requests(request: web.Request) -> web.Response:
    counts: Counter[str] = request.app[REQUESTS]
    return web.json_response(dict(counts))


async def _lab_mails(request: web.Request) -> web.Response:
    return web.json_response([asdict(mail) for mail in request.app[KEYCLOAK].mails])


async def _lab_faults(request: web.Request) -> web.Response:
    return web.json_response(asdict(request.app[FAULTS].now))


async def _lab_alter_faults(request: web.Request) -> web.Response:
    try:
        request.app[FAULTS].alter(**await request.json())
    except (TypeError, ValueError) as error:
        raise web.HTTPBadRequest(text=f"no such fault: {error}") from error
    return await _lab_faults(request)


def _form(posted: Any) -> dict[str, str]:
    return {str(name): str(value) for name, value in posted.items()}


def _realm(request: web.Request, otherwise: str) -> Realm:
    realm = request.app[KEYCLOAK].realms.get(request.match_info["realm"])
    if realm is None:
        if request.path.startswith("/admin/"):
            _actor(request)
        raise Refusal(404, error=otherwise)
    return realm


def _url(request: web.Request) -> str:
    return f"{request.scheme}://{request.host}"


def _tokens(request: web.Request) -> Tokens:
    return request.app[_TOKENS]
