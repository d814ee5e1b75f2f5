"""How the simulated Keycloak words its answers: representations of what it holds, and refusals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.keycloak.model import Client, Event, Keycloak, Realm, Role, User

__all__ = [
    "Created",
    "Refusal",
    "client_answer",
    "event_answer",
    "realm_answer",
    "role_answer",
    "user_answer",
]

Json = dict[str, Any]
_SHOWN_TO_ALL = (
    "displayName",
    "registrationEmailAsUsername",
    "bruteForceProtected",
    "supportedLocales",
    "organizationsEnabled",
)
_ALL_ACCESS = ("manageGroupMembership", "resetPassword", "view", "mapRoles", "impersonate", "manage")


class Refusal(Exception):  # noqa: N818  # it is an answer, not a fault of the lab
    """An answer that is no success: its status and its JSON body."""

    def __init__(self, status: int, **body: object) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body


@dataclass(frozen=True)
class Created:
    """201 with the address of what was made, below the realm's admin address."""

    path: str


def user_answer(user: User, *, brief: bool = False, one: bool = False) -> Json:
    """UserRepresentation; absent text is left out. `one`: as read by id, with all of what we may do to it."""
    answer: Json = {"id": user.id, "username": user.username}
    texts = {"firstName": user.first_name, "lastName": user.last_name, "email": user.email}
    answer |= {name: text for name, text in texts.items() if text is not None}
    answer |= {"emailVerified": user.email_verified, "enabled": user.enabled}
    answer["createdTimestamp"] = user.created_ms
    if not brief:
        if user.attributes:
            answer["attributes"] = user.attributes
        answer |= {
            "totp": user.has_otp,
            "disableableCredentialTypes": [],
            "requiredActions": user.required_actions,
            "notBefore": user.not_before,
        }
    return answer | {"access": dict.fromkeys(_ALL_ACCESS, True) if one else {"manage": True}}


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


def realm_answer(realm: Realm, *, whole: bool) -> Json:
    """RealmRepresentation; who may not view the realm sees little more than its name."""
    if not whole:
        return {"realm": realm.name} | {
            name: realm.settings[name] for name in _SHOWN_TO_ALL if name in realm.settings
        }
    return {
        "id": realm.id,
        "realm": realm.name,
        **realm.settings,
        "defaultRole": role_answer(realm.default_role),
        "attributes": realm.attributes,
    }


def client_answer(client: Client) -> Json:
    """ClientRepresentation, as far as anybody reads it here."""
    return {
        "id": client.id,
        "clientId": client.client_id,
        "enabled": True,
        "publicClient": not client.secret,
        "bearerOnly": client.client_id.endswith(("-realm", "realm-management")),
        "attributes": {},
    }


def event_answer(event: Event, keycloak: Keycloak, realm: Realm) -> Json:
    """AdminEventRepresentation."""
    actor_realm = keycloak.realms.get(event.actor_realm)
    return {
        "id": event.id,
        "time": event.time_ms,
        "realmId": realm.id,
        "authDetails": {
            "realmId": actor_realm.id if actor_realm else "",
            "userId": event.actor,
            "ipAddress": "127.0.0.1",
        },
        "operationType": event.operation,
        "resourceType": event.resource_type,
        "resourcePath": event.resource_path,
    }
