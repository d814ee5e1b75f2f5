"""``fmt``: one form, the same value, every comment, for whatever a policy file may hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from controller.editing.comments import comments_in
from controller.editing.formatting import formatted, same
from controller.policy.document import read_document
from controller.policy.problems import PolicyErrors
from tests.controller.editing.any_yaml import any_yaml

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "policies").rglob("*.yaml"))


def in_form(text: str, *, sort: bool = False) -> str:
    return formatted(text.encode(), "people.yaml", sort=sort)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_examples_keep_what_they_say(path: Path) -> None:
    text = formatted(path.read_bytes(), path.name)
    assert text == path.read_text()  # the examples that people copy from are in form
    assert same(read_document(text.encode(), "x").value, read_document(path.read_bytes(), "x").value)


GOLDEN = ROOT / "tests/golden"


def test_a_file_with_everything_in_it() -> None:
    """The golden file is read by people: what happens to each comment and spelling stands there."""
    before, after = (GOLDEN / f"fmt_{name}.yaml" for name in ("before", "after"))
    text = formatted(before.read_bytes(), "before.yaml")
    assert text == after.read_text()
    assert formatted(text.encode(), "after.yaml") == text
    assert comments_in(text) == comments_in(before.read_text())


CASES = {
    "fields in the language's order": (
        "users:\n  jo: {roles: [a], email: x}\n",
        "users:\n  jo: {email: x, roles: [a]}\n",
    ),
    "sections in the language's order, entries in theirs": (
        "users: {}\nroles: {b: {}, a: {}}\n",
        "roles: {b: {}, a: {}}\nusers: {}\n",
    ),
    "an override is ordered as what it changes": (
        "override: {users: {jo: {roles: [], email: x}}}\n",
        "override: {users: {jo: {email: x, roles: []}}}\n",
    ),
    "unknown keys stay, behind those that are known": ("zz: 1\nusers: {}\n", "users: {}\nzz: 1\n"),
    "a field's comments move with it": (
        "users:\n  jo:\n    # why\n    roles: [a]  # which\n    email: x\n",
        "users:\n  jo:\n    email: x\n    # why\n    roles: [a]  # which\n",
    ),
    "words that YAML 1.1 reads otherwise": (
        "users:\n    a: {last_name: on}\n    b: {last_name: 20:00, first_name: 0o17}\n",
        "users:\n  a: {last_name: on}\n  b: {first_name: 0o17, last_name: 20:00}\n",
    ),
    "null as it is spelt": ("users:\n   a: ~\n   b:\n   c: null\n", "users:\n  a: ~\n  b:\n  c: null\n"),
    "nothing in brackets is null": ("users: {a, b: }\n", "users: {a: null, b: null}\n"),
    "quotes as they are": (
        "users: {a: {last_name: 'O''Neil',   first_name: \"A\\u00e9\"}}\n",
        "users: {a: {first_name: \"A\\u00e9\", last_name: 'O''Neil'}}\n",
    ),
    "lists that were not indented": (
        "users:\n  a:\n    roles:\n    - b\n",
        "users:\n  a:\n    roles:\n      - b\n",
    ),
    "an explicit key": ("? users\n: {}\n", "users: {}\n"),
    "a pair in a list": ("ignore: [users: x]\n", "ignore: [{users: x}]\n"),
    "line ends of Windows, a byte order mark": ("\ufeffusers: {}\r\nroles: {}\r\n", "roles: {}\nusers: {}\n"),
    "blank lines: one, none before the first": (
        "\n\nroles: {}\n\n\n\nusers: {}\n\n",
        "roles: {}\n\nusers: {}\n",
    ),
    "no line end at the end": ("users: {}", "users: {}\n"),
    "a block text without a line end": ("users:\n a: |\n  x", "users:\n  a: |-\n    x\n"),
    "a block text with its own indentation": ("users:\n a: |3\n     x\n", "users:\n  a: |3\n      x\n"),
    "blank lines that count": (
        "roles:\n  a: |+\n   x\n\n\nusers: {}\n",
        "roles:\n  a: |+\n    x\n\n\nusers: {}\n",
    ),
    "comments alone": ("\n# a\n\n\n# b\n", "# a\n\n# b\n"),
    "nothing": ("", ""),
    "the header stays, the first section's comment does not": (
        "# file\n\n# people\nusers: {}\nroles: {}\n",
        "# file\n\nroles: {}\n# people\nusers: {}\n",
    ),
    "a document's marks": ("---\n# a\nusers: {}\n...\n# b\n", "# a\nusers: {}\n# b\n"),
    "what ends a section stays in it": (
        "users:\n  jo: {}\n  # bo: {}\nroles: {}\n",
        "roles: {}\nusers:\n  jo: {}\n  # bo: {}\n",
    ),
    "an item that is nothing": (
        "ignore:\n-  # a\n# b\n-\n  # c\n",
        "ignore:\n  -  # a\n  # b\n  -\n    # c\n",
    ),
    "what is commented out below nothing": (
        "teams:\n  # ml: {}\nroles: {}\n",
        "roles: {}\nteams:\n  # ml: {}\n",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_form(name: str) -> None:
    before, after = CASES[name]
    assert in_form(before) == after
    assert in_form(after) == after


def test_a_collection_that_does_not_fit_is_written_in_lines() -> None:
    roles = [f"role-{number:02}" for number in range(14)]
    text = in_form(f"users:\n  jo: {{roles: [{', '.join(roles)}], email: x}}\n")
    assert text.startswith("users:\n  jo:\n    email: x\n    roles:\n      - role-00\n")
    assert in_form(text) == text


def test_sorted_by_name() -> None:
    text = "users:\n  # about bo\n  bo: {}\n  al: {}\nroles: {x: {}, b: {includes: [z, a]}}\n"
    assert in_form(text, sort=True) == (
        "roles: {b: {includes: [z, a]}, x: {}}\nusers:\n  al: {}\n  # about bo\n  bo: {}\n"
    )


REFUSED = {
    "no YAML": ("users: [\n", "2:1: not YAML"),
    "a tab": ("users:\n\tjo: {}\n", "2:1: a tab"),
    "a key twice": ("users: {}\nusers: {}\n", "2:1"),
    "an anchor": ("users: &a {}\n", "1:8: anchors"),
    "a list": ("- a\n", "1:1: a file of a policy is a map of sections"),
    "a second document": ("users: {}\n---\nroles: {}\n", "2:1: a second document"),
    "a key over lines": ("? |\n  users\n: {}\n", "1:3: a key over several lines"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_at_its_place(name: str) -> None:
    text, where = REFUSED[name]
    with pytest.raises(PolicyErrors) as caught:
        in_form(text)
    assert f"people.yaml:{where}" in str(caught.value)


@settings(max_examples=200, deadline=None)
@given(any_yaml(), st.booleans())
def test_whatever_is_written(text: str, sort: bool) -> None:
    """load(fmt(x)) == load(x), fmt(fmt(x)) == fmt(x), and each comment is still there."""
    document = read_document(text.encode(), "x")
    if document.problems:
        return
    once = in_form(text, sort=sort)
    assert same(read_document(once.encode(), "x").value, document.value)
    assert in_form(once, sort=sort) == once
    assert comments_in(once) == comments_in(text)
    _same_to_another_reader(text, once)


def _same_to_another_reader(before: str, after: str) -> None:
    """ruamel.yaml, which shares no code with our reader, sees the same texts (where it reads the file)."""
    try:
        wanted = YAML(typ="base", pure=True).load(before)
    except YAMLError:
        return
    assert YAML(typ="base", pure=True).load(after) == wanted
