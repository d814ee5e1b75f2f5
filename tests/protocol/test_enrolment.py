"""The enrolment token and the bodies of the agent API."""

from __future__ import annotations

import base64

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import canonical
from protocol.documents import Delivery, TrustBundle
from protocol.enrolment import (
    MAX_BODY_BYTES,
    EnrolAnswer,
    EnrolBody,
    EnrolmentToken,
    JournalHead,
    PollAnswer,
    PollBody,
    ReceiptsBody,
    decode_body,
    encode_body,
)
from protocol.errors import BadDocument, BadToken
from tests.protocol.scene import HOST, PROPERTY, action, chain, key, trust_step

TOKEN = EnrolmentToken("https://steward.example:8443", "ca" * 32, "web-01", "40" * 32, "5e" * 32)
FIELDS = msgspec.to_builtins(TOKEN)


def written(fields: object) -> str:
    return "steward-enrol-1." + base64.urlsafe_b64encode(canonical.encode(fields)).decode().rstrip("=")


def test_token_round_trip() -> None:
    assert EnrolmentToken.parse(TOKEN.encode() + "\n") == TOKEN
    assert "\n" not in TOKEN.encode()


def test_a_token_never_shows_its_secret() -> None:
    assert TOKEN.secret not in repr(TOKEN) + str(TOKEN)
    body = EnrolBody(TOKEN.secret, "web-01", KEY_TEXT, KEY_TEXT, "0.1.0")
    assert TOKEN.secret not in repr(body)


KEY_TEXT = key("transport").public.as_json()["public"]
BAD_TOKENS = {
    "empty": "",
    "another_prefix": TOKEN.encode().replace("enrol-1", "enrol-2"),
    "cut": TOKEN.encode()[:-4],
    "padded": TOKEN.encode() + "=",
    "inner_space": TOKEN.encode()[:40] + " " + TOKEN.encode()[40:],
    "standard_base64": TOKEN.encode() + "+/+/",
    "too_long": written(FIELDS | {"address": "https://" + "a" * 3000}),
    "without_tls": written(FIELDS | {"address": "http://steward.example"}),
    "no_address": written(FIELDS | {"address": ""}),
    "short_secret": written(FIELDS | {"secret": "5e" * 31}),
    "host_name_path": written(FIELDS | {"host_name": "../web"}),
    "host_name_newline": written(FIELDS | {"host_name": "web\n"}),
    "unknown_field": written(FIELDS | {"note": ""}),
    "missing_field": written({name: value for name, value in FIELDS.items() if name != "root_sha256"}),
    "list": written([]),
    "not_canonical": "steward-enrol-1." + base64.urlsafe_b64encode(b'{ "a":1}').decode(),
    "not_ascii": "steward-enrol-1.Ä",
}


@pytest.mark.parametrize("case", BAD_TOKENS)
def test_bad_tokens_are_refused_without_being_quoted(case: str) -> None:
    with pytest.raises(BadToken) as caught:
        EnrolmentToken.parse(BAD_TOKENS[case])
    assert TOKEN.secret not in str(caught.value)


@settings(PROPERTY, max_examples=300)
@given(st.data())
def test_a_changed_character_is_another_token_or_none(data: st.DataObject) -> None:
    text = TOKEN.encode()
    place = data.draw(st.integers(0, len(text) - 1))
    changed = text[:place] + data.draw(st.characters(max_codepoint=127)) + text[place + 1 :]
    try:
        read = EnrolmentToken.parse(changed)
    except BadToken:
        return
    assert read.encode() == changed.strip()


def test_deliveries_travel_as_the_text_that_they_are() -> None:
    text = action().encode()
    answer = PollAnswer((msgspec.Raw(text),), ())
    read = decode_body(encode_body(answer), PollAnswer)
    assert Delivery.parse(bytes(read.deliveries[0])) == Delivery.parse(text)
    doubled = text.replace(b'"payload"', b'"payload": "", "payload"', 1)
    read = decode_body(encode_body(PollAnswer((msgspec.Raw(doubled),), ())), PollAnswer)
    assert bytes(read.deliveries[0]) == doubled


def test_the_trust_of_an_enrolled_host() -> None:
    bundle = TrustBundle.parse(chain(trust_step()))
    answer = EnrolAnswer(HOST, "demo", msgspec.Raw(bundle.encode()))
    assert TrustBundle.parse(bytes(decode_body(encode_body(answer), EnrolAnswer).trust)) == bundle


def test_absent_fields_are_absent() -> None:
    body = PollBody("0.1.0", 1, 0, JournalHead(0, ""), 50)
    assert b"metrics_address" not in encode_body(body)
    assert decode_body(encode_body(body), PollBody) == body


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'{"receipts":{}}',
        b'{"receipts":[],"note":1}',
        b"[" * 100_000,
        b" " * (MAX_BODY_BYTES + 1),
        b'{"receipts":[' + b"{}," * 300 + b"{}]}",
        b'{"receipts":[' + b"[" * 100_000 + b"]" * 100_000 + b"]}",
        b'{"receipts\xff":[]}',
    ],
    ids=lambda data: repr(data[:20]),
)
def test_bad_bodies(data: bytes) -> None:
    with pytest.raises(BadDocument):
        decode_body(data, ReceiptsBody)


@pytest.mark.parametrize(
    "changes",
    [
        {"wait_seconds": 51},
        {"wait_seconds": -1},
        {"trust_version": -1},
        {"journal": {"seq": 1, "sha256": "x"}},
        {"metrics_address": "file:///etc/passwd"},
        {"metrics_address": "http://a b"},
        {"agent_version": "x" * 65},
    ],
    ids=repr,
)
def test_bad_polls(changes: dict[str, object]) -> None:
    fields = {
        "agent_version": "0.1.0",
        "trust_version": 1,
        "approvers_version": 0,
        "journal": {"seq": 0, "sha256": ""},
        "wait_seconds": 0,
    }
    assert decode_body(msgspec.json.encode(fields), PollBody).wait_seconds == 0
    with pytest.raises(BadDocument):
        decode_body(msgspec.json.encode(fields | changes), PollBody)
