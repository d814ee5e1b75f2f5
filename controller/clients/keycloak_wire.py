"""Keycloak's JSON, read strictly enough to notice an answer of another kind, and turned into our values.

Field names are those of the representations in Keycloak's Admin REST API; fields that we do not use are
ignored, because servers of other versions have more of them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from controller.keycloak_values import (
    OUR_ATTRIBUTES,
    Attributes,
    KeycloakRealm,
    KeycloakRole,
    KeycloakUser,
    RealmPatch,
    RolePatch,
    UserPatch,
    attributes_of,
)

__all__ = [
    "Consent",
    "ImportAnswer",
    "Json",
    "NamedThing",
    "RealmAnswer",
    "RoleAnswer",
    "UserAnswer",
    "badly_declared",
    "declaring",
    "imported_user",
    "merged_realm",
    "merged_role",
    "merged_user",
    "new_realm",
]

Json = dict[str, Any]
"""A representation as read from the server, on its way back with some fields altered."""


class NamedThing(msgspec.Struct, frozen=True):
    """Anything of which only id and name matter: references to roles, clients, members."""

    id: str
    name: str = ""


class UserAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """UserRepresentation."""

    id: str
    username: str
    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    enabled: bool = False
    email_verified: bool = False
    totp: bool = False
    created_timestamp: int | None = None
    attributes: dict[str, list[str]] | None = None
    required_actions: list[str] | None = None
    federation_link: str | None = None

    def value(self) -> KeycloakUser:
        """The user in normal form."""
        return KeycloakUser(
            username=self.username.lower(),
            id=self.id,
            email=(self.email or "").lower(),
            first_name=self.first_name or "",
            last_name=self.last_name or "",
            enabled=self.enabled,
            email_verified=self.email_verified,
            totp=self.totp,
            created_ms=self.created_timestamp or 0,
            attributes=attributes_of(self.attributes or {}),
            required_actions=tuple(sorted(self.required_actions or ())),
            federated=bool(self.federation_link),
        )


class RoleAnswer(msgspec.Struct, frozen=True):
    """RoleRepresentation."""

    id: str
    name: str
    description: str | None = None
    composite: bool = False
    attributes: dict[str, list[str]] | None = None

    def value(self, includes: frozenset[str] | None) -> KeycloakRole:
        """The role in normal form; `includes` comes from another request."""
        return KeycloakRole(
            name=self.name,
            id=self.id,
            description=self.description or "",
            attributes=attributes_of(self.attributes or {}),
            includes=includes,
        )


class _DefaultRole(msgspec.Struct, frozen=True):
    name: str = ""


class RealmAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """RealmRepresentation, as far as we manage it. Who may not view the realm gets its name alone."""

    realm: str
    id: str = ""
    enabled: bool | None = None
    display_name: str | None = None
    brute_force_protected: bool = False
    failure_factor: int = 30
    max_failure_wait_seconds: int = 900
    wait_increment_seconds: int = 60
    permanent_lockout: bool = False
    default_role: _DefaultRole = _DefaultRole()
    admin_events_enabled: bool = False
    attributes: dict[str, str] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the server showed us the settings."""
        return self.enabled is not None

    def value(self) -> KeycloakRealm:
        """The realm in normal form."""
        return KeycloakRealm(
            name=self.realm,
            id=self.id,
            enabled=bool(self.enabled),
            display_name=self.display_name or "",
            brute_force=self.brute_force_protected,
            failures=self.failure_factor,
            lockout_seconds=self.max_failure_wait_seconds,
            wait_increment_seconds=self.wait_increment_seconds,
            permanent_lockout=self.permanent_lockout,
            default_role=self.default_role.name,
            admin_events=self.admin_events_enabled,
            attributes=attributes_of(dict(self.attributes or {})),
        )


class _Imported(msgspec.Struct, frozen=True, rename="camel"):
    action: str
    resource_name: str
    id: str = ""


class ImportAnswer(msgspec.Struct, frozen=True):
    """PartialImportResults."""

    added: int
    results: list[_Imported]


class _Grant(msgspec.Struct, frozen=True):
    key: str = ""


class Consent(msgspec.Struct, frozen=True, rename="camel"):
    """What a user granted to a client; the offline sessions are listed among the additional grants."""

    client_id: str
    additional_grants: list[_Grant] = []

    @property
    def is_offline(self) -> bool:
        """Whether the client holds an offline session of the user."""
        return any(grant.key == "Offline Token" for grant in self.additional_grants)


