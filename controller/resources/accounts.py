"""Users as Keycloak stores them: reading them into `people.User`, and writing changes, many at once."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING

from controller.errors import Conflict, ControllerError
from controller.keycloak_groups import KeycloakLink, administering
from controller.keycloak_values import (
    INVITED_ATTRIBUTE,
    OWNER_ATTRIBUTE,
    VANISHED_ATTRIBUTE,
    KeycloakUser,
    UserPatch,
    attributes_of,
)
from controller.plan.change import Change, Fields, Operation, Outcome, freeze
from controller.resources.addresses import passed_on
from controller.resources.administration import Ways
from controller.resources.groups import group_called
from controller.resources.invitations import invite
from controller.resources.managed_roles import managed_roles
from controller.resources.people import DUE, SECTION, SeenUsers, User, narrowed
from controller.resources.team_groups import lineage, sorted_out
from controller.resources.writing import applied, ended

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from controller.keycloak_groups import KeycloakGroup
    from controller.keycloak_values import Attributes
    from controller.resources.ports import KeycloakReader, KeycloakWriter
    from controller.resources.resource import Context

    Groups = Callable[[], Sequence[KeycloakGroup]]

__all__ = ["BATCH", "MANY", "apply", "apply_many", "observe"]

BATCH = 500
"""Changes that look up roles and groups together."""

MANY = frozenset({Operation.CREATE, Operation.UPDATE})

_AT_ONCE = 8
_SECOND_FACTOR = "CONFIGURE_TOTP"
_ATTRIBUTE, _LINK = "attributes.", "links."


def observe(client: KeycloakReader, context: Context) -> SeenUsers:
    """All users with the roles and teams that are ours to manage, learnt from the members of each.

    Accounts at identity providers are read for those whom the policy names any for, a request each.
    """
    if client.realm() is None:
        return _nobody(context)
    with ThreadPoolExecutor(4, thread_name_prefix="people") as pool:
        listing, kept = pool.submit(client.users), pool.submit(client.kept_attributes)
        roles = {role.name: role for role in client.roles(expand=lambda _role: False)}
        groups = client.groups()
        administration = client.administration(roles.values())
        managed, teams = managed_roles(roles, context, of=SECTION), sorted_out(groups, context)
        managed_teams = teams.managed(context)
        team_ids = {teams.by_team[name].id: name for name in managed_teams & teams.by_team.keys()}
        admin_groups = administering(groups, administration)
        in_groups = pool.submit(client.group_members, sorted(team_ids.keys() | admin_groups))
        holders = _by_person(client.members(sorted((managed & roles.keys()) | administration.roles)))
        seen = listing.result()
        links = client.links(user.id for user in seen if user.username in context.linked)
        members = _by_person(in_groups.result())
    ways = Ways(administration, admin_groups, managed, team_ids)
    users = {
        user.username: _normal(
            user,
            frozenset(holders[user.id] & managed),
            frozenset(team_ids[group] for group in members[user.id] & team_ids.keys()),
            links,
        )
        for user in seen
    }
    own = client.rights().user_id
    return SeenUsers(
        users,
        managed,
        {
            user.username: by
            for user in seen
            if user.enabled and (by := ways.of(user.id, holders[user.id], members[user.id]))
        },
        managed_teams,
        _privileged(groups, team_ids, managed),
        kept.result(),
        ways.all_of_ours(),
        ways.had_by(holders[own], members[own]),
    )


def _nobody(context: Context) -> SeenUsers:
    """In a realm that is not there yet; a new one keeps no attributes but its own."""
    managed_teams = sorted_out((), context).managed(context)
    roles = managed_roles({}, context, of=SECTION)
    return SeenUsers({}, roles, managed_teams=managed_teams, kept_attributes=frozenset())


def apply(client: KeycloakWriter, change: Change) -> Outcome:
    """Write one change of a user, where the account is still what the plan has seen."""
    return apply_many(client, [change])[0]


def apply_many(client: KeycloakWriter, changes: Sequence[Change]) -> Sequence[Outcome]:
    """Write changes of one operation, which look up groups once.

    Creations go in few requests; where one fails for some, the others are created all the same.
    """
    groups = cache(client.groups_while_writing)
    if any((change.after or {}).get("teams") or (change.before or {}).get("teams") for change in changes):
        with suppress(ControllerError):  # whoever needs them asks again, and ends with the reason
            groups()
    if changes[0].operation is Operation.CREATE:
        return _create_many(client, changes, groups)

    def write(change: Change) -> Outcome:
        _write(client, emptied.get(change.key, change), groups)
        return applied(change)

    emptied = _emptied(client, changes)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda change: ended(change, partial(write, change)), changes))


def _emptied(client: KeycloakWriter, changes: Sequence[Change]) -> dict[str, Change]:
    """Take the addresses that others of these changes wait for; says what these change from then on.

    Where that fails the change says so itself when its turn comes.
    """
    found: dict[str, Change] = {}
    waited_for = passed_on(changes)
    for change in changes:
        before = change.before or {}
        if change.key in waited_for:
            with suppress(ControllerError):
                client.update_user(
                    change.object_id, UserPatch(email=""), still=partial(_still, before=before)
                )
                found[change.key] = replace(change, before=freeze({**before, "email": ""}))
    return found


def _create_many(client: KeycloakWriter, changes: Sequence[Change], groups: Groups) -> list[Outcome]:
    wanted: dict[str, KeycloakUser] = {}
    failed: dict[str, ControllerError] = {}
    for change in changes:
        try:
            wanted[change.key] = _created(change.key, change.after or {}, groups)
        except ControllerError as error:
            failed[change.key] = error
    made = client.create_users(list(wanted.values()))

    def finish(change: Change) -> Outcome:
        error = failed.get(change.key) or made.failed.get(change.key)
        if error is not None:
            raise error
        invite(client, made.ids[change.key], change.after or {})
        return applied(change)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda change: ended(change, partial(finish, change)), changes))


def _by_person(listed: Mapping[str, frozenset[str]]) -> defaultdict[str, set[str]]:
    """By the id of each member, the lists that it is in."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for one, ids in listed.items():
        for user_id in ids:
            found[user_id].add(one)
    return found


