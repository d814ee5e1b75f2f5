"""Every resource that this version applies, in an explicit table: one line each."""

from __future__ import annotations

from controller.plan.change import Operation
from controller.resources import (
    accounts,
    clients,
    default_roles,
    groups,
    identity_providers,
    profile,
    realm,
    roles,
    teams,
    users,
)
from controller.resources.resource import Resource

__all__ = ["KEYCLOAK"]

KEYCLOAK = (
    Resource(realm.SECTION, "keycloak", realm.desired, realm.observe, realm.diff, realm.apply),
    Resource(
        profile.SECTION,
        "keycloak",
        profile.desired,
        profile.observe,
        profile.diff,
        profile.apply,
        mode=users.SECTION,
    ),
    Resource(
        identity_providers.SECTION,
        "keycloak",
        identity_providers.desired,
        identity_providers.observe,
        identity_providers.diff,
        identity_providers.apply,
        mode=realm.SECTION,
    ),
    Resource(roles.SECTION, "keycloak", roles.desired, roles.observe, roles.diff, roles.apply),
    Resource(
        default_roles.SECTION,
        "keycloak",
        default_roles.desired,
        default_roles.observe,
        default_roles.diff,
        default_roles.apply,
        mode=realm.SECTION,
    ),
    Resource(clients.SECTION, "keycloak", clients.desired, clients.observe, clients.diff, clients.apply),
    Resource(
        teams.SECTION,
        "keycloak",
        teams.desired,
        teams.observe,
        teams.diff,
        groups.apply,
        apply_many=groups.create_many,
        many=frozenset({Operation.CREATE}),
        batch=groups.BATCH,
    ),
    Resource(
        users.SECTION,
        "keycloak",
        users.desired,
        accounts.observe,
        users.diff,
        accounts.apply,
        apply_many=accounts.apply_many,
        many=accounts.MANY,
        batch=accounts.BATCH,
    ),
)
"""A Keycloak realm; `profile` is no section of the language, but what users need for our mark to be kept."""
