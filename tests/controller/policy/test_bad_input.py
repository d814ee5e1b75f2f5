"""Bad input, as it comes from outside: a positioned error that says what to do, at once, and nothing else.

Each case is a folder on disk that `load` reads, as every command does.
"""

from __future__ import annotations

import os
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from controller.policy import PolicyErrors, load

if TYPE_CHECKING:
    from pathlib import Path

HEAD = b"version: 1\nowner: prod\n"
LAUGHS = b"a: &a [x, x, x, x, x, x, x, x, x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (letter, letter, b", ".join([b"*%c" % (letter - 1)] * 9))
    for letter in range(ord("b"), ord("k"))
)

CASES = {
    "a YAML bomb": (LAUGHS, 1, 4, "anchors (&name) are not allowed: write the value out"),
    "a bomb that grows in depth": (b"users: " + b"{a: " * 200, 1, 7 + 4 * 31 + 1, "nested more than 32"),
    "a map of itself": (b"users: &u\n  jo: *u\n", 1, 8, "anchors"),
    "a tab": (b"users:\n\tjo: {}\n", 2, 1, "a tab: use blanks"),
    "a key twice": (b"users:\n  jo: {}\n  jo: {}\n", 3, 3, '"jo" is there already, at'),
    "a section twice": (b"users: {}\nusers: {}\n", 2, 1, '"users" is there already, at'),
    "Latin-1": ("users: {jo: {first_name: Zoë}}\n".encode("latin-1"), 1, 28, "save it as UTF-8"),
    "a NUL": (b"users: {jo: {first_name: a\x00b}}\n", 1, 27, "U+0000 may not stand here: delete it"),
    "a merge key": (b"users:\n  jo:\n    <<: {state: active}\n", 3, 5, "write the fields out"),
    "a tag": (b"users: {jo: {email: !!python/name:os.system x}}\n", 1, 21, "tags (!name)"),
    "a number for a name": (b"users: {7: {}}\n", 1, 9, 'write "7" in quotes'),
    "a list of people": (b"users: [jo]\n", 1, 8, '"users" must be a map'),
    "a text for a list": (b"users: {jo: {roles: viewer}}\n", 1, 21, "must be a list"),
    "a number for a text": (b"users: {jo: {first_name: 7}}\n", 1, 26, 'write "7" in quotes'),
    "a text for a switch": (b"users: {jo: {invite: yes}}\n", 1, 22, "must be true or false"),
    "an unknown role": (
        b"roles: {viewer: {}}\nusers: {jo: {roles: [viewr]}}\n",
        2,
        22,
        'did you mean "viewer"?',
    ),
    "an unknown section": (b"uses: {}\n", 1, 1, 'did you mean "users"?'),
    "teams in a circle": (b"teams: {a: {parent: b}, b: {parent: a}}\n", 1, 37, "drop one of these"),
    "roles in a circle": (b"roles: {a: {includes: [b]}, b: {includes: [a]}}\n", 1, 44, "drop one of these"),
    "two people, one address": (
        b"users:\n  jo: {email: a@b.org}\n  al: {email: A@B.org}\n",
        3,
        15,
        'is the address of "jo" already, at',
    ),
    "a name in capitals": (b"users: {Jo: {}}\n", 1, 9, 'did you mean "jo"?'),
    "a name with a blank": (b"users: {jo doe: {}}\n", 1, 9, "is not a user name: lower-case letters"),
    "a name that Proxmox cannot address": ("users: {zoë: {}}\n".encode(), 1, 9, "is not a user name"),
    "a person's name with markup": (b"users: {jo: {last_name: <b>}}\n", 1, 25, "Keycloak refuses"),
    "a role of Keycloak's own": (b"roles: {offline_access: {}}\n", 1, 9, "take another name"),
    "a role too long for Proxmox": (b"roles: {%s: {}}\n" % (b"r" * 57), 1, 9, "longer than 56 characters"),
    "a password": (b"users: {jo: {password: hunter2}}\n", 1, 24, "names where they are"),
    "half a file": (b"users: {jo: {email: a@b.org\n", 2, 1, "not YAML"),
    "another format": (b'<?xml version="1.0"?><users/>\n', 1, 1, "is a map of sections"),
    "an archive": (b"PK\x03\x04\x14\x00\x00\x00", 1, 3, "U+0003 may not stand here"),
}


def problems(folder: Path) -> list[str]:
    with pytest.raises(PolicyErrors) as caught:
        load(folder)
    return [str(problem) for problem in caught.value.problems]


def write(folder: Path, data: bytes) -> Path:
    (folder / "policy.yaml").write_bytes(HEAD)
    (folder / "all.yaml").write_bytes(data)
    return folder


@pytest.mark.parametrize(("data", "line", "column", "words"), CASES.values(), ids=CASES.keys())
def test_refused_at_its_place_with_what_to_do(tmp_path, data, line, column, words):
    found = problems(write(tmp_path, data))
    start = f"{tmp_path}/all.yaml:{line}:{column}: "
    assert any(one.startswith(start) and words in one for one in found), found


def test_a_bomb_costs_no_memory(tmp_path):
    folder = write(tmp_path, LAUGHS)
    tracemalloc.start()
    try:
        found = problems(folder)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(found) < 200
    assert peak < 8_000_000


def test_a_file_of_fifty_megabytes_is_not_read_whole(tmp_path):
    folder = write(tmp_path, b"")
    os.truncate(folder / "all.yaml", 50_000_000)
    tracemalloc.start()
    try:
        found = problems(folder)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == [
        f"{folder}/all.yaml:1:1: the file is longer than 5 MB: split it, any file may hold any section"
    ]
    assert peak < 12_000_000


def test_many_files_of_a_folder_over_the_limit_are_not_read_whole(tmp_path):
    folder = write(tmp_path, b"")
    for number in range(11):
        (folder / f"{number:02}.yaml").write_bytes(b"# " + b"x" * 4_999_000)
    found = problems(folder)
    assert any("the folder holds more than 50 MB" in line for line in found)
