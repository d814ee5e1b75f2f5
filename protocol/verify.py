"""May this host run what arrived? The checks of the specification's section 6, in its order.

Bytes, trust, limits, memory and clock come in; an Accepted or a Refused goes out. Nothing is parsed as a
document before the signature over it holds, and no exception leaves `verify`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from protocol import dsse
from protocol.documents import Action, Delivery, TrustBundle
from protocol.errors import BadDocument, MalformedEnvelope, NotCanonical, Refusal, TooLarge
from protocol.kinds import KINDS
from protocol.names import is_listed
from protocol.reasons import Reason
from protocol.requests import Approval, check_not_run, check_request
from protocol.trust import TrustSet, check_current, walk_chain
from protocol.window import check_window

if TYPE_CHECKING:
    from msgspec import Struct

    from protocol.documents import KindLimits, Limits, VerifierState
    from protocol.kinds import Kind

__all__ = ["Accepted", "Refused", "verify"]

_MAX_DETAIL: Final = 200


@dataclass(frozen=True, slots=True)
class Accepted:
    """The action may run: `args` typed by its kind, `approval` the request behind it."""

    action: Action
    action_sha256: str
    args: Struct
    resource: str
    approval: Approval | None

    @property
    def approvers(self) -> tuple[str, ...]:
        """The people who approved, sorted; for the receipt."""
        return () if self.approval is None else self.approval.approvers

    @property
    def request_id(self) -> str | None:
        """The request's id, where there is one."""
        return None if self.approval is None else self.approval.request_id

    @property
    def run_key(self) -> str | None:
        """What to add to `requests_run`, where there is a request."""
        return None if self.approval is None else self.approval.run_key


@dataclass(frozen=True, slots=True)
class Refused:
    """The action may not run. `detail` is printable, bounded text for the log.

    `action_sha256` is known once the envelope has its shape; `action` only where the controller's signature
    holds and the payload is an action. `after_signature` says that a receipt is due.
    """

    reason: Reason
    detail: str
    after_signature: bool
    action_sha256: str | None = None
    action: Action | None = None

    @property
    def action_id(self) -> str | None:
        """The action's id where it is known."""
        return None if self.action is None else self.action.id


@dataclass(slots=True)
class _Progress:
    """How far the checks came, so that a refusal can say what it refuses."""

    action_sha256: str | None = field(default=None)
    action: Action | None = field(default=None)


def verify(
    delivery: bytes,
    *,
    bundle: TrustBundle | TrustSet,
    limits: Limits,
    host_id: str,
    now: int,
    state: VerifierState,
    at_start: bool = False,
) -> Accepted | Refused:
    """Whether the host may run what was delivered, at the instant `now`.

    `bundle` is the chain, or the TrustSet that trust.walk_chain made of it (then only rollback and expiry
    are checked here: the fast way). `at_start` is for the second look at the moment of start: the nonce,
    the sequence and the request's item, which the acceptance itself has recorded, are not looked at again.
    """
    progress = _Progress()
    try:
        action = _authentic(delivery, bundle, now, state, progress)
        return _allowed(action, limits=limits, host_id=host_id, now=now, state=state, at_start=at_start)
    except Refusal as refusal:
        return Refused(
            refusal.reason,
            _printable(refusal.detail),
            refusal.reason.after_signature,
            progress.action_sha256,
            progress.action,
        )


@dataclass(frozen=True, slots=True)
class _Signed:
    """An action that the controller signed, and what came with it."""

    action: Action
    sha256: str
    delivery: Delivery
    trust: TrustSet


def _authentic(
    data: bytes, bundle: TrustBundle | TrustSet, now: int, state: VerifierState, progress: _Progress
) -> _Signed:
    delivery = _parse(data)
    envelope = delivery.action
    progress.action_sha256 = digest = hashlib.sha256(envelope.payload).hexdigest()
    if envelope.payload_type != dsse.ACTION:
        raise Refusal(Reason.WRONG_PAYLOAD_TYPE, "not an action")
    trust = bundle if isinstance(bundle, TrustSet) else walk_chain(bundle)
    check_current(trust, now=now, known_version=state.trust_version)
    if not trust.controller.names_any(envelope):
        raise Refusal(Reason.UNTRUSTED_KEY, "no signature by a current controller key")
    if not trust.controller.signed(envelope):
        raise Refusal(Reason.BAD_SIGNATURE, "fewer valid signatures than the threshold")
    try:
        progress.action = action = Action.from_payload(envelope.payload)
    except NotCanonical as error:
        raise Refusal(Reason.NOT_CANONICAL, str(error)) from error
    except BadDocument as error:
        raise Refusal(Reason.BAD_PAYLOAD, str(error)) from error
    return _Signed(action, digest, delivery, trust)


def _parse(data: bytes) -> Delivery:
    try:
        return Delivery.parse(data)
    except TooLarge as error:
        raise Refusal(Reason.TOO_LARGE, str(error)) from error
    except MalformedEnvelope as error:
        raise Refusal(Reason.MALFORMED_ENVELOPE, str(error)) from error


def _allowed(
    signed: _Signed, *, limits: Limits, host_id: str, now: int, state: VerifierState, at_start: bool
) -> Accepted:
    action, trust = signed.action, signed.trust
    if action.host_id != host_id:
        raise Refusal(Reason.WRONG_HOST, f"for host {action.host_id}")
    if action.trust_version > trust.version:
        raise Refusal(
            Reason.TRUST_VERSION_AHEAD, f"signed under {action.trust_version}, host has {trust.version}"
        )
    check_window(action, now=now, state=state)
    kind, allowed = _kind(action, limits)
    args = _args(action, kind, allowed)
    approval = check_request(
        action, signed.delivery.request, trust.approvers, needed=allowed.approvals, now=now
    )
    resource = kind.resource(args)
    if not at_start:
        _check_new(action, approval, resource, state)
    return Accepted(action, signed.sha256, args, resource, approval)


def _kind(action: Action, limits: Limits) -> tuple[Kind, KindLimits]:
    kind = KINDS.get(action.kind)
    if kind is None:
        raise Refusal(Reason.UNKNOWN_KIND, action.kind)
    allowed = limits.kinds.get(action.kind)
    if allowed is None:
        raise Refusal(Reason.KIND_NOT_ALLOWED, action.kind)
    return kind, allowed


def _args(action: Action, kind: Kind, allowed: KindLimits) -> Struct:
    try:
        args = kind.parse_args(action.args)
    except BadDocument as error:
        raise Refusal(Reason.BAD_ARGS, str(error)) from error
    for listed, name in kind.limited_names(args).items():
        if not is_listed(name, getattr(allowed, listed)):
            raise Refusal(Reason.ARGS_NOT_ALLOWED, f"{name} is not in the host's {listed}")
    return args


def _check_new(action: Action, approval: Approval | None, resource: str, state: VerifierState) -> None:
    if approval is not None:
        check_not_run(approval, state)
    if action.id in state.seen:
        raise Refusal(Reason.REPLAYED, action.id)
    last = state.last_seq.get(resource)
    if last is not None and action.seq <= last:
        raise Refusal(Reason.SUPERSEDED, f"seq {action.seq} after {last} on {resource}")


def _printable(text: str) -> str:
    """Text that came partly from outside, made fit for one line of a log."""
    return text[:_MAX_DETAIL].encode("unicode_escape").decode("ascii")
