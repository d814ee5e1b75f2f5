"""Errors of the protocol room.

ProtocolError
├── NotStrictJson       wire text that is no JSON or is ambiguous JSON
├── NotCanonical        payload bytes that are not the one canonical encoding of their value
├── BadDocument         canonical bytes whose fields or types are not as specified
├── MalformedEnvelope   an envelope or a delivery of the wrong shape
├── TooLarge            more bytes than the format allows
├── BadKey              key material that cannot be used
├── BadSshSignature     an SSHSIG that does not hold
├── BadToken            an enrolment token that cannot be read
├── BadReceipt          a receipt that does not verify
│   └── BrokenReceiptChain  one that does, but does not continue the chain it was held against
└── Refusal             a delivery or a trust chain is refused, with its reason
"""

# ruff: noqa: N818  (a refusal is named after what was found, as in the specification)
from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from protocol.reasons import Reason

__all__ = [
    "BadDocument",
    "BadKey",
    "BadReceipt",
    "BadSshSignature",
    "BadToken",
    "BrokenReceiptChain",
    "MalformedEnvelope",
    "NotCanonical",
    "NotStrictJson",
    "ProtocolError",
    "Refusal",
    "TooLarge",
]


class ProtocolError(Exception):
    """Root of everything that this room raises on purpose."""


class NotStrictJson(ProtocolError):
    """Wire text is not JSON, not UTF-8, too deep, or ambiguous (a key twice, NaN)."""


class NotCanonical(ProtocolError):
    """Payload bytes differ from the canonical encoding of what they say."""


class BadDocument(ProtocolError):
    """A document's fields, types or ranges are not as specified."""


class MalformedEnvelope(ProtocolError):
    """An envelope or delivery has not exactly the specified shape."""


class TooLarge(ProtocolError):
    """An input is longer than its format allows."""


class BadKey(ProtocolError):
    """Key material of the wrong length, type or form."""


class BadSshSignature(ProtocolError):
    """An SSHSIG cannot be parsed, is of another namespace, or does not verify."""


class BadToken(ProtocolError):
    """An enrolment token is not of the expected form."""


class BadReceipt(ProtocolError):
    """A receipt is not signed by the host's key, or is not of the specified shape."""


class BrokenReceiptChain(BadReceipt):
    """A genuine receipt that does not follow the last one seen: one is missing, or the past was rewritten."""


class Refusal(ProtocolError):
    """A check of the specification failed: `reason` is one of its reasons, `detail` is for the log."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