def _privileged(
    groups: Sequence[KeycloakGroup], team_ids: Mapping[str, str], managed: frozenset[str]
) -> frozenset[str]:
    """The teams whose members have roles of ours by it, or by a team above it."""
    by_id = {group.id: group for group in groups}
    return frozenset(
        name
        for group_id, name in team_ids.items()
        if any(group.roles & managed for group in lineage(by_id[group_id], by_id))
    )


def _normal(
    seen: KeycloakUser,
    roles: frozenset[str],
    teams: frozenset[str],
    links: Mapping[str, Mapping[str, KeycloakLink]],
) -> User:
    return User(
        owner=seen.owner,
        email=seen.email,
        first_name=seen.first_name,
        last_name=seen.last_name,
        enabled=seen.enabled,
        roles=roles,
        second_factor=seen.totp or _SECOND_FACTOR in seen.required_actions,
        vanished=seen.vanished,
        teams=teams,
        email_verified=seen.email_verified,
        attributes=seen.attributes,
        links=links.get(seen.id, {}),
        invitation=seen.invited,
        object_id=seen.id,
        federated=seen.federated,
    )


def _write(client: KeycloakWriter, change: Change, groups: Groups) -> None:
    before, after = change.before or {}, change.after
    if after is None:
        client.delete_user(change.object_id, still=lambda seen: _still(seen, before))
        return
    joined = {name: _group(name, change, groups) for name in _names(after, "teams") - _names(before, "teams")}
    left = {name: _group(name, change, groups) for name in _names(before, "teams") - _names(after, "teams")}
    live = client.user(change.object_id)
    if not _still(live, before):
        raise Conflict(f"{change.key} is no longer what the plan saw", hint="plan again")
    if before["enabled"] != after["enabled"]:
        # Before disabling, so that a process killed here comes back to it; before enabling, so that no
        # session is revived, whoever disabled the account and however far they came.
        client.end_sessions(change.object_id)
    client.update_user(change.object_id, _patch(live, change), still=lambda seen: _still(seen, before))
    if before["enabled"] and not after["enabled"]:
        client.end_sessions(change.object_id)  # what was opened meanwhile
    _write_edges(client, change, before, after)
    for group in left.values():
        client.leave(change.object_id, group.id)
    for group in joined.values():
        client.join(change.object_id, group.id)
    if "invitation" in change.changed:
        invite(client, change.object_id, after)


