"""What a realm of the simulated Keycloak is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Client", "Event", "Execution", "Flow", "Group", "Mail", "Role", "Session", "User"]

Json = dict[str, Any]


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
    """An account; `roles` are ids of realm and client roles mapped to it directly, `groups` ids of groups."""

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
    groups: set[str] = field(default_factory=set)
    links: dict[str, Json] = field(default_factory=dict)
    password: str = ""
    has_otp: bool = False
    not_before: int = 0
    service_account_of: str = ""


@dataclass
class Group:
    """A group; `roles` are ids of realm roles that its members and those of its sub-groups have."""

    id: str
    name: str
    parent: str = ""
    description: str = ""
    attributes: dict[str, list[str]] = field(default_factory=dict)
    roles: set[str] = field(default_factory=set)


@dataclass
class Client:
    """A client of a realm, with roles of its own by name.

    `settings` are kept under the names of the ClientRepresentation; a public client has no secret.
    """

    id: str
    client_id: str
    secret: str = ""
    is_built_in: bool = False
    settings: Json = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)
    mappers: dict[str, Json] = field(default_factory=dict)
    default_scopes: list[str] = field(default_factory=list)
    optional_scopes: list[str] = field(default_factory=list)

    @property
    def is_lightweight(self) -> bool:
        """Whether its access tokens leave out whose they are and what they may do."""
        return self.attributes.get("client.use.lightweight.access.token.enabled") == "true"


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
    resource_path: str | None
    actor_realm: str
    actor: str
    client: str = ""
    representation: str = ""
    details: Json = field(default_factory=dict)


@dataclass
class Execution:
    """One step of an authentication flow."""

    id: str
    provider: str
    requirement: str
    priority: int


@dataclass
class Flow:
    """An authentication flow at the top level."""

    id: str
    alias: str
    description: str = ""
    provider: str = "basic-flow"
    is_built_in: bool = False
    executions: list[Execution] = field(default_factory=list)


@dataclass(frozen=True)
class Mail:
    """A mail that the server sent: the lab keeps it instead."""

    realm: str
    sender: str
    to: str
    subject: str
    actions: tuple[str, ...]
    client: str
    redirect: str
    lifespan_seconds: int
    link: str
