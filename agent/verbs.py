"""What the network process may ask of the executor, and what it gets: the whole of their language.

Bodies of frames are JSON; bytes travel in base64. Unknown verbs and fields are refused.
"""

from typing import Any

import msgspec

from agent.errors import FrameError

__all__ = [
    "Answered",
    "Ask",
    "AskReceipts",
    "AskStatus",
    "Deliver",
    "Head",
    "InstallTrust",
    "Status",
    "Trust",
    "decode_answer",
    "decode_ask",
    "encode",
]


class Deliver(msgspec.Struct, frozen=True, tag_field="verb", tag="deliver", forbid_unknown_fields=True):
    """Judge a delivery and run it if it is accepted; wait so long for the receipt (at most 60 s)."""

    delivery: bytes
    wait_seconds: float = 0.0


class AskReceipts(msgspec.Struct, frozen=True, tag_field="verb", tag="receipts", forbid_unknown_fields=True):
    """Give the receipts after number `since`; wait so long for the first (at most 60 s)."""

    since: int
    wait_seconds: float = 0.0


class InstallTrust(msgspec.Struct, frozen=True, tag_field="verb", tag="trust", forbid_unknown_fields=True):
    """Continue the chain of trust by these envelopes."""

    steps: list[dict[str, Any]]
    approvers: dict[str, Any] | None = None


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
        asked: Ask = msgspec.json.decode(body, type=Ask)
    except msgspec.DecodeError as error:
        raise FrameError(f"not a verb of ours: {error}") from error
    return asked


def decode_answer(body: bytes) -> Answered:
    """Return the answer; raises FrameError."""
    try:
        return msgspec.json.decode(body, type=Answered)
    except msgspec.DecodeError as error:
        raise FrameError(f"not an answer of ours: {error}") from error
