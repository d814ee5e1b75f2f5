"""What people gain and lose by a change of the policy, worked out over teams and composite roles. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from controller.entitlements import (
    Way,
    access_of,
    assignments,
    permissions_of,
    privileges_on,
    roles_of,
)
from controller.policy.teams import all_members, roles_of_everybody

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from controller.policy.model import Policy
    from controller.policy.position import SourcePosition

__all__ = ["NOUNS", "Effect", "effects"]

_T = TypeVar("_T")

NOUNS: Final = {
    "machines": "machine",
    "machine_sets": "set",
    "pools": "pool",
    "storages": "storage",
    "nodes": "node",
}
"""What an entry of a section that people are assigned to is called."""


@dataclass(frozen=True)
class Effect:
    """What people gain or lose: `what` (role viewer), `where` (machine web-01, or "") and by which way."""

    gains: bool
    what: str
    where: str
    way: str
    source: SourcePosition | None
    people: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """The effect as JSON."""
        return {
            "gains": self.gains,
            "what": self.what,
            "where": self.where,
            "way": self.way,
            "source": None if self.source is None else str(self.source),
            "people": list(self.people),
        }


class _Collected:
    """Effects under way: those that differ in nothing but the person are one."""

    def __init__(self) -> None:
        self._people: dict[tuple[bool, str, str, str], list[str]] = defaultdict(list)
        self._sources: dict[tuple[bool, str, str, str], SourcePosition | None] = {}

    def add(self, user: str, *, gains: bool, what: str, where: str = "", way: Way | None = None) -> None:
        """Note what becomes of one person."""
        key = (gains, what, where, "" if way is None else str(way))
        self._people[key].append(user)
        self._sources.setdefault(key, None if way is None else way.source)

    def effects(self) -> Iterator[Effect]:
        """What was noted, each once."""
        for key, people in self._people.items():
            yield Effect(*key, self._sources[key], tuple(sorted(set(people))))


def effects(before: Policy, after: Policy) -> Iterator[Effect]:
    """What people gain and lose: losses first, and each in the order login, roles, API, machines."""
    found = _Collected()
    _add_logins(before, after, found)
    _add_roles(before, after, found)
    _add_access(before, after, found)
    yield from sorted(found.effects(), key=lambda effect: effect.gains)


def _add_logins(before: Policy, after: Policy, found: _Collected) -> None:
    for user in _all(before.users, after.users):
        could, can = (
            user in policy.users and policy.users[user].state == "active" for policy in (before, after)
        )
        if could != can:
            found.add(user, gains=can, what="log in")


def _add_roles(before: Policy, after: Policy, found: _Collected) -> None:
    had, has = roles_of_everybody(before), roles_of_everybody(after)
    for user in _all(had, has):
        old, new = had.get(user, frozenset()), has.get(user, frozenset())
        old_api, new_api = set(permissions_of(before, old)), set(permissions_of(after, new))
        for policy, roles, api, gains in (
            (after, new - old, new_api - old_api, True),
            (before, old - new, old_api - new_api, False),
        ):
            ways = roles_of(policy, user) if roles or api else {}
            for role in sorted(roles):
                found.add(user, gains=gains, what=f"role {role}", way=ways[role][0])
            for given, permissions in _by_role(policy, ways, api).items():
                way = Way((), (given,), policy.at("roles", given, "api"))
                found.add(user, gains=gains, what=f"API {' '.join(permissions)}", way=way)


def _by_role(policy: Policy, roles: Iterable[str], wanted: set[str]) -> Mapping[str, list[str]]:
    """The `wanted` permissions of the API, by a role that gives them."""
    found: dict[str, list[str]] = defaultdict(list)
    for permission, given in permissions_of(policy, roles).items():
        if permission in wanted:
            found[given[0]].append(permission)
    return found


def _add_access(before: Policy, after: Policy, found: _Collected) -> None:
    old, new = _held(before), _held(after)
    for place in _all(old, new):
        had, has = old.get(place, {}), new.get(place, {})
        for user in _all(had, has):
            gained = has.get(user, frozenset()) - had.get(user, frozenset())
            lost = had.get(user, frozenset()) - has.get(user, frozenset())
            for policy, gains, privileges in ((after, True, gained), (before, False, lost)):
                if privileges:
                    way = _way_to(policy, user, place, privileges)
                    where = f"{NOUNS[place[0]]} {place[1]}"
                    what = " ".join(sorted(privileges))
                    found.add(user, gains=gains, what=what, where=where, way=way)


def _way_to(policy: Policy, user: str, place: tuple[str, str], privileges: frozenset[str]) -> Way | None:
    """The way by which somebody has (one of) the privileges there."""
    for one in access_of(policy, user, place):
        if one.counts and privileges & set(one.privileges):
            return one.way
    return None


def _all(before: Iterable[_T], after: Iterable[_T]) -> list[_T]:
    """What either has, in the order of the first, then of the second."""
    return list(dict.fromkeys((*before, *after)))


def _held(policy: Policy) -> Mapping[tuple[str, str], Mapping[str, frozenset[str]]]:
    everybody = all_members(policy)
    return {
        (section, name): privileges_on(policy, assigned, everybody)
        for section, name, assigned in assignments(policy)
    }
