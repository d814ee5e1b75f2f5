"""What the controller signs: actions for hosts, and checkpoints of the audit log, each with a key of its own.

Keys are reached by securesystemslib's signer URIs (`file2:PATH` today; PKCS#11 and cloud keys have URIs
too), so that the private key of a larger house need not lie in a file. The public key stands beside it, and
everything that is signed is checked against it once at start.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from controller.audit import Checkpoint  # noqa: TC001 - msgspec reads it at run time
from controller.errors import ControllerError, Refused
from controller.store import SignedAction
from protocol import canonical, dsse
from protocol.documents import Action, Delivery
from protocol.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from protocol.keys import PublicKey

__all__ = [
    "MAX_VALID_SECONDS",
    "ActionSigner",
    "BadOrderError",
    "Order",
    "UriSigner",
    "checkpoint_envelope",
    "new_ulid",
    "opened_checkpoint",
]

MAX_VALID_SECONDS = 3600
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class _CheckpointBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    at: int
    chains: list[Checkpoint]


class UriSigner:
    """A `protocol.dsse.Signer` whose private key is wherever its URI says; raises ControllerError."""

    def __init__(self, uri: str, public: PublicKey) -> None:
        from securesystemslib.signer import Signer, SSlibKey  # type: ignore[attr-defined]

        self.public = public
        key = SSlibKey(public.keyid, "ed25519", "ed25519", {"public": public.raw.hex()})
        try:
            self._signer = Signer.from_priv_key_uri(uri, key)
            proof = self.sign(b"steward")
        except Exception as error:  # each kind of signer fails in its own library's types
            hint = "see the key's file or token, and `steward trust show`"
            raise ControllerError(f"the signing key {uri} cannot be used: {error}", hint=hint) from error
        if not public.verify(proof, b"steward"):
            raise ControllerError(f"the signing key {uri} is not the one whose public key is on file")

    @property
    def keyid(self) -> str:
        """SHA-256 of the public key, in hex."""
        return self.public.keyid

    def sign(self, data: bytes) -> bytes:
        """The Ed25519 signature over `data`."""
        return bytes.fromhex(self._signer.sign(data).signature)


class BadOrderError(ControllerError):
    """What was asked for is no action: no such kind, arguments that it does not take, or too long a life."""


@dataclass(frozen=True)
class Order:
    """What an operator or a schedule wants done on one host."""

    host_id: str
    kind: str
    args: Mapping[str, Any]
    valid_seconds: int = 600


class ActionSigner:
    """Makes signed actions. `trust_version` and `policy_commit` are asked for at each one."""

    def __init__(
        self, signer: dsse.Signer, *, trust_version: Callable[[], int], policy_commit: Callable[[], str]
    ) -> None:
        self._signer = signer
        self._trust_version = trust_version
        self._policy_commit = policy_commit

    def sign(self, order: Order, *, action_id: str, seq: int, now: int) -> SignedAction:
        """The action for `order`, valid from now.

        Raises BadOrderError for one that is valid for over an hour.
        """
        if not 0 < order.valid_seconds <= MAX_VALID_SECONDS:
            raise BadOrderError(f"an action is valid for 1 to {MAX_VALID_SECONDS} seconds")
        action = Action(
            args=dict(order.args),
            expires_at=now + order.valid_seconds,
            host_id=order.host_id,
            id=action_id,
            issued_at=now,
            kind=order.kind,
            not_before=now,
            policy_commit=self._policy_commit() or "0",
            seq=seq,
            trust_version=self._trust_version(),
        )
        payload = action.to_payload()
        envelope = dsse.sign(payload, dsse.ACTION, [self._signer])
        return SignedAction(
            id=action.id,
            host_id=action.host_id,
            seq=action.seq,
            kind=action.kind,
            args=canonical.encode(action.args).decode("ascii"),
            issued_at=action.issued_at,
            not_before=action.not_before,
            expires_at=action.expires_at,
            action_sha256=hashlib.sha256(payload).hexdigest(),
            delivery=Delivery(envelope).encode().decode("ascii"),
        )


def checkpoint_envelope(point: Checkpoint, signer: dsse.Signer, *, at: int) -> str:
    """A checkpoint of the audit log, signed: `{"at", "chains".

    [{"chain", "head", "seq"}]}` in an envelope.
    """
    chain = {"chain": point.chain, "head": point.head, "seq": point.seq}
    payload = canonical.encode({"at": at, "chains": [chain]})
    return dsse.sign(payload, dsse.CHECKPOINT, [signer]).encode().decode("ascii")


def opened_checkpoint(text: bytes, key: PublicKey) -> list[Checkpoint]:
    """What a checkpoint says of each chain.

    Raises Refused where `key` did not sign it or it is no checkpoint.
    """
    try:
        envelope = dsse.parse_envelope(text)
        is_signed = envelope.payload_type == dsse.CHECKPOINT and bool(dsse.signers_of(envelope, [key]))
        if not is_signed:
            raise Refused("the checkpoint is not signed by the audit key")
        return msgspec.convert(canonical.decode(envelope.payload), _CheckpointBody).chains
    except (ProtocolError, msgspec.ValidationError) as error:
        raise Refused(f"not a checkpoint: {error}") from error


def new_ulid(now_milliseconds: int, entropy: bytes) -> str:
    """A ULID of 48 bits of time and 80 random bits (github.com/ulid/spec); `entropy` is ten bytes."""
    number = (now_milliseconds << 80) | int.from_bytes(entropy[:10], "big")
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))
