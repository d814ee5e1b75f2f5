"""Changes in words, for people: what an object is called and what becomes of it. Pure.

Only what is not obvious is said: a creation lists what it sets, an update what it alters (before → after),
and the reason stands only where it is not just that a line of the policy asks for the change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from controller.durations import duration_text
from controller.plan.change import Operation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controller.plan.change import Change, Fields, Json

__all__ = [
    "author_of",
    "beside",
    "counted",
    "is_adoption",
    "is_obvious",
    "label_of",
    "name_of",
    "noun_of",
    "text_of",
    "words_of",
]

_NOUNS = {
    "realm": "realm",
    "profile": "user profile",
    "identity_providers": "identity provider",
    "roles": "role",
    "default_roles": "default roles",
    "teams": "team",
    "users": "user",
    "clients": "client",
    "pools": "pool",
    "tokens": "token",
    "machines.assigned": "assignment",
    "pools.assigned": "assignment",
    "storages.assigned": "assignment",
    "nodes.assigned": "assignment",
    "machines.power": "machine",
}
_ASSIGNED = ".assigned"
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

_SOURCES = {
    "controller_file": "file",
    "controller_env": "environment",
    "host_file": "the host's file",
    "host_env": "the host's environment",
}
"""References to secrets: where the value is, never what it is."""

_INSTANTS = frozenset({"expire"})
"""Seconds since 1970 in fields of Proxmox; 0 is never."""

_LONGEST = 120
_MOST_ITEMS = 12
_OBVIOUS = ("differs", "not there", " in the policy")
_SECONDS = "_seconds"


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
    named = "" if change.section == "tokens" else fields.get("userid")
    return f"{noun_of(change.section)} {named or change.key}"


def is_adoption(change: Change) -> bool:
    """Whether nothing but our mark is set on something that nobody owned."""
    return change.changed == ("owner",) and change.operation is Operation.UPDATE and not _owner(change)


def _owner(change: Change) -> Json:
    return (change.before or {}).get("owner")


def words_of(change: Change) -> list[str]:
    """What becomes of the object, part by part; the least obvious reason last."""
    before, after = change.before or {}, change.after or {}
    if change.operation is Operation.CREATE:
        said = list(_made(change, after))
    elif change.operation is Operation.DELETE:
        said = []
    else:
        said = list(_steps(change.changed, before, after))
    said = [*said, *(beside(change) if is_obvious(change) else [_reason(change)])]
    return [*said, f"changed by {author_of(change)}"] if change.changed_by else said


def is_obvious(change: Change) -> bool:
    """Whether a line of the policy asks for the change, and nothing else is to be said of why."""
    said = not change.reason or any(word in change.reason for word in _OBVIOUS)
    return change.source is not None and said


def author_of(change: Change) -> str:
    """Who made the object differ and when, in UTC; "" where nobody knows."""
    by = change.changed_by
    if by is None:
        return ""
    detail = f" ({by.detail})" if by.detail else ""
    return f"{by.actor} on {by.at.astimezone(UTC):%Y-%m-%d %H:%M UTC}{detail}"


def beside(change: Change) -> list[str]:
    """What an obvious reason says besides: `differs in enabled; suspended by al until …`."""
    obvious, _, more = change.reason.partition("; ")
    return [more] if more and "differs" in obvious else []


def _reason(change: Change) -> str:
    """The reason without the noun that the line begins with."""
    return change.reason.removeprefix(f"{noun_of(change.section)} ")


def _made(change: Change, after: Fields) -> Iterator[str]:
    """What a creation sets; names that the account's own name tells already are left out."""
    if change.section.endswith(_ASSIGNED):
        return
    lists = [name for name, value in after.items() if _is_list(value)]
    for name in (name for name in lists if _items(after[name])):
        label = "" if name in {"roles", "privileges"} else f"{label_of(name)} "
        yield label + _few([_text(name, one) for one in _items(after[name])])
    person = " ".join(str(after[name]) for name in ("first_name", "last_name") if after.get(name))
    if person and person.casefold().replace(" ", ".") != change.key:
        yield person
    for name, value in after.items():
        if name in {*lists, "first_name", "last_name", "owner", "userid", "vanished"}:
            continue
        if isinstance(value, bool):
            yield from _noteworthy(name, is_on=value)
        elif value not in (None, "", 0):
            yield _text(name, value) if isinstance(value, str) else f"{label_of(name)} {_text(name, value)}"


