"""Changes in words, for people: what an object is called and what becomes of it. Pure.

Only what is not obvious is said: a creation lists what it sets, an update what it alters (before → after),
and the reason stands only where no line of the policy asks for the change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from controller.plan.change import Operation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controller.plan.change import Change, Fields, Json

__all__ = ["counted", "is_adoption", "name_of", "noun_of", "words_of"]

_NOUNS = {
    "realm": "realm",
    "profile": "user profile",
    "roles": "role",
    "users": "user",
    "machines.assigned": "assignment",
}
_SWITCHES = {
    "enabled": ("disabled", "disabled → enabled", "enabled → disabled"),
    "brute_force": (
        "brute force protection",
        "brute force off → on",
        "brute force on → off",
    ),
    "second_factor": ("second factor", "second factor is asked for", "second factor is no longer asked for"),
    "propagate": ("propagates", "propagates from now on", "no longer propagates"),
}
"""Booleans: worth saying of something new, turned on, turned off."""

_LABELS = {"first_name": "first name", "last_name": "last name", "display_name": "display name"}
_SECONDS = "_seconds"
_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60))


def noun_of(section: str) -> str:
    """What one object of a section is."""
    return _NOUNS.get(section, section)


def counted(number: int, section: str) -> str:
    """So many of a section: `1 user`, `3 users`."""
    return f"{number} {noun_of(section)}{'' if number == 1 else 's'}"


def name_of(change: Change) -> str:
    """What the change is about, in as few words as a person needs."""
    if change.title:
        return change.title
    if change.section == "profile":
        return noun_of(change.section)
    fields = change.after or change.before or {}
    return f"{noun_of(change.section)} {fields.get('userid') or change.key}"


def is_adoption(change: Change) -> bool:
    """Whether nothing but our mark is set on something that nobody owned."""
    return change.changed == ("owner",) and change.operation is Operation.UPDATE and not _owner(change)


def _owner(change: Change) -> Json:
    return (change.before or {}).get("owner")


def words_of(change: Change) -> list[str]:
    """What becomes of the object, part by part; the least obvious reason last."""
    if change.operation is Operation.DELETE:
        return [_reason(change)]
    before, after = change.before or {}, change.after or {}
    if change.operation is Operation.CREATE:
        said = list(_made(change, after))
    else:
        names = sorted(change.changed, key=lambda name: name != "owner")
        said = [words for name in names if (words := _step(name, before.get(name), after.get(name)))]
    return said if change.source else [*said, _reason(change)]


def _reason(change: Change) -> str:
    """The reason without the noun that the line begins with."""
    return change.reason.removeprefix(f"{noun_of(change.section)} ")


def _made(change: Change, after: Fields) -> Iterator[str]:
    """What a creation sets; names that the account's own name tells already are left out."""
    if change.section == "machines.assigned":
        return
    lists = [name for name, value in after.items() if _is_list(value)]
    for name in (name for name in lists if _items(after[name])):
        label = "" if name in {"roles", "privileges"} else f"{_label(name)} "
        yield label + " ".join(map(str, _items(after[name])))
    person = " ".join(str(after[name]) for name in ("first_name", "last_name") if after.get(name))
    if person and person.casefold().replace(" ", ".") != change.key:
        yield person
    for name, value in after.items():
        if name in {*lists, "first_name", "last_name", "owner", "userid", "vanished"}:
            continue
        if isinstance(value, bool):
            yield from _noteworthy(name, is_on=value)
        elif value not in (None, ""):
            yield _text(name, value) if isinstance(value, str) else f"{_label(name)} {_text(name, value)}"


def _noteworthy(name: str, *, is_on: bool) -> list[str]:
    """A switch of something new: said where it is not what everybody expects."""
    if is_on == (name == "enabled"):
        return []
    return [_SWITCHES[name][0] if name in _SWITCHES else _label(name)]


def _step(name: str, before: Json, after: Json) -> str:
    """One field of an update; "" where other words say it."""
    if name == "vanished":
        return "is named by the policy again" if before and not after else ""
    if name == "owner":
        return "adopted" if not before else f"owner {before} → {after}"
    if name in _SWITCHES and isinstance(before, bool) and isinstance(after, bool):
        return _SWITCHES[name][1 if after else 2]
    if _is_list(before) and _is_list(after):
        had, has = _items(before), _items(after)
        moves = [f"+{one}" for one in has if one not in had] + [f"-{one}" for one in had if one not in has]
        return f"{_label(name)} {' '.join(map(str, moves))}"
    return f"{_label(name)} {_text(name, before)} → {_text(name, after)}"


def _label(name: str) -> str:
    return _LABELS.get(name, name.removesuffix(_SECONDS))


def _is_list(value: Json) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _items(value: Json) -> tuple[Json, ...]:
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else ()


def _text(name: str, value: Json) -> str:
    if name.endswith(_SECONDS) and isinstance(value, int):
        return _duration(value)
    if isinstance(value, Mapping):
        return " ".join(f"{key}={_text(key, item)}" for key, item in value.items())
    if value is None or value == "":
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _duration(seconds: int) -> str:
    """As the policy writes it: the largest unit that needs no fraction."""
    for unit, size in _UNITS:
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
