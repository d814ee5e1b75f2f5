"""Keycloak's JSON of groups, links to identity providers and the user profile; see `keycloak_wire`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from controller.keycloak_groups import KeycloakGroup, KeycloakLink
from controller.keycloak_values import attributes_of

if TYPE_CHECKING:
    from controller.clients.keycloak_wire import Json
    from controller.keycloak_groups import GroupPatch

__all__ = ["GroupAnswer", "LinkAnswer", "NamedProvider", "ProfileAnswer", "merged_group", "new_group"]


class GroupAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """GroupRepresentation, as lists and single reads give it with briefRepresentation=false."""

    id: str
    name: str
    path: str
    parent_id: str = ""
    description: str | None = None
    attributes: dict[str, list[str]] | None = None
    realm_roles: list[str] | None = None

    def value(self) -> KeycloakGroup:
        """The group in normal form."""
        return KeycloakGroup(
            name=self.name,
            id=self.id,
            path=self.path,
            parent_id=self.parent_id,
            description=self.description or "",
            attributes=attributes_of(self.attributes or {}),
            roles=frozenset(self.realm_roles or ()),
        )


class LinkAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """FederatedIdentityRepresentation."""

    identity_provider: str
    user_id: str
    user_name: str | None = None

    def value(self) -> KeycloakLink:
        """The link in normal form."""
        return KeycloakLink(self.user_id, self.user_name or "")


class NamedProvider(msgspec.Struct, frozen=True):
    """IdentityProviderRepresentation, as far as it says that there is one."""

    alias: str


class _Declared(msgspec.Struct, frozen=True):
    name: str


class ProfileAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """UPConfig: the user profile of a realm."""

    attributes: list[_Declared]
    unmanaged_attribute_policy: str = ""


def new_group(group: KeycloakGroup) -> Json:
    """The group as it is created; roles are mapped afterwards, the server ignores them here."""
    attributes = {name: list(values) for name, values in group.attributes}
    return {"name": group.name, "description": group.description, "attributes": attributes}


def merged_group(current: Json, patch: GroupPatch) -> Json:
    """What the server holds, with the patch laid over it: PUT forgets a description that is not given."""
    attributes: dict[str, list[str]] = dict(current.get("attributes") or {})
    for name, values in patch.attributes:
        if values:
            attributes[name] = list(values)
        else:
            attributes.pop(name, None)
    description = current.get("description") if patch.description is None else patch.description
    return {"name": current["name"], "description": description, "attributes": attributes}
