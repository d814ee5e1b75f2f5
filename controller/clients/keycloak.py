"""Keycloak as the controller sees it: `KeycloakReader` observes a realm (`keycloak_writer` alters it).

Reading costs requests per page, never per object: pages of `PAGE` are fetched side by side, and who has a
role is learnt from the role's list of members. What was not seen whole raises `Unobserved`.

Every method may raise `Unreachable`, `TransientError`, `NotAllowed` or `ControllerError` (an answer that is
none); writes also `OutcomeUnknown` and `TerminalError`. What else a method raises stands in its docstring.
Source: Keycloak Admin REST API, https://www.keycloak.org/docs-api/latest/rest-api/ .
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from controller.clients.keycloak_administration import AdministrationReader
from controller.clients.keycloak_clients import ClientReader
from controller.clients.keycloak_events import EventReader
from controller.clients.keycloak_providers import ProviderReader
from controller.clients.keycloak_realm import RealmReader
from controller.clients.keycloak_session import PAGE, bound, page_of, path_part
from controller.clients.keycloak_wire import (
    NamedThing,
    RoleAnswer,
    UserAnswer,
    badly_declared,
)
from controller.errors import Unobserved
from controller.keycloak_groups import administering
from controller.keycloak_values import KeycloakRights

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.keycloak_values import KeycloakRole

__all__ = ["KeycloakReader"]


class KeycloakReader(RealmReader, ProviderReader, ClientReader, AdministrationReader, EventReader):
    """Reads one realm; there is nothing in it that writes. Close it, or use it in a `with`."""

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

    def owner_declared(self) -> bool:
        """Whether the user profile declares our attributes, for administrators alone.

        The server drops others without a word, and people could write those that are theirs to edit.
        """
        return not badly_declared(self._read("/users/profile", dict[str, Any]))

    def roles(self, *, expand: Callable[[KeycloakRole], bool]) -> tuple[KeycloakRole, ...]:
        """All realm roles. What a composite role includes costs a request.

        Asked where `expand(role)` is true.
        """
        answers: list[RoleAnswer] = []
        while len(answers) % PAGE == 0:
            page = self._read(
                "/roles", list[RoleAnswer], briefRepresentation="false", **page_of(len(answers))
            )
            if not page:
                break
            answers.extend(page)
        return tuple(self._side_by_side([bound(self._expanded, answer, expand) for answer in answers]))

    def administrators(self) -> frozenset[str]:
        """The ids of everybody who may administer the realm, service accounts included."""
        administration = self.administration(self.roles(expand=lambda _role: False))
        groups = administering(self.groups(), administration)
        holders = self.members(administration.roles).values()
        return administration.users.union(*holders, *self.group_members(groups).values())

    def role(self, name: str) -> KeycloakRole:
        """One realm role by name, with what it includes. Raises `NotThere`."""
        return self._expanded(self._read(f"/roles/{path_part(name)}", RoleAnswer), lambda _: True)

    def _expanded(self, answer: RoleAnswer, expand: Callable[[KeycloakRole], bool]) -> KeycloakRole:
        if not answer.composite:
            return answer.value(frozenset())
        role = answer.value(None)
        if not expand(role):
            return role
        return answer.value(frozenset(one.name for one in self._included(answer.name) if not one.client_role))

    def _rights_looked_up(self, client: str) -> KeycloakRights:
        base = f"admin/realms/{quote(self._access.auth_realm, safe='')}"
        name = self._access.username or f"service-account-{self._access.client_id}"
        found = self._get(f"{base}/users", list[UserAnswer], username=name.lower(), exact="true")
        if len(found) != 1:
            raise Unobserved("keycloak", f"our own account {name} is not among the users", hint="plan again")
        (me,) = found
        mappings = f"{base}/users/{me.id}/role-mappings"
        everywhere = self._get(f"{mappings}/realm/composite", list[NamedThing])
        granted = [
            role.name
            for one in self._get(f"{base}/clients", list[NamedThing], clientId=client)
            for role in self._get(f"{mappings}/clients/{one.id}/composite", list[NamedThing])
        ]
        create_realm = any(role.name == "create-realm" for role in everywhere)
        return KeycloakRights(me.id, me.username, frozenset(granted), create_realm)


def _management_client(auth_realm: str, realm: str) -> str:
    """The client whose roles are the rights over `realm`, seen from the realm of our account."""
    return "realm-management" if auth_realm == realm != "master" else f"{realm}-realm"
