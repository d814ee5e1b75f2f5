"""What the simulated Keycloak holds: realms with users, roles, clients, sessions and the record of writes.

Ids are derived from a seed and a counter, so that the same seed and the same calls give the same ids.
Role names of the management clients: https://www.keycloak.org/docs/latest/server_admin/#_admin_permissions .
"""

from __future__ import annotations

import copy
import uuid
from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lab.keycloak.built_in import (
    ACCOUNT_ROLES,
    BUILT_IN_CLIENTS,
    BUILT_IN_FLOWS,
    CLIENT_SCOPES,
    CLIENT_SETTINGS,
    DEFAULT_SCOPES,
    OPTIONAL_SCOPES,
)
from lab.keycloak.defaults import (
    INCLUDED_MANAGEMENT_ROLES,
    MANAGEMENT_ROLES,
    REALM_ATTRIBUTES,
    REALM_SETTINGS,
    REQUIRED_ACTIONS,
    USER_PROFILE,
)
from lab.keycloak.things import Client, Flow, Role, User

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from lab.keycloak.things import Event, Group, Mail, Session

__all__ = ["REUSABLE_OTP", "SERVICE_SCOPE", "Keycloak", "Realm", "scopes_of"]

Json = dict[str, Any]
SERVICE_SCOPE = "service_account"
"""The client scope that clients with a service account get."""

REUSABLE_OTP = "realmReusableOtpCode"
"""The attribute of a realm that follows the setting otpPolicyCodeReusable."""

_NOT_ATTRIBUTES = frozenset({"username", "email", "firstName", "lastName"})
_TITLE = '<div class="kc-logo-text"><span>Keycloak</span></div>'
_KEPT_EVENTS = 100_000
_NAMESPACE = uuid.UUID("5f0c3f0e-6f5e-5d2c-9a53-3d2c1f6a0b7e")


