"""The bulk import: users, groups and roles, all or none.

Unlike POST users it checks neither length nor e-mail, gives no default role and no default required action,
keeps required actions that nobody knows, and makes up roles that do not exist. A doubled e-mail is told as a
doubled user name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lab.keycloak.answers import Refusal
from lab.keycloak.representations import GROUP, ROLE, USER
from lab.keycloak.shapes import server_error, shaped
from lab.keycloak.things import Group, User
from lab.keycloak.users import filled, known_groups

if TYPE_CHECKING:
    from lab.keycloak.call import Call
    from lab.keycloak.things import Role

__all__ = ["ROUTES"]

Json = dict[str, Any]


@dataclass
class _Import:
    """What came of one request so far; nothing of it is the realm's until the end."""

    results: list[Json] = field(default_factory=list)
    roles: list[Json] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    users: list[tuple[Json, User]] = field(default_factory=list)


def partial_import(call: Call) -> Json:
    """POST partialImport."""
    call.require("manage-realm")
    policy = call.body.get("ifResourceExists", "FAIL")
    if policy == "OVERWRITE":
        raise Refusal(501, error="the lab overwrites nothing: nobody should")
    work = _Import()
    for body in (call.body.get("roles") or {}).get("realm") or ():
        _role(call, work, shaped(ROLE, body, call.text), policy)
    for body in call.body.get("groups") or ():
        _group(call, work, shaped(GROUP, body, call.text), policy)
    for body in call.body.get("users") or ():
        _user(call, work, _readable(call, body), policy)
    _refuse_twins(work)
    _commit(call, work)
    added = [one for one in work.results if one["action"] == "ADDED"]
    skipped = len(work.results) - len(added)
    return {"overwritten": 0, "added": len(added), "skipped": skipped, "results": work.results}


def _readable(call: Call, body: Json) -> Json:
    try:
        return shaped(USER, body, call.text)
    except Refusal as refusal:
        text = "Cannot parse the JSON"
        raise Refusal(500, error="unknown_error", error_description=text) from refusal


def _role(call: Call, work: _Import, body: Json, policy: str) -> None:
    name = body.get("name", "")
    there = call.realm.roles.get(name)
    if there is None:
        work.roles.append(body)
    elif policy == "SKIP":
        work.results.append(_result("SKIPPED", "REALM_ROLE", name, there.id))
    else:
        raise Refusal(409, errorMessage=f"Realm role '{name}' already exists.")


def _group(call: Call, work: _Import, body: Json, policy: str) -> None:
    """A group names its path; where it does not, the server finds out too late that the name is in use."""
    name = body.get("name", "")
    there = next((one for one in call.realm.children("") if one.name == name), None)
    if "path" not in body:
        if there is not None:
            raise Refusal(409, errorMessage="Duplicate resource error")
        raise server_error()
    if there is not None and policy == "SKIP":
        work.results.append(_result("SKIPPED", "GROUP", name, there.id))
    elif there is not None:
        raise Refusal(409, errorMessage=f"Group '{body['path']}' already exists")
    else:
        group = Group(call.keycloak.new_id(), name, "", body.get("description", ""))
        group.attributes = body.get("attributes", {})
        work.groups.append(group)


def _user(call: Call, work: _Import, body: Json, policy: str) -> None:
    given, realm = body.get("username", ""), call.realm
    if not given:
        raise server_error()
    email = body.get("email", "").lower() or None
    there = realm.names.get(given.lower()) or realm.emails.get(email or "")
    if there is not None and policy == "SKIP":
        work.results.append(_result("SKIPPED", "USER", given, there))
        return
    if there is not None:
        raise Refusal(409, errorMessage=f"User with user name {given} already exists.")
    user = filled(User(call.keycloak.new_id(), given.lower(), call.keycloak.now_ms(), email), body)
    user.attributes = realm.declared(body.get("attributes", {}))
    user.required_actions = sorted(set(body.get("requiredActions", ())))
    user.groups = known_groups(realm, body.get("groups", ()))
    links = {one.get("identityProvider"): one for one in body.get("federatedIdentities", ())}
    user.links = {alias: dict(one) for alias, one in links.items() if alias in realm.providers}
    work.users.append((body, user))


def _refuse_twins(work: _Import) -> None:
    names = [user.username for _, user in work.users]
    emails = [user.email for _, user in work.users if user.email]
    if len(set(names)) < len(names) or len(set(emails)) < len(emails):
        raise Refusal(409, errorMessage="Duplicate resource error")


def _commit(call: Call, work: _Import) -> None:
    realm = call.realm
    for body in work.roles:
        role = call.keycloak.new_role(realm, body["name"], body.get("description", ""))
        role.attributes = body.get("attributes", {})
        _note(call, work, "REALM_ROLE", role.name, role.id, "realms")
    for group in work.groups:
        realm.groups[group.id] = group
        _note(call, work, "GROUP", group.name, group.id, "groups")
    for body, user in work.users:
        for name in body.get("realmRoles", ()):
            user.roles.add(_role_named(call, name).id)
        realm.add_user(user)
        _note(call, work, "USER", body["username"], user.id, "users")


def _role_named(call: Call, name: str) -> Role:
    return call.realm.roles.get(name) or call.keycloak.new_role(call.realm, name)


def _note(call: Call, work: _Import, kind: str, name: str, identity: str, path: str) -> None:
    call.record(
        "CREATE",
        "REALM",
        f"{path}/{identity}",
        of={"id": identity, "username" if kind == "USER" else "name": name},
    )
    work.results.append(_result("ADDED", kind, name, identity))


def _result(action: str, kind: str, name: str, identity: str) -> Json:
    return {"action": action, "resourceType": kind, "resourceName": name, "id": identity}


ROUTES = (("POST", "/partialImport", partial_import),)
