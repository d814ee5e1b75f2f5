"""Who is in which team, and which roles people have through theirs: pure questions to a checked policy.

A team may be part of another (`parent`): its members have the roles of every team above it. In a checked
policy no chain of parents is a circle; all of this ends anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from controller.policy.model import Policy

__all__ = [
    "all_members",
    "ancestors",
    "descendants",
    "effective_roles",
    "members",
    "roles_of_everybody",
    "teams_of",
    "with_included",
]


def members(policy: Policy) -> Mapping[str, frozenset[str]]:
    """The people who are in each team themselves: those it names, and those who name it."""
    found: dict[str, set[str]] = {name: set(team.members) for name, team in policy.teams.items()}
    for name, user in policy.users.items():
        for team in user.teams:
            if team in found:
                found[team].add(name)
    return {team: frozenset(people) for team, people in found.items()}


def all_members(policy: Policy) -> Mapping[str, frozenset[str]]:
    """The people who are in each team or in a team below it."""
    direct = members(policy)
    found: dict[str, set[str]] = {name: set(people) for name, people in direct.items()}
    for name, people in direct.items():
        for above in ancestors(policy, name):
            found[above] |= people
    return {team: frozenset(people) for team, people in found.items()}


def ancestors(policy: Policy, team: str) -> tuple[str, ...]:
    """The teams above `team`, the nearest first."""
    found: list[str] = []
    above = policy.teams[team].parent if team in policy.teams else None
    while above is not None and above in policy.teams and above != team and above not in found:
        found.append(above)
        above = policy.teams[above].parent
    return tuple(found)


def descendants(policy: Policy, team: str) -> tuple[str, ...]:
    """The teams below `team`, at any depth, sorted."""
    return tuple(sorted(name for name in policy.teams if team in ancestors(policy, name)))


def teams_of(policy: Policy, user: str) -> tuple[str, ...]:
    """The teams that `user` is in, without those above them, sorted."""
    own = policy.users[user].teams if user in policy.users else ()
    named = (name for name, team in policy.teams.items() if user in team.members)
    return tuple(sorted({*named, *(team for team in own if team in policy.teams)}))


def effective_roles(policy: Policy, user: str) -> frozenset[str]:
    """Every role that `user` has: own ones, those of teams and of the teams above, and what these include."""
    return with_included(policy, _own_roles(policy, user, teams_of(policy, user)))


def roles_of_everybody(policy: Policy) -> Mapping[str, frozenset[str]]:
    """`effective_roles` of each user of the policy, in one walk over the teams."""
    teams: dict[str, list[str]] = {name: [] for name in policy.users}
    for team, people in members(policy).items():
        for name in people:
            if name in teams:
                teams[name].append(team)
    known: dict[frozenset[str], frozenset[str]] = {}
    found: dict[str, frozenset[str]] = {}
    for name, theirs in teams.items():
        own = frozenset(_own_roles(policy, name, theirs))
        if own not in known:
            known[own] = with_included(policy, own)
        found[name] = known[own]
    return found


def with_included(policy: Policy, roles: Iterable[str]) -> frozenset[str]:
    """`roles` and every role that they are made of, at any depth."""
    found: set[str] = set()
    waiting = list(roles)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(policy.roles[name].includes if name in policy.roles else ())
    return frozenset(found)


def _own_roles(policy: Policy, user: str, teams: Iterable[str]) -> set[str]:
    """The roles that a policy gives to `user` and to `teams` by name."""
    found = set(policy.users[user].roles) if user in policy.users else set()
    for team in teams:
        for name in (team, *ancestors(policy, team)):
            found |= set(policy.teams[name].roles)
    return found
