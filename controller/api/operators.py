"""What operators on the same machine ask of the running controller, over a Unix socket in its data folder.

Who may connect is said by the file system: the folder is 0700 and the socket 0600, so that no token has to
be kept. Who did connect is said by the kernel (SO_PEERCRED, unix(7)) and goes into the audit log.
"""

from __future__ import annotations

import pwd
import socket
import struct
from typing import TYPE_CHECKING, Annotated, Any

from aiohttp import web
from msgspec import Meta, Struct

from controller.api.problems import Problem, read_body
from controller.api.site import site_of
from controller.signing import MAX_VALID_SECONDS, BadOrderError, Order
from protocol.enrolment import decode_body
from protocol.errors import BadDocument
from protocol.kinds import KINDS

if TYPE_CHECKING:
    from controller.store import SignedAction

__all__ = ["ActionBody", "checked_order", "routes"]


class ActionBody(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /local/v1/actions: what to do on which host."""

    host: Annotated[str, Meta(max_length=253)]
    kind: Annotated[str, Meta(max_length=64)]
    args: dict[str, Any] = {}
    valid_seconds: Annotated[int, Meta(ge=1, le=MAX_VALID_SECONDS)] = 600


def routes() -> list[web.RouteDef]:
    """The routes of this API."""
    return [
        web.post("/local/v1/actions", _action),
        web.post("/local/v1/reconcile", _reconcile),
    ]


def checked_order(body: ActionBody, host_id: str) -> Order:
    """The order for a host.

    Raises BadOrderError for a kind that does not exist or arguments that it does not take.
    """
    kind = KINDS.get(body.kind)
    if kind is None:
        raise BadOrderError(
            f"no kind of action is called {body.kind!r}; there are {', '.join(sorted(KINDS))}"
        )
    try:
        kind.parse_args(body.args)
    except BadDocument as error:
        raise BadOrderError(str(error)) from error
    return Order(host_id, body.kind, body.args, body.valid_seconds)


async def _action(request: web.Request) -> web.Response:
    site = site_of(request)
    body = decode_body(await read_body(request), ActionBody)
    host = await site.call(site.store.hosts.named, body.host)
    order = checked_order(body, host.host_id)
    site.situation.named_hosts.require(host.name)
    lease = site.situation.lease
    if lease is None:
        raise Problem(409, "no_lease", f"this controller does not lead: {site.situation.lease_note}")

    def sign(seq: int) -> SignedAction:
        return site.signer.sign(order, action_id=site.new_id(), seq=seq, now=site.now())

    stored = await site.call(
        site.store.actions.queue,
        host.host_id,
        sign,
        created_by=_caller(request),
        term=lease.term,
        now=site.now(),
    )
    site.wakeups.ring(host.host_id)
    site.wakeups.ring("status")
    return web.json_response({"id": stored.id, "seq": stored.seq, "state": stored.state}, status=201)


async def _reconcile(request: web.Request) -> web.Response:
    for wake in site_of(request).on_reconcile:
        wake()
    return web.json_response({"status": "asked"}, status=202)


def _caller(request: web.Request) -> str:
    peer = request.transport.get_extra_info("socket") if request.transport else None
    if peer is None or peer.family != socket.AF_UNIX:
        raise Problem(403, "forbidden", "this is answered on the local socket only")
    packed = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _pid, uid, _gid = struct.unpack("3i", packed)
    try:
        return f"local:{pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"local:{uid}"
