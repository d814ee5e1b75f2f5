"""Receipts and their chain."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import canonical, dsse
from protocol.documents import Receipt
from protocol.errors import BadReceipt, BrokenReceiptChain
from protocol.receipts import GENESIS, Head, build, head_of, verify_receipt
from tests.protocol.scene import (
    ACTION_ID,
    HOST,
    NOW,
    PROPERTY,
    SHA256_OF_NOTHING,
    envelope,
    key,
    with_changes,
)

HOST_KEY = key("receipts of web-01")


def receipt(**changes: Any) -> Receipt:
    fields = {
        "action_sha256": SHA256_OF_NOTHING,
        "agent_version": "0.1.0",
        "approvers": ("sam",),
        "exit_status": 0,
        "finished_at": NOW + 1,
        "host_id": HOST,
        "id": ACTION_ID,
        "limits_sha256": SHA256_OF_NOTHING,
        "outcome": "done",
        "result": {"hostname": "web-01", "uptime_seconds": 5},
        "seq": 1,
        "started_at": NOW,
        "trust_version": 1,
    }
    return Receipt(**with_changes(fields, changes))


def test_a_chain_is_built_and_verified() -> None:
    head = GENESIS
    for seq in (1, 2, 3):
        made = build(receipt(seq=seq, previous_sha256=head.sha256 or None), previous=head, signer=HOST_KEY)
        read = verify_receipt(dsse.parse_envelope(made.encode()), key=HOST_KEY.public, previous=head)
        head = head_of(read)
    assert head.seq == 3
    assert verify_receipt(made, key=HOST_KEY.public, previous=None).seq == 3


def test_the_head_is_the_hash_of_what_was_signed() -> None:
    made = build(receipt(), previous=GENESIS, signer=HOST_KEY)
    assert head_of(Receipt.from_payload(made.payload)).sha256 == hashlib.sha256(made.payload).hexdigest()


FIRST = head_of(receipt())
BREAKS = {
    "gap": (receipt(seq=3, previous_sha256=FIRST.sha256), FIRST),
    "again": (receipt(), FIRST),
    "fork": (receipt(seq=2, previous_sha256=SHA256_OF_NOTHING), FIRST),
    "forgets_the_past": (receipt(seq=2), FIRST),
    "first_with_a_past": (receipt(previous_sha256=SHA256_OF_NOTHING), GENESIS),
    "rewritten_start": (receipt(agent_version="0"), FIRST),
}


@pytest.mark.parametrize("case", BREAKS)
def test_a_broken_chain_is_neither_built_nor_believed(case: str) -> None:
    made, head = BREAKS[case]
    with pytest.raises(BrokenReceiptChain):
        build(made, previous=head, signer=HOST_KEY)
    with pytest.raises(BrokenReceiptChain):
        verify_receipt(
            dsse.sign(made.to_payload(), dsse.RECEIPT, [HOST_KEY]), key=HOST_KEY.public, previous=head
        )


GOOD = dsse.sign(receipt().to_payload(), dsse.RECEIPT, [HOST_KEY])
FIELDS = msgspec.to_builtins(receipt())
NO_RECEIPTS = {
    "another_key": dsse.sign(GOOD.payload, dsse.RECEIPT, [key("controller")]),
    "another_key_under_our_id": replace(
        GOOD, signatures=(dsse.Signature(HOST_KEY.keyid, key("controller").sign(GOOD.payload)),)
    ),
    "no_signature": replace(GOOD, signatures=()),
    "signed_as_action": dsse.sign(GOOD.payload, dsse.ACTION, [HOST_KEY]),
    "signed_as_action_shown_as_receipt": replace(
        dsse.sign(GOOD.payload, dsse.ACTION, [HOST_KEY]), payload_type=dsse.RECEIPT
    ),
    "changed": replace(GOOD, payload=GOOD.payload.replace(b'"done"', b'"failed"')),
    "jwt": dsse.sign(b"eyJhbGciOiJFZERTQSJ9.e30.AAAA", dsse.RECEIPT, [HOST_KEY]),
    "not_canonical": dsse.sign(GOOD.payload + b"\n", dsse.RECEIPT, [HOST_KEY]),
    "unknown_outcome": dsse.sign(canonical.encode(FIELDS | {"outcome": "fine"}), dsse.RECEIPT, [HOST_KEY]),
    "null": dsse.sign(canonical.encode(FIELDS | {"reason": None}), dsse.RECEIPT, [HOST_KEY]),
    "unknown_field": dsse.sign(canonical.encode(FIELDS | {"note": ""}), dsse.RECEIPT, [HOST_KEY]),
    "long_output": dsse.sign(canonical.encode(FIELDS | {"output": "x" * 16_385}), dsse.RECEIPT, [HOST_KEY]),
    "seq_zero": dsse.sign(canonical.encode(FIELDS | {"seq": 0}), dsse.RECEIPT, [HOST_KEY]),
}


@pytest.mark.parametrize("case", NO_RECEIPTS)
def test_no_receipt(case: str) -> None:
    with pytest.raises(BadReceipt) as caught:
        verify_receipt(NO_RECEIPTS[case], key=HOST_KEY.public, previous=GENESIS)
    assert not isinstance(caught.value, BrokenReceiptChain)


@PROPERTY
@given(
    outcome=st.sampled_from(["done", "failed", "refused", "expired", "interrupted"]),
    output=st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
    exit_status=st.none() | st.integers(-255, 255),
    slot=st.none() | st.integers(0, 2**40),
    seq=st.integers(1, 2**50),
)
def test_round_trip(**changes: Any) -> None:
    made = receipt(**changes)
    assert Receipt.from_payload(made.to_payload()) == made


@PROPERTY
@given(st.data())
def test_a_changed_byte_is_never_a_receipt(data: st.DataObject) -> None:
    payload = bytearray(GOOD.payload)
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BadReceipt):
        verify_receipt(replace(GOOD, payload=bytes(payload)), key=HOST_KEY.public, previous=None)


def test_an_envelope_in_json_travels_unchanged() -> None:
    text = envelope(FIELDS, dsse.RECEIPT, "receipts of web-01")
    assert verify_receipt(dsse.parse_envelope(text), key=HOST_KEY.public, previous=Head(0, "")) == receipt()
