"""The simulated Keycloak as an aiohttp application.

Beside Keycloak's own addresses it answers under /lab: GET /lab/requests (how often each call was made), and
GET and PUT /lab/faults (see `Faults`). The application listens on loopback in a laptop's lab: /lab asks for
no token.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from dataclasses import asdict, dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aiohttp import web

from lab.keycloak import realms, roles, users
from lab.keycloak.answers import Created, Refusal, realm_answer
from lab.keycloak.call import Call
from lab.keycloak.model import Keycloak
from lab.keycloak.seed import organisation
from lab.keycloak.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from lab.keycloak.model import Realm

__all__ = ["FAULTS", "KEYCLOAK", "REQUESTS", "FaultSwitch", "Faults", "application", "serve"]

_LARGEST_BODY = 64 * 1024 * 1024
_FIELDS = "/realms/{realm}"


@dataclass(frozen=True)
class Faults:
    """What is wrong with the server at the moment; all but the first two concern the admin calls alone.

    `latency_seconds` before each answer; `is_down`: connections are dropped without an answer;
    `lost_answers`: so many writes are done and their answers lost; `refused_tokens`: so many good tokens are
    answered with 401; `status`: what every call is answered with instead; `is_garbled`: a proxy's page in
    place of JSON; `missing_rows`: so many rows are missing at the end of each list.
    """

    latency_seconds: float = 0.0
    is_down: bool = False
    lost_answers: int = 0
    refused_tokens: int = 0
    status: int = 0
    is_garbled: bool = False
    missing_rows: int = 0


class FaultSwitch:
    """Holds the current faults; tests and the lab's commands alter them while the server runs."""

    def __init__(self) -> None:
        self.now = Faults()

    def alter(self, **changes: Any) -> None:
        """Change some of the faults. Raises `TypeError` for one that does not exist."""
        self.now = replace(self.now, **changes)


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
    for method, path, handler in (*realms.ROUTES, *users.ROUTES, *roles.ROUTES):
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
        return _dropped(request)
    if not request.path.startswith("/admin/"):
        return await _worded(request, handler)
    if switch.now.status:
        return web.json_response({"error": "as the lab was told"}, status=switch.now.status)
    answer = await _worded(request, handler)
    is_done = request.method != "GET" and answer.status < HTTPStatus.BAD_REQUEST
    if is_done and switch.now.lost_answers:
        switch.alter(lost_answers=switch.now.lost_answers - 1)
        return _dropped(request)
    return _spoilt(answer, switch.now)


async def _worded(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refusal as refusal:
        return web.json_response(refusal.body, status=refusal.status)
    except web.HTTPNotFound:
        return web.json_response({"error": "HTTP 404 Not Found"}, status=404)


def _spoilt(answer: web.StreamResponse, faults: Faults) -> web.StreamResponse:
    if faults.is_garbled:
        return web.Response(text="<html>Welcome to our proxy</html>", content_type="text/html")
    if faults.missing_rows and isinstance(answer, web.Response) and answer.body:
        rows = json.loads(str(answer.text))
        if isinstance(rows, list):
            return web.json_response(rows[: -faults.missing_rows])
    return answer


def _dropped(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _admin(handler: Callable[[Call], Any]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        call = await _call(request, _realm(request, "Realm not found."))
        result = handler(call)
        if isinstance(result, Created):
            base = f"{_url(request)}/admin/realms/{call.realm.name}"
            return web.Response(status=201, headers={"Location": f"{base}/{result.path}"})
        if result is None:
            return web.Response(status=204)
        return web.json_response(result)

    return answer


async def _call(request: web.Request, realm: Realm) -> Call:
    actor_realm, actor = _tokens(request).actor(_authorization(request))
    return Call(
        keycloak=request.app[KEYCLOAK],
        realm=realm,
        actor_realm=actor_realm.name,
        actor=actor.id,
        rights=_tokens(request).rights(actor_realm, actor, realm),
        names=request.match_info,
        query=request.query,
        body=await _body(request),
    )


def _authorization(request: web.Request) -> str:
    switch = request.app[FAULTS]
    if switch.now.refused_tokens:
        switch.alter(refused_tokens=switch.now.refused_tokens - 1)
        raise Refusal(401, error="HTTP 401 Unauthorized")
    return request.headers.get("Authorization", "")


async def _body(request: web.Request) -> Any:
    content = await request.read()
    if not content or request.method == "GET":
        return None
    try:
        return json.loads(content)
    except ValueError as error:
        raise Refusal(400, error="Cannot parse the JSON") from error


async def _list_realms(request: web.Request) -> web.Response:
    tokens, keycloak = _tokens(request), request.app[KEYCLOAK]
    actor_realm, actor = tokens.actor(_authorization(request))
    shown = []
    for realm in keycloak.realms.values():
        rights = tokens.rights(actor_realm, actor, realm)
        if rights:
            shown.append(realm_answer(realm, whole=not rights.isdisjoint({"view-realm", "manage-realm"})))
    return web.json_response(shown)


async def _create_realm(request: web.Request) -> web.Response:
    tokens, keycloak = _tokens(request), request.app[KEYCLOAK]
    actor_realm, actor = tokens.actor(_authorization(request))
    is_allowed = "create-realm" in tokens.rights(actor_realm, actor, None)
    if actor_realm.name != "master" or not is_allowed:
        raise Refusal(403, error="HTTP 403 Forbidden")
    body = await _body(request) or {}
    name = str(body.get("realm") or "")
    if not name:
        raise Refusal(400, errorMessage="Realm name cannot be empty")
    if name in keycloak.realms:
        raise Refusal(409, errorMessage=f"Realm {name} already exists")
    attributes = body.pop("attributes", None) or {}
    settings = {key: value for key, value in body.items() if key not in {"id", "realm"} and value is not None}
    keycloak.create_realm(name, settings).attributes |= attributes
    return web.Response(status=201, headers={"Location": f"{_url(request)}/admin/realms/{name}"})


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
            _tokens(request).actor(_authorization(request))
        raise Refusal(404, error=otherwise)
    return realm


def _url(request: web.Request) -> str:
    return f"{request.scheme}://{request.host}"


def _tokens(request: web.Request) -> Tokens:
    return request.app[_TOKENS]
