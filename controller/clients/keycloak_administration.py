"""Who may administer a realm, by whichever way: held directly, by a group, or by a role that includes it.

It costs a request for each composite role: no list of Keycloak's tells what roles include. Every method may
raise what `keycloak` says of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from controller.clients.keycloak_groups import GroupReader
from controller.clients.keycloak_people import PeopleReader
from controller.clients.keycloak_session import PAGE, bound, page_of, path_part
from controller.clients.keycloak_wire import NamedThing
from controller.errors import NotThere
from controller.keycloak_values import KeycloakAdministration

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from controller.keycloak_values import KeycloakRole

__all__ = ["AdministrationReader", "Included"]

_RIGHT = "realm-admin"
_MASTER = "master"
_RIGHT_IN_MASTER = "admin"


class Included(msgspec.Struct, frozen=True, rename="camel"):
    """A role of the realm or of a client that another role is made of."""

    name: str
    client_role: bool = False
    container_id: str = ""


class AdministrationReader(PeopleReader, GroupReader):
    """Reads who administers one realm."""

    def administration(self, roles: Collection[KeycloakRole]) -> KeycloakAdministration:
        """What makes somebody an administrator; `roles` are the realm's, read just before."""
        composite = [role.name for role in roles if role.includes is None or role.includes]
        included = dict(
            zip(
                composite,
                self._side_by_side([bound(self._included_while_there, one) for one in composite]),
                strict=True,
            )
        )
        realm_roles = {
            name: frozenset(one.name for one in parts if not one.client_role)
            for name, parts in included.items()
        }
        if self._realm == _MASTER:
            return KeycloakAdministration(
                roles=_including({_RIGHT_IN_MASTER}, realm_roles), includes=realm_roles
            )
        management = [one.id for one in self._read("/clients", list[NamedThing], clientId="realm-management")]
        direct = {
            name
            for name, parts in included.items()
            if any(one.client_role and one.name == _RIGHT and one.container_id in management for one in parts)
        }
        return KeycloakAdministration(
            users=self._holders(management, "users"),
            groups=self._holders(management, "groups"),
            roles=_including(direct, realm_roles),
            includes=realm_roles,
        )

    def _included(self, role: str) -> list[Included]:
        """The roles of realm and clients that this one is made of. Raises `NotThere`."""
        return self._read(f"/roles/{path_part(role)}/composites", list[Included])

    def _included_while_there(self, role: str) -> list[Included]:
        try:
            return self._included(role)
        except NotThere:
            return []

    def _holders(self, clients: Collection[str], kind: str) -> frozenset[str]:
        """The ids of those who hold the right of these clients directly; `kind` is `users` or `groups`."""
        ids: list[str] = []
        for client in clients:
            path = f"/clients/{path_part(client)}/roles/{_RIGHT}/{kind}"
            while len(ids) % PAGE == 0:
                page = self._read(path, list[NamedThing], briefRepresentation="true", **page_of(len(ids)))
                if not page:
                    break
                ids.extend(one.id for one in page)
        return frozenset(ids)


def _including(found: Collection[str], includes: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """These roles, and every role that includes one of them at any depth."""
    reached: frozenset[str] = frozenset()
    grown = frozenset(found)
    while grown != reached:
        reached = grown
        grown = reached | {name for name, parts in includes.items() if parts & reached}
    return reached
