"""The way of a request through the API, in upstream's order.

Authentication, token against forged requests, route, duplicate parameters, permission, proxy to the node,
parameter check, method (pve-manager:PVE/HTTPServer.pm, pve-http-server:src/PVE/APIServer/AnyEvent.pm). No
HTTP in here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lab.proxmox.accounts import ROOT
from lab.proxmox.checks import Scope
from lab.proxmox.errors import ApiError, UnansweredError, not_permitted, wrong_parameters
from lab.proxmox.methods import Call, Listing, Method, Router
from lab.proxmox.permissions import Permissions
from lab.proxmox.schema import Value, verify
from lab.proxmox.table import METHODS, as_of_8

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.proxmox.datacenter import Datacenter

__all__ = ["UNAUTHORIZED_DELAY_SECONDS", "Answer", "Credentials", "Request", "answer"]

UNAUTHORIZED_DELAY_SECONDS = 3.0

_ROUTERS = {"9.2": Router(METHODS), "8.4": Router(as_of_8(METHODS))}


@dataclass(frozen=True)
class Credentials:
    """What came along. A ticket (cookie or header) hides an API token; `trusted_user` is the plain mode."""

    ticket: str = ""
    csrf: str = ""
    api_token: str = ""
    trusted_user: str = ""


@dataclass(frozen=True)
class Request:
    """A request, read."""

    verb: str
    path: str
    values: Mapping[str, Value] = field(default_factory=dict)
    credentials: Credentials = field(default_factory=Credentials)


@dataclass(frozen=True)
class Answer:
    """An answer; `body` None means none at all."""

    status: int
    reason: str
    body: dict[str, object] | None
    delay_seconds: float = 0.0


def answer(center: Datacenter, request: Request) -> Answer:
    """Answer one request; never raises for what a client can send."""
    center.requests[f"{request.verb} {request.path}"] += 1
    if center.journal is not None:
        center.journal.append(request)
    center.tasks.settle(center.now())
    try:
        result = _run(center, request)
    except UnansweredError as refusal:
        delay = UNAUTHORIZED_DELAY_SECONDS if refusal.status == 401 else 0.0
        return Answer(refusal.status, refusal.reason, None, delay)
    except ApiError as error:
        return _failed(error)
    if request.verb != "GET" and center.faults.lost_answers > 0:
        center.faults.lost_answers -= 1
        return Answer(596, "Broken pipe", None)
    if isinstance(result, Listing):
        body: dict[str, object] = {"data": result.data}
        return Answer(200, "OK", {**body, "total": result.total} if result.total else body)
    return Answer(200, "OK", {"data": result})


def _failed(error: ApiError) -> Answer:
    body: dict[str, object] = {"data": None, "message": error.message}
    if error.errors:
        body["errors"] = error.errors
    delay = UNAUTHORIZED_DELAY_SECONDS if error.status == 401 else 0.0
    return Answer(error.status, error.message.split("\n", 1)[0], body, delay)


def _run(center: Datacenter, request: Request) -> object:
    found = _ROUTERS[center.environment.release].find(request.verb, request.path)
    is_open = found is not None and found[0].open_to == "world"
    who = "" if is_open else _authenticate(center, request)
    if found is None:
        raise ApiError(f"Method '{request.verb} {request.path}' not implemented", status=501)
    method, in_path = found
    values = _merge(in_path, request.values)
    if request.credentials.api_token and not request.credentials.ticket and not method.token_allowed:
        raise not_permitted(f"URI '{request.path}' not available with API token, need proper ticket.\n")
    rights = Permissions(center.accounts)
    _authorize(center, method, who, values, rights)
    if request.path in center.faults.refused:
        raise not_permitted(", ".join(center.faults.refused[request.path]))
    if method.proxied:
        _reach_node(center, values)
    return method.run(Call(center, who, verify(method.schema, values), rights))


def _authenticate(center: Datacenter, request: Request) -> str:
    given = request.credentials
    if given.trusted_user:
        user = given.trusted_user
    elif given.ticket:
        user = center.tickets.user_of(given.ticket, now=center.now()) or ""
    elif given.api_token:
        return _token_holder(center, given.api_token)
    else:
        raise UnansweredError("No ticket", status=401)
    if not center.is_enabled(user):
        raise UnansweredError("Authentication failed!", status=401)
    needs_csrf = request.verb != "GET" and not given.trusted_user
    if needs_csrf and not center.tickets.verify_csrf(user, given.csrf, now=center.now()):
        raise UnansweredError("Permission denied - invalid csrf token", status=401)
    return user


def _token_holder(center: Datacenter, given: str) -> str:
    # `id=value`; a blank instead of the equals sign works too.
    full, mark, value = given.partition("=")
    if not mark:
        full, _, value = given.partition(" ")
    if not center.is_valid_token(full, value):
        raise UnansweredError("Authentication failed!", status=401)
    return full


def _merge(in_path: Mapping[str, str], sent: Mapping[str, Value]) -> dict[str, Value]:
    for name, value in in_path.items():
        if name in sent and sent[name] != value:
            raise wrong_parameters(
                {name: "duplicate parameter (already defined in URI) with conflicting values!"}
            )
    return {**sent, **in_path}


def _authorize(
    center: Datacenter, method: Method, who: str, values: Mapping[str, Value], rights: Permissions
) -> None:
    if method.open_to == "world" or who == ROOT or method.open_to == "all":
        return
    if method.check is None:
        raise not_permitted("user != root@pam")
    method.check.test(Scope(who, values, center.accounts, rights))


def _reach_node(center: Datacenter, values: dict[str, Value]) -> None:
    node = str(values["node"])
    if node == "localhost":
        values["node"] = center.local_node
    elif node not in center.environment.nodes:
        raise ApiError(
            f"hostname lookup '{node}' failed - "
            f"failed to get address info for: {node}: Name or service not known\n"
        )
    elif (failure := center.proxy_failure(node)) is not None:
        raise UnansweredError(failure[1], status=failure[0])
