"""Who may do what by a policy alone, and by which way: roles, the API's permissions, machines. Pure.

No system is asked. What only a system knows is left to it: which guests a set holds, what else stands in
Proxmox's access control list, and what a person's account has been given besides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from controller.policy.readings import ASSIGNABLE
from controller.policy.teams import all_members, ancestors, teams_of, with_included

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from controller.policy.machines import Assigned
    from controller.policy.model import Policy
    from controller.policy.position import SourcePosition

__all__ = [
    "ASSIGNABLE",
    "Access",
    "Way",
    "access_of",
    "assignments",
    "holders_of",
    "permissions_of",
    "privileges_on",
    "roles_of",
]


@dataclass(frozen=True, order=True)
class Way:
    """How somebody comes by something: over teams, then over roles; `source` is the line that begins it."""

    teams: tuple[str, ...]
    roles: tuple[str, ...]
    source: SourcePosition = field(compare=False)

    def __str__(self) -> str:
        steps = []
        if self.teams:
            above = "".join(f", part of {team}" for team in self.teams[1:])
            steps.append(f"team {self.teams[0]}{above}")
        steps += [f"role {role}" for role in self.roles]
        return "through " + ", ".join(steps) if steps else "own"

    def to_json(self) -> dict[str, object]:
        """The way as JSON."""
        return {"teams": list(self.teams), "roles": list(self.roles), "source": str(self.source)}


@dataclass(frozen=True)
class Access:
    """A role on a machine, a set, a pool, a storage or a node, and the way to it.

    `counts` is False where the person's own entry beats it: Proxmox weighs nothing else then. A role without
    privileges is not assigned at all.
    """

    section: str
    name: str
    role: str
    way: Way
    privileges: tuple[str, ...]
    counts: bool = True

    def to_json(self) -> dict[str, object]:
        """The assignment as JSON."""
        return {
            "section": self.section,
            "name": self.name,
            "role": self.role,
            "way": self.way.to_json(),
            "privileges": list(self.privileges),
            "counts": self.counts,
        }


def roles_of(policy: Policy, user: str) -> Mapping[str, tuple[Way, ...]]:
    """Each role that `user` has with every way to it that begins elsewhere, the shortest first."""
    found: dict[str, list[Way]] = {}
    for root, way in _roots(policy, user):
        for role, reached in _included(policy, root, way):
            found.setdefault(role, []).append(reached)
    return {role: tuple(sorted(set(ways), key=_length)) for role, ways in sorted(found.items())}


def holders_of(policy: Policy, role: str) -> Mapping[str, tuple[Way, ...]]:
    """The people who have `role`, each with the ways to it."""
    within = {name for name in policy.roles if role in with_included(policy, (name,))}
    people = {name for name, user in policy.users.items() if within & set(user.roles)}
    members = all_members(policy)
    for name, team in policy.teams.items():
        if within & set(team.roles):
            people |= members[name]
    return {user: roles_of(policy, user)[role] for user in sorted(people) if user in policy.users}


def permissions_of(policy: Policy, roles: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """The API permissions that `roles` give, each with the roles that list it."""
    found: dict[str, list[str]] = {}
    for role in sorted(with_included(policy, roles)):
        for permission in policy.roles[role].api if role in policy.roles else ():
            found.setdefault(permission, []).append(role)
    return {permission: tuple(given) for permission, given in sorted(found.items())}


def access_of(policy: Policy, user: str, place: tuple[str, str] | None = None) -> tuple[Access, ...]:
    """Everything that `user` is assigned to, in the order of the language.

    With `place` (section and name of an entry) only what is assigned there.
    """
    ways = {
        team: way for own in teams_of(policy, user) for team, way in reversed(list(_upwards(policy, own)))
    }
    places = (
        assignments(policy) if place is None else [(*place, getattr(policy, place[0])[place[1]].assigned)]
    )
    return tuple(one for where in places for one in _access_at(policy, user, ways, where))


def _access_at(
    policy: Policy, user: str, ways: Mapping[str, tuple[str, ...]], where: tuple[str, str, Assigned]
) -> Iterator[Access]:
    section, name, assigned = where
    has_own = user in assigned.users and bool(_privileges(policy, assigned.users[user]))
    if user in assigned.users:
        source = policy.at(section, name, "assigned", "users", user)
        yield _access(policy, section, name, assigned.users[user], Way((), (), source))
    for team, role in assigned.teams.items():
        if team in ways:
            source = policy.at(section, name, "assigned", "teams", team)
            yield _access(policy, section, name, role, Way(ways[team], (), source), counts=not has_own)


def privileges_on(
    policy: Policy, assigned: Assigned, members: Mapping[str, frozenset[str]]
) -> Mapping[str, frozenset[str]]:
    """What each person may do where `assigned` stands; who may nothing is left out.

    `members` are those of each team and of the teams below it. Proxmox's rule: a person's own entry beats
    those of groups, and groups add up.
    """
    found: dict[str, frozenset[str]] = {}
    for team, role in assigned.teams.items():
        privileges = frozenset(_privileges(policy, role))
        for user in members[team] if privileges else ():
            found[user] = found.get(user, frozenset()) | privileges
    own = {user: frozenset(_privileges(policy, role)) for user, role in assigned.users.items()}
    return {**found, **{user: privileges for user, privileges in own.items() if privileges}}


def assignments(policy: Policy) -> Iterator[tuple[str, str, Assigned]]:
    """Section, name and assignments of everything that has some."""
    for section in ASSIGNABLE:
        for name, entry in getattr(policy, section).items():
            if entry.assigned.users or entry.assigned.teams or entry.assigned.tokens:
                yield section, name, entry.assigned


def _roots(policy: Policy, user: str) -> Iterator[tuple[str, Way]]:
    """Roles that a line of the policy gives to `user`, or to a team of theirs, by name."""
    for index, role in enumerate(policy.users[user].roles if user in policy.users else ()):
        yield role, Way((), (), policy.at("users", user, "roles", index))
    for own in teams_of(policy, user):
        for team, teams in _upwards(policy, own):
            for index, role in enumerate(policy.teams[team].roles):
                yield role, Way(teams, (), policy.at("teams", team, "roles", index))


def _upwards(policy: Policy, team: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """`team` and those above it, each with the teams on the way."""
    on_the_way: tuple[str, ...] = ()
    for name in (team, *ancestors(policy, team)):
        on_the_way = (*on_the_way, name)
        yield name, on_the_way


def _included(policy: Policy, root: str, way: Way) -> Iterator[tuple[str, Way]]:
    """`root` and the roles that it is made of, each once, by the shortest way."""
    seen = {root}
    level = [(root, way)]
    while level:
        yield from level
        following = []
        for role, reached in level:
            for included in policy.roles[role].includes if role in policy.roles else ():
                if included not in seen:
                    seen.add(included)
                    following.append((included, Way(way.teams, (*reached.roles, role), way.source)))
        level = following


def _length(way: Way) -> tuple[int, Way]:
    return len(way.teams) + len(way.roles), way


def _access(policy: Policy, section: str, name: str, role: str, way: Way, *, counts: bool = True) -> Access:
    privileges = _privileges(policy, role)
    return Access(section, name, role, way, privileges, counts=counts and bool(privileges))


def _privileges(policy: Policy, role: str) -> tuple[str, ...]:
    return tuple(sorted(set(policy.roles[role].proxmox))) if role in policy.roles else ()
