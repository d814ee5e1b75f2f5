"""The agents' API, /agent/v1: the pinned CA, enrolment, long-poll, receipts.

Everything a host says is checked here.

A host is who holds its transport key; a receipt is what its receipt key signed. Neither is believed for
more than that: what a host reports of itself is shown and stored, and never decides about another host.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import TYPE_CHECKING

import structlog
from aiohttp import web
from msgspec import Raw

from controller.api.problems import Problem, read_body
from controller.api.site import site_of
from controller.api.targets import is_metrics_address
from controller.api.tokens import TokenRefusedError, claimed_host
from controller.store import EnrolmentRefused, NewHost, Poll, ReceiptForked, VerifiedReceipt
from protocol.dsse import Envelope, parse_envelope
from protocol.enrolment import (
    EnrolAnswer,
    EnrolBody,
    PollAnswer,
    PollBody,
    ReceiptsAnswer,
    ReceiptsBody,
    decode_body,
    encode_body,
)
from protocol.errors import BadReceipt, ProtocolError
from protocol.keys import PublicKey
from protocol.receipts import verify_receipt

if TYPE_CHECKING:
    from msgspec import Struct

    from controller.api.site import Site
    from controller.store import Host, StoredAction

__all__ = ["routes"]

_MAX_ANSWER_BYTES = 768 * 1024
_log = structlog.get_logger("steward.agents")


def routes() -> list[web.RouteDef]:
    """The routes of this API."""
    return [
        web.get("/agent/v1/ca", _ca),
        web.post("/agent/v1/enroll", _enroll),
        web.post("/agent/v1/poll", _poll),
        web.post("/agent/v1/receipts", _receipts),
    ]


async def _ca(request: web.Request) -> web.Response:
    return web.Response(body=site_of(request).ca_certificate, content_type="application/x-pem-file")


async def _enroll(request: web.Request) -> web.Response:
    site = site_of(request)
    body = decode_body(await read_body(request), EnrolBody)
    bundle = await site.call(site.trust.bundle)
    new = NewHost(
        host_id=site.new_id(),
        name=body.host_name,
        transport_key=_raw_key(body.transport_key),
        receipt_key=_raw_key(body.receipt_key),
        agent_version=body.agent_version,
    )
    secret_sha256 = hashlib.sha256(bytes.fromhex(body.secret)).hexdigest()
    try:
        host = await site.call(site.store.hosts.enroll, secret_sha256, new, now=site.now())
    except EnrolmentRefused as error:
        site.metrics.enrolments_refused.labels(error.reason).inc()
        raise Problem(403, "enrolment_refused", "this token lets nobody in") from error
    site.metrics.saw_hosts(await site.call(site.store.hosts.listed))
    site.wakeups.ring("status")
    _log.info("host enrolled", host=host.name, host_id=host.host_id)
    return _json(EnrolAnswer(host.host_id, site.instance, Raw(bundle.encode())))


async def _poll(request: web.Request) -> web.Response:
    site = site_of(request)
    data = await read_body(request)
    known = await _authenticated(request, data)
    body = decode_body(data, PollBody)
    if body.metrics_address and not is_metrics_address(body.metrics_address):
        raise Problem(400, "malformed", "metrics_address is not http(s)://HOST[:PORT][/PATH]")
    poll = Poll(
        agent_version=body.agent_version,
        trust_version=body.trust_version,
        approvers_version=body.approvers_version,
        journal_seq=body.journal.seq,
        journal_sha256=body.journal.sha256,
        metrics_address=body.metrics_address or "",
    )
    host = await site.call(site.store.hosts.saw_poll, known.host_id, poll, now=site.now())
    if host is None:
        raise Problem(401, "unauthorized", "this host is no longer enrolled")
    if host.quarantined_at is not None and known.quarantined_at is None:
        _log.error("host quarantined", host=host.name, reason=host.quarantine_reason)
    site.metrics.saw_host(host)
    site.wakeups.ring("status")
    trust = await site.call(site.trust.after, body.trust_version)
    is_behind = body.journal.seq < host.receipt_seq  # made before that receipt, or by a disk rolled back:
    wait = 0 if trust else body.wait_seconds  # the next poll tells which, so this one is given nothing
    given = [] if is_behind else await _given(site, host, wait_seconds=wait)
    return _json(_poll_answer(site, host, trust, given))


async def _given(site: Site, host: Host, *, wait_seconds: int) -> list[StoredAction]:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_seconds
    while True:
        ticket = site.wakeups.ticket(host.host_id)
        waiting = await _waiting(site, host.host_id)
        if waiting:
            await site.call(site.store.actions.delivered, waiting, now=site.now())
            site.wakeups.ring("status")
            return waiting
        if not await site.wakeups.wait(host.host_id, ticket, deadline - loop.time()):
            return []


async def _waiting(site: Site, host_id: str) -> list[StoredAction]:
    """What fits into one answer. Read anew each time: a host may be quarantined or revoked while it waits.

    A host that the policy does not name gets trust documents and nothing else (actions.md section 9).
    """
    current = await site.call(site.store.hosts.get, host_id)
    if current is None or current.revoked_at is not None or current.quarantined_at is not None:
        return []
    if current.name not in site.situation.named_hosts:
        return []
    waiting = await site.call(site.store.actions.waiting, host_id, now=site.now())
    fitting: list[StoredAction] = []
    size = 0
    for action in waiting:
        size += len(action.delivery)
        if fitting and size > _MAX_ANSWER_BYTES:
            break
        fitting.append(action)
    return fitting


def _poll_answer(site: Site, host: Host, trust: list[Envelope], given: list[StoredAction]) -> PollAnswer:
    deliveries = tuple(Raw(action.delivery.encode("ascii")) for action in given)
    steps = tuple(Raw(envelope.encode()) for envelope in trust)
    is_named = host.name in site.situation.named_hosts
    if (
        not is_named or not site.situation.checkpoint
    ):  # an empty Raw that is given would be written as no text at all
        return PollAnswer(deliveries, steps)
    return PollAnswer(deliveries, steps, checkpoint=Raw(site.situation.checkpoint.encode("ascii")))


async def _receipts(request: web.Request) -> web.Response:
    site = site_of(request)
    data = await read_body(request)
    host = await _authenticated(request, data)
    body = decode_body(data, ReceiptsBody)
    stored: list[str] = []
    for raw in body.receipts:
        try:
            receipt = _verified(bytes(raw), host)
        except ProtocolError as error:
            await _refuse_receipt(site, host, str(error))
            continue
        if await _file(site, host, receipt):
            stored.append(receipt.action_id)
    return _json(ReceiptsAnswer(tuple(stored)))


async def _file(site: Site, host: Host, receipt: VerifiedReceipt) -> bool:
    try:
        filed = await site.call(site.store.receipts.file, receipt, now=site.now())
    except ReceiptForked as error:
        await site.call(site.store.hosts.quarantine, host, str(error), now=site.now())
        site.metrics.quarantined.labels(host.name).set(1)
        _log.error("host quarantined", host=host.name, reason=str(error))
        return False
    if filed.is_new:
        site.metrics.actions.labels(filed.kind, receipt.outcome).inc()
        site.metrics.receipt_gaps.inc(int(filed.after_gap))
        site.metrics.foreign_receipts.inc(int(filed.is_foreign))
        if filed.after_gap or filed.is_foreign:
            _log.error("receipt does not fit", host=host.name, gap=filed.after_gap, foreign=filed.is_foreign)
        site.wakeups.ring("status")
    return True


def _verified(raw: bytes, host: Host) -> VerifiedReceipt:
    envelope = parse_envelope(raw)
    receipt = verify_receipt(envelope, key=PublicKey(host.receipt_key), previous=None)
    if receipt.host_id != host.host_id:
        raise BadReceipt("it speaks for another host")
    return VerifiedReceipt(
        host_id=host.host_id,
        seq=receipt.seq,
        action_id=receipt.id,
        action_sha256=receipt.action_sha256,
        sha256=hashlib.sha256(envelope.payload).hexdigest(),
        previous_sha256=receipt.previous_sha256 or "",
        outcome=receipt.outcome,
        reason=receipt.reason or "",
        envelope=envelope.encode().decode("ascii"),
    )


async def _refuse_receipt(site: Site, host: Host, why: str) -> None:
    site.metrics.bad_receipts.inc()
    _log.error("receipt refused", host=host.name, reason=why)
    await site.call(
        site.store.audit.append,
        at=site.now(),
        actor=f"host:{host.host_id}",
        event="receipt.refused",
        subject=host.name,
        detail={"reason": why},
    )


async def _authenticated(request: web.Request, body: bytes) -> Host:
    site = site_of(request)
    try:
        token, host_id = claimed_host(request.headers.get("Authorization", ""))
        host = await site.call(site.store.hosts.get, host_id)
        if host is None or host.revoked_at is not None:
            raise TokenRefusedError("unknown_host")
        site.tokens.check(token, body, host_id=host_id, key=host.transport_key, now=site.now())
    except TokenRefusedError as error:
        site.metrics.tokens_refused.labels(error.reason).inc()
        raise Problem(401, error.reason, "the token is not accepted") from error
    return host


def _raw_key(text: str) -> bytes:
    return PublicKey(base64.b64decode(text, validate=True)).raw


def _json(answer: Struct) -> web.Response:
    return web.Response(body=encode_body(answer), content_type="application/json")
