"""How the simulated Keycloak words its answers: representations of what it holds, and refusals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.keycloak.model import Keycloak, Realm
    from lab.keycloak.things import Client, Event, Group, Role, User

__all__ = [
    "MASK",
    "Created",
    "Refusal",
    "brief_realm",
    "client_answer",
    "event_answer",
    "group_answer",
    "linked",
    "realm_answer",
    "role_answer",
    "user_answer",
]

Json = dict[str, Any]
_SHOWN_TO_ALL = (
    "displayName",
    "bruteForceProtected",
    "supportedLocales",
    "organizationsEnabled",
)
_LOCALES = "supportedLocales"
_NAMED_BY_EMAIL = "registrationEmailAsUsername"
_PEOPLE = frozenset({"view-users", "manage-users"})
_HIDDEN = frozenset({"passwordPolicy", "eventsExpiration", "otpPolicyAlgorithm", _LOCALES, "defaultLocale"})
"""Settings that are not shown where they are empty."""

MASK = "**********"
"""What stands in place of a secret."""

_GROUP_ACCESS = ("view", "viewMembers", "manageMembers", "manage", "manageMembership")
_ALL_ACCESS = ("manageGroupMembership", "resetPassword", "view", "mapRoles", "impersonate", "manage")


class Refusal(Exception):  # noqa: N818  # it is an answer, not a fault of the lab
    """An answer that is no success: its status and its JSON body."""

    def __init__(self, status: int, **body: object) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body


@dataclass(frozen=True)
class Created:
    """201 with the address of what was made, below the realm's own, and a body where there is one."""

    path: str
    body: Any = None


def user_answer(user: User, realm: Realm, *, brief: bool = False, one: bool = False) -> Json:
    """UserRepresentation; absent text is left out. `one`: as read by id, with all of what we may do to it."""
    answer: Json = {"id": user.id, "username": user.username}
    texts = {"firstName": user.first_name, "lastName": user.last_name, "email": user.email}
    answer |= {name: text for name, text in texts.items() if text is not None}
    answer |= {"emailVerified": user.email_verified, "enabled": user.enabled}
    answer["createdTimestamp"] = user.created_ms
    if not brief:
        attributes = realm.declared(user.attributes)
        if attributes:
            answer["attributes"] = attributes
        answer |= {
            "totp": user.has_otp,
            "disableableCredentialTypes": [],
            "requiredActions": user.required_actions,
        }
        if one and realm.providers:
            answer["federatedIdentities"] = linked(user, realm)
        answer["notBefore"] = user.not_before
    return answer | {"access": dict.fromkeys(_ALL_ACCESS, True) if one else {"manage": True}}


def linked(user: User, realm: Realm) -> list[Json]:
    """FederatedIdentityRepresentations of the user, as far as the realm has the providers."""
    return [link for alias, link in user.links.items() if alias in realm.providers]


def role_answer(role: Role, *, brief: bool = True) -> Json:
    """RoleRepresentation; attributes only where asked for."""
    answer: Json = {"id": role.id, "name": role.name}
    if role.description:
        answer["description"] = role.description
    answer |= {
        "composite": bool(role.composites),
        "clientRole": bool(role.client),
        "containerId": role.container,
    }
    return answer if brief else answer | {"attributes": role.attributes}


def brief_realm(realm: Realm) -> Json:
    """RealmRepresentation in a list of realms that is asked to be brief."""
    texts = {name: realm.settings.get(name) for name in ("displayName", "displayNameHtml")}
    shown = {name: text for name, text in texts.items() if text is not None}
    return {"id": realm.id, "realm": realm.name, **shown, "enabled": realm.settings["enabled"]}


def realm_answer(realm: Realm, rights: frozenset[str]) -> Json:
    """RealmRepresentation; who may not view the realm sees little more than its name."""
    if rights.isdisjoint({"view-realm", "manage-realm"}):
        names = _SHOWN_TO_ALL if rights.isdisjoint(_PEOPLE) else (*_SHOWN_TO_ALL, _NAMED_BY_EMAIL)
        shown = {name: realm.settings[name] for name in names if name in realm.settings}
        return {"realm": realm.name, _LOCALES: [], **shown}
    settings = {name: value for name, value in realm.settings.items() if name not in _HIDDEN or value}
    if "password" in settings["smtpServer"]:
        settings["smtpServer"] = settings["smtpServer"] | {"password": MASK}
    return {
        "id": realm.id,
        "realm": realm.name,
        **settings,
        "defaultRole": role_answer(realm.default_role),
        "attributes": realm.attributes,
    }


def client_answer(client: Client, realm: Realm, *, mine: bool) -> Json:
    """ClientRepresentation; `mine`: whether the caller may alter it."""
    settings = {name: _named(value, realm.name) for name, value in client.settings.items()}
    attributes = client.attributes
    secret: Json = {"secret": client.secret} if client.secret else {}
    mappers: Json = {"protocolMappers": list(client.mappers.values())} if client.mappers else {}
    return {
        "id": client.id,
        "clientId": client.client_id,
        **settings,
        **secret,
        "attributes": attributes,
        **mappers,
        "defaultClientScopes": client.default_scopes,
        "optionalClientScopes": client.optional_scopes,
        "access": {"view": True, "configure": mine, "manage": mine},
    }


def _named(value: Any, realm: str) -> Any:
    if isinstance(value, list):
        return [_named(one, realm) for one in value]
    return value.replace("{realm}", realm) if isinstance(value, str) else value


def group_answer(group: Group, realm: Realm, *, brief: bool = False, bare: bool = False) -> Json:
    """GroupRepresentation without its sub-groups; `bare`: without what the caller may do to it."""
    answer: Json = {"id": group.id, "name": group.name}
    if group.description:
        answer["description"] = group.description
    answer["path"] = realm.path_of(group)
    if group.parent:
        answer["parentId"] = group.parent
    answer["subGroups"] = []
    if not brief:
        held = [realm.roles_by_id[one] for one in group.roles]
        by_client: dict[str, list[str]] = {}
        for role in sorted((one for one in held if one.client), key=lambda one: one.name):
            by_client.setdefault(realm.clients[role.client].client_id, []).append(role.name)
        names = sorted(role.name for role in held if not role.client)
        answer |= {"attributes": group.attributes, "realmRoles": names, "clientRoles": by_client}
    return answer if bare else answer | {"access": dict.fromkeys(_GROUP_ACCESS, True)}


def event_answer(event: Event, keycloak: Keycloak, realm: Realm) -> Json:
    """AdminEventRepresentation."""
    actor_realm = keycloak.realms.get(event.actor_realm)
    answer: Json = {
        "id": event.id,
        "time": event.time_ms,
        "realmId": realm.id,
        "authDetails": {
            "realmId": actor_realm.id if actor_realm else "",
            "clientId": event.client,
            "userId": event.actor,
            "ipAddress": "127.0.0.1",
        },
        "operationType": event.operation,
        "resourceType": event.resource_type,
    }
    if event.resource_path is not None:
        answer["resourcePath"] = event.resource_path
    if event.representation:
        answer["representation"] = event.representation
    return answer | ({"details": event.details} if event.details else {})
