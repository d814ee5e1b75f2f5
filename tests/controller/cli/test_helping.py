"""`--help`: every command shows how it is typed, as it is typed, and no list cuts a sentence short."""

from __future__ import annotations

import re
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from controller.cli.main import app

GROUPS = ("user", "machine", "override", "host", "action", "audit", "trust", "gitops")


def commands(group: Any = None, name: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part, command in (group or typer.main.get_command(app)).commands.items():
        path = f"{name} {part}".strip()
        found |= commands(command, path) if part in GROUPS and not name else {path: command}
    return found


def helped(*words: str) -> str:
    return CliRunner(env={"COLUMNS": "80"}).invoke(app, [*words, "--help"]).output


@pytest.mark.parametrize("name", sorted(commands()))
def test_a_command_shows_an_example_of_itself_line_by_line(name: str):
    lines = helped(*name.split()).splitlines()
    headings = [index for index, line in enumerate(lines) if re.fullmatch(r"  Examples?:", line)]
    assert headings, f"steward {name} --help has no example"
    examples = lines[headings[0] + 1 :]
    examples = [line for line in examples[: examples.index("")] if line.startswith("    steward")]
    assert examples
    assert all(line.split()[1 : 1 + len(name.split())] == name.split() for line in examples)


@pytest.mark.parametrize("group", ["", *GROUPS])
def test_a_list_of_commands_says_whole_sentences(group: str):
    assert "..." not in helped(*group.split()).partition("Options:")[2]


@pytest.mark.parametrize("name", sorted(commands()))
def test_no_type_of_the_program_is_shown(name: str):
    assert "list[" not in helped(*name.split())


@pytest.mark.parametrize("name", sorted(commands()))
def test_examples_use_options_that_there_are(name: str):
    text = helped(*name.split())
    examples, _, options = text.partition("Options:")
    used = set(re.findall(r"(?<=\s)--[a-z-]+", examples.rpartition("Example")[2]))
    assert used <= set(re.findall(r"--[a-z-]+", options))
