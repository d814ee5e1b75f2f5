"""Changing many people at once: which people, which fields, and what each field is to be then. Pure.

Teams are asked and changed in both places where a membership may stand: with the person and with the team.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, get_args

from controller.errors import ControllerError
from controller.policy.language import accepts, fields_at, is_list, is_named_map
from controller.policy.people import User
from controller.policy.problems import did_you_mean, quoted
from controller.policy.teams import all_members

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from controller.editing.workspace import Workspace
    from controller.policy.model import Policy
    from controller.policy.places import Value

__all__ = ["FieldChange", "How", "change_people", "chosen_people", "field_change"]

_WORD: Final = re.compile(r"(?P<field>[A-Za-z_][\w.-]*?)(?P<how>\+=|-=|=)(?P<value>.*)", re.DOTALL)
_ONE_OF_MANY: Final = {"role": "roles", "team": "teams"}
_ELSEWHERE: Final = frozenset({"links", "proxmox_tokens"})
"""Maps of maps: they have no form that fits on a command line."""


class How(StrEnum):
    """What a change does with a field."""

    SET = "="
    ADD = "+="
    TAKE = "-="


@dataclass(frozen=True)
class FieldChange:
    """One change for each person: `values` of a list, or the one value of any other field (() clears it)."""

    path: tuple[str, ...]
    how: How
    values: tuple[str, ...]

    @property
    def field(self) -> str:
        """The field's name, as the policy has it."""
        return self.path[0]


def field_change(word: str) -> FieldChange:
    """What FIELD=VALUE, FIELD+=VALUE or FIELD-=VALUE says. Raises ControllerError for what means nothing."""
    found = _WORD.fullmatch(word)
    if found is None:
        raise ControllerError(
            f"{quoted(word)} is no change", hint="write role+=viewer, team-=lab, mfa=required"
        )
    first, _, rest = found["field"].partition(".")
    name = _ONE_OF_MANY.get(first, first)
    known = [one for one in fields_at(("users", "*")) if one not in _ELSEWHERE]
    if name not in known:
        meant = did_you_mean(first, [*known, *_ONE_OF_MANY])
        raise ControllerError(
            f"people have no field {quoted(first)}",
            hint=f"did you mean {quoted(meant)}?" if meant else f"one of {', '.join(known)}",
        )
    at = ("users", "*", name)
    if is_named_map(at) != bool(rest):
        raise ControllerError(f"{quoted(word)} is no change", hint="write attributes.NAME=VALUE")
    how = How(found["how"])
    if how is not How.SET and not is_list(at):
        raise ControllerError(f"{name} holds one value: write {name}={found['value']}")
    if is_list(at):
        values = tuple(one.strip() for one in found["value"].split(",") if one.strip())
    else:
        values = (found["value"],) if found["value"] else ()
    if how is not How.SET and not values:
        raise ControllerError(f"{quoted(word)} says nothing to add or take", hint=f"write {word}NAME")
    return FieldChange((name, rest) if rest else (name,), how, values)


def chosen_people(policy: Policy, names: Sequence[str], conditions: Sequence[str]) -> list[str]:
    """The people of these names for whom every condition (`team=x`) holds, in the order of the policy.

    Raises ControllerError for unknown names, teams and roles, and for conditions that mean nothing.
    """
    unknown = [name for name in names if name not in policy.users]
    if unknown:
        meant = did_you_mean(unknown[0], policy.users)
        raise ControllerError(
            f"the policy names no user {', '.join(map(quoted, unknown))}",
            hint=f"did you mean {quoted(meant)}?" if meant else "",
        )
    tests = [_condition(policy, condition) for condition in conditions]
    among = frozenset(names or policy.users)
    return [name for name in policy.users if name in among and all(test(name) for test in tests)]


def _condition(policy: Policy, condition: str) -> Callable[[str], bool]:
    field, found, value = condition.partition("=")
    if not found or field not in _CONDITIONS:
        known = ", ".join(f"{name}=…" for name in _CONDITIONS)
        raise ControllerError(f"{quoted(condition)} is no condition", hint=f"one of {known}")
    return _CONDITIONS[field](policy, value)


def _in_team(policy: Policy, team: str) -> Callable[[str], bool]:
    _require("team", team, policy.teams)
    people = all_members(policy)[team]
    return lambda name: name in people


def _with_role(policy: Policy, role: str) -> Callable[[str], bool]:
    _require("role", role, policy.roles)
    return lambda name: role in policy.users[name].roles


def _with(field: str) -> Callable[[Policy, str], Callable[[str], bool]]:
    values = get_args(User.model_fields[field].annotation)

    def condition(policy: Policy, pattern: str) -> Callable[[str], bool]:
        if values and not any(fnmatchcase(one, pattern) for one in values):
            known = ", ".join(values)
            raise ControllerError(f"{field} is never {quoted(pattern)}", hint=f"it is one of {known}")
        return lambda name: fnmatchcase(str(getattr(policy.users[name], field)), pattern)

    return condition


