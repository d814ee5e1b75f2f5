"""What the simulated Keycloak holds: realms with users, roles, clients, sessions and the record of writes.

Ids are derived from a seed and a counter, so that the same seed and the same calls give the same ids.
Role names of the management clients: https://www.keycloak.org/docs/latest/server_admin/#_admin_permissions .
"""

from __future__ import annotations

import copy
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lab.keycloak.defaults import (
    INCLUDED_MANAGEMENT_ROLES,
    MANAGEMENT_ROLES,
    REALM_ATTRIBUTES,
    REALM_SETTINGS,
    USER_PROFILE,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Client", "Event", "Keycloak", "Realm", "Role", "Session", "User"]

_KEPT_EVENTS = 100_000
_NAMESPACE = uuid.UUID("5f0c3f0e-6f5e-5d2c-9a53-3d2c1f6a0b7e")


@dataclass
class Role:
    """A role of a realm, or of a client where `client` is that client's id."""

    id: str
    name: str
    container: str
    description: str = ""
    client: str = ""
    attributes: dict[str, list[str]] = field(default_factory=dict)
    composites: set[str] = field(default_factory=set)


@dataclass
class User:
    """An account; `roles` are ids of realm and client roles mapped to it directly."""

    id: str
    username: str
    created_ms: int
    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    enabled: bool = False
    email_verified: bool = False
    attributes: dict[str, list[str]] = field(default_factory=dict)
    required_actions: list[str] = field(default_factory=list)
    roles: set[str] = field(default_factory=set)
    password: str = ""
    has_otp: bool = False
    not_before: int = 0
    service_account_of: str = ""


@dataclass
class Client:
    """A client of a realm, with roles of its own by name."""

    id: str
    client_id: str
    secret: str = ""
    is_lightweight: bool = False
    roles: dict[str, Role] = field(default_factory=dict)


@dataclass
class Session:
    """A login; an offline one outlives everything but its revocation."""

    id: str
    user: str
    client: Client
    started: int
    is_offline: bool = False


@dataclass(frozen=True)
class Event:
    """A write that an administrator made."""

    id: str
    time_ms: int
    operation: str
    resource_type: str
    resource_path: str
    actor_realm: str
    actor: str


@dataclass
class Realm:
    """One realm. `settings` are kept under the names of the RealmRepresentation."""

    id: str
    name: str
    settings: dict[str, Any]
    default_role: Role
    attributes: dict[str, str] = field(default_factory=lambda: dict(REALM_ATTRIBUTES))
    profile: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(USER_PROFILE))
    roles: dict[str, Role] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    clients: dict[str, Client] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=_KEPT_EVENTS))
    names: dict[str, str] = field(default_factory=dict)
    emails: dict[str, str] = field(default_factory=dict)

    def add_user(self, user: User) -> User:
        """Take the user in and index its name and e-mail address."""
        self.users[user.id] = user
        self.names[user.username] = user.id
        if user.email:
            self.emails[user.email] = user.id
        return user

    def drop_user(self, user: User) -> None:
        """Forget the user with its sessions."""
        del self.users[user.id], self.names[user.username]
        self.emails.pop(user.email or "", None)
        self.sessions = {key: one for key, one in self.sessions.items() if one.user != user.id}

    def set_email(self, user: User, email: str | None) -> None:
        """Alter the user's e-mail address together with the index."""
        self.emails.pop(user.email or "", None)
        user.email = email
        if email:
            self.emails[email] = user.id

    def people(self) -> Iterator[User]:
        """The users by name, service accounts left out."""
        for name in sorted(self.names):
            user = self.users[self.names[name]]
            if not user.service_account_of:
                yield user

    def all_roles(self) -> dict[str, Role]:
        """Every role by id, those of the clients among them."""
        found = {role.id: role for role in self.roles.values()}
        for client in self.clients.values():
            found.update((role.id, role) for role in client.roles.values())
        return found

    def effective(self, ids: set[str]) -> list[Role]:
        """The roles with everything that they include."""
        known, seen, todo = self.all_roles(), set[str](), list(ids)
        while todo:
            one = todo.pop()
            if one not in seen and one in known:
                seen.add(one)
                todo.extend(known[one].composites)
        return [known[one] for one in sorted(seen)]

    def drop_role(self, role: Role) -> None:
        """Forget the realm role, and every mapping and composite of it."""
        del self.roles[role.name]
        for user in self.users.values():
            user.roles.discard(role.id)
        for other in self.all_roles().values():
            other.composites.discard(role.id)

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
        master = self.create_realm("master", {"enabled": True, "accessTokenLifespan": 60})
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

    def create_realm(self, name: str, settings: dict[str, Any]) -> Realm:
        """A realm with the roles and clients that every realm starts with."""
        identity = self.new_id()
        default = Role(self.new_id(), f"default-roles-{name.lower()}", identity, "${role_default-roles}")
        realm = Realm(identity, name, REALM_SETTINGS | settings, default)
        realm.roles[default.name] = default
        for given, text in (("offline_access", "offline-access"), ("uma_authorization", "uma_authorization")):
            role = self.new_role(realm, given, "${role_" + text + "}")
            default.composites.add(role.id)
        self.new_client(realm, "admin-cli", is_lightweight=True)
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
            del master.clients[client.id]

    def new_role(self, realm: Realm, name: str, description: str = "") -> Role:
        """A realm role."""
        role = realm.roles[name] = Role(self.new_id(), name, realm.id, description)
        return role

    def new_client(
        self, realm: Realm, client_id: str, *, secret: str = "", is_lightweight: bool = False
    ) -> Client:
        """A client without roles."""
        client = Client(self.new_id(), client_id, secret, is_lightweight)
        realm.clients[client.id] = client
        return client

    def new_service_account(self, realm: Realm, client: Client) -> User:
        """The account that the client acts as."""
        user = User(self.new_id(), f"service-account-{client.client_id}".lower(), self.now_ms(), enabled=True)
        user.service_account_of = client.id
        user.roles.add(realm.default_role.id)
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

    def _management(self, realm: Realm, client_id: str) -> dict[str, Role]:
        """The client whose roles are rights over a realm; made where it is missing."""
        client = realm.client_named(client_id) or self.new_client(realm, client_id)
        for name in () if client.roles else MANAGEMENT_ROLES:
            client.roles[name] = Role(self.new_id(), name, client.id, "${role_" + name + "}", client.id)
        for name, included in INCLUDED_MANAGEMENT_ROLES.items():
            client.roles[name].composites |= {client.roles[one].id for one in included}
        if client_id == "realm-management" and "realm-admin" not in client.roles:
            everything = {role.id for role in client.roles.values()}
            realm_admin = Role(self.new_id(), "realm-admin", client.id, "${role_realm-admin}", client.id)
            realm_admin.composites = everything
            client.roles["realm-admin"] = realm_admin
        return client.roles
