"""What holds for every delivery: a changed byte never opens a door, and nothing but an answer comes back."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import canonical, dsse
from protocol.documents import Delivery, Limits, TrustBundle
from protocol.reasons import Reason
from protocol.trust import walk_chain
from protocol.vector import VectorState
from protocol.verify import Accepted, Refused, verify
from tests.protocol.cases_request import BASE as RESTARTED
from tests.protocol.scene import (
    ACTION_ID,
    HOST,
    NOW,
    PROPERTY,
    Case,
    action,
    action_fields,
    deliver,
    envelope,
    restart,
)

PINGED = Case("ping", "accepted")
TRUST = {id(case): walk_chain(TrustBundle.parse(case.trust)) for case in (PINGED, RESTARTED)}


def answer(case: Case, delivery: bytes, **changes: Any) -> Accepted | Refused:
    arguments = {
        "bundle": TRUST[id(case)],
        "limits": Limits.parse(case.limits),
        "host_id": HOST,
        "now": NOW,
        "state": VectorState(**case.state).as_state(),
    }
    result = verify(delivery, **(arguments | changes))
    assert isinstance(result, Accepted | Refused)
    if isinstance(result, Refused):
        assert result.reason in Reason
        assert result.after_signature == result.reason.after_signature
        assert result.detail.isprintable()
        assert (result.action is None) or result.after_signature
    return result


def test_the_untouched_deliveries_are_accepted() -> None:
    for case in (PINGED, RESTARTED):
        assert isinstance(answer(case, case.delivery.encode()), Accepted)


@settings(PROPERTY, max_examples=600)
@given(st.sampled_from([PINGED, RESTARTED]), st.data())
def test_a_changed_byte_is_refused_or_means_the_same(case: Case, data: st.DataObject) -> None:
    text = bytearray(case.delivery.encode())
    place = data.draw(st.integers(0, len(text) - 1))
    text[place] ^= data.draw(st.integers(1, 255))
    result = answer(case, bytes(text))
    if isinstance(result, Accepted):
        assert Delivery.parse(bytes(text)) == Delivery.parse(case.delivery.encode())


@PROPERTY
@given(st.sampled_from([PINGED, RESTARTED]), st.data())
def test_a_cut_or_doubled_piece_is_refused(case: Case, data: st.DataObject) -> None:
    text = case.delivery.encode()
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    for changed in (text[:start] + text[end:], text[:end] + text[start:]):
        if isinstance(answer(case, changed), Accepted):
            assert Delivery.parse(changed) == Delivery.parse(text)


@PROPERTY
@given(st.sampled_from([PINGED, RESTARTED]), st.data())
def test_a_changed_payload_under_the_old_signature_is_refused(case: Case, data: st.DataObject) -> None:
    delivery = Delivery.parse(case.delivery.encode())
    payload = bytearray(delivery.action.payload)
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
    forged = dsse.Envelope(bytes(payload), delivery.action.payload_type, delivery.action.signatures)
    result = answer(case, Delivery(forged, delivery.request).encode())
    assert isinstance(result, Refused)
    assert result.reason is Reason.BAD_SIGNATURE


@PROPERTY
@given(st.binary(max_size=200))
def test_any_signed_bytes_get_an_answer(payload: bytes) -> None:
    result = answer(PINGED, deliver(envelope(payload, dsse.ACTION, "controller")).encode())
    assert isinstance(result, Refused)
    assert result.reason in (Reason.NOT_CANONICAL, Reason.BAD_PAYLOAD)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@PROPERTY
@given(st.sampled_from(sorted(action_fields())), JSON)
def test_any_value_in_any_signed_field_gets_an_answer(field: str, value: object) -> None:
    fields = action_fields(**{field: value})
    result = answer(PINGED, deliver(envelope(fields, dsse.ACTION, "controller")).encode())
    if isinstance(result, Accepted):
        assert result.action.to_payload() == canonical.encode(fields)


@PROPERTY
@given(JSON)
def test_any_args_of_a_signed_action_get_an_answer(args: object) -> None:
    result = answer(RESTARTED, action(kind="service.restart", args=args).encode())
    assert isinstance(result, Refused)


@PROPERTY
@given(st.text(max_size=100), st.text(max_size=100))
def test_any_request_gets_an_answer(payload: str, signature: str) -> None:
    data = payload.encode("utf-8", "surrogatepass")
    result = answer(RESTARTED, restart(data, [signature]).encode())
    assert isinstance(result, Refused)


@PROPERTY
@given(st.integers(0, 2**53 - 1))
def test_an_action_runs_inside_its_window_alone(now: int) -> None:
    accepted = isinstance(answer(PINGED, PINGED.delivery.encode(), now=now), Accepted)
    if accepted:
        assert NOW - 95 <= now <= NOW + 390


@PROPERTY
@given(st.integers(NOW - 500, NOW + 800))
def test_the_window_is_exact(now: int) -> None:
    accepted = isinstance(answer(PINGED, PINGED.delivery.encode(), now=now), Accepted)
    assert accepted == (NOW - 95 <= now <= NOW + 390)


def test_what_was_accepted_is_remembered_and_then_refused() -> None:
    first = answer(PINGED, PINGED.delivery.encode())
    assert isinstance(first, Accepted)
    state = VectorState(
        **(PINGED.state | {"seen": [ACTION_ID], "last_seq": {first.resource: first.action.seq}})
    )
    again = answer(PINGED, PINGED.delivery.encode(), state=state.as_state())
    assert isinstance(again, Refused)
    assert again.reason is Reason.REPLAYED
    started = answer(PINGED, PINGED.delivery.encode(), state=state.as_state(), at_start=True)
    assert isinstance(started, Accepted)


def test_an_acceptance_names_who_approved_what() -> None:
    result = answer(RESTARTED, RESTARTED.delivery.encode())
    assert isinstance(result, Accepted)
    assert result.approvers == ("sam",)
    assert result.resource == "service:web"
    assert result.run_key is not None
    assert result.run_key.startswith(f"{result.request_id}/")


def test_a_refusal_after_the_signature_names_the_action() -> None:
    result = answer(PINGED, PINGED.delivery.encode(), host_id=ACTION_ID)
    assert isinstance(result, Refused)
    assert (result.reason, result.after_signature, result.action_id) == (Reason.WRONG_HOST, True, ACTION_ID)
    assert result.action_sha256 is not None


def test_a_refusal_before_the_signature_names_only_the_bytes() -> None:
    result = answer(PINGED, action("stranger").encode())
    assert isinstance(result, Refused)
    assert (result.after_signature, result.action_id) == (False, None)
    assert result.action_sha256 is not None


def test_a_detail_never_carries_control_characters() -> None:
    hostile = "\x1b[2J\r\n" + "k" * 5000
    result = answer(PINGED, action(kind=hostile).encode())
    assert isinstance(result, Refused)
    assert len(result.detail) < 1000


def test_the_order_of_keys_in_a_delivery_does_not_matter() -> None:
    value = json.loads(RESTARTED.delivery)
    swapped = json.dumps({"request": value["request"], "action": value["action"]})
    assert isinstance(answer(RESTARTED, swapped.encode()), Accepted)
