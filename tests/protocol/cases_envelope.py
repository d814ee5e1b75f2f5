"""Cases up to the controller's signature: size, shape, type, keys."""

from __future__ import annotations

import base64
import json
from typing import Any

from protocol import canonical, dsse
from tests.protocol.scene import (
    ACTION_ID,
    HOST,
    NOW,
    SHA256_OF_NOTHING,
    Case,
    action,
    action_fields,
    chain,
    deliver,
    envelope,
    key,
    role,
    trust_step,
)

GOOD = envelope(action_fields(), dsse.ACTION, "controller")
ACCEPTED = Case("accepted_ping", "accepted")


def edited(**changes: Any) -> str:
    """The good delivery with fields of its envelope replaced, added, or (None) left out."""
    fields = {name: value for name, value in (GOOD | changes).items() if value is not None}
    return deliver(fields)


def signature(**changes: Any) -> dict[str, Any]:
    """The good signature, changed."""
    return GOOD["signatures"][0] | changes


def loose(text: str, index: int) -> str:
    """The same base64 with the unused bits of its last character set, where it has any."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    place = len(text.rstrip("=")) - 1
    return text[:place] + alphabet[alphabet.index(text[place]) + index] + text[place + 1 :]


def jwt() -> str:
    """A compact JWS by the controller's own key: another format with the same algorithm."""
    parts = [{"alg": "EdDSA", "typ": "steward-agent+jwt"}, {"iss": HOST, "sub": HOST, "jti": ACTION_ID}]
    text = ".".join(base64.urlsafe_b64encode(canonical.encode(p)).decode().rstrip("=") for p in parts)
    return text + "." + base64.urlsafe_b64encode(key("controller").sign(text.encode())).decode().rstrip("=")


RECEIPT = {
    "action_sha256": SHA256_OF_NOTHING,
    "agent_version": "0.1.0",
    "approvers": [],
    "finished_at": NOW,
    "host_id": HOST,
    "id": ACTION_ID,
    "limits_sha256": SHA256_OF_NOTHING,
    "outcome": "done",
    "seq": 1,
    "trust_version": 1,
}


def sized(total: int) -> str:
    """A well-formed, signed action whose payload has `total` bytes."""
    empty = len(canonical.encode(action_fields(args={"pad": ""})))
    return action(args={"pad": "x" * (total - empty)})


def cases() -> list[Case]:
    """All of them."""
    return [ACCEPTED, *sizes(), *shapes(), *types(), *signatures()]


def sizes() -> list[Case]:
    """Bounds, looked at before anything is parsed."""
    return [
        ACCEPTED.but("size_delivery_at_the_limit", "accepted", delivery=action().ljust(512 * 1024)),
        ACCEPTED.but("size_delivery_over_the_limit", "too_large", delivery=action().ljust(512 * 1024 + 1)),
        ACCEPTED.but("size_payload_at_the_limit", "bad_args", delivery=sized(64 * 1024)),
        ACCEPTED.but("size_payload_over_the_limit", "too_large", delivery=sized(64 * 1024 + 1)),
    ]


def shapes() -> list[Case]:
    """Text that is not exactly a delivery."""
    text = action()
    payload = GOOD["payload"]
    padded = envelope(canonical.encode(action_fields()) + b" ", dsse.ACTION, "controller")
    broken = {
        "empty": "",
        "no_json": "steward",
        "truncated": text[:-1],
        "second_value": text + "{}",
        "byte_order_mark": "\ufeff" + text,
        "list": f"[{text}]",
        "nested_deep": '{"action":' * 5000,
        "nan": text[:-1] + ',"request":NaN}',
        "huge_integer": text[:-1] + ',"request":' + "9" * 6000 + "}",
        "unknown_key": text[:-1] + ',"note":""}',
        "duplicate_action": text[:-1] + ',"action":' + json.dumps(GOOD) + "}",
        "duplicate_key_by_escape": text[:-1] + ',"\\u0061ction":' + json.dumps(GOOD) + "}",
        "duplicate_key_at_depth": text.replace('"keyid":', '"keyid":"","keyid":'),
        "duplicate_payload": text.replace('"payload":', '"payload":"","payload":', 1),
        "request_null": text[:-1] + ',"request":null}',
        "no_action": "{}",
        "action_text": '{"action":"' + payload + '"}',
        "envelope_unknown_key": edited(note=""),
        "envelope_without_type": edited(payloadType=None),
        "payload_type_number": edited(payloadType=1),
        "payload_type_null": text.replace(f'"{dsse.ACTION}"', "null"),
        "no_signatures": edited(signatures=[]),
        "seventeen_signatures": edited(signatures=[signature()] * 17),
        "signature_unknown_key": edited(signatures=[signature(cert="")]),
        "signature_without_keyid": edited(signatures=[{"sig": signature()["sig"]}]),
        "signatures_object": edited(signatures=signature()),
        "base64_with_newline": edited(payload=payload[:76] + "\n" + payload[76:]),
        "base64_urlsafe": edited(signatures=[signature(sig="-_" + signature()["sig"][2:])]),
        "base64_without_padding": edited(signatures=[signature(sig=signature()["sig"].rstrip("="))]),
        "base64_loose_bits": edited(signatures=[signature(sig=loose(signature()["sig"], 1))]),
        "base64_payload_loose_bits": deliver(padded | {"payload": loose_payload(padded["payload"])}),
        "base64_padding_inside": edited(payload="QUI=" + payload),
    }
    return [ACCEPTED.but(f"shape_{name}", "malformed_envelope", delivery=d) for name, d in broken.items()]


