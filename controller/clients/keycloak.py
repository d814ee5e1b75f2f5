"""Keycloak as the controller sees it: `KeycloakReader` observes a realm (`keycloak_writer` alters it).

Reading costs requests per page, never per object: pages of `PAGE` are fetched side by side, and who has a
role is learnt from the role's list of members. What was not seen whole raises `Unobserved`.

Every method may raise `Unreachable`, `TransientError`, `NotAllowed` or `ControllerError` (an answer that is
none); writes also `OutcomeUnknown` and `TerminalError`. What else a method raises stands in its docstring.
Source: Keycloak Admin REST API, https://www.keycloak.org/docs-api/latest/rest-api/ .
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from controller.clients.keycloak_answers import checked, decoded
from controller.clients.keycloak_connection import MAX_CONNECTIONS, KeycloakConnection
from controller.clients.keycloak_wire import (
    EventAnswer,
    NamedThing,
    RealmAnswer,
    RoleAnswer,
    UserAnswer,
    event_of,
)
from controller.errors import NotAllowed, NotThere, Unobserved
from controller.keycloak_values import OUR_ATTRIBUTES, KeycloakRights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Self

    from controller.clients.keycloak_connection import KeycloakAccess
    from controller.keycloak_values import AdminEvent, KeycloakRealm, KeycloakRole, KeycloakUser

__all__ = ["PAGE", "KeycloakReader", "path_part"]

T = TypeVar("T")

PAGE = 1000
"""Objects a page; Keycloak's own default of 100 hides the rest."""


