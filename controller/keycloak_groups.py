"""What Keycloak holds of groups and of people's accounts elsewhere; see `keycloak_values`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.keycloak_values import OWNER_ATTRIBUTE, values_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from controller.keycloak_values import Attributes, KeycloakAdministration

__all__ = ["MANAGERS_ATTRIBUTE", "GroupPatch", "KeycloakGroup", "KeycloakLink", "administering"]

MANAGERS_ATTRIBUTE = "steward.managers"
"""The attribute of groups that names who may change their members."""


@dataclass(frozen=True, slots=True)
class KeycloakLink:
    """Whom an identity provider knows somebody as: its own immutable id, and the name there."""

    id: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class KeycloakGroup:
    """A group. `parent_id` is "" at the top; `roles` are the realm roles mapped to it directly."""

    name: str
    id: str = ""
    path: str = ""
    parent_id: str = ""
    description: str = ""
    attributes: Attributes = ()
    roles: frozenset[str] = frozenset()

    @property
    def owner(self) -> str:
        """The ownership mark, "" where there is none."""
        return next(iter(values_of(self.attributes, OWNER_ATTRIBUTE)), "")

    @property
    def managers(self) -> frozenset[str]:
        """Who may change the members."""
        return frozenset(values_of(self.attributes, MANAGERS_ATTRIBUTE))


@dataclass(frozen=True, slots=True)
class GroupPatch:
    """What to alter on a group; None leaves a field as it is, an attribute without values is removed.

    `granted` and `revoked` are realm roles; `parent_id` is where it is moved to, "" being the top.
    """

    description: str | None = None
    attributes: Attributes = ()
    granted: frozenset[str] = frozenset()
    revoked: frozenset[str] = frozenset()
    parent_id: str | None = None


def administering(
    groups: Collection[KeycloakGroup], administration: KeycloakAdministration
) -> frozenset[str]:
    """The ids of the groups whose members are administrators by it, or by a group above it."""
    found = {
        group.id
        for group in groups
        if group.id in administration.groups or group.roles & administration.roles
    }
    grown = True
    while grown:
        below = {group.id for group in groups if group.parent_id in found} - found
        found |= below
        grown = bool(below)
    return frozenset(found)
