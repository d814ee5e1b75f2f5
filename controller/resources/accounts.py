"""Users as Keycloak stores them: reading them into `users.User`, and writing one change or many creations."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from controller.keycloak_values import (
    OWNER_ATTRIBUTE,
    VANISHED_ATTRIBUTE,
    KeycloakUser,
    UserPatch,
    attributes_of,
)
from controller.plan.change import Change, Fields, Operation, Outcome, freeze
from controller.resources.users import SeenUsers, User
from controller.resources.writing import applied, ended

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from controller.keycloak_values import KeycloakRole
    from controller.resources.ports import KeycloakReader, KeycloakWriter
    from controller.resources.resource import Context

__all__ = ["BATCH", "apply", "create_many", "observe"]

BATCH = 500
"""Creations a request: one transaction on the server."""

_SECOND_FACTOR = "CONFIGURE_TOTP"


def observe(client: KeycloakReader, context: Context) -> SeenUsers:
    """All users with the roles that are ours to manage, learnt from each role's members."""
    if client.realm() is None:
        return SeenUsers({}, managed_roles=context.role_names)
    roles = {role.name: role for role in client.roles(expand=lambda _role: False)}
    managed = _managed(roles, context)
    holders: defaultdict[str, set[str]] = defaultdict(set)
    for role, ids in client.members(sorted(managed & roles.keys())).items():
        for user_id in ids:
            holders[user_id].add(role)
    admins = client.administrators()
    seen = client.users()
    users = {user.username: _normal(user, frozenset(holders[user.id])) for user in seen}
    return SeenUsers(users, managed, frozenset(u.username for u in seen if u.id in admins and u.enabled))


def apply(client: KeycloakWriter, change: Change) -> Outcome:
    """Write one change of a user, where the account is still what the plan has seen."""
    if change.operation is Operation.CREATE:
        return create_many(client, [change])[0]
    return ended(change, lambda: _write(client, change))


def create_many(client: KeycloakWriter, changes: Sequence[Change]) -> Sequence[Outcome]:
    """Create users in one transaction; where it fails for some, the others are created all the same."""
    by_name = {change.key: change for change in changes}
    made = client.create_users([_created(change.key, change.after or {}) for change in changes])

    def outcome(name: str, change: Change) -> Outcome:
        def result() -> Outcome:
            if name in made.failed:
                raise made.failed[name]
            return applied(change)

        return ended(change, result)

    return [outcome(name, change) for name, change in by_name.items()]


def _managed(roles: Mapping[str, KeycloakRole], context: Context) -> frozenset[str]:
    """Roles whose members are ours to decide: ours by mark, to be adopted, or not made yet."""
    ours = {name for name, role in roles.items() if role.owner == context.owner}
    adopted = {name for name in context.adopted_roles if name in roles and not roles[name].owner}
    return frozenset(ours | adopted | (context.role_names - roles.keys()))


def _normal(seen: KeycloakUser, roles: frozenset[str]) -> User:
    return User(
        owner=seen.owner,
        email=seen.email,
        first_name=seen.first_name,
        last_name=seen.last_name,
        enabled=seen.enabled,
        roles=roles,
        second_factor=seen.totp or _SECOND_FACTOR in seen.required_actions,
        vanished=seen.vanished,
        object_id=seen.id,
    )


def _write(client: KeycloakWriter, change: Change) -> Outcome:
    before, after = change.before or {}, change.after

    def still(seen: KeycloakUser) -> bool:
        # Roles are edges of their own: granting one that is held, or taking one that is not, alters nothing.
        now = freeze(_normal(seen, frozenset()).fields())
        return all(now[name] == value for name, value in before.items() if name != "roles")

    if after is None:
        client.delete_user(change.object_id, still=still)
        return applied(change)
    client.update_user(change.object_id, _patch(client.user(change.object_id), change), still=still)
    if before["enabled"] and not after["enabled"]:
        client.offboard(change.object_id)
    had, has = _names(before), _names(after)
    if had - has:
        client.revoke(change.object_id, had - has)
    if has - had:
        client.grant(change.object_id, has - had)
    return applied(change)


def _patch(seen: KeycloakUser, change: Change) -> UserPatch:
    after, changed = change.after or {}, change.changed

    def text(name: str) -> str | None:
        return str(after[name]) if name in changed else None

    marks = {OWNER_ATTRIBUTE: text("owner"), VANISHED_ATTRIBUTE: text("vanished")}
    asks = "second_factor" in changed and bool(after["second_factor"])
    return UserPatch(
        email=text("email"),
        first_name=text("first_name"),
        last_name=text("last_name"),
        enabled=bool(after["enabled"]) if "enabled" in changed else None,
        attributes=tuple(
            (name, (value,) if value else ()) for name, value in marks.items() if value is not None
        ),
        required_actions=tuple({*seen.required_actions, _SECOND_FACTOR}) if asks else None,
    )


def _created(name: str, after: Fields) -> KeycloakUser:
    return KeycloakUser(
        username=name,
        email=str(after["email"]),
        first_name=str(after["first_name"]),
        last_name=str(after["last_name"]),
        enabled=bool(after["enabled"]),
        attributes=attributes_of({OWNER_ATTRIBUTE: str(after["owner"])}),
        required_actions=(_SECOND_FACTOR,) if after["second_factor"] else (),
        roles=frozenset(_names(after)),
    )


def _names(fields: Fields) -> set[str]:
    return set(map(str, fields["roles"]))  # type: ignore[arg-type]
