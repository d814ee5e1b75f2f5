"""Teams as Keycloak stores them: writing one change of a team, or many creations that need no other."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING

from controller.errors import Conflict
from controller.keycloak_groups import MANAGERS_ATTRIBUTE, GroupPatch, KeycloakGroup
from controller.keycloak_values import OWNER_ATTRIBUTE, Attributes, attributes_of
from controller.plan.change import Change, Fields, Operation, Outcome
from controller.resources.writing import applied, ended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from controller.resources.ports import KeycloakWriter

__all__ = ["BATCH", "apply", "create_many", "group_called"]

BATCH = 50
"""Creations that look up their parents together."""


def apply(client: KeycloakWriter, change: Change) -> Outcome:
    """Write one change of a team, where its group is still what the plan has seen."""
    if change.operation is Operation.CREATE:
        return create_many(client, [change])[0]
    return ended(change, lambda: _write(client, change))


def create_many(client: KeycloakWriter, changes: Sequence[Change]) -> Sequence[Outcome]:
    """Create groups whose parents are there; these are looked up once."""
    groups = cache(client.groups_while_writing)

    def create(change: Change) -> Outcome:
        client.create_group(_created(change, groups))
        return applied(change)

    return [ended(change, partial(create, change)) for change in changes]


def group_called(name: str, owner: str, groups: Iterable[KeycloakGroup]) -> KeycloakGroup:
    """The one group of this name with our mark. Raises Conflict for none and for several."""
    found = [group for group in groups if group.name == name and group.owner == owner]
    if len(found) != 1:
        number = "no group" if not found else "more than one group"
        raise Conflict(f"{number} called {name} carries our mark", hint="plan again")
    return found[0]


def _created(change: Change, groups: Callable[[], Iterable[KeycloakGroup]]) -> KeycloakGroup:
    after = change.after or {}
    parent, owner = str(after["parent"]), str(after["owner"])
    return KeycloakGroup(
        name=change.key,
        parent_id=group_called(parent, owner, groups()).id if parent else "",
        description=str(after["description"]),
        attributes=tuple(mark for mark in _marks(after) if mark[1]),
        roles=frozenset(_texts(after, "roles")),
    )


def _write(client: KeycloakWriter, change: Change) -> Outcome:
    before, after = change.before or {}, change.after
    live = client.group(change.object_id)
    parent = client.group(live.parent_id).name if live.parent_id else ""

    def still(seen: KeycloakGroup) -> bool:
        # Roles are edges of their own: granting one that is held, or taking one that is not, alters nothing.
        now = (seen.owner, seen.description, seen.managers, seen.parent_id, parent)
        was = (
            before["owner"],
            before["description"],
            frozenset(_texts(before, "managers")),
            live.parent_id,
            str(before["parent"]).rpartition("/")[2],
        )
        return now == was

    if after is None:
        client.delete_group(change.object_id, still=still)
    else:
        client.update_group(change.object_id, _patch(client, change, before, after), still=still)
    return applied(change)


def _patch(client: KeycloakWriter, change: Change, before: Fields, after: Fields) -> GroupPatch:
    changed = change.changed
    had, has = _texts(before, "roles"), _texts(after, "roles")
    moves = "parent" in changed
    above = str(after["parent"])
    parent = (
        group_called(above, str(after["owner"]), client.groups_while_writing()).id if moves and above else ""
    )
    return GroupPatch(
        description=str(after["description"]) if "description" in changed else None,
        attributes=_marks(after) if {"owner", "managers"} & set(changed) else (),
        granted=frozenset(has - had),
        revoked=frozenset(had - has),
        parent_id=parent if moves else None,
    )


def _marks(after: Fields) -> Attributes:
    """Our attributes; the managers' without values where there are none, which removes it."""
    owner = attributes_of({OWNER_ATTRIBUTE: str(after["owner"])})
    return (*owner, (MANAGERS_ATTRIBUTE, tuple(sorted(_texts(after, "managers")))))


def _texts(fields: Fields, name: str) -> set[str]:
    return set(map(str, fields[name]))  # type: ignore[arg-type]
