"""Where two things are wrong at once, the answer is the one that the specification looks at first."""

from __future__ import annotations

import hashlib
from itertools import combinations
from typing import Any

import pytest

from protocol import canonical, dsse
from protocol.reasons import Reason
from protocol.vector import Vector
from protocol.wire import encode_base64
from tests.protocol.cases_request import RUN_KEY
from tests.protocol.make_vectors import render
from tests.protocol.scene import (
    ACTION_ID,
    APPROVES,
    ASKS,
    EVE,
    JO,
    NOW,
    OTHER_HOST,
    RESTART,
    SAM,
    Case,
    action_fields,
    approvers,
    chain,
    deliver,
    envelope,
    request_payload,
    state,
    trust_step,
)

FAULTS: dict[Reason, dict[str, Any]] = {
    Reason.TOO_LARGE: {"padding": 512 * 1024},
    Reason.MALFORMED_ENVELOPE: {"tail": "}"},
    Reason.WRONG_PAYLOAD_TYPE: {"payload_type": dsse.RECEIPT},
    Reason.TRUST_UNKNOWN_ROOT: {"root_sha256": "00" * 32},
    Reason.TRUST_BROKEN_CHAIN: {"steps": (trust_step(3),)},
    Reason.TRUST_ROLLED_BACK: {"state.trust_version": 9},
    Reason.TRUST_EXPIRED: {"trust.expires_at": NOW - 1},
    Reason.UNTRUSTED_KEY: {"signer": "stranger"},
    Reason.BAD_SIGNATURE: {"forged": True},
    Reason.NOT_CANONICAL: {"payload_tail": b"\n"},
    Reason.BAD_PAYLOAD: {"action.policy_commit": "?"},
    Reason.WRONG_HOST: {"action.host_id": OTHER_HOST},
    Reason.TRUST_VERSION_AHEAD: {"action.trust_version": 7},
    Reason.CLOCK_WENT_BACK: {"state.high_water": NOW + 1000},
    Reason.BAD_WINDOW: {"action.expires_at": NOW - 5},
    Reason.NOT_YET_VALID: {"action.not_before": NOW + 200},
    Reason.EXPIRED: {"state.floor": NOW + 1000},
    Reason.UNKNOWN_KIND: {"action.kind": "shell.run"},
    Reason.KIND_NOT_ALLOWED: {"limits": {"kinds": {}}},
    Reason.BAD_ARGS: {"action.args": {}},
    Reason.ARGS_NOT_ALLOWED: {"limits": {"kinds": {"service.restart": {"approvals": 1}}}},
    Reason.REQUEST_MISSING: {"delivered": False},
    Reason.REQUEST_MISMATCH: {"action.request_sha256": "00" * 32},
    Reason.REQUEST_BAD_SIGNATURE: {"second": EVE},
    Reason.APPROVERS_EXPIRED: {"approvers.expires_at": NOW - 1},
    Reason.APPROVALS_MISSING: {"limits": {"kinds": {"service.restart": {"approvals": 9, "units": ["web"]}}}},
    Reason.REQUEST_ALREADY_RUN: {"state.requests_run": [RUN_KEY]},
    Reason.REPLAYED: {"state.seen": [ACTION_ID]},
    Reason.SUPERSEDED: {"state.last_seq": {"service:web": 7}},
}


def part(faults: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in faults.items() if name.startswith(prefix)}


def scene(faults: dict[str, Any]) -> Case:
    """A restart that jo requested and sam approved, with faults in it."""
    request = request_payload()
    named = {
        "args": {"unit": "web"},
        "kind": "service.restart",
        "request_sha256": hashlib.sha256(request).hexdigest(),
    }
    payload = canonical.encode(action_fields(**(named | part(faults, "action.")))) + faults.get(
        "payload_tail", b""
    )
    signed = envelope(payload, faults.get("payload_type", dsse.ACTION), faults.get("signer", "controller"))
    if faults.get("forged"):
        signed["signatures"][0]["sig"] = encode_base64(bytes(64))
    second = faults.get("second", SAM)
    body = {
        "payload": encode_base64(request),
        "signatures": [JO.sign(request, ASKS), second.sign(request, APPROVES)],
    }
    text = deliver(signed, body if faults.get("delivered", True) else None) + faults.get("tail", "")
    first = trust_step(**part(faults, "trust."))
    trust = chain(first, *faults.get("steps", ()), approvers=approvers(**part(faults, "approvers.")))
    return Case(
        name="order",
        expect="",
        delivery=text.ljust(faults.get("padding", 0) + 1),
        trust=trust | {name: value for name, value in faults.items() if name == "root_sha256"},
        limits=faults.get("limits", RESTART),
        state=state(**part(faults, "state.")),
    )


def answer(faults: dict[str, Any]) -> str:
    return Vector.parse(render(scene(faults)).encode()).run()


def test_the_faults_are_all_reasons_in_their_order() -> None:
    assert list(FAULTS) == [
        r for r in Reason if r not in (Reason.JOURNAL_UNUSABLE, Reason.RESOURCES_EXHAUSTED)
    ]
    assert answer({}) == "accepted"


@pytest.mark.parametrize("reason", FAULTS)
def test_one_fault_gives_its_own_reason(reason: Reason) -> None:
    assert answer(FAULTS[reason]) == reason


@pytest.mark.parametrize(("first", "second"), list(combinations(FAULTS, 2)))
def test_of_two_faults_the_first_answers(first: Reason, second: Reason) -> None:
    assert answer(FAULTS[second] | FAULTS[first]) == first