def _noteworthy(name: str, *, is_on: bool) -> list[str]:
    """A switch of something new: said where it is not what everybody expects."""
    if is_on == (name == "enabled"):
        return []
    return [_SWITCHES[name][0] if name in _SWITCHES else label_of(name)]


def _steps(names: Sequence[str], before: Fields, after: Fields) -> Iterator[str]:
    """The fields of an update, the owner first; several of one part of the object (`events.…`) together."""
    ordered = sorted(names, key=lambda name: name != "owner")
    parts = Counter(name.partition(".")[0] for name in ordered)
    said: dict[str, list[str]] = {}
    for name in ordered:
        part, dot, field = name.partition(".")
        is_one_of_many = dot != "" and parts[part] > 1
        steps = _step(field if is_one_of_many else name, before.get(name), after.get(name))
        said.setdefault(f"{label_of(part)}: " if is_one_of_many else "", []).extend(steps)
    for label, steps in said.items():
        yield from [f"{label}{', '.join(steps)}"] if label else steps


def _step(name: str, before: Json, after: Json) -> list[str]:
    """One field of an update; nothing where other words say it."""
    if name == "vanished":
        return ["is named by the policy again"] if before and not after else []
    if name == "owner":
        return ["adopted" if not before else f"owner {before} → {after}"]
    if name in _SWITCHES and isinstance(before, bool) and isinstance(after, bool):
        return [_SWITCHES[name][1 if after else 2]]
    if _is_list(before) and _is_list(after):
        had, has = _items(before), _items(after)
        moves = [f"+{_text(name, one)}" for one in has if one not in had]
        moves += [f"-{_text(name, one)}" for one in had if one not in has]
        return [f"{label_of(name)} {_few(moves) if moves else 'in another order'}"]
    if isinstance(before, Mapping) and isinstance(after, Mapping) and not _is_reference(after):
        keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
        return [
            f"{label_of(name)}: {step}"
            for key in keys
            for step in _step(key, before.get(key), after.get(key))
        ]
    if after is True and before is None:  # a switch that nobody ever touched
        before = False
    return [f"{label_of(name)} {_text(name, before)} → {_text(name, after)}"]


def _few(texts: Sequence[str]) -> str:
    rest = f" and {len(texts) - _MOST_ITEMS} more" if len(texts) > _MOST_ITEMS else ""
    return " ".join(texts[:_MOST_ITEMS]) + rest


def label_of(name: str) -> str:
    """A field as people call it."""
    return name.removesuffix(_SECONDS).replace("_", " ")


def _is_list(value: Json) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _items(value: Json) -> tuple[Json, ...]:
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else ()


def text_of(name: str, value: Json) -> str:
    """A value of a field as people read it, whole."""
    if name.endswith(_SECONDS) and isinstance(value, int):
        return duration_text(value)
    if isinstance(value, Mapping):
        if _is_reference(value):
            return " ".join(f"from {_SOURCES[key]} {item}" for key, item in value.items())
        return " ".join(f"{key}={text_of(key, item)}" for key, item in value.items()) or "none"
    if _is_list(value):
        return " ".join(text_of(name, item) for item in _items(value)) or "none"
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    if name in _INSTANTS and isinstance(value, int):
        return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d}" if value else "never"
    return str(value)


def _text(name: str, value: Json) -> str:
    """The same, no longer than a line or so."""
    text = text_of(name, value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"


def _is_reference(value: Mapping[str, Json]) -> bool:
    return bool(value) and value.keys() <= _SOURCES.keys()
