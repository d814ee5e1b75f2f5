"""People of a table into a policy: every mistake at its line of the table, before anything is edited."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from controller.editing.people import FieldChange, How, change_people
from controller.policy.part import problems_of
from controller.policy.places import Place
from controller.policy.position import SourcePosition
from controller.policy.problems import PolicyErrors, Problem, quoted

if TYPE_CHECKING:
    from controller.editing.table import Row, Table
    from controller.editing.workspace import Workspace
    from controller.policy.model import Policy
    from controller.policy.places import Token, Value

__all__ = ["Done", "add_people"]

_LISTS: Final = frozenset({"roles", "teams"})
_SEPARATORS: Final = re.compile(r"[;, ]+")
_NEW_FILE: Final = "people.yaml"


class _Cell(NamedTuple):
    """A place in the table, counted from 0."""

    line: int
    column: int


@dataclass(frozen=True)
class Done:
    """How many people are new, and how many were there."""

    added: int
    updated: int

    def __str__(self) -> str:
        parts = [f"{self.added} people added"] if self.added or not self.updated else []
        return ", ".join(parts + ([f"{self.updated} people updated"] if self.updated else []))


def add_people(workspace: Workspace, table: Table, *, file: str = "", update: bool = False) -> Done:
    """Put the people of a table into the workspace; nothing is written yet.

    New people go into `file` below the folder, by default where most people stand. With `update`, whoever is
    there already gets the cells that hold something. Raises PolicyErrors with every mistake of the table.
    """
    policy = workspace.policy
    problems = [*table.problems, *_refused(table, policy, update=update)]
    values: dict[str, Value] = {}
    people = Place(table.file, _Cell(0, 0))
    for row in table.rows:
        name = row.cells["username"]
        if name not in values:
            values[name], people.children[name] = _entry(row), _place(row, table.file)
            people.keys[name] = _Cell(row.line - 1, row.numbers["username"] - 1)
    whole = Place(table.file, _Cell(0, 0), children={"users": people})
    problems += problems_of({"users": values}, whole, {"roles": policy.roles, "teams": policy.teams})
    problems += _doubled_addresses(values, people, policy)
    if problems:
        raise PolicyErrors(problems)
    return _put(workspace, values, workspace.file_for("users", file or "", _NEW_FILE))


def _put(workspace: Workspace, values: dict[str, Value], file: str) -> Done:
    changes: dict[str, list[FieldChange]] = {}
    added = 0
    for name, entry in values.items():
        fields = entry if isinstance(entry, dict) else {}
        if name in workspace.policy.users:
            changes[name] = [_change(field, value) for field, value in fields.items()]
        else:
            workspace.add("users", name, fields, file)
            added += 1
    change_people(workspace, changes)
    return Done(added, len(changes))


def _change(field: str, value: Value) -> FieldChange:
    values = tuple(map(str, value)) if isinstance(value, tuple) else (str(value),)
    return FieldChange((field,), How.SET, values)


def _refused(table: Table, policy: Policy, *, update: bool) -> list[Problem]:
    """People who are there already, in the table or in the policy."""
    problems: list[Problem] = []
    first: dict[str, int] = {}
    for row in table.rows:
        name = row.cells["username"]
        where = SourcePosition(table.file, row.line, row.numbers["username"])
        if first.setdefault(name, row.line) != row.line:
            problems.append(Problem(where, f"{quoted(name)} is there already, in line {first[name]}"))
        elif name in policy.users and not update:
            message = (
                f"{quoted(name)} is there already, at {policy.at('users', name)}: --update changes people"
            )
            problems.append(Problem(where, message))
    return problems


def _entry(row: Row) -> dict[str, Value]:
    entry: dict[str, Value] = {}
    for name, text in row.cells.items():
        if name in _LISTS:
            entry[name] = tuple(dict.fromkeys(filter(None, _SEPARATORS.split(text))))
        elif name != "username":
            entry[name] = text
    return entry


def _place(row: Row, file: str) -> Place:
    cells: dict[Token, _Cell] = {name: _Cell(row.line - 1, at - 1) for name, at in row.numbers.items()}
    return Place(file, _Cell(row.line - 1, 0), keys=dict(cells), children=dict(cells))


def _doubled_addresses(values: dict[str, Value], people: Place, policy: Policy) -> list[Problem]:
    """Keycloak keeps each address once; who is changed by the table counts with the new one."""
    holders: dict[str, str] = {
        user.email: f"{quoted(name)} already, at {policy.at('users', name)}"
        for name, user in policy.users.items()
        if user.email and not _email(values.get(name))
    }
    problems: list[Problem] = []
    for name, entry in values.items():
        email = _email(entry)
        if not email:
            continue
        where = people.moved(people.children[name])
        cell = where.moved(where.children["email"]).mark
        if email in holders:
            message = f"{quoted(email)} is the address of {holders[email]}"
            problems.append(Problem(SourcePosition(people.file, cell.line + 1, cell.column + 1), message))
        else:
            holders[email] = f"{quoted(name)} already, in line {cell.line + 1}"
    return problems


def _email(entry: Value) -> str:
    found = entry.get("email") if isinstance(entry, dict) else None
    return found.lower() if isinstance(found, str) else ""
