"""Roles, teams and people of a realm in the policy's words. Pure.

What would be altered by saying it in part is left out whole, and so is what depends on it: a role that
includes one which no policy can name, a team below one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from controller.importing.saying import OURSELVES, Entries, sayable
from controller.keycloak_values import API_ATTRIBUTE, OUR_ATTRIBUTES
from controller.readings import BUILT_IN_ROLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from controller.importing.saying import LeftOut
    from controller.importing.world import KeycloakWorld
    from controller.keycloak_groups import KeycloakGroup
    from controller.keycloak_values import KeycloakUser

__all__ = ["add_memberships", "role_entries", "team_entries", "user_entries"]

_SECOND_FACTOR = "CONFIGURE_TOTP"


def role_entries(world: KeycloakWorld, owner: str, left_out: LeftOut) -> Entries:
    """The section roles, without those that every realm has."""
    found: Entries = {}
    for name, role in sorted(world.roles.items()):
        if name == world.default_role or name in BUILT_IN_ROLES:
            continue
        if role.owner not in {"", owner}:
            left_out.add("roles", name, f"belongs to {role.owner}")
            continue
        said = {
            "description": role.description,
            "includes": sorted(role.includes or ()),
            "api": list(role.api),
        }
        found[name] = {key: value for key, value in said.items() if value} | {"adopt": True}
    # A field that cannot be said would be taken away by a plan: such a role is left out whole.
    kept = _whole("roles", found, ("includes", "api"), left_out)
    return _closed(kept, left_out)


def _whole(section: str, entries: Entries, fields: Iterable[str], left_out: LeftOut) -> Entries:
    """The entries that can be said, without those of which one of these fields cannot be said whole."""
    kept = sayable(section, entries, left_out)
    for name in list(kept):
        broken = [field for field in fields if kept[name].get(field) != entries[name].get(field)]
        if broken:
            left_out.add(section, name, f"its {broken[0]} cannot be said whole")
            del kept[name]
    return kept


def _closed(roles: Entries, left_out: LeftOut) -> Entries:
    """Without the roles that include themselves, or one which is not there, or such a role."""
    for name in [name for name in roles if _includes_itself(name, roles)]:
        left_out.add("roles", name, "includes itself, by way of what it includes")
        del roles[name]
    while True:
        open_ones = {
            name: missing
            for name, role in roles.items()
            if (missing := sorted(set(role.get("includes", ())) - roles.keys()))
        }
        if not open_ones:
            return roles
        for name, missing in open_ones.items():
            left_out.add("roles", name, f"includes {', '.join(missing)}, which no policy names")
            del roles[name]


def _includes_itself(name: str, roles: Entries) -> bool:
    seen: set[str] = set()
    waiting = list(roles[name].get("includes", ()))
    while waiting:
        included = waiting.pop()
        if included == name:
            return True
        if included not in seen:
            seen.add(included)
            waiting += roles.get(included, {}).get("includes", ())
    return False


def team_entries(
    world: KeycloakWorld, roles: Iterable[str], people: Iterable[str], owner: str, left_out: LeftOut
) -> Entries:
    """The section teams; members stand with the people."""
    by_id = {group.id: group for group in world.groups}
    names = Counter(group.name for group in world.groups)
    found: dict[str, KeycloakGroup] = {}
    entries: Entries = {}
    known = frozenset(people)
    for group in sorted(world.groups, key=lambda one: one.path):
        why = _why_no_team(group, names, known, owner)
        if why:
            left_out.add("teams", group.path, why)
        else:
            found[group.name] = group
            entries[group.name] = _team(group, by_id, frozenset(roles))
    kept = _whole("teams", entries, ("parent", "managers", "roles"), left_out)
    while orphans := [name for name, team in kept.items() if team.get("parent", name) not in kept]:
        for name in orphans:
            left_out.add("teams", found[name].path, "the group above it is no team of the policy")
            del kept[name]
    return kept


def _why_no_team(group: KeycloakGroup, names: Mapping[str, int], people: frozenset[str], owner: str) -> str:
    if group.owner not in {"", owner}:
        return f"belongs to {group.owner}"
    if names[group.name] > 1:
        return f"{names[group.name]} groups have this name"
    return "its managers are not all in the policy" if group.managers - people else ""


def _team(group: KeycloakGroup, by_id: Mapping[str, KeycloakGroup], roles: frozenset[str]) -> dict[str, Any]:
    above = by_id.get(group.parent_id)
    said = {
        "description": group.description,
        "parent": above.name if above else "",
        "managers": sorted(group.managers),
        "roles": sorted(group.roles & roles),
    }
    return {key: value for key, value in said.items() if value} | {"adopt": True}


def user_entries(world: KeycloakWorld, providers: Iterable[str], owner: str, left_out: LeftOut) -> Entries:
    """The section users with their accounts at `providers`, the identity providers that the policy names.

    Roles and teams are added once it is known which can be named.
    """
    named = frozenset(providers)
    entries: Entries = {}
    for user in sorted(world.users, key=lambda one: one.username):
        if user.id in world.own:
            left_out.add("users", user.username, OURSELVES)
        elif user.owner not in {"", owner}:
            left_out.add("users", user.username, f"belongs to {user.owner}")
        elif user.vanished:
            left_out.add("users", user.username, f"left an earlier policy on {user.vanished}")
        else:
            entries[user.username] = _user(user, world, named)
    kept = sayable("users", entries, left_out)
    _tell_many_values(world, kept, left_out)
    holders: dict[str, str] = {}
    for name, entry in kept.items():
        email = entry.get("email", "").lower()
        if email and holders.setdefault(email, name) != name:
            left_out.add("users", f"{name}.email", f"is the address of {holders[email]} as well")
            del entry["email"]
    return kept


def _tell_many_values(world: KeycloakWorld, kept: Entries, left_out: LeftOut) -> None:
    """Attributes of which there are several values: a policy gives one, and so leaves these alone."""
    for user in world.users if kept else ():
        for name, values in _own_attributes(user):
            if len(values) > 1 and user.username in kept:
                left_out.add("users", f"{user.username}.attributes.{name}", f"it has {len(values)} values")


def _own_attributes(user: KeycloakUser) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The attributes that are not our bookkeeping."""
    for name, values in user.attributes:
        if name not in OUR_ATTRIBUTES and name != API_ATTRIBUTE:
            yield name, values


