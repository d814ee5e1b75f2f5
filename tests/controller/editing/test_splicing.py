"""Edits of files of any form: what is asked for changes, and no line besides, to the byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from controller.editing.formatting import formatted, same
from controller.editing.reading import read_tree
from controller.editing.splicing import spliced
from controller.editing.tree import Entry
from controller.editing.values import drop, put
from controller.policy.document import read_document
from tests.controller.editing.any_yaml import any_yaml

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controller.policy.places import Place, Value

Path = tuple[str, ...]


def edited(text: str, path: Path, value: Value, *, is_drop: bool = False) -> str | None:
    """The text after one edit."""
    tree = read_tree(text, "x")
    root = Entry(None, tree.root)
    if is_drop:
        drop(root, path)
    else:
        put(root, (), path, value)
    return spliced(text, tree)


CASES = {
    "a value where it stands": (
        "users:\n    jo:   # c\n        email:    x  # d\n",
        ("users", "jo", "email"),
        "z",
        "users:\n    jo:   # c\n        email: z  # d\n",
    ),
    "a new field in the language's order, indented as its neighbours": (
        "users:\n   jo:\n        email: 'x'\n        mfa: optional\n",
        ("users", "jo", "roles"),
        ("a", "b"),
        "users:\n   jo:\n        email: 'x'\n        roles: [a, b]\n        mfa: optional\n",
    ),
    "before the first, whose comments stay with it": (
        "users:\n  jo:\n    # about the roles\n    roles: []\n",
        ("users", "jo", "email"),
        "x",
        "users:\n  jo:\n    email: x\n    # about the roles\n    roles: []\n",
    ),
    "a list in lines keeps what is said of its items": (
        "users:\n  jo:\n    roles:\n    # first\n    - a # x\n    - c\n  bo:  {}\n",
        ("users", "jo", "roles"),
        ("a", "b"),
        "users:\n  jo:\n    roles:\n      # first\n      - a  # x\n      - b\n  bo:  {}\n",
    ),
    "a person on one line": (
        "users:\n      jo: { email: x } # c\n      bo:  {}\n",
        ("users", "jo", "mfa"),
        "required",
        "users:\n      jo: {email: x, mfa: required}  # c\n      bo:  {}\n",
    ),
    "a map in a person on one line": (
        "users:\n  jo: {email: x}\n",
        ("users", "jo", "attributes", "desk"),
        "a",
        "users:\n  jo: {email: x, attributes: {desk: a}}\n",
    ),
    "a person of whom nothing was said": (
        "users:\n  jo: # c\n  bo:  {}\n",
        ("users", "jo", "mfa"),
        "required",
        "users:\n  jo:  # c\n    mfa: required\n  bo:  {}\n",
    ),
    "a new person behind the last, and what is said of that one": (
        "users:\n  jo: {}\n      # of jo\n  # of all\nroles:   {}\n",
        ("users", "bo", "email"),
        "x",
        "users:\n  jo: {}\n      # of jo\n  bo:\n    email: x\n  # of all\nroles:   {}\n",
    ),
    "blank lines between all": (
        "users:\n  jo: {}\n\n  al: {}\n",
        ("users", "bo", "email"),
        "x",
        "users:\n  jo: {}\n\n  al: {}\n\n  bo:\n    email: x\n",
    ),
    "a new section": (
        "# file\n\n# people\nusers:   {}\n",
        ("roles", "a", "description"),
        "b",
        "# file\n\nroles:\n  a:\n    description: b\n# people\nusers:   {}\n",
    ),
    "no line end at the end": (
        "users:\n  jo: {}",
        ("users", "bo", "email"),
        "x",
        "users:\n  jo: {}\n  bo:\n    email: x",
    ),
    "line ends of Windows and a byte order mark": (
        "\ufeff# c\r\nusers:\r\n  jo: {}\r\n\r\nroles:   {}\r\n",
        ("users", "jo", "email"),
        "é",
        "\ufeff# c\r\nusers:\r\n  jo: {email: é}\r\n\r\nroles:   {}\r\n",
    ),
    "line ends of both kinds": (
        "users:\n  jo:\r\n    roles: []\n  bo:\r\n    roles: []\r\n",
        ("users", "bo", "email"),
        "x",
        "users:\n  jo:\r\n    roles: []\n  bo:\r\n    email: x\n    roles: []\r\n",
    ),
    "nothing was said yet": ("# c\n", ("users", "jo", "email"), "x", None),
    "all of it in brackets": ("{users: {}}\n", ("users", "jo", "email"), "x", None),
    "keys with marks of their own": ("? users\n: {}\n", ("users", "jo", "email"), "x", None),
}


@pytest.mark.parametrize("name", CASES)
def test_put(name: str) -> None:
    before, path, value, after = CASES[name]
    assert edited(before, path, value) == after


DROPPED = {
    "with what is said of it": (
        "users:\n  jo:\n    email: x\n\n    # why\n    mfa: optional  # a\n      # b\n    state:   active\n",
        ("users", "jo", "mfa"),
        "users:\n  jo:\n    email: x\n    state:   active\n",
    ),
    "the only one": (
        "users:\n  jo:  # c\n    mfa: required\n  bo:  {}\n",
        ("users", "jo", "mfa"),
        "users:\n  jo: {}  # c\n  bo:  {}\n",
    ),
    "from a line": (
        "users:\n  jo: {mfa:  required,   email: x}\n",
        ("users", "jo", "mfa"),
        "users:\n  jo: {email: x}\n",
    ),
    "the last, without a line end": (
        "users:\n  jo:\n    email: x\n    mfa: required",
        ("users", "jo", "mfa"),
        "users:\n  jo:\n    email: x\n",
    ),
    "the first, and the blank line behind it": (
        "users:\n  jo:\n    email: x\n\n    mfa: required\n",
        ("users", "jo", "email"),
        "users:\n  jo:\n    mfa: required\n",
    ),
    "what is not there": ("users:\n  jo:   {}\n", ("users", "jo", "mfa"), "users:\n  jo:   {}\n"),
}


@pytest.mark.parametrize("name", DROPPED)
def test_drop(name: str) -> None:
    before, path, after = DROPPED[name]
    assert edited(before, path, None, is_drop=True) == after


def _maps(value: Value, at: Path = ()) -> list[Path]:
    """The paths of the maps in a value that can be reached through maps."""
    if not isinstance(value, dict):
        return []
    return [at, *(path for name, inner in value.items() for path in _maps(inner, (*at, name)))]


def _with(value: Value, path: Path, new: Value, *, is_drop: bool) -> Value:
    """The value after an edit: what the edit means, said without any text."""
    if not path:
        return new
    name, *rest = path
    fields = dict(value) if isinstance(value, dict) else {}
    if is_drop and not rest:
        fields.pop(name, None)
    elif not is_drop or name in fields:
        fields[name] = _with(fields.get(name), tuple(rest), new, is_drop=is_drop)
    return fields


def _keys(place: Place) -> list[tuple[int, Path]]:
    """The line of each key that stands in a map, and its path; found by the reader of policies."""
    found: list[tuple[int, Path]] = []
    for name, mark in place.keys.items():
        found.append((place.moved(mark).mark.line, (str(name),)))
        inner = place.moved(place.children[name])
        found += [(line, (str(name), *path)) for line, path in _keys(inner)]
    return found


def _touched(text: str, path: Path) -> tuple[int, int]:
    """The lines between the keys around the entry that an edit of `path` may write anew."""
    document = read_document(text.encode(), "x")
    lines = text.split("\n")
    first, last = -1, len(lines)
    for line, other in _keys(document.place):
        if other[: len(path)] == path:
            continue
        if path[: len(other)] == other:
            first = max(first, line)
        elif any(line > inner for inner, one in _keys(document.place) if one[: len(path)] == path):
            last = min(last, line)
        else:
            first = max(first, line)
    return first, last


def _changed_lines(one: Sequence[str], other: Sequence[str]) -> tuple[int, int]:
    """The lines of `one` that do not stand at either end of `other` as they were."""
    same_first = 0
    while same_first < min(len(one), len(other)) and one[same_first] == other[same_first]:
        same_first += 1
    same_last = 0
    while same_last < min(len(one), len(other)) - same_first and one[-1 - same_last] == other[-1 - same_last]:
        same_last += 1
    return same_first, len(one) - same_last


def _in_brackets(value: Value, place: Place, text: str, path: Path) -> Path:
    """The part of a path that ends at the outermost entry in brackets, or at what becomes a map."""
    lines = text.split("\n")
    for depth, name in enumerate(path[:-1], 1):
        value = value[name] if isinstance(value, dict) and name in value else None
        if not isinstance(value, dict):
            return path[:depth]
        place = place.moved(place.children[name])
        if lines[place.mark.line][place.mark.column] == "{":
            return path[:depth]
    return path


NEW_VALUES = st.one_of(
    st.sampled_from(["x", "on", "1", "a: b", "#c", "é", True, None, {}, (), ("a",), ("b, c", "on", "x y")]),
    st.lists(st.sampled_from(["a", "x y", "text\n", "20:00", "b", "é"]), unique=True, max_size=3).map(tuple),
)


@settings(max_examples=300, deadline=None)
@given(any_yaml(), st.data())
def test_any_edit_of_any_file(text: str, data: st.DataObject) -> None:
    """It says what was asked, and every line outside the touched entry is as it was."""
    document = read_document(text.encode(), "x")
    assume(not document.problems and isinstance(document.value, dict))
    inside = data.draw(st.sampled_from(_maps(document.value)))
    name = data.draw(st.sampled_from(["users", "roles", "jo", "email", "new", "k0", "a b", "x:y"]))
    is_drop = data.draw(st.booleans())
    path, value = (*inside, name), data.draw(NEW_VALUES)
    after = edited(text, path, value, is_drop=is_drop)
    wanted = _with(document.value, path, value, is_drop=is_drop)
    if after is None:
        is_block = not text.endswith("\n") and ("|" in text or ">" in text)
        assert is_block or not isinstance(wanted, dict) or not wanted.keys() & document.value.keys()
        return
    event("dropped" if is_drop else "put")
    written = read_document(after.encode(), "x")
    assert not written.problems
    assert same(written.value, wanted)
    if after == text:
        return
    unit = _in_brackets(document.value, document.place, text, path)
    while is_drop and len(unit) > 1 and _holder(wanted, unit) == {}:
        unit = unit[:-1]  # an empty map is written where the entry that holds it stands
    first, last = _touched(text, unit)
    changed = _changed_lines(text.split("\n"), after.split("\n"))
    assert first < changed[0] or changed[0] == changed[1], (first, last, changed)
    assert changed[1] <= last, (first, last, changed)


def _holder(value: Value, path: Path) -> Value:
    for name in path[:-1]:
        value = value.get(name) if isinstance(value, dict) else None
    return value


@settings(max_examples=100, deadline=None)
@given(any_yaml(), st.data())
def test_line_ends_of_any_kind_stay(text: str, data: st.DataObject) -> None:
    """Read without regard to line ends, the edited file is the same; those outside the edit are kept."""
    document = read_document(text.encode(), "x")
    assume(not document.problems and isinstance(document.value, dict))
    plain = edited(text, ("users", "jo", "email"), "x")
    assume(plain != text and text.endswith("\n"))
    assert plain is not None
    pieces = text.split("\n")
    ends = data.draw(
        st.lists(st.sampled_from(["\n", "\r\n"]), min_size=len(pieces) - 1, max_size=len(pieces) - 1)
    )
    mixed = "\ufeff" + "".join(piece + end for piece, end in zip(pieces, [*ends, ""], strict=True))
    after = edited(mixed, ("users", "jo", "email"), "x")
    assert after is not None
    assert after.startswith("\ufeff")
    assert after[1:].replace("\r\n", "\n") == plain
    first, last = _touched(text, _in_brackets(document.value, document.place, text, ("users", "jo", "email")))
    start, end = _changed_lines(mixed[1:].splitlines(keepends=True), after[1:].splitlines(keepends=True))
    assert start == end or first < start + 1 <= end <= last


@settings(max_examples=100, deadline=None)
@given(any_yaml(), st.sampled_from(["email", "roles", "mfa", "zz"]), st.booleans())
def test_what_is_in_form_stays_so(text: str, name: str, is_drop: bool) -> None:
    assume(not read_document(text.encode(), "x").problems)
    before = formatted(text.encode(), "x")
    document = read_document(before.encode(), "x")
    people = document.value.get("users") if isinstance(document.value, dict) else None
    person = next(iter(people), "jo") if isinstance(people, dict) else "jo"
    after = edited(before, ("users", person, name), "x", is_drop=is_drop)
    assume(after is not None)
    assert formatted((after or "").encode(), "x") == after
