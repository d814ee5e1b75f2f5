"""The documents' shapes: what they accept, what they refuse, that reading and writing agree."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import canonical
from protocol.documents import (
    Action,
    ApproversDocument,
    KindLimits,
    Limits,
    Receipt,
    Request,
    TrustDocument,
)
from protocol.errors import BadDocument, NotCanonical, ProtocolError
from tests.protocol.cases_action import RECURRENCE
from tests.protocol.cases_envelope import RECEIPT
from tests.protocol.scene import (
    JO,
    NOW,
    PROPERTY,
    SHA256_OF_NOTHING,
    action_fields,
    person,
    request_fields,
    trust_fields,
)

APPROVERS = {"expires_at": NOW, "people": [person("jo", JO.line)], "version": 1}
FULL_ACTION = action_fields(recurrence=RECURRENCE, request_sha256=SHA256_OF_NOTHING)
FULL_RECEIPT = RECEIPT | {
    "exit_status": -15,
    "output": "text",
    "previous_sha256": SHA256_OF_NOTHING,
    "reason": "expired",
    "result": {"a": [1]},
    "slot": NOW,
    "started_at": NOW,
}
DOCUMENTS: dict[str, tuple[Any, dict[str, Any], set[str]]] = {
    "trust": (TrustDocument, trust_fields(), set()),
    "approvers": (ApproversDocument, APPROVERS, set()),
    "request": (Request, request_fields(), set()),
    "action": (Action, FULL_ACTION, {"recurrence", "request_sha256"}),
    "receipt": (
        Receipt,
        FULL_RECEIPT,
        {"exit_status", "output", "previous_sha256", "reason", "result", "slot", "started_at"},
    ),
}
FIELDS = [(name, field) for name, (_, fields, _) in DOCUMENTS.items() for field in sorted(fields)]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_reading_and_writing_agree(name: str) -> None:
    kind, fields, _ = DOCUMENTS[name]
    payload = canonical.encode(fields)
    assert kind.from_payload(payload).to_payload() == payload


@pytest.mark.parametrize(("name", "field"), FIELDS)
def test_a_field_may_be_absent_only_where_the_specification_says(name: str, field: str) -> None:
    kind, fields, optional = DOCUMENTS[name]
    payload = canonical.encode({key: value for key, value in fields.items() if key != field})
    if field in optional:
        assert kind.from_payload(payload).to_payload() == payload
    else:
        with pytest.raises(BadDocument):
            kind.from_payload(payload)


@pytest.mark.parametrize(("name", "field"), FIELDS)
def test_null_is_never_a_value(name: str, field: str) -> None:
    kind, fields, _ = DOCUMENTS[name]
    with pytest.raises(BadDocument):
        kind.from_payload(canonical.encode(fields | {field: None}))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_an_unknown_field_is_refused(name: str) -> None:
    kind, fields, _ = DOCUMENTS[name]
    with pytest.raises(BadDocument):
        kind.from_payload(canonical.encode(fields | {"note": ""}))


@PROPERTY
@given(st.sampled_from(sorted(DOCUMENTS)), st.data())
def test_a_changed_byte_is_another_document_or_none(name: str, data: st.DataObject) -> None:
    kind, fields, _ = DOCUMENTS[name]
    payload = bytearray(canonical.encode(fields))
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        read = kind.from_payload(bytes(payload))
    except ProtocolError:
        return
    assert read.to_payload() == bytes(payload)


@pytest.mark.parametrize(
    "changes",
    [
        {"output": "x" * 16_385},
        {"result": {"a": [{"b": None}]}},
        {"result": {"a": 0.5}},
        {"seq": 0},
        {"host_id": "web-01"},
        {"reason": "\ud800"},
    ],
    ids=lambda changes: str(changes)[:30],
)
def test_what_no_reader_would_take_is_not_written(changes: dict[str, Any]) -> None:
    receipt = Receipt.from_payload(canonical.encode(FULL_RECEIPT))
    with pytest.raises((BadDocument, NotCanonical)):
        msgspec.structs.replace(receipt, **changes).to_payload()


def test_documents_cannot_be_changed() -> None:
    action = Action.from_payload(canonical.encode(FULL_ACTION))
    with pytest.raises(AttributeError):
        action.seq = 8  # type: ignore[misc]
    assert msgspec.structs.replace(action, seq=8).seq == 8


def test_limits_of_the_specification() -> None:
    limits = Limits.parse(
        {
            "kinds": {
                "host.ping": {},
                "service.restart": {"units": ["web"], "approvals": 0},
                "account.lock": {"accounts": ["*"], "approvals": 2},
                "backup.run": {"sets": ["etc"], "repositories": ["local"]},
            }
        }
    )
    assert limits.kinds["account.lock"] == KindLimits(approvals=2, accounts=("*",))


def test_without_limits_a_host_allows_ping_alone() -> None:
    assert set(Limits.parse({}).kinds) == {"host.ping"}


@pytest.mark.parametrize(
    "kind",
    [
        {"units": "web"},
        {"units": ["we*b"]},
        {"units": ["**"]},
        {"units": [""]},
        {"units": [1]},
        {"approvals": -1},
        {"approvals": "2"},
        {"approvals": True},
        {"approval": 2},
        None,
        [],
    ],
    ids=repr,
)
def test_limits_that_are_none(kind: object) -> None:
    with pytest.raises(BadDocument):
        Limits.parse({"kinds": {"service.restart": kind}})