def imported_user(user: KeycloakUser) -> Json:
    """The user as partialImport takes it; the roles are by name, the default role among them."""
    return {
        "username": user.username,
        "email": user.email or None,
        "firstName": user.first_name or None,
        "lastName": user.last_name or None,
        "enabled": user.enabled,
        "emailVerified": user.email_verified,
        "attributes": {name: list(values) for name, values in user.attributes},
        "requiredActions": list(user.required_actions),
        "realmRoles": sorted(user.roles),
        "groups": sorted(user.groups),
        "federatedIdentities": [
            {"identityProvider": alias, "userId": link.id, "userName": link.name}
            for alias, link in user.links
        ],
    }


def new_realm(realm: KeycloakRealm) -> Json:
    """The realm as it is created."""
    settings = {
        "enabled": realm.enabled,
        "displayName": realm.display_name,
        "bruteForceProtected": realm.brute_force,
        "failureFactor": realm.failures,
        "maxFailureWaitSeconds": realm.lockout_seconds,
        "waitIncrementSeconds": realm.wait_increment_seconds,
        "permanentLockout": realm.permanent_lockout,
        "adminEventsEnabled": realm.admin_events,
    }
    attributes = {name: values[0] for name, values in realm.attributes}
    return {"realm": realm.name, **settings, "attributes": attributes}


def merged_user(current: Json, patch: UserPatch) -> Json:
    """What the server holds, with the patch laid over it: PUT replaces attributes and e-mail as a whole."""
    required = None if patch.required_actions is None else list(patch.required_actions)
    fields = {
        "email": patch.email,
        "firstName": patch.first_name,
        "lastName": patch.last_name,
        "enabled": patch.enabled,
        "emailVerified": patch.email_verified,
        "requiredActions": required,
    }
    merged = current | _given(fields)
    merged["attributes"] = _merged_lists(current.get("attributes"), patch.attributes)
    return merged


def merged_role(current: Json, patch: RolePatch) -> Json:
    """What the server holds, with the patch laid over it: PUT replaces attributes as a whole."""
    merged = current | _given({"description": patch.description})
    merged["attributes"] = _merged_lists(current.get("attributes"), patch.attributes)
    return merged


def merged_realm(current: Json, patch: RealmPatch) -> Json:
    """What the server holds, with the patch laid over it.

    Fields left out may be set back to their defaults.
    """
    fields = {
        "enabled": patch.enabled,
        "displayName": patch.display_name,
        "bruteForceProtected": patch.brute_force,
        "failureFactor": patch.failures,
        "maxFailureWaitSeconds": patch.lockout_seconds,
        "waitIncrementSeconds": patch.wait_increment_seconds,
        "permanentLockout": patch.permanent_lockout,
        "adminEventsEnabled": patch.admin_events,
    }
    merged = current | _given(fields)
    texts: dict[str, str] = dict(current.get("attributes") or {})
    for name, values in patch.attributes:
        if values:
            texts[name] = values[0]
        else:
            texts.pop(name, None)
    return merged | {"attributes": texts}


def badly_declared(profile: Json) -> frozenset[str]:
    """Those of our attributes that a user profile does not declare, or not for administrators alone."""
    kept = {
        attribute.get("name")
        for attribute in profile.get("attributes", [])
        if _ADMINS_ALONE.items() <= _permissions(attribute).items()
    }
    return frozenset(OUR_ATTRIBUTES.keys() - kept)


def declaring(profile: Json, names: frozenset[str]) -> Json:
    """The user profile with these of our attributes declared anew."""
    others = [one for one in profile.get("attributes", []) if one.get("name") not in names]
    added = [
        {"name": name, "displayName": text, "permissions": _ADMINS_ALONE, "multivalued": False}
        for name, text in OUR_ATTRIBUTES.items()
        if name in names
    ]
    return profile | {"attributes": [*others, *added]}


_ADMINS_ALONE: Json = {"view": ["admin"], "edit": ["admin"]}


def _permissions(attribute: Json) -> Json:
    return {name: sorted(who) for name, who in (attribute.get("permissions") or {}).items()}


def _given(fields: Json) -> Json:
    return {name: value for name, value in fields.items() if value is not None}


def _merged_lists(current: dict[str, list[str]] | None, patch: Attributes) -> dict[str, list[str]]:
    merged = dict(current or {})
    for name, values in patch:
        if values:
            merged[name] = list(values)
        else:
            merged.pop(name, None)
    return merged
