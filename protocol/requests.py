"""What people signed: does the request cover this action, and did enough of the right people approve it?"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from protocol import canonical, sshsig
from protocol.documents import Request, RequestItem
from protocol.errors import BadDocument, BadSshSignature, NotCanonical, Refusal
from protocol.names import is_listed
from protocol.reasons import Reason
from protocol.window import SKEW_SECONDS

if TYPE_CHECKING:
    from protocol.documents import Action, SignedRequest, VerifierState
    from protocol.trust import Approvers

__all__ = ["Approval", "check_not_run", "check_request", "item_key", "item_order"]


@dataclass(frozen=True, slots=True)
class Approval:
    """The request behind an action: who approved it, and what to remember once it has run."""

    request_id: str
    requester: str
    approvers: tuple[str, ...]
    run_key: str


def item_order(item: RequestItem) -> tuple[str, str, bytes]:
    """Where an item stands in a request: by host, kind, then the canonical bytes of its arguments."""
    return (item.host_id, item.kind, canonical.encode(item.args))


def item_key(request_id: str, item: RequestItem) -> str:
    """What a host remembers of an item that has run: `<request id>/<SHA-256 of the canonical item>`."""
    digest = hashlib.sha256(canonical.encode(msgspec.to_builtins(item))).hexdigest()
    return f"{request_id}/{digest}"


def check_request(
    action: Action,
    signed: SignedRequest | None,
    approvers: Approvers | None,
    *,
    needed: int,
    now: int,
) -> Approval | None:
    """The approval of an action by its request, or None where none is named or needed.

    Raises Refusal: request_missing, request_mismatch, request_bad_signature, approvers_expired,
    approvals_missing.
    """
    if action.request_sha256 is None:
        if needed:
            raise Refusal(Reason.REQUEST_MISSING, f"{needed} approvals needed and no request named")
        if signed is not None:
            raise Refusal(Reason.REQUEST_MISMATCH, "a request that the action does not name")
        return None
    if signed is None:
        raise Refusal(Reason.REQUEST_MISSING, "the request that the action names was not delivered")
    request, item = _matching(action, signed, now)
    approved = _signers(request, signed, approvers, action.kind)
    if approvers is not None and approvers.expires_at < now:
        raise Refusal(Reason.APPROVERS_EXPIRED, f"the approvers expired at {approvers.expires_at}")
    if len(approved) < needed:
        raise Refusal(Reason.APPROVALS_MISSING, f"{len(approved)} of {needed} approvals")
    return Approval(request.id, request.requester, approved, item_key(request.id, item))


def check_not_run(approval: Approval, state: VerifierState) -> None:
    """Raises Refusal where the host already ran this item of this request."""
    if approval.run_key in state.requests_run:
        raise Refusal(Reason.REQUEST_ALREADY_RUN, f"request {approval.request_id} already ran here")


def _matching(action: Action, signed: SignedRequest, now: int) -> tuple[Request, RequestItem]:
    if hashlib.sha256(signed.payload).hexdigest() != action.request_sha256:
        raise Refusal(Reason.REQUEST_MISMATCH, "another request than the action names")
    try:
        request = Request.from_payload(signed.payload)
    except (NotCanonical, BadDocument) as error:
        raise Refusal(Reason.REQUEST_MISMATCH, str(error)) from error
    order = [item_order(item) for item in request.items]
    if any(left >= right for left, right in pairwise(order)):
        raise Refusal(Reason.REQUEST_MISMATCH, "the items are not sorted, or one is there twice")
    wanted = (action.host_id, action.kind, canonical.encode(action.args))
    if wanted not in order:
        raise Refusal(Reason.REQUEST_MISMATCH, "no item for this host, kind and arguments")
    if not request.window_from - SKEW_SECONDS <= now <= request.until + SKEW_SECONDS:
        raise Refusal(Reason.REQUEST_MISMATCH, f"outside {request.window_from} to {request.until}")
    return request, request.items[order.index(wanted)]


def _signers(
    request: Request, signed: SignedRequest, approvers: Approvers | None, kind: str
) -> tuple[str, ...]:
    """The distinct people, the requester apart, who approved and may do so. Every signature must hold."""
    if approvers is None:
        raise Refusal(Reason.REQUEST_BAD_SIGNATURE, "no approvers document: every key is nobody's")
    requested, approved = False, set[str]()
    for armored in signed.signatures:
        try:
            signature = sshsig.parse_signature(armored)
            person = approvers.by_key.get(signature.key)
            if person is None:
                raise BadSshSignature("by a key of nobody")
            asks = person.name == request.requester and signature.namespace == sshsig.REQUEST_NAMESPACE
            namespace = sshsig.REQUEST_NAMESPACE if asks else sshsig.APPROVE_NAMESPACE
            signature.verify(signed.payload, namespace)
        except BadSshSignature as error:
            raise Refusal(Reason.REQUEST_BAD_SIGNATURE, str(error)) from error
        requested = requested or asks
        if person.name != request.requester and is_listed(kind, person.kinds):
            approved.add(person.name)
    if not requested:
        raise Refusal(Reason.REQUEST_BAD_SIGNATURE, "no signature of the requester")
    return tuple(sorted(approved))