class KeycloakReader:
    """Reads one realm; there is nothing in it that writes. Close it, or use it in a `with`."""

    def __init__(self, access: KeycloakAccess, realm: str) -> None:
        self._access = access
        self._realm = realm
        self._connection = self._connect(access)
        self._base = f"admin/realms/{quote(realm, safe='')}"
        self._threads = ThreadPoolExecutor(MAX_CONNECTIONS, thread_name_prefix="keycloak")

    @staticmethod
    def _connect(access: KeycloakAccess) -> KeycloakConnection:
        return KeycloakConnection(access)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End our session on the server and our threads."""
        self._threads.shutdown()
        self._connection.close()

    @property
    def realm_name(self) -> str:
        """The realm that this client speaks of."""
        return self._realm

    def rights(self) -> KeycloakRights:
        """What our account may do in the realm; no roles where the realm does not exist.

        Raises `NotAllowed` where the access token does not tell (admin-cli's tokens do not) and we may not
        look it up either.
        """
        claims = self._connection.claims()
        client = _management_client(self._access.auth_realm, self._realm)
        if "sub" not in claims:  # a lightweight token
            return self._rights_looked_up(client)
        granted = claims.get("resource_access", {}).get(client, {}).get("roles", [])
        everywhere = claims.get("realm_access", {}).get("roles", [])
        return KeycloakRights(
            user_id=str(claims["sub"]),
            username=str(claims.get("preferred_username", "")),
            roles=frozenset(granted),
            create_realm="create-realm" in everywhere,
        )

    def realm(self) -> KeycloakRealm | None:
        """The realm's settings, None where there is no such realm.

        Raises `NotAllowed` if we see only its name.
        """
        try:
            answer = self._read("", RealmAnswer)
        except NotThere:
            return None
        if not answer.is_whole:
            raise NotAllowed(f"the settings of the realm {self._realm} are hidden from us", hint="view-realm")
        return answer.value()

    def owner_declared(self) -> bool:
        """Whether the user profile declares our attributes; else the server drops them without a word."""
        declared = self._read("/users/profile", dict[str, Any]).get("attributes", [])
        return {attribute.get("name") for attribute in declared} >= OUR_ATTRIBUTES.keys()

    def administrators(self) -> frozenset[str]:
        """The ids of those who hold `realm-admin` directly (in the realm master: `admin`)."""
        if self._realm == "master":
            return self.members(["admin"])["admin"]
        ids: list[str] = []
        for client in self._read("/clients", list[NamedThing], clientId="realm-management"):
            path = f"/clients/{path_part(client.id)}/roles/realm-admin/users"
            while len(ids) % PAGE == 0:
                page = self._read(path, list[NamedThing], briefRepresentation="true", **_page(len(ids)))
                if not page:
                    break
                ids.extend(member.id for member in page)
        return frozenset(ids)

    def count_users(self) -> int:
        """How many users the realm has, service accounts aside."""
        return self._read("/users/count", int)

    def users(self) -> tuple[KeycloakUser, ...]:
        """All users, service accounts aside, in the order of their names; `roles` is empty (see `members`).

        Raises `Unobserved` where the number of users before, while and after reading was not the same.
        """
        before, first = self._side_by_side([self.count_users, lambda: self._user_page(0)])
        rest = self._side_by_side([_bound(self._user_page, start) for start in range(PAGE, before, PAGE)])
        after = self.count_users() if rest else before
        found = {user.id: user for page in (first, *rest) for user in page}
        pages_say = sum(len(page) for page in (first, *rest))
        if not before == after == len(found) == pages_say:
            why = f"{before} users before, {pages_say} read, {len(found)} of them distinct, {after} after"
            raise Unobserved("keycloak", why, hint="somebody was writing: plan again")
        return tuple(found.values())

    def user(self, user_id: str) -> KeycloakUser:
        """One user by id. Raises `NotThere`."""
        return self._read(f"/users/{path_part(user_id)}", UserAnswer).value()

    def find_user(self, username: str) -> KeycloakUser | None:
        """One user by exact name, service accounts included."""
        found = self._read("/users", list[UserAnswer], username=username.lower(), exact="true")
        return found[0].value() if found else None

    def roles(self, *, expand: Callable[[KeycloakRole], bool]) -> tuple[KeycloakRole, ...]:
        """All realm roles. What a composite role includes costs a request.

        Asked where `expand(role)` is true.
        """
        answers: list[RoleAnswer] = []
        while len(answers) % PAGE == 0:
            page = self._read("/roles", list[RoleAnswer], briefRepresentation="false", **_page(len(answers)))
            if not page:
                break
            answers.extend(page)
        return tuple(self._side_by_side([_bound(self._expanded, answer, expand) for answer in answers]))

    def role(self, name: str) -> KeycloakRole:
        """One realm role by name, with what it includes. Raises `NotThere`."""
        return self._expanded(self._read(f"/roles/{path_part(name)}", RoleAnswer), lambda _: True)

    def members(self, roles: Iterable[str]) -> dict[str, frozenset[str]]:
        """The ids of those who have each role directly, service accounts included.

        Nobody has a role that does not exist.

        Raises `Unobserved` where a list changed while it was read.
        """
        names = list(dict.fromkeys(roles))
        first = dict(
            zip(names, self._side_by_side([_bound(self._member_page, n, 0) for n in names]), strict=True)
        )
        full = [name for name in names if len(first[name]) == PAGE]
        limit = self.count_users() if full else 0
        wanted = [(name, start) for name in full for start in range(PAGE, limit + 1, PAGE)]
        pages = self._side_by_side([_bound(self._member_page, *place) for place in wanted])
        found = {name: list(page) for name, page in first.items()}
        for (name, _), page in zip(wanted, pages, strict=True):
            found[name].extend(page)
        return {name: _distinct(name, ids) for name, ids in found.items()}

    def admin_events(self, *, limit: int = 1000) -> tuple[AdminEvent, ...]:
        """The latest writes that the server recorded, newest first.

        None where the realm does not record them.
        """
        return tuple(event_of(e) for e in self._read("/admin-events", list[EventAnswer], **_page(0, limit)))

    def _user_page(self, start: int) -> list[KeycloakUser]:
        page = self._read("/users", list[UserAnswer], briefRepresentation="false", **_page(start))
        return [answer.value() for answer in page]

    def _member_page(self, role: str, start: int) -> list[str]:
        path = f"/roles/{path_part(role)}/users"
        try:
            page = self._read(path, list[NamedThing], briefRepresentation="true", **_page(start))
        except NotThere:
            return []
        return [member.id for member in page]

    def _expanded(self, answer: RoleAnswer, expand: Callable[[KeycloakRole], bool]) -> KeycloakRole:
        if not answer.composite:
            return answer.value(frozenset())
        role = answer.value(None)
        if not expand(role):
            return role
        included = self._read(f"/roles/{path_part(answer.name)}/composites/realm", list[NamedThing])
        return answer.value(frozenset(one.name for one in included))

    def _rights_looked_up(self, client: str) -> KeycloakRights:
        base = f"admin/realms/{quote(self._access.auth_realm, safe='')}"
        name = self._access.username or f"service-account-{self._access.client_id}"
        (me,) = self._get(f"{base}/users", list[UserAnswer], username=name.lower(), exact="true")
        mappings = f"{base}/users/{me.id}/role-mappings"
        everywhere = self._get(f"{mappings}/realm/composite", list[NamedThing])
        granted = [
            role.name
            for found in self._get(f"{base}/clients", list[NamedThing], clientId=client)
            for role in self._get(f"{mappings}/clients/{found.id}/composite", list[NamedThing])
        ]
        create_realm = any(role.name == "create-realm" for role in everywhere)
        return KeycloakRights(me.id, me.username, frozenset(granted), create_realm)

    def _read(self, path: str, kind: type[T], **query: str | int) -> T:
        return self._get(f"{self._base}{path}", kind, **query)

    def _get(self, path: str, kind: type[T], **query: str | int) -> T:
        return decoded(checked(self._connection.raw_get(path, **query)), kind)

    def _side_by_side(self, calls: Sequence[Callable[[], Any]]) -> list[Any]:
        """The results in the order of the calls.

        The first error ends it. Not to be used from inside a call.
        """
        if len(calls) == 1:
            return [calls[0]()]
        return list(self._threads.map(lambda call: call(), calls))


def _bound(call: Callable[..., T], *arguments: Any) -> Callable[[], T]:
    return lambda: call(*arguments)


def _page(start: int, size: int = PAGE) -> dict[str, int]:
    return {"first": start, "max": size}


def path_part(name: str) -> str:
    """A name as one part of a path, whatever characters it has."""
    return quote(name, safe="")


def _distinct(role: str, ids: list[str]) -> frozenset[str]:
    distinct = frozenset(ids)
    if len(distinct) != len(ids):
        raise Unobserved("keycloak", f"the members of {role} changed while they were read", hint="plan again")
    return distinct


def _management_client(auth_realm: str, realm: str) -> str:
    """The client whose roles are the rights over `realm`, seen from the realm of our account."""
    return "realm-management" if auth_realm == realm != "master" else f"{realm}-realm"
