"""What the network process may ask of the executor, and what it gets: the whole of their language.

Bodies of frames are JSON; bytes travel in base64. Unknown verbs and fields are refused.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from agent.errors import FrameError
from protocol.errors import NotStrictJson
from protocol.wire import decode_typed

__all__ = [
    "Answered",
    "Ask",
    "AskReceipts",
    "AskStatus",
    "Deliver",
    "EnvelopeText",
    "Head",
    "InstallTrust",
    "Status",
    "Trust",
    "decode_answer",
    "decode_ask",
    "encode",
    "envelope_text",
]

_Seconds = Annotated[float, Meta(ge=0)]
_Number = Annotated[int, Meta(ge=0, le=2**53 - 1)]


class SignatureText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A signature as it travels."""

    keyid: str
    sig: str


class EnvelopeText(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"payload_type": "payloadType"}
):
    """A DSSE envelope as it travels: its shape alone, so that junk costs no more memory than its text."""

    payload: str
    payload_type: str
    signatures: Annotated[list[SignatureText], Meta(max_length=16)]


class Deliver(msgspec.Struct, frozen=True, tag_field="verb", tag="deliver", forbid_unknown_fields=True):
    """Judge a delivery and run it if it is accepted; wait so long for the receipt (at most 60 s)."""

    delivery: bytes
    wait_seconds: _Seconds = 0.0


class AskReceipts(msgspec.Struct, frozen=True, tag_field="verb", tag="receipts", forbid_unknown_fields=True):
    """Give the receipts after number `since`; wait so long for the first (at most 60 s)."""

    since: _Number
    wait_seconds: _Seconds = 0.0


class InstallTrust(msgspec.Struct, frozen=True, tag_field="verb", tag="trust", forbid_unknown_fields=True):
    """Continue the chain of trust by these envelopes."""

    steps: Sequence[EnvelopeText]
    approvers: EnvelopeText | None = None


class AskStatus(msgspec.Struct, frozen=True, tag_field="verb", tag="status", forbid_unknown_fields=True):
    """Tell the head of the receipts' chain, the trust and the load."""


Ask = Deliver | AskReceipts | InstallTrust | AskStatus


class Head(msgspec.Struct, frozen=True):
    """Number and hash of the last receipt; 0 and empty where there is none, or no usable journal."""

    seq: int = 0
    sha256: str = ""


class Trust(msgspec.Struct, frozen=True):
    """The installed trust; `expires_at` in Unix seconds."""

    version: int
    expires_at: int
    approvers_version: int
    ca_pins: list[str]


class Status(msgspec.Struct, frozen=True):
    """How the executor fares."""

    head: Head
    journal_usable: bool
    pending: int
    trust: Trust


class Answered(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to any verb; `error` says why there is none."""

    status: Status | None = None
    state: str = ""
    """Of a delivery: accepted, running or refused."""
    reason: str = ""
    detail: str = ""
    action_id: str = ""
    action_sha256: str = ""
    receipts: list[bytes] = []
    error: str = ""


def encode(message: Ask | Answered) -> bytes:
    """Return the body of a message."""
    return msgspec.json.encode(message)


def decode_ask(body: bytes) -> Ask:
    """Return what is asked; raises FrameError."""
    try:
        return _ASK.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FrameError(f"not a verb of ours: {error}") from error


def decode_answer(body: bytes) -> Answered:
    """Return the answer; raises FrameError."""
    try:
        return decode_typed(body, Answered)
    except NotStrictJson as error:
        raise FrameError(f"not an answer of ours: {error}") from error


def envelope_text(value: object) -> EnvelopeText:
    """Return the envelope that parsed JSON holds; raises FrameError where it has another shape."""
    try:
        return msgspec.convert(value, EnvelopeText)
    except msgspec.ValidationError as error:
        raise FrameError(f"not an envelope: {error}") from error


_ASK: msgspec.json.Decoder[Ask] = msgspec.json.Decoder(Ask)