def loose_payload(text: str) -> str:
    """Loose bits where the length leaves any, else a stray character."""
    return loose(text, 1) if text.endswith("=") else text + "="


def types() -> list[Case]:
    """Other things that the same keys sign."""
    receipt = deliver(envelope(RECEIPT, dsse.RECEIPT, "controller"))
    return [
        ACCEPTED.but("type_receipt_as_action", "wrong_payload_type", delivery=receipt),
        ACCEPTED.but(
            "type_action_signed_as_receipt",
            "wrong_payload_type",
            delivery=deliver(envelope(action_fields(), dsse.RECEIPT, "controller")),
        ),
        ACCEPTED.but(
            "type_receipt_renamed_to_action",
            "bad_signature",
            delivery=deliver(renamed(RECEIPT, dsse.RECEIPT)),
        ),
        ACCEPTED.but(
            "type_receipt_signed_as_action",
            "bad_payload",
            delivery=deliver(envelope(RECEIPT, dsse.ACTION, "controller")),
        ),
        ACCEPTED.but(
            "type_with_parameter", "wrong_payload_type", delivery=edited(payloadType=f"{dsse.ACTION};v=1")
        ),
        ACCEPTED.but(
            "type_other_case",
            "wrong_payload_type",
            delivery=deliver(envelope(action_fields(), dsse.ACTION.upper(), "controller")),
        ),
        ACCEPTED.but("type_empty", "wrong_payload_type", delivery=edited(payloadType="")),
        ACCEPTED.but("type_jwt_as_delivery", "malformed_envelope", delivery=jwt()),
        ACCEPTED.but(
            "type_jwt_as_receipt",
            "wrong_payload_type",
            delivery=deliver(envelope(jwt().encode(), dsse.RECEIPT, "controller")),
        ),
        ACCEPTED.but(
            "type_jwt_as_payload",
            "not_canonical",
            delivery=deliver(envelope(jwt().encode(), dsse.ACTION, "controller")),
        ),
        ACCEPTED.but(
            "type_trust_document_as_action",
            "wrong_payload_type",
            delivery=deliver(trust_step(signers=("controller",))),
        ),
    ]


def renamed(fields: dict[str, Any], signed_as: str) -> dict[str, Any]:
    """Signed as one type, shown as an action: the encoding that is signed covers the type."""
    return envelope(fields, signed_as, "controller") | {"payloadType": dsse.ACTION}


def signatures() -> list[Case]:
    """Who signed, counted by key."""
    two = chain(trust_step(controller=role("controller", "second", threshold=2)))
    raw = key("controller").public.raw.hex()
    good = GOOD["signatures"][0]
    both = envelope(action_fields(), dsse.ACTION, "controller", "second")
    stranger = envelope(action_fields(), dsse.ACTION, "stranger")["signatures"][0]
    other_bytes = envelope(action_fields(seq=8), dsse.ACTION, "controller")["signatures"][0]
    return [
        ACCEPTED.but("key_stranger", "untrusted_key", delivery=action("stranger")),
        ACCEPTED.but("key_root_is_no_controller", "untrusted_key", delivery=action("root")),
        ACCEPTED.but("key_approver_admin_is_no_controller", "untrusted_key", delivery=action("admin")),
        ACCEPTED.but(
            "key_raw_instead_of_id", "untrusted_key", delivery=edited(signatures=[good | {"keyid": raw}])
        ),
        ACCEPTED.but(
            "key_id_upper_case",
            "untrusted_key",
            delivery=edited(signatures=[good | {"keyid": good["keyid"].upper()}]),
        ),
        ACCEPTED.but("key_id_empty", "untrusted_key", delivery=edited(signatures=[good | {"keyid": ""}])),
        ACCEPTED.but(
            "key_stranger_under_trusted_id",
            "bad_signature",
            delivery=edited(signatures=[stranger | {"keyid": good["keyid"]}]),
        ),
        ACCEPTED.but("key_stranger_beside_trusted", "accepted", delivery=edited(signatures=[stranger, good])),
        ACCEPTED.but("signature_of_other_bytes", "bad_signature", delivery=edited(signatures=[other_bytes])),
        ACCEPTED.but("signature_empty", "bad_signature", delivery=edited(signatures=[good | {"sig": ""}])),
        ACCEPTED.but(
            "signature_over_the_payload_alone",
            "bad_signature",
            delivery=edited(signatures=[signature(sig=base64.b64encode(without_pae()).decode())]),
        ),
        ACCEPTED.but(
            "signature_s_plus_order", "bad_signature", delivery=edited(signatures=[malleable(good)])
        ),
        ACCEPTED.but("threshold_two_of_two", "accepted", trust=two, delivery=deliver(both)),
        ACCEPTED.but("threshold_one_of_two", "bad_signature", trust=two),
        ACCEPTED.but(
            "threshold_one_key_twice", "bad_signature", trust=two, delivery=edited(signatures=[good, good])
        ),
        ACCEPTED.but(
            "threshold_one_key_under_two_ids",
            "bad_signature",
            trust=two,
            delivery=edited(signatures=[good, good | {"keyid": key("second").keyid}]),
        ),
    ]


def without_pae() -> bytes:
    """A signature over the payload's bytes, as if there were no pre-authentication encoding."""
    return key("controller").sign(canonical.encode(action_fields()))


def malleable(good: dict[str, Any]) -> dict[str, Any]:
    """The same signature with the group's order added to S (RFC 8032, section 8.4)."""
    raw = base64.b64decode(good["sig"])
    order = 2**252 + 27742317777372353535851937790883648493
    s = int.from_bytes(raw[32:], "little") + order
    return good | {"sig": base64.b64encode(raw[:32] + s.to_bytes(32, "little")).decode()}