def _named(policy: Policy, pattern: str) -> Callable[[str], bool]:  # noqa: ARG001 - one shape for all conditions
    return lambda name: fnmatchcase(name, pattern)


_CONDITIONS: Final[Mapping[str, Callable[[Policy, str], Callable[[str], bool]]]] = {
    "team": _in_team,
    "role": _with_role,
    "state": _with("state"),
    "mfa": _with("mfa"),
    "name": _named,
    "email": _with("email"),
}


def _require(noun: str, name: str, known: Mapping[str, object]) -> None:
    if name not in known:
        meant = did_you_mean(name, known)
        hint = f"did you mean {quoted(meant)}?" if meant else ""
        raise ControllerError(f"the policy has no {noun} {quoted(name)}", hint=hint)


def change_people(workspace: Workspace, wanted: Mapping[str, Sequence[FieldChange]]) -> None:
    """Make the changes of each person, wherever they stand; nothing is written yet.

    Raises ControllerError for an unknown team.
    """
    teams = workspace.policy.teams
    rosters = {name: list(team.members) for name, team in teams.items()}
    for team in {one for changes in wanted.values() for change in changes for one in _teams_of(change)}:
        _require("team", team, teams)
    for name, changes in wanted.items():
        _change(workspace, name, changes, rosters)
    for team, members in rosters.items():
        if members != list(teams[team].members):
            workspace.set("teams", team, ("members",), tuple(members))


def _teams_of(change: FieldChange) -> tuple[str, ...]:
    return change.values if change.field == "teams" else ()


def _change(
    workspace: Workspace, name: str, changes: Sequence[FieldChange], rosters: Mapping[str, list[str]]
) -> None:
    """The changes of one person, in their order; `rosters` holds who stands with which team."""
    lists: dict[str, list[str]] = {}
    for change in changes:
        if change.field not in _LISTS:
            _set_one(workspace, name, change)
            continue
        items = lists.get(change.field, list(getattr(workspace.policy.users[name], change.field)))
        is_team = change.field == "teams"
        lists[change.field] = (
            _teams_after(name, items, change, rosters) if is_team else _list_after(items, change)
        )
    for field, items in lists.items():
        _set_list(workspace, name, field, items)


_LISTS: Final = tuple(name for name in User.model_fields if is_list(("users", "*", name)))


def _list_after(items: list[str], change: FieldChange) -> list[str]:
    if change.how is How.SET:
        return list(dict.fromkeys(change.values))
    if change.how is How.ADD:
        return list(dict.fromkeys((*items, *change.values)))
    return [item for item in items if item not in change.values]


def _teams_after(
    name: str, own: list[str], change: FieldChange, rosters: Mapping[str, list[str]]
) -> list[str]:
    """The teams that stand with the person then; `rosters`, what stands with the teams, is altered."""
    listed = [team for team, members in rosters.items() if name in members]
    wanted = _list_after([*listed, *own], change)
    for team in listed:
        if team not in wanted:
            rosters[team].remove(name)
    return [team for team in wanted if team not in listed]


def _set_list(workspace: Workspace, name: str, field: str, items: list[str]) -> None:
    if items == list(getattr(workspace.policy.users[name], field)):
        return
    if items:
        workspace.set("users", name, (field,), tuple(items))
    else:
        workspace.clear("users", name, (field,), ())


def _set_one(workspace: Workspace, name: str, change: FieldChange) -> None:
    user = workspace.policy.users[name]
    if not change.values:
        is_there = change.field in user.model_fields_set
        if is_there:
            workspace.clear("users", name, change.path, _default(change))
        return
    if not _says_already(user, change):
        workspace.set("users", name, change.path, _typed(change))


def _says_already(user: User, change: FieldChange) -> bool:
    """Whether the policy says the value, however it is spelt there."""
    if change.field not in user.model_fields_set:
        return False
    value = getattr(user, change.field)
    if len(change.path) > 1:
        return bool(value.get(change.path[1]) == change.values[0])
    return (str(value).lower() if isinstance(value, bool) else str(value)) == change.values[0]


def _typed(change: FieldChange) -> Value:
    """The one value of a change as its field has it; what does not fit, the check of the whole will say."""
    (text,) = change.values
    if accepts(("users", "*", change.field), bool) and text in {"true", "false"}:
        return text == "true"
    return text


def _default(change: FieldChange) -> Value:
    """What a field is where it is not given: what an override says to undo what a base gives."""
    if len(change.path) > 1:
        return ""
    value = User.model_fields[change.field].default
    return value if isinstance(value, str | bool) else None
