"""Names that point at other names: each must be there, and none may point back at itself.

Checks work on the values as read, not on the typed policy, so that a wrong type elsewhere does not hide them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from controller.policy.places import Token, Value, key_position, value_position
from controller.policy.problems import did_you_mean, quoted
from controller.policy.readings import ASSIGNABLE, map_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from controller.policy.merge import Merged

__all__ = ["REFERENCES", "check_references"]

_EACH: Final = "*"
_KEY: Final = "<key>"

_TOKENS: Final = "users.*.proxmox_tokens"

REFERENCES: Final[tuple[tuple[tuple[str, ...], str, str], ...]] = (
    (("roles", _EACH, "includes", _EACH), "role", "roles"),
    (("users", _EACH, "roles", _EACH), "role", "roles"),
    (("teams", _EACH, "roles", _EACH), "role", "roles"),
    (("realm", "default_roles", _EACH), "role", "roles"),
    (("realm", "invitation", "client"), "client", "clients"),
    (("users", _EACH, "teams", _EACH), "team", "teams"),
    (("users", _EACH, "links", _KEY), "identity provider", "realm.identity_providers"),
    (("teams", _EACH, "parent"), "team", "teams"),
    (("teams", _EACH, "members", _EACH), "user", "users"),
    (("teams", _EACH, "managers", _EACH), "user", "users"),
    *(((section, _EACH, "assigned", "users", _KEY), "user", "users") for section in ASSIGNABLE),
    *(((section, _EACH, "assigned", "users", _EACH), "role", "roles") for section in ASSIGNABLE),
    *(((section, _EACH, "assigned", "teams", _KEY), "team", "teams") for section in ASSIGNABLE),
    *(((section, _EACH, "assigned", "teams", _EACH), "role", "roles") for section in ASSIGNABLE),
    *(((section, _EACH, "assigned", "tokens", _KEY), "token", _TOKENS) for section in ASSIGNABLE),
    *(((section, _EACH, "assigned", "tokens", _EACH), "role", "roles") for section in ASSIGNABLE),
    *(
        ((section, _EACH, "power", "schedule"), "schedule", "schedules")
        for section in ("machines", "machine_sets")
    ),
    *(((section, _EACH, "backup"), "backup", "backups") for section in ("machines", "machine_sets", "hosts")),
    (("schedules", _EACH, "skip", _EACH), "calendar", "calendars"),
    (("hosts", _EACH, "machine"), "machine", "machines"),
    (("hosts", _EACH, "accounts", _KEY), "user", "users"),
    (("backups", _EACH, "repository"), "repository", "repositories"),
    (("alerting", "routes", _EACH, "receiver"), "receiver", "alerting.receivers"),
)
"""Where a name stands, what it names, and the section that must hold it."""


def check_references(merged: Merged) -> None:
    """Report unknown names, and roles or teams that contain themselves."""
    for path, noun, section in REFERENCES:
        known = _names(merged, section)
        for tokens, name in _find(merged.values, path):
            if name not in known and not _may_be_lost(merged, section, name):
                on_key = path[-1] == _KEY
                where = (key_position if on_key else value_position)(merged.place, tokens)
                meant = did_you_mean(name, (*known, *merged.lost))
                missing = "" if meant else f": {section} has no such entry"
                merged.report(where, f"unknown {noun} {quoted(name)}{missing}", meant)
    _check_cycles(merged, "roles", "includes")
    _check_cycles(merged, "teams", "parent")


def _names(merged: Merged, section: str) -> Collection[str]:
    if section == _TOKENS:
        return {
            f"{user}!{token}"
            for user, entry in merged.entries("users").items()
            for token in map_of(entry, "proxmox_tokens")
        }
    top, _, inner = section.partition(".")
    return map_of(merged.entries(top), inner) if inner else merged.entries(section)


def _may_be_lost(merged: Merged, section: str, name: str) -> bool:
    """Whether the name may stand in what could not be read; a token may be lost with its user."""
    if section == _TOKENS:
        return any(merged.may_be_lost("users", part) for part in name.split("!", 1))
    return merged.may_be_lost(section.partition(".")[0], name)


def _find(
    value: Value, path: tuple[str, ...], before: tuple[Token, ...] = ()
) -> Iterator[tuple[tuple[Token, ...], str]]:
    """Path and text of each value (or key) that `path` describes; what has another shape is passed over."""
    if not path:
        if isinstance(value, str):
            yield before, value
        return
    step, rest = path[0], path[1:]
    if step == _KEY:
        if isinstance(value, dict):
            yield from ((((*before, key)), key) for key in value)
    elif step != _EACH:
        if isinstance(value, dict) and step in value:
            yield from _find(value[step], rest, (*before, step))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _find(item, rest, (*before, key))
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _find(item, rest, (*before, index))


def _check_cycles(merged: Merged, section: str, link: str) -> None:
    """Report each circle once, at the link of its first name in the order of the files that closes it."""
    graph = {name: _targets(entry, link) for name, entry in merged.entries(section).items()}
    done: set[str] = set()
    for start in graph:
        _walk(merged, section, link, graph, start, done)


def _targets(entry: Value, link: str) -> tuple[tuple[tuple[Token, ...], str], ...]:
    value = entry.get(link) if isinstance(entry, dict) else None
    if isinstance(value, str):
        return (((link,), value),)
    items = value if isinstance(value, tuple) else ()
    return tuple(((link, index), item) for index, item in enumerate(items) if isinstance(item, str))


_Graph = dict[str, tuple[tuple[tuple[Token, ...], str], ...]]


def _walk(merged: Merged, section: str, link: str, graph: _Graph, start: str, done: set[str]) -> None:
    """Depth first from `start`, without recursion: names come from outside and chains may be long."""
    trail = [start]
    pending = [iter(graph[start] if start not in done else ())]
    while pending:
        step = next(pending[-1], None)
        if step is None:
            pending.pop()
            done.add(trail.pop())
            continue
        where, target = step
        if target in trail:
            circle = " → ".join((*trail[trail.index(target) :], target))
            position = value_position(merged.place, (section, trail[-1], *where))
            merged.report(position, f"{section}.{link} goes in a circle: {circle}; drop one of these")
        elif target in graph and target not in done:
            trail.append(target)
            pending.append(iter(graph[target]))
