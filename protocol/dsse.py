"""DSSE: signatures over typed bytes (secure-systems-lab/dsse, protocol.md and envelope.md).

What is signed is the pre-authentication encoding in bytes, so that the type is covered too and nothing has to
be parsed before the signature is known to hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, cast

from protocol import canonical
from protocol.errors import MalformedEnvelope, NotStrictJson, TooLarge
from protocol.wire import decode_base64, decode_json, decoded_size, encode_base64

if TYPE_CHECKING:
    from collections.abc import Iterable

    from protocol.keys import PublicKey

__all__ = [
    "ACTION",
    "APPROVERS",
    "CHECKPOINT",
    "MAX_ENVELOPE_BYTES",
    "MAX_PAYLOAD_BYTES",
    "MAX_SIGNATURES",
    "OVERRIDE",
    "RECEIPT",
    "TRUST",
    "Envelope",
    "Signature",
    "Signer",
    "pae",
    "parse_envelope",
    "sign",
    "signers_of",
]

ACTION: Final = "application/vnd.steward.action.v1+json"
RECEIPT: Final = "application/vnd.steward.receipt.v1+json"
TRUST: Final = "application/vnd.steward.trust.v1+json"
APPROVERS: Final = "application/vnd.steward.approvers.v1+json"
OVERRIDE: Final = "application/vnd.steward.override.v1+json"
CHECKPOINT: Final = "application/vnd.steward.checkpoint.v1+json"

MAX_PAYLOAD_BYTES: Final = 64 * 1024
MAX_ENVELOPE_BYTES: Final = 128 * 1024
"""Room for the largest payload in base64 and 16 signatures."""
MAX_SIGNATURES: Final = 16


class Signer(Protocol):
    """Something that signs bytes under a key id: a key in memory, a token, a remote service."""

    @property
    def keyid(self) -> str:
        """SHA-256 of the public key's raw bytes, in hex."""

    def sign(self, data: bytes) -> bytes:
        """The signature over `data`."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature and the key id that it claims."""

    keyid: str
    sig: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """Payload bytes, their type, and signatures that nobody has checked yet."""

    payload: bytes
    payload_type: str
    signatures: tuple[Signature, ...]

    def as_json(self) -> dict[str, object]:
        """The envelope as JSON values."""
        return {
            "payload": encode_base64(self.payload),
            "payloadType": self.payload_type,
            "signatures": [{"keyid": s.keyid, "sig": encode_base64(s.sig)} for s in self.signatures],
        }

    def encode(self) -> bytes:
        """The envelope as JSON text."""
        return canonical.encode(self.as_json())


def pae(payload_type: str, payload: bytes) -> bytes:
    """The pre-authentication encoding; both lengths count bytes."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(payload: bytes, payload_type: str, signers: Iterable[Signer]) -> Envelope:
    """An envelope over `payload` with one signature of each signer."""
    data = pae(payload_type, payload)
    return Envelope(payload, payload_type, tuple(Signature(s.keyid, s.sign(data)) for s in signers))


def parse_envelope(data: bytes | Mapping[str, object]) -> Envelope:
    """The envelope that JSON text or already parsed JSON holds.

    Raises MalformedEnvelope for anything but the specified keys, strict base64 and 1 to 16 signatures, and
    TooLarge for text over 128 KiB or a payload over 64 KiB.
    """
    if isinstance(data, bytes):
        if len(data) > MAX_ENVELOPE_BYTES:
            raise TooLarge("envelope text over 128 KiB")
        try:
            value = decode_json(data)
        except NotStrictJson as error:
            raise MalformedEnvelope(str(error)) from error
    else:
        value = data
    fields = _exactly(value, {"payload", "payloadType", "signatures"})
    payload, payload_type = _text(fields["payload"]), _text(fields["payloadType"])
    if decoded_size(payload) > MAX_PAYLOAD_BYTES:
        raise TooLarge("payload over 64 KiB")
    signatures = _signatures(fields["signatures"])
    return Envelope(_bytes(payload), payload_type, signatures)


def signers_of(envelope: Envelope, keys: Iterable[PublicKey]) -> frozenset[str]:
    """The key ids, recomputed from `keys`, whose signatures on the envelope verify; each key counts once."""
    by_id = {key.keyid: key for key in keys}
    data = pae(envelope.payload_type, envelope.payload)
    valid: set[str] = set()
    for signature in envelope.signatures:
        key = by_id.get(signature.keyid)
        if key is not None and key.keyid not in valid and key.verify(signature.sig, data):
            valid.add(key.keyid)
    return frozenset(valid)


def _signatures(value: object) -> tuple[Signature, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_SIGNATURES:
        raise MalformedEnvelope(f"not 1 to {MAX_SIGNATURES} signatures")
    fields = [_exactly(item, {"keyid", "sig"}) for item in value]
    return tuple(Signature(_text(item["keyid"]), _bytes(_text(item["sig"]))) for item in fields)


def _exactly(value: object, keys: set[str]) -> Mapping[str, object]:
    if not isinstance(value, Mapping) or value.keys() != keys:
        raise MalformedEnvelope(f"not an object of exactly {', '.join(sorted(keys))}")
    return cast("Mapping[str, object]", value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise MalformedEnvelope("a field that is no text")
    return value


def _bytes(text: str) -> bytes:
    try:
        return decode_base64(text)
    except NotStrictJson as error:
        raise MalformedEnvelope(str(error)) from error
