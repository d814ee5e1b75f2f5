"""The admin calls on groups: the tree, its attributes, members and role mappings.

As measured: a search shows the whole way from the top to what it found, unless populateHierarchy is false;
`*` stands for any characters; sub-groups come ten at a time where nobody asks for more; a group that is
moved keeps its name, and nobody looks whether its new siblings have one of that name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lab.keycloak.answers import Created, Refusal, group_answer, user_answer
from lab.keycloak.call import DEFAULT_PAGE
from lab.keycloak.representations import GROUP
from lab.keycloak.shapes import server_error
from lab.keycloak.things import Group

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from lab.keycloak.call import Call
    from lab.keycloak.model import Realm

__all__ = ["ROUTES"]

Json = dict[str, Any]
_SUB_GROUPS = 10
_LONGEST_TEXT = 255
_SEERS = ("view-users", "manage-users")


def list_groups(call: Call) -> list[Json]:
    """GET groups: the top where nobody searches. Who may only query sees none."""
    call.require(*_SEERS, "query-groups")
    if call.rights.isdisjoint(_SEERS):
        return []
    found = _found(call)
    if found is None:
        return [_listed(call, group) for group in call.paged(call.realm.children(""), None)]
    page = call.paged(found, None)
    if not call.is_asked("populateHierarchy", default=True):
        return [_listed(call, group) for group in page]
    return _tree(call, page)


def count_groups(call: Call) -> Json:
    """GET groups/count."""
    call.require(*_SEERS, "query-groups")
    found = _found(call)
    if found is None:
        top = call.is_asked("top")
        found = [one for one in call.realm.groups.values() if not (top and one.parent)]
    return {"count": len(found)}


def create_group(call: Call) -> Created | None:
    """POST groups: a new group at the top, or one that exists moved there."""
    call.require("manage-users")
    return _placed(call, None)


def create_child(call: Call) -> Created | None:
    """POST groups/{id}/children: a new group below this one, or one that exists moved there."""
    parent = call.group()
    call.require("manage-users")
    return _placed(call, parent)


def get_group(call: Call) -> Json:
    """GET groups/{id}."""
    group = call.group()
    call.require(*_SEERS)
    return _counted(call, group_answer(group, call.realm), group)


def get_by_path(call: Call) -> Json:
    """GET group-by-path/{path}."""
    call.require(*_SEERS)
    group = call.realm.group_at(call.names["path"])
    if group is None:
        raise Refusal(404, error="Group path does not exist")
    return _counted(call, group_answer(group, call.realm, bare=True), group)


def list_children(call: Call) -> list[Json]:
    """GET groups/{id}/children; whole ones where nobody asks otherwise."""
    group = call.group()
    call.require(*_SEERS)
    found: Iterable[Group] = call.realm.children(group.id)
    if call.query.get("search"):
        matches = _pattern_of(call.query["search"], is_exact=call.is_asked("exact"))
        found = (one for one in found if matches(one.name))
    return [_listed(call, one, brief=False) for one in call.paged(found, _SUB_GROUPS)]


def update_group(call: Call) -> None:
    """PUT groups/{id}: name and description are replaced, attributes where they are given."""
    group = call.group()
    call.require("manage-users")
    body = call.given(GROUP)
    name = _name(body)
    _check_siblings(call.realm, name, group.parent, group)
    _check_lengths(body)
    group.name, group.description = name, body.get("description", "")
    if "attributes" in body:
        group.attributes = {key: values for key, values in body["attributes"].items() if values}
    call.record("UPDATE", "GROUP", f"groups/{group.id}", of=call.body)


def delete_group(call: Call) -> None:
    """DELETE groups/{id}, with all that are part of it."""
    group = call.group()
    call.require("manage-users")
    call.realm.drop_group(group)
    call.record("DELETE", "GROUP", f"groups/{group.id}")


def members(call: Call) -> list[Json]:
    """GET groups/{id}/members: those who are in it directly, by name."""
    group = call.group()
    call.require(*_SEERS)
    inside = (user for user in call.realm.users.values() if group.id in user.groups)
    found = sorted(inside, key=lambda user: user.username)
    brief = call.is_asked("briefRepresentation")
    page = [user_answer(user, call.realm, brief=brief) for user in call.paged(found, DEFAULT_PAGE)]
    return [{name: value for name, value in user.items() if name != "access"} for user in page]


def role_groups(call: Call) -> list[Json]:
    """GET roles/{name}/groups."""
    role = call.role()
    call.require("view-realm", "manage-realm")
    call.require(*_SEERS)
    found = (one for one in call.realm.groups.values() if role.id in one.roles)
    brief = call.is_asked("briefRepresentation", default=True)
    page = call.paged(sorted(found, key=lambda one: one.name), DEFAULT_PAGE)
    return [group_answer(one, call.realm, brief=brief, bare=True) for one in page]


def user_groups(call: Call) -> list[Json]:
    """GET users/{id}/groups: those that the user is in directly."""
    user = call.user()
    call.require(*_SEERS)
    found = sorted((call.realm.groups[one] for one in user.groups), key=lambda one: one.name)
    if call.query.get("search"):
        part = call.query["search"].lower()
        found = [one for one in found if part in one.name.lower()]
    brief = call.is_asked("briefRepresentation", default=True)
    return [group_answer(one, call.realm, brief=brief, bare=True) for one in call.paged(found, None)]


def count_user_groups(call: Call) -> Json:
    """GET users/{id}/groups/count."""
    user = call.user()
    call.require(*_SEERS)
    return {"count": len(user.groups)}


def join(call: Call) -> None:
    """PUT users/{id}/groups/{group}; who is in it already stays."""
    user = call.user()
    call.require("manage-users")
    group = call.group("Group not found")
    if group.id not in user.groups:
        user.groups.add(group.id)
        _record_membership(call, "CREATE", group)


def leave(call: Call) -> None:
    """DELETE users/{id}/groups/{group}; who is not in it is no error."""
    user = call.user()
    call.require("manage-users")
    group = call.group("Group not found")
    if group.id in user.groups:
        user.groups.discard(group.id)
        _record_membership(call, "DELETE", group)


def _pattern_of(text: str, *, is_exact: bool) -> Callable[[str], bool]:
    """Whether a name is or holds what was searched, with `*` for any characters."""
    if is_exact:
        return lambda name: name == text
    expression = ".*".join(re.escape(part) for part in text.lower().split("*"))
    compiled = re.compile(f".*{expression}.*", re.DOTALL)
    return lambda name: compiled.fullmatch(name.lower()) is not None


def _found(call: Call) -> list[Group] | None:
    """What a search finds at any depth, by name; None where nobody searches."""
    search, query = call.query.get("search", ""), call.query.get("q", "")
    if not search and not query:
        return None
    found: Iterable[Group] = sorted(call.realm.groups.values(), key=lambda one: one.name)
    if search:
        matches = _pattern_of(search, is_exact=call.is_asked("exact"))
        return [one for one in found if matches(one.name)]
    for condition in query.split():
        name, _, value = condition.partition(":")
        found = [one for one in found if value in one.attributes.get(name, ())]
    return list(found)


def _tree(call: Call, found: Collection[Group]) -> list[Json]:
    """The groups with the way to each of them from the top."""
    shown: dict[str, Json] = {}
    tops: list[Json] = []
    for group in found:
        for one in reversed(list(call.realm.lineage(group))):
            if one.id not in shown:
                shown[one.id] = _listed(call, one)
                (shown[one.parent]["subGroups"] if one.parent else tops).append(shown[one.id])
    return sorted(tops, key=lambda one: str(one["name"]))


def _listed(call: Call, group: Group, *, brief: bool = True) -> Json:
    is_brief = call.is_asked("briefRepresentation", default=brief)
    answer = group_answer(group, call.realm, brief=is_brief)
    return _counted(call, answer, group) if call.is_asked("subGroupsCount", default=True) else answer


def _counted(call: Call, answer: Json, group: Group) -> Json:
    count = sum(1 for one in call.realm.groups.values() if one.parent == group.id)
    items = list(answer.items())
    at = list(answer).index("subGroups")
    return dict([*items[:at], ("subGroupCount", count), *items[at:]])


def _placed(call: Call, parent: Group | None) -> Created | None:
    realm, body = call.realm, call.given(GROUP)
    name, path = _name(body), f"groups/{parent.id}/children" if parent else "groups"
    if "id" in body:
        _move(realm, body["id"], parent)
        call.record("UPDATE", "GROUP", path, of=call.body)
        return None
    _check_siblings(realm, name, parent.id if parent else "", None)
    _check_lengths(body)
    group = Group(call.keycloak.new_id(), name, parent.id if parent else "", body.get("description", ""))
    group.attributes = {key: values for key, values in body.get("attributes", {}).items() if values}
    realm.groups[group.id] = group
    shown = {"id": group.id, **call.body, "subGroups": []}
    call.record("CREATE", "GROUP", path if parent else f"groups/{group.id}", of=shown)
    return Created(f"groups/{group.id}", group_answer(group, realm) if parent else None)


def _move(realm: Realm, group_id: str, parent: Group | None) -> None:
    moved = realm.groups.get(group_id)
    if moved is None:
        raise Refusal(404, error="Could not find child by id")
    if moved is parent:
        return
    if parent is not None and moved in realm.lineage(parent):
        raise server_error()
    _check_siblings(realm, moved.name, parent.id if parent else "", moved, moves=True)
    moved.parent = parent.id if parent else ""


def _name(body: Json) -> str:
    name = str(body.get("name", ""))
    if not name.strip():
        raise Refusal(400, errorMessage="Group name is missing")
    return name


def _check_siblings(
    realm: Realm, name: str, parent: str, besides: Group | None, *, moves: bool = False
) -> None:
    if any(one.name == name and one is not besides for one in realm.children(parent)):
        is_new_top = (besides is None or moves) and not parent
        kind = "Top level" if is_new_top else "Sibling"
        raise Refusal(409, errorMessage=f"{kind} group named '{name}' already exists.")


def _check_lengths(body: Json) -> None:
    """The database has no room for more, and the server finds out late."""
    values = [one for values in body.get("attributes", {}).values() for one in values]
    if any(len(text) > _LONGEST_TEXT for text in (body["name"], body.get("description", ""), *values)):
        raise server_error()


def _record_membership(call: Call, operation: str, group: Group) -> None:
    user = call.user()
    path = f"users/{user.id}/groups/{group.id}"
    shown = group_answer(group, call.realm, bare=True)
    call.record(operation, "GROUP_MEMBERSHIP", path, of=shown, username=user.username, email=user.email)


_GROUP, _USER = "/groups/{group}", "/users/{user}/groups"
ROUTES = (
    ("GET", "/groups", list_groups),
    ("POST", "/groups", create_group),
    ("GET", "/groups/count", count_groups),
    ("GET", _GROUP, get_group),
    ("PUT", _GROUP, update_group),
    ("DELETE", _GROUP, delete_group),
    ("GET", f"{_GROUP}/children", list_children),
    ("POST", f"{_GROUP}/children", create_child),
    ("GET", f"{_GROUP}/members", members),
    ("GET", "/group-by-path/{path:.+}", get_by_path),
    ("GET", "/roles/{role}/groups", role_groups),
    ("GET", _USER, user_groups),
    ("GET", f"{_USER}/count", count_user_groups),
    ("PUT", f"{_USER}/{{group}}", join),
    ("DELETE", f"{_USER}/{{group}}", leave),
)