def _user(user: KeycloakUser, world: KeycloakWorld, providers: frozenset[str]) -> dict[str, Any]:
    said: dict[str, Any] = {
        "email": user.email,
        "first_name": user.first_name,
        "last_name": user.last_name,
        # Whoever has a second factor, or is asked for one, is who `required` is satisfied with.
        "mfa": "required" if user.totp or _SECOND_FACTOR in user.required_actions else "",
        "state": "" if user.enabled else "disabled",
        "links": {
            alias: {"id": link.id, "name": link.name}
            for alias, link in world.links.get(user.id, {}).items()
            if alias in providers
        },
        "attributes": {
            name: values[0] for name, values in _own_attributes(user) if len(values) == 1 and values[0]
        },
    }
    return {key: value for key, value in said.items() if value} | {"adopt": True}


def add_memberships(world: KeycloakWorld, users: Entries, roles: Iterable[str], teams: Iterable[str]) -> None:
    """Give the people the roles and teams that the policy can name."""
    known_roles, known_teams = frozenset(roles), frozenset(teams)
    held: defaultdict[str, list[str]] = defaultdict(list)
    inside: defaultdict[str, list[str]] = defaultdict(list)
    for role, ids in sorted(world.holders.items()):
        for user_id in ids if role in known_roles else ():
            held[user_id].append(role)
    for group in sorted(world.groups, key=lambda one: one.name):
        for user_id in world.members.get(group.id, ()) if group.name in known_teams else ():
            inside[user_id].append(group.name)
    for user in world.users:
        entry = users.get(user.username)
        if entry is not None:
            entry |= {"roles": held[user.id]} if user.id in held else {}
            entry |= {"teams": inside[user.id]} if user.id in inside else {}
