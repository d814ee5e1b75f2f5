"""What a change of the policy means: two policies compared, field by field and in what people may do. Pure.

Declared values are compared as they take effect: comments, files, order and where a membership is written
down make no difference. Effects are worked out over teams and composite roles, without any system.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from controller.effects import Effect, effects
from controller.policy.model import SECTIONS
from controller.policy.section import Section
from controller.policy.teams import members

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from controller.policy.model import Policy
    from controller.policy.position import SourcePosition

__all__ = ["Comparison", "Difference", "Value", "compare"]

Value = Any
"""A field as JSON shows it; maps and sorted lists of the same."""

_NOTHING: Final = object()
_SETTINGS: Final = ("owner", "modes", "ignore", "unlisted", "rules", "limits", "delegate")
_WHOLE: Final = ("realm", "alerting")
"""Sections that are one thing, not a map of things."""

_LEFT_ALONE: Final = frozenset(("realm", "clients"))
"""Sections in which any field that is not given is left as the system has it; elsewhere texts are."""

_ORDERED: Final = frozenset(("alerting", "ignore"))
"""Lists whose order counts: the first that fits wins."""


@dataclass(frozen=True)
class Difference:
    """One field of one thing (or the whole thing, `field` ""), with its place before and after.

    A value that is not given is None.
    """

    section: str
    name: str
    field: str
    before: Value
    after: Value
    before_at: SourcePosition | None
    after_at: SourcePosition | None

    @property
    def kind(self) -> Literal["added", "changed", "removed"]:
        """What became of the thing; a field that comes or goes changes it."""
        if self.field or (self.before_at and self.after_at):
            return "changed"
        return "removed" if self.before_at else "added"

    @property
    def source(self) -> SourcePosition:
        """The place to look at: the new one, or the old one of what is gone."""
        found = self.after_at or self.before_at
        if found is None:
            raise ValueError("a difference stands somewhere")
        return found

    def to_json(self) -> dict[str, object]:
        """The difference as JSON."""
        return {
            "section": self.section,
            "name": self.name,
            "field": self.field,
            "kind": self.kind,
            "before": self.before,
            "after": self.after,
            "before_at": None if self.before_at is None else str(self.before_at),
            "after_at": None if self.after_at is None else str(self.after_at),
        }


@dataclass(frozen=True)
class Comparison:
    """Everything that differs between two policies."""

    differences: tuple[Difference, ...]
    effects: tuple[Effect, ...]

    @property
    def is_same(self) -> bool:
        """Whether the change does nothing."""
        return not self.differences and not self.effects

    def to_json(self) -> dict[str, object]:
        """The comparison as JSON."""
        return {
            "same": self.is_same,
            "differences": [one.to_json() for one in self.differences],
            "effects": [one.to_json() for one in self.effects],
        }


def compare(before: Policy, after: Policy) -> Comparison:
    """What differs from `before` to `after`."""
    return Comparison(tuple(_differences(before, after)), tuple(effects(before, after)))


def _differences(before: Policy, after: Policy) -> Iterator[Difference]:
    for setting in _SETTINGS:
        yield from _fields(
            before,
            after,
            (setting,),
            _plain(getattr(before, setting), setting),
            _plain(getattr(after, setting), setting),
        )
    for section in SECTIONS:
        had, has = _things(before, section), _things(after, section)
        for name in [*had, *(one for one in has if one not in had)]:
            path = (section,) if section in _WHOLE else (section, name)
            yield from _thing(before, after, path, had.get(name), has.get(name))


def _thing(
    before: Policy, after: Policy, path: tuple[str, ...], had: Value, has: Value
) -> Iterator[Difference]:
    """A thing that comes or goes is one difference; one that stays is compared field by field."""
    if had == has:
        return
    if had is not None and has is not None:
        yield from _fields(before, after, path, had, has)
        return
    name = path[1] if len(path) > 1 else ""
    old = None if had is None else before.at(*path)
    new = None if has is None else after.at(*path)
    gone, come = _noteworthy(before, path, had), _noteworthy(after, path, has)
    yield Difference(path[0], name, "", gone, come, old, new)


def _noteworthy(policy: Policy, path: tuple[str, ...], value: Value) -> Value:
    """What there is to say of something that comes or goes: what is as always is not said."""
    if not isinstance(value, dict):
        return value
    entry = getattr(policy, path[0])
    typed = entry[path[1]] if len(path) > 1 else entry
    return {name: _filled(item) for name, item in value.items() if item != _default(typed, name, path[0])}


def _filled(value: Value) -> Value:
    """A value without what is empty in it."""
    if not isinstance(value, dict):
        return value
    return {name: _filled(item) for name, item in value.items() if item not in (None, [], {})}


def _default(typed: object, name: str, section: str) -> Value:
    """The value of a field that nobody gives; what must be given has none."""
    known = type(typed).model_fields if isinstance(typed, Section) else {}
    is_open = name in known and not known[name].is_required()
    return _plain(known[name].get_default(call_default_factory=True), section) if is_open else _NOTHING


def _fields(
    before: Policy, after: Policy, path: tuple[str, ...], had: Value, has: Value
) -> Iterator[Difference]:
    """The innermost fields that differ; lists are compared whole."""
    if had == has:
        return
    if isinstance(had, dict) and isinstance(has, dict):
        for name in [*had, *(one for one in has if one not in had)]:
            yield from _fields(before, after, (*path, name), had.get(name), has.get(name))
        return
    is_one = path[0] in (*_SETTINGS, *_WHOLE)
    name = "" if is_one else path[1]
    inner = ".".join(path[1:] if is_one else path[2:])
    old, new = _at(before, path, has, had), _at(after, path, had, has)
    yield Difference(path[0], name, inner, had, has, old, new)


def _at(policy: Policy, path: tuple[str, ...], other: Value, value: Value) -> SourcePosition:
    """Where the field stands; where it is not written down, the nearest thing around it.

    A membership stands with the person or with the team: the first that `other` does not have is shown.
    """
    if path[0] == "users" and path[2:] == ("teams",):
        for team in value or ():
            if team not in (other or ()) and path[1] in policy.teams[team].members:
                index = policy.teams[team].members.index(path[1])
                return policy.at("teams", team, "members", index)
    return policy.at(path[0], path[1], *path[2:]) if len(path) > 1 else policy.at(path[0])


def _things(policy: Policy, section: str) -> Mapping[str, Value]:
    """The entries of a section as they take effect."""
    found = getattr(policy, section)
    if section in _WHOLE:
        return {} if found is None else {"": _plain(found, section)}
    things = {name: _plain(entry, section) for name, entry in found.items()}
    if section in ("teams", "users"):
        _move_members(policy, section, things)
    return things


def _move_members(policy: Policy, section: str, things: Mapping[str, Value]) -> None:
    """Membership is a matter of the person, wherever it is written down."""
    if section == "teams":
        for team in things.values():
            team.pop("members", None)
        return
    for team, people in sorted(members(policy).items()):
        for user in people:
            if user in things:
                teams = things[user].setdefault("teams", [])
                things[user]["teams"] = sorted({*teams, team})


def _plain(value: object, section: str) -> Value:
    """A typed value as JSON has it: lists sorted where their order says nothing, durations as text."""
    if isinstance(value, Section):
        return {name: _plain(getattr(value, name), section) for name in _taking_effect(value, section)}
    if isinstance(value, dict):
        return {key: _plain(item, section) for key, item in value.items()}
    if isinstance(value, tuple):
        items = [_plain(item, section) for item in value]
        return items if section in _ORDERED else sorted(items, key=repr)
    if isinstance(value, timedelta):
        return _duration(value)
    return value.isoformat() if isinstance(value, date) else value


def _taking_effect(value: Section, section: str) -> list[str]:
    """The fields of an entry that say something: not those that are left as the system has them."""
    given = value.model_fields_set
    leaves_alone = section in _LEFT_ALONE
    return [
        name
        for name in type(value).model_fields
        if name in given or name == "adopt" or not (leaves_alone or getattr(value, name) == "")
    ]


def _duration(value: timedelta) -> str:
    """As a policy writes it: the largest unit that needs no fraction."""
    seconds = int(value.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