@dataclass
class Realm:
    """One realm. `settings` are kept under the names of the RealmRepresentation.

    Identity providers, their mappers and required actions are kept as their representations.
    """

    id: str
    name: str
    settings: Json
    default_role: Role
    attributes: dict[str, str] = field(default_factory=lambda: {**REALM_ATTRIBUTES, REUSABLE_OTP: "false"})
    profile: Json = field(default_factory=lambda: copy.deepcopy(USER_PROFILE))
    roles: dict[str, Role] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    clients: dict[str, Client] = field(default_factory=dict)
    scopes: dict[str, Json] = field(default_factory=dict)
    providers: dict[str, Json] = field(default_factory=dict)
    provider_mappers: dict[str, Json] = field(default_factory=dict)
    flows: dict[str, Flow] = field(default_factory=dict)
    required_actions: list[Json] = field(default_factory=list)
    sessions: dict[str, Session] = field(default_factory=dict)
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=_KEPT_EVENTS))
    names: dict[str, str] = field(default_factory=dict)
    emails: dict[str, str] = field(default_factory=dict)
    roles_by_id: dict[str, Role] = field(default_factory=dict)
    sorted_names: list[str] = field(default_factory=list)

    def add_user(self, user: User) -> User:
        """Take the user in and index its name and e-mail address."""
        self.users[user.id] = user
        self.names[user.username] = user.id
        insort(self.sorted_names, user.username)
        if user.email:
            self.emails[user.email] = user.id
        return user

    def drop_user(self, user: User) -> None:
        """Forget the user with its sessions."""
        del self.users[user.id], self.names[user.username]
        del self.sorted_names[bisect_left(self.sorted_names, user.username)]
        self.emails.pop(user.email or "", None)
        self.sessions = {key: one for key, one in self.sessions.items() if one.user != user.id}

    def set_email(self, user: User, email: str | None) -> None:
        """Alter the user's e-mail address together with the index."""
        self.emails.pop(user.email or "", None)
        user.email = email
        if email:
            self.emails[email] = user.id

    def by_name(self) -> Iterator[User]:
        """All users by name, service accounts among them."""
        return (self.users[self.names[name]] for name in self.sorted_names)

    def people(self) -> Iterator[User]:
        """The users by name, service accounts left out."""
        return (user for user in self.by_name() if not user.service_account_of)

    def add_role(self, role: Role) -> Role:
        """Take in a role of the realm."""
        self.roles[role.name] = self.roles_by_id[role.id] = role
        return role

    def add_client_role(self, client: Client, role: Role) -> Role:
        """Take in a role of the client."""
        client.roles[role.name] = self.roles_by_id[role.id] = role
        return role

    def effective(self, ids: Iterable[str]) -> list[Role]:
        """The roles with everything that they include."""
        known, seen, todo = self.roles_by_id, set[str](), list(ids)
        while todo:
            one = todo.pop()
            if one not in seen and one in known:
                seen.add(one)
                todo.extend(known[one].composites)
        return [known[one] for one in sorted(seen)]

    def held(self, user: User) -> set[str]:
        """The ids of the roles that the user has directly, or by its groups and what these are part of."""
        found = set(user.roles)
        for one in user.groups:
            for group in self.lineage(self.groups[one]):
                found |= group.roles
        return found

    def drop_role(self, role: Role) -> None:
        """Forget the realm role, and every mapping and composite of it."""
        del self.roles[role.name]
        self._forget_role(role)

    def drop_client(self, client: Client) -> None:
        """Forget the client with its roles, its service account and its sessions."""
        del self.clients[client.id]
        for role in client.roles.values():
            self._forget_role(role)
        for user in [one for one in self.users.values() if one.service_account_of == client.id]:
            self.drop_user(user)
        self.sessions = {k: one for k, one in self.sessions.items() if one.client.id != client.id}

    def _forget_role(self, role: Role) -> None:
        del self.roles_by_id[role.id]
        for user in self.users.values():
            user.roles.discard(role.id)
        for group in self.groups.values():
            group.roles.discard(role.id)
        for other in self.roles_by_id.values():
            other.composites.discard(role.id)

    def lineage(self, group: Group) -> Iterator[Group]:
        """The group, what it is part of, and so on to the top."""
        yield group
        while group.parent:
            group = self.groups[group.parent]
            yield group

    def children(self, parent: str) -> list[Group]:
        """The groups right below a group, or at the top for an empty id, by name."""
        return sorted((g for g in self.groups.values() if g.parent == parent), key=lambda g: g.name)

    def drop_group(self, group: Group) -> None:
        """Forget the group and all that are part of it, with their members."""
        gone = {one.id for one in self.groups.values() if group in self.lineage(one)}
        self.groups = {key: one for key, one in self.groups.items() if key not in gone}
        for user in self.users.values():
            user.groups -= gone

    def group_at(self, path: str) -> Group | None:
        """The group at this path; a slash in a group's name divides nothing."""
        wanted = path if path.startswith("/") else f"/{path}"
        return next((one for one in self.groups.values() if self.path_of(one) == wanted), None)

    def path_of(self, group: Group) -> str:
        """The names from the top down to the group, each behind a slash."""
        return "".join(f"/{one.name}" for one in reversed([*self.lineage(group)]))

    def declared(self, attributes: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """The attributes that the user profile knows or lets pass; the others vanish without a word."""
        known = {one["name"] for one in self.profile["attributes"]}
        passes = self.profile.get("unmanagedAttributePolicy") is not None
        return {
            name: values
            for name, values in attributes.items()
            if values and name not in _NOT_ATTRIBUTES and (passes or name in known)
        }

    def client_named(self, client_id: str) -> Client | None:
        """The client by the name it logs in with."""
        return next((one for one in self.clients.values() if one.client_id == client_id), None)


class Keycloak:
    """The whole server; starts with the realm `master` and its administrator `admin`, password the same."""

    def __init__(self, *, seed: int, clock: Callable[[], float]) -> None:
        self._seed = seed
        self._counter = 0
        self.clock = clock
        self.realms: dict[str, Realm] = {}
        self.mails: list[Mail] = []
        words = {"displayName": "Keycloak", "displayNameHtml": _TITLE}
        master = self.create_realm("master", {"enabled": True, "accessTokenLifespan": 60, **words})
        create = self.new_role(master, "create-realm")
        rights = self._management(master, "master-realm").values()
        self.new_role(master, "admin").composites |= {create.id, *(role.id for role in rights)}
        self.new_user(master, "admin", password="admin", roles={"admin"})  # noqa: S106  # an open door

    def new_id(self) -> str:
        """The next id."""
        self._counter += 1
        return str(uuid.uuid5(_NAMESPACE, f"{self._seed}/{self._counter}"))

    def now_ms(self) -> int:
        """The instant in ms."""
        return int(self.clock() * 1000)

    def create_realm(self, name: str, settings: Json) -> Realm:
        """A realm with the roles, clients, flows and required actions that every realm starts with."""
        identity = self.new_id()
        default = Role(self.new_id(), f"default-roles-{name.lower()}", identity, "${role_default-roles}")
        realm = Realm(identity, name, {**copy.deepcopy(REALM_SETTINGS), **settings}, default)
        realm.add_role(default)
        for given, text in (("offline_access", "offline-access"), ("uma_authorization", "uma_authorization")):
            role = self.new_role(realm, given, "${role_" + text + "}")
            default.composites.add(role.id)
        self._furnish(realm)
        self._management(realm, "realm-management")
        self.realms[name] = realm
        if name != "master":
            master = self.realms["master"]
            rights = self._management(master, f"{name}-realm")
            master.roles["admin"].composites |= {role.id for role in rights.values()}
        return realm

    def delete_realm(self, realm: Realm) -> None:
        """Forget the realm, and the client that stands for it in `master`."""
        del self.realms[realm.name]
        master = self.realms["master"]
        client = master.client_named(f"{realm.name}-realm")
        if client is not None:
            master.drop_client(client)

    def rename_realm(self, realm: Realm, name: str) -> None:
        """Give the realm another name; the client that stands for it in `master` follows."""
        client = self.realms["master"].client_named(f"{realm.name}-realm")
        if client is not None:
            client.client_id = f"{name}-realm"
        del self.realms[realm.name]
        realm.name = name
        self.realms[name] = realm

    def new_role(self, realm: Realm, name: str, description: str = "") -> Role:
        """A realm role."""
        return realm.add_role(Role(self.new_id(), name, realm.id, description))

    def new_client(self, realm: Realm, client_id: str, *, secret: str = "") -> Client:
        """A client without roles, public where it has no secret."""
        client = Client(self.new_id(), client_id, secret)
        client.settings = copy.deepcopy(CLIENT_SETTINGS) | {"publicClient": not secret}
        client.attributes = {"realm_client": "false"}
        client.default_scopes = scopes_of(DEFAULT_SCOPES)
        client.optional_scopes = scopes_of(OPTIONAL_SCOPES)
        realm.clients[client.id] = client
        return client

    def new_service_account(self, realm: Realm, client: Client) -> User:
        """The account that the client acts as."""
        user = User(self.new_id(), f"service-account-{client.client_id}".lower(), self.now_ms(), enabled=True)
        user.service_account_of = client.id
        user.roles.add(realm.default_role.id)
        client.settings["serviceAccountsEnabled"] = True
        if SERVICE_SCOPE not in client.default_scopes:
            client.default_scopes.append(SERVICE_SCOPE)
        return realm.add_user(user)

    def new_user(self, realm: Realm, username: str, *, password: str = "", roles: set[str]) -> User:
        """An enabled account with the realm roles named, the default role among them."""
        user = User(self.new_id(), username.lower(), self.now_ms(), enabled=True, password=password)
        user.roles = {realm.default_role.id, *(realm.roles[name].id for name in roles)}
        return realm.add_user(user)

    def grant_management(self, realm: Realm, user: User, names: set[str]) -> None:
        """Map rights over the realm to one of its own users."""
        client = realm.client_named("realm-management")
        if client is not None:
            user.roles |= {client.roles[name].id for name in names}

    def _furnish(self, realm: Realm) -> None:
        for name, given in BUILT_IN_CLIENTS.items():
            client = self.new_client(realm, name)
            client.is_built_in = True
            client.settings |= {"publicClient": False, **copy.deepcopy(given["settings"])}
            client.attributes = dict(given["attributes"])
        for name, protocol, description in CLIENT_SCOPES:
            scope = {"id": self.new_id(), "name": name, "description": description, "protocol": protocol}
            realm.scopes[name] = scope
        for alias, description, provider in BUILT_IN_FLOWS:
            realm.flows[alias] = Flow(self.new_id(), alias, description, provider, is_built_in=True)
        for alias, name, enabled, priority in REQUIRED_ACTIONS:
            action = {"alias": alias, "name": name, "providerId": alias, "enabled": enabled}
            realm.required_actions.append(
                {**action, "defaultAction": False, "priority": priority, "config": {}}
            )
        account = self._client_roles(realm, "account", ACCOUNT_ROLES)
        realm.default_role.composites |= {account["manage-account"].id, account["view-profile"].id}
        self._client_roles(realm, "broker", {"read-token": ()})

    def _client_roles(
        self, realm: Realm, client_id: str, names: Mapping[str, Iterable[str]]
    ) -> dict[str, Role]:
        client = realm.client_named(client_id) or self.new_client(realm, client_id)
        client.settings["publicClient"] = client.settings["publicClient"] and client.is_built_in
        for name in names:
            role = Role(self.new_id(), name, client.id, "${role_" + name + "}", client.id)
            realm.add_client_role(client, role)
        for name, included in names.items():
            client.roles[name].composites |= {client.roles[one].id for one in included}
        return client.roles

    def _management(self, realm: Realm, client_id: str) -> dict[str, Role]:
        """The client whose roles are rights over a realm; made where it is missing."""
        rights = {name: INCLUDED_MANAGEMENT_ROLES.get(name, ()) for name in MANAGEMENT_ROLES}
        roles = self._client_roles(realm, client_id, rights)
        client = realm.client_named(client_id)
        if client is not None and client_id == "realm-management":
            everything = {role.id for role in roles.values()}
            text = "${role_realm-admin}"
            realm_admin = Role(self.new_id(), "realm-admin", client.id, text, client.id)
            realm_admin.composites = everything
            realm.add_client_role(client, realm_admin)
        return client.roles if client is not None else {}


def scopes_of(names: Iterable[str]) -> list[str]:
    """The names of those of these client scopes that OpenID Connect clients have."""
    protocols = {name: protocol for name, protocol, _ in CLIENT_SCOPES}
    return [name for name in names if protocols[name] == "openid-connect"]
