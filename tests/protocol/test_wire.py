"""Strict JSON and base64, envelopes and deliveries around signed bytes."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import dsse
from protocol.documents import Delivery, SignedRequest, TrustBundle
from protocol.errors import BadDocument, MalformedEnvelope, NotStrictJson, ProtocolError, TooLarge
from protocol.wire import decode_base64, decode_json, decode_typed, decoded_size, encode_base64
from tests.protocol.scene import PROPERTY, action, chain, key, restart, trust_step

BAD_JSON = {
    "empty": b"",
    "duplicate": b'{"a":1,"a":1}',
    "duplicate_by_escape": b'{"a":1,"\\u0061":1}',
    "duplicate_deep": b'[[{"a":{"b":1,"b":1}}]]',
    "nan": b"NaN",
    "float": b"1.5",
    "great": b"1" * 21,
    "deep": b"[" * 100_000,
    "mark": b"\xef\xbb\xbf{}",
    "utf16": "{}".encode("utf-16"),
    "latin1": '"é"'.encode("latin-1"),
    "surrogate_bytes": b'"\xed\xa0\x80"',
    "control": b'"\n"',
    "two_values": b"{}{}",
}
BAD_BASE64 = {
    "newline": "QUJD\n",
    "space": "QU JD",
    "urlsafe": "-_-_",
    "no_padding": "QQ",
    "half_padding": "QQ=",
    "too_much_padding": "QUJD====",
    "loose_bits": "QR==",
    "loose_bits_of_two": "QUF=",
    "padding_inside": "QQ==QQ==",
    "not_ascii": "QUJÄ",
    "only_padding": "====",
}


@pytest.mark.parametrize("case", BAD_JSON)
def test_json_is_refused(case: str) -> None:
    with pytest.raises(NotStrictJson):
        decode_json(BAD_JSON[case])


@pytest.mark.parametrize("case", BAD_BASE64)
def test_base64_is_refused(case: str) -> None:
    with pytest.raises(NotStrictJson):
        decode_base64(BAD_BASE64[case])


@PROPERTY
@given(st.binary(max_size=200))
def test_base64_round_trip_and_size(data: bytes) -> None:
    text = encode_base64(data)
    assert decode_base64(text) == data
    assert decoded_size(text) == len(data)


@PROPERTY
@given(st.text("ABQRZaz09+/=", max_size=12))
def test_only_one_text_stands_for_some_bytes(text: str) -> None:
    try:
        data = decode_base64(text)
    except NotStrictJson:
        return
    assert base64.b64encode(data).decode() == text


@PROPERTY
@given(st.binary(max_size=64), st.sampled_from([dsse.ACTION, dsse.RECEIPT, "", "é"]))
def test_envelope_round_trip(payload: bytes, payload_type: str) -> None:
    envelope = dsse.sign(payload, payload_type, [key("controller"), key("second")])
    assert dsse.parse_envelope(envelope.encode()) == envelope
    assert dsse.signers_of(envelope, [key("controller").public]) == {key("controller").keyid}
    assert dsse.signers_of(envelope, [key("stranger").public]) == frozenset()


def test_the_encoding_that_is_signed_is_the_published_one() -> None:
    # The example of secure-systems-lab/dsse, protocol.md.
    assert dsse.pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_lengths_in_the_signed_encoding_count_bytes() -> None:
    assert dsse.pae("é", "é".encode()) == b"DSSEv1 2 \xc3\xa9 2 \xc3\xa9"


@PROPERTY
@given(st.binary(max_size=8), st.binary(max_size=8), st.text(max_size=8), st.text(max_size=8))
def test_different_types_or_payloads_are_signed_differently(one: bytes, two: bytes, a: str, b: str) -> None:
    assert (dsse.pae(a, one) == dsse.pae(b, two)) == ((a, one) == (b, two))


def test_sizes_are_looked_at_before_parsing() -> None:
    with pytest.raises(TooLarge):
        dsse.parse_envelope(b"[" * (dsse.MAX_ENVELOPE_BYTES + 1))
    with pytest.raises(TooLarge):
        Delivery.parse(b"[" * (512 * 1024 + 1))
    with pytest.raises(TooLarge):
        SignedRequest.parse({"payload": "?" * 400_000, "signatures": ["x"]})


@pytest.mark.parametrize("text", [action(), restart()], ids=["without request", "with request"])
def test_delivery_round_trip(text: str) -> None:
    delivery = Delivery.parse(text.encode())
    assert Delivery.parse(delivery.encode()) == delivery


def test_bundle_round_trip() -> None:
    bundle = TrustBundle.parse(chain(trust_step(), trust_step(2), approvers=trust_step()))
    assert TrustBundle.parse(bundle.encode()) == bundle


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"[]",
        b"{}",
        {"root_sha256": "ab", "trust": []},
        {"root_sha256": "AB" * 32, "trust": []},
        {"root_sha256": "ab" * 32 + "\n", "trust": []},
        {"root_sha256": "ab" * 32, "trust": {}},
        {"root_sha256": "ab" * 32, "trust": ["x"]},
        {"root_sha256": "ab" * 32, "trust": [], "approvers": None},
        {"root_sha256": "ab" * 32, "trust": [], "note": 1},
    ],
    ids=repr,
)
def test_no_bundle(value: object) -> None:
    with pytest.raises(BadDocument):
        TrustBundle.parse(value)


@PROPERTY
@given(st.binary(max_size=60))
def test_any_bytes_are_a_delivery_or_refused(data: bytes) -> None:
    for parse in (Delivery.parse, dsse.parse_envelope, TrustBundle.parse):
        with pytest.raises(ProtocolError):
            parse(data)


def test_a_mapping_with_an_odd_value_is_no_envelope() -> None:
    with pytest.raises(MalformedEnvelope):
        dsse.parse_envelope({"payload": b"", "payloadType": dsse.ACTION, "signatures": []})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b'{"a":"\xff"}',
        b'{"\xff":"a"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"1" * 5_000,
        b'"\\ud800"',
    ],
    ids=lambda data: repr(data[:12]),
)
def test_what_msgspec_raises_stays_in_the_family(data: bytes) -> None:
    with pytest.raises(NotStrictJson):
        decode_typed(data, dict[str, str])
