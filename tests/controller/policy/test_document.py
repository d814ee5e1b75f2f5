"""One file: what YAML means here, what is refused, and that both of PyYAML's parsers agree."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from controller.policy.document import MAX_DEPTH, MAX_FILE_BYTES, MAX_PROBLEMS, pure_parser, read_document
from controller.policy.places import key_position, value_position

STEADY = settings(max_examples=300, deadline=None, derandomize=True)

CORE_SCHEMA = {
    "on": "on",
    "off": "off",
    "NO": "NO",
    "y": "y",
    "Yes": "Yes",
    "20:00": "20:00",
    "1:30:00": "1:30:00",
    "2027-01-31": "2027-01-31",
    "1_000": "1_000",
    "010": 10,
    "0o10": 8,
    "0x1F": 31,
    "0b11": "0b11",
    "-7": -7,
    "+7": 7,
    "1.5": 1.5,
    "1e3": 1000.0,
    ".5": 0.5,
    "1.": 1.0,
    ".inf": math.inf,
    "-.INF": -math.inf,
    "true": True,
    "TRUE": True,
    "tRUE": "tRUE",
    "False": False,
    "null": None,
    "~": None,
    "": None,
    "nUll": "nUll",
    "'1'": "1",
    '"true"': "true",
    "=": "=",
    "9" * 41: "9" * 41,
}


@pytest.mark.parametrize(("text", "value"), CORE_SCHEMA.items(), ids=CORE_SCHEMA.keys())
def test_plain_scalars_follow_the_core_schema(text, value):
    document = read_document(f"key: {text}\n".encode(), "a.yaml")
    assert not document.problems
    assert document.value == {"key": value}
    assert type(document.value["key"]) is type(value)


def test_not_a_number_is_a_float():
    value = read_document(b"key: .nan\n", "a.yaml").value
    assert isinstance(value, dict)
    assert isinstance(value["key"], float)
    assert math.isnan(value["key"])


REFUSED = {
    "tab in the indentation": (b"a:\n\tb: 1\n", 2, 1, "a tab"),
    "tab between": (b"a:\tb\n", 1, 3, "a tab"),
    "NUL": (b"a: x\x00y\n", 1, 5, "U+0000"),
    "control character": (b"a: \x07\n", 1, 4, "U+0007"),
    "line separator": ("a: x\u2028y\n".encode(), 1, 5, "U+2028"),
    "byte order mark inside": ("a: 1\nb: \ufeff2\n".encode(), 2, 4, "U+FEFF"),
    "not UTF-8": (b"a: 1\nb: \xff\n", 2, 4, "not UTF-8"),
    "Latin-1": ("a: é\n".encode("latin-1"), 1, 4, "not UTF-8"),
    "UTF-16": ("a: 1\n".encode("utf-16"), 1, 1, "not UTF-8"),
    "cut off": (b"a: [1, 2\nb: 3\n", 2, 2, "not YAML"),
    "two values": (b"a: b: c\n", 1, 5, "not YAML"),
    "unclosed quote": (b'a: "x\n', 2, 1, "not YAML"),
    "bad indentation": (b"a:\n  b: 1\n c: 2\n", 3, 2, "not YAML"),
    "anchor": (b"a: &x 1\n", 1, 4, "anchors"),
    "anchor on a map": (b"a: &x\n  b: 1\n", 1, 4, "anchors"),
    "alias without anchor": (b"a: *x\n", 1, 4, "aliases"),
    "tag": (b"a: !!str 1\n", 1, 4, "tags"),
    "tag that would build objects": (b"a: !!python/object/apply:os.system ['id']\n", 1, 4, "tags"),
    "merge key": (b"a: 1\n<<: {b: 2}\n", 2, 1, "merge keys"),
    "second document": (b"a: 1\n---\nb: 2\n", 2, 1, "second document"),
    "directive": (b"%YAML 1.1\n---\na: 1\n", 1, 1, "directives"),
    "duplicate key": (b"a: 1\nb: 2\na: 3\n", 3, 1, '"a" is there already, at a.yaml:1:1'),
    "number as key": (b"101: x\n", 1, 1, 'write "101" in quotes'),
    "boolean as key": (b"true: x\n", 1, 1, 'write "true" in quotes'),
    "list as key": (b"? [a]\n: x\n", 1, 3, "a key must be a text"),
    "too deep": (b"a: " + b"[" * 10_000, 1, 3 + MAX_DEPTH, "nested more than 32"),
    "too long": (b"#" * (MAX_FILE_BYTES + 1), 1, 1, "longer than 5 MB"),
}


@pytest.mark.parametrize(("data", "line", "column", "words"), REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("parser", [None, pure_parser], ids=["fastest", "pure"])
def test_refused_at_its_place(data, line, column, words, parser):
    problems = read_document(data, "a.yaml", parser=parser).problems
    assert [(p.position.line, p.position.column) for p in problems] == [(line, column)]
    assert words in problems[0].message


ACCEPTED = {
    "nothing": (b"", None),
    "comment": (b"# only this\n", None),
    "byte order mark at the start": (b"\xef\xbb\xbfa: 1\n", {"a": 1}),
    "document start": (b"---\na: 1\n", {"a": 1}),
    "Windows line ends": (b"a: 1\r\nb: 2\r\n", {"a": 1, "b": 2}),
    "block text": (b"a: |\n  x\n  y\n", {"a": "x\ny\n"}),
    "flow": (b"a: {b: [1, '2'], c: {}}\n", {"a": {"b": (1, "2"), "c": {}}}),
    "quoted merge sign": (b'"<<": 1\n', {"<<": 1}),
    "escaped tab": (b'a: "x\\ty"\n', {"a": "x\ty"}),
}


@pytest.mark.parametrize(("data", "value"), ACCEPTED.values(), ids=ACCEPTED.keys())
@pytest.mark.parametrize("parser", [None, pure_parser], ids=["fastest", "pure"])
def test_accepted(data, value, parser):
    document = read_document(data, "a.yaml", parser=parser)
    assert not document.problems
    assert document.value == value


def test_places_count_characters_not_bytes():
    document = read_document("café: {né: [x, 'ü', y]}\n".encode(), "a.yaml")
    assert str(key_position(document.place, ("café", "né"))) == "a.yaml:1:8"
    assert str(value_position(document.place, ("café", "né", 2))) == "a.yaml:1:21"
    assert str(value_position(document.place, ("café", "né", 2, "deeper"))) == "a.yaml:1:21"
    assert str(value_position(document.place, ("café", "missing"))) == "a.yaml:1:1"


def test_mistakes_of_one_file_are_reported_together_and_reading_stops_at_some_point():
    document = read_document(b"- *x\n" * (MAX_PROBLEMS + 10), "a.yaml")
    assert document.broken
    assert len(document.problems) == MAX_PROBLEMS + 1
    assert "1000 mistakes" in document.problems[-1].message


LINES = st.lists(
    st.text(st.sampled_from("ab:-?[]{},&*!|>'\"%@`#~ 01.\n\u00e9<="), max_size=12), max_size=8
).map("\n".join)


@STEADY
@given(LINES)
@example("a: >\n x\n\n y\n")
@example("? a\n: b\n")
@example("- - a\n  - b\n- c")
def test_both_parsers_read_the_same(text):
    fast = read_document(text.encode(), "a.yaml")
    pure = read_document(text.encode(), "a.yaml", parser=pure_parser)
    if not fast.broken and not pure.broken:
        assert repr(fast.value) == repr(pure.value)
        assert fast.problems == pure.problems


@STEADY
@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(data):
    read_document(data, "a.yaml")
