"""One value, one encoding."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import canonical
from protocol.errors import BadDocument, NotCanonical, ProtocolError
from tests.protocol.scene import PROPERTY

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.booleans() | st.integers(-canonical.MAX_INTEGER, canonical.MAX_INTEGER) | TEXT
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)

ENCODINGS = {
    "empty": ({}, b"{}"),
    "sorted": ({"b": 1, "a": 2}, b'{"a":2,"b":1}'),
    "sorted_by_code_point": ({"\U0001f512": 1, "\uffee": 2}, b'{"\\uffee":2,"\\ud83d\\udd12":1}'),
    "upper_before_lower": ({"a": 1, "B": 2}, b'{"B":2,"a":1}'),
    "control": ("\x00\x1f\x7f", b'"\\u0000\\u001f\\u007f"'),
    "short_escapes": ('"\\\b\f\n\r\t/', b'"\\"\\\\\\b\\f\\n\\r\\t/"'),
    "not_normalised": ("e\u0301\u00e9", b'"e\\u0301\\u00e9"'),
    "negative": (-7, b"-7"),
    "greatest": (2**53 - 1, b"9007199254740991"),
    "tuple_is_a_list": ((1, (True,)), b"[1,[true]]"),
}

REFUSED = {
    "empty": b"",
    "space_before": b" 1",
    "newline_after": b"1\n",
    "space_inside": b'{"a": 1}',
    "unsorted": b'{"b":1,"a":2}',
    "duplicate": b'{"a":1,"a":1}',
    "duplicate_deep": b'[{"a":{"b":1,"b":2}}]',
    "float": b"1.0",
    "exponent": b"1e3",
    "minus_zero": b"-0",
    "leading_zero": b"01",
    "plus": b"+1",
    "nan": b"NaN",
    "infinity": b"-Infinity",
    "lone_high_surrogate": b'"\\ud800"',
    "lone_low_surrogate": b'{"a":["\\udc00"]}',
    "lone_surrogate_as_key": b'{"\\ud800":1}',
    "surrogates_in_wrong_order": b'"\\udc00\\ud800"',
    "upper_hex": b'"\\u00E9"',
    "needless_escape": b'"\\u0041"',
    "escaped_slash": b'"\\/"',
    "control_unescaped": b'"\x01"',
    "raw_utf8": '"é"'.encode(),
    "raw_delete": b'"\x7f"',
    "invalid_utf8": b'"\xff"',
    "mark": b"\xef\xbb\xbf1",
    "utf16": "{}".encode("utf-16"),
    "two_values": b"1 2",
    "single_quotes": b"{'a':1}",
    "trailing_comma": b"[1,]",
    "comment": b"[1]//",
}

BEYOND = {
    "deep": b"[" * 33 + b"]" * 33,
    "very_deep": b"[" * 30_000 + b"]" * 30_000,
    "deep_object": b'{"a":' * 40 + b"1" + b"}" * 40,
    "great": b"9007199254740992",
    "very_great": b"9" * 30_000,
    "very_small": b"-9007199254740992",
}


@pytest.mark.parametrize("case", ENCODINGS)
def test_encoding(case: str) -> None:
    value, data = ENCODINGS[case]
    assert canonical.encode(value) == data


@pytest.mark.parametrize("case", REFUSED)
def test_not_canonical(case: str) -> None:
    with pytest.raises(NotCanonical):
        canonical.decode(REFUSED[case])


@pytest.mark.parametrize("case", BEYOND)
def test_beyond_the_bounds(case: str) -> None:
    with pytest.raises(BadDocument):
        canonical.decode(BEYOND[case])


@pytest.mark.parametrize(
    "value", [1.0, float("nan"), {1: 2}, b"x", {"a": {1}}, 2**53, -(2**53), "\ud800", {"\udc00": 1}], ids=repr
)
def test_values_without_a_canonical_form(value: object) -> None:
    with pytest.raises(NotCanonical):
        canonical.encode(value)


def test_thirty_two_levels_and_no_more() -> None:
    value: object = []
    for _ in range(canonical.MAX_DEPTH - 1):
        value = [value]
    assert canonical.decode(canonical.encode(value)) == value
    with pytest.raises(NotCanonical):
        canonical.encode([value])
    assert canonical.decode(b'"' + b"[" * 100 + b'"') == "[" * 100


def test_hostile_strings_are_counted_in_linear_time() -> None:
    assert not canonical.nesting_exceeds(b"[" * 33 + b'"' + b'\\"' * 200_000, 40)


@PROPERTY
@given(VALUES)
def test_round_trip(value: object) -> None:
    data = canonical.encode(value)
    assert data.isascii()
    assert canonical.decode(data) == value
    assert json.loads(data) == value


@PROPERTY
@given(st.binary(max_size=40))
def test_any_bytes_are_canonical_or_refused(data: bytes) -> None:
    try:
        value = canonical.decode(data)
    except ProtocolError:
        return
    assert value is None or canonical.encode(value) == data


@PROPERTY
@given(VALUES, st.data())
def test_other_spellings_of_a_value_are_refused(value: object, data: st.DataObject) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=data.draw(st.sampled_from([None, 1]))).encode()
    if text != canonical.encode(value):
        with pytest.raises(ProtocolError):
            canonical.decode(text)