def _write_edges(client: KeycloakWriter, change: Change, before: Fields, after: Fields) -> None:
    """Accounts elsewhere and roles; what is taken goes first."""
    had, has = _names(before, "roles"), _names(after, "roles")
    if had - has:
        client.revoke(change.object_id, had - has)
    for name in change.changed:
        value = after.get(name)
        if name.startswith(_LINK) and value is not None:
            client.link(change.object_id, name.removeprefix(_LINK), _link(value))
    if has - had:
        client.grant(change.object_id, has - had)


def _still(seen: KeycloakUser, before: Fields) -> bool:
    """Whether the account is what the plan saw, its edges aside.

    Giving a role that is held, or taking one that is not, alters nothing; so with teams and links.
    """
    asked = User(
        owner="",
        email_verified=False if "email_verified" in before else None,
        attributes=tuple(
            (name.removeprefix(_ATTRIBUTE), ()) for name in before if name.startswith(_ATTRIBUTE)
        ),
        invitation="" if "invitation" in before else None,
    )
    now = freeze(narrowed(_normal(seen, frozenset(), frozenset(), {}), asked).fields())
    edges = {"roles", "teams", *(name for name in before if name.startswith(_LINK))}
    return all(now[name] == value for name, value in before.items() if name not in edges)


def _patch(seen: KeycloakUser, change: Change) -> UserPatch:
    after, changed = change.after or {}, change.changed

    def text(name: str) -> str | None:
        return str(after[name]) if name in changed else None

    marks = {OWNER_ATTRIBUTE: text("owner"), VANISHED_ATTRIBUTE: text("vanished")}
    marks |= {name.removeprefix(_ATTRIBUTE): text(name) for name in changed if name.startswith(_ATTRIBUTE)}
    asks = "second_factor" in changed and bool(after["second_factor"])
    return UserPatch(
        email=text("email"),
        first_name=text("first_name"),
        last_name=text("last_name"),
        enabled=bool(after["enabled"]) if "enabled" in changed else None,
        email_verified=bool(after["email_verified"]) if "email_verified" in changed else None,
        attributes=tuple(
            (name, (value,) if value else ()) for name, value in marks.items() if value is not None
        ),
        required_actions=tuple({*seen.required_actions, _SECOND_FACTOR}) if asks else None,
    )


def _created(name: str, after: Fields, groups: Groups) -> KeycloakUser:
    owner, asked = str(after["owner"]), {_SECOND_FACTOR} if after["second_factor"] else set()
    teams = _names(after, "teams")
    return KeycloakUser(
        username=name,
        email=str(after["email"]),
        first_name=str(after["first_name"]),
        last_name=str(after["last_name"]),
        enabled=bool(after["enabled"]),
        email_verified=bool(after.get("email_verified", False)),
        attributes=_attributes(after),
        required_actions=tuple(sorted(asked | _names(after, "required_actions"))),
        roles=frozenset(_names(after, "roles")),
        groups=frozenset(group_called(team, owner, groups()).path for team in teams),
        links=tuple(
            (key.removeprefix(_LINK), _link(value)) for key, value in after.items() if key.startswith(_LINK)
        ),
    )


def _attributes(after: Fields) -> Attributes:
    named = {
        key.removeprefix(_ATTRIBUTE): str(value)
        for key, value in after.items()
        if key.startswith(_ATTRIBUTE) and value
    }
    due = {INVITED_ATTRIBUTE: DUE} if "invitation" in after else {}
    return attributes_of({**named, **due, OWNER_ATTRIBUTE: str(after["owner"])})


def _link(value: object) -> KeycloakLink:
    return KeycloakLink(str(value["id"]), str(value["name"]))  # type: ignore[index]


def _group(name: str, change: Change, groups: Groups) -> KeycloakGroup:
    return group_called(name, str((change.after or {})["owner"]), groups())


def _names(fields: Fields, name: str) -> set[str]:
    return set(map(str, fields.get(name, ())))  # type: ignore[arg-type]
