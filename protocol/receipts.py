"""Receipts: what became of each action, in a chain that shows a gap, a fork and a rewritten past."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from protocol import dsse
from protocol.documents import Receipt
from protocol.errors import BadDocument, BadReceipt, BrokenReceiptChain, NotCanonical

if TYPE_CHECKING:
    from protocol.keys import PublicKey

__all__ = ["GENESIS", "Head", "build", "head_of", "verify_receipt"]


@dataclass(frozen=True, slots=True)
class Head:
    """The last receipt of a chain: its number, and SHA-256 of its payload in hex (empty before the first)."""

    seq: int
    sha256: str


GENESIS: Final = Head(0, "")
"""The head of a chain without receipts."""


def head_of(receipt: Receipt) -> Head:
    """The head of the chain that ends with this receipt."""
    return Head(receipt.seq, hashlib.sha256(receipt.to_payload()).hexdigest())


def build(receipt: Receipt, *, previous: Head, signer: dsse.Signer) -> dsse.Envelope:
    """The signed receipt. Raises BrokenReceiptChain where it does not continue `previous`."""
    _check_continues(receipt, previous)
    return dsse.sign(receipt.to_payload(), dsse.RECEIPT, [signer])


def verify_receipt(envelope: dsse.Envelope, *, key: PublicKey, previous: Head | None) -> Receipt:
    """The receipt that the host's key signed and that continues `previous` (None: anywhere).

    Raises BadReceipt where it is no receipt of that key, and BrokenReceiptChain (a BadReceipt) where it is,
    but a receipt before it is missing or another one was seen in its place: that pages.
    """
    if envelope.payload_type != dsse.RECEIPT:
        raise BadReceipt("not a receipt")
    if not dsse.signers_of(envelope, [key]):
        raise BadReceipt("not signed by the host's receipt key")
    try:
        receipt = Receipt.from_payload(envelope.payload)
    except (NotCanonical, BadDocument) as error:
        raise BadReceipt(str(error)) from error
    if previous is not None:
        _check_continues(receipt, previous)
    return receipt


def _check_continues(receipt: Receipt, previous: Head) -> None:
    if receipt.seq != previous.seq + 1:
        raise BrokenReceiptChain(f"receipt {receipt.seq} after {previous.seq}")
    if (receipt.previous_sha256 or "") != previous.sha256:
        raise BrokenReceiptChain(f"receipt {receipt.seq} continues another receipt {previous.seq}")
