"""What Keycloak holds, as values: the words that the Keycloak client and the resources speak to each other.

Values are normalised, so that equality means no drift: user names and e-mail addresses in lower case, absent
text as "", absent collections as empty ones, attributes sorted. Nothing here does IO.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.errors import ControllerError
    from controller.keycloak_groups import KeycloakLink

__all__ = [
    "API_ATTRIBUTE",
    "INVITED_ATTRIBUTE",
    "OUR_ATTRIBUTES",
    "OWNER_ATTRIBUTE",
    "VANISHED_ATTRIBUTE",
    "AdminEvent",
    "Attributes",
    "CreatedUsers",
    "KeycloakAdministration",
    "KeycloakRealm",
    "KeycloakRights",
    "KeycloakRole",
    "KeycloakUser",
    "RealmPatch",
    "RolePatch",
    "UserPatch",
    "attributes_of",
    "is_built_in_role",
    "values_of",
]

OWNER_ATTRIBUTE = "steward.owner"
"""The attribute of users, groups and roles that says which policy they belong to."""

VANISHED_ATTRIBUTE = "steward.vanished"
"""The attribute of users that says since which day (ISO 8601) no policy names them."""

INVITED_ATTRIBUTE = "steward.invited"
"""The attribute of users that says how far their invitation is: due, claimed (being sent) or sent."""

OUR_ATTRIBUTES = {
    OWNER_ATTRIBUTE: "Policy that this account belongs to",
    VANISHED_ATTRIBUTE: "Day since which no policy names this account",
    INVITED_ATTRIBUTE: "How far the invitation by mail is: due, claimed or sent",
}
"""What the user profile must declare, for admins alone to see and edit, with the words for it."""

API_ATTRIBUTE = "steward.api"
"""The attribute of roles that says which permissions of the controller's API they give, one text each."""

_BUILT_IN_ROLES = frozenset({"offline_access", "uma_authorization"})
_DEFAULT_ROLE = "default-roles-"

Attributes = tuple[tuple[str, tuple[str, ...]], ...]
"""Names with their values, sorted by name; Keycloak keeps a list of texts under each."""


def attributes_of(values: Mapping[str, tuple[str, ...] | list[str] | str]) -> Attributes:
    """Attributes in their normal form: sorted, a single text as a list of one, empty lists left out."""
    pairs = ((name, (v,) if isinstance(v, str) else tuple(v)) for name, v in values.items())
    return tuple(sorted(pair for pair in pairs if pair[1]))


def values_of(attributes: Attributes, name: str) -> tuple[str, ...]:
    """The values under a name, none where it is not there."""
    return next((values for key, values in attributes if key == name), ())


def is_built_in_role(name: str) -> bool:
    """Whether a realm role is of Keycloak's own making: never ours, whatever mark it carries."""
    return name in _BUILT_IN_ROLES or name.startswith(_DEFAULT_ROLE)


def _first(attributes: Attributes, name: str) -> str:
    return next((values[0] for key, values in attributes if key == name), "")


@dataclass(frozen=True, slots=True)
class KeycloakUser:
    """A person's account. `id` is "" until the server has given one.

    `roles` are the realm roles mapped to the user directly, `groups` the paths of its groups, `links` whom
    identity providers (by alias) know the user as. They are filled in for creation; what a client reads
    leaves them empty, because members are listed by role and group (`KeycloakReader.members`). `federated`
    says that the account is kept elsewhere (LDAP), where a write to it may go.
    """

    username: str
    id: str = ""
    email: str = ""
    first_name: str = ""
    last_name: str = ""
    enabled: bool = True
    email_verified: bool = False
    totp: bool = False
    created_ms: int = 0
    attributes: Attributes = ()
    required_actions: tuple[str, ...] = ()
    roles: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    links: tuple[tuple[str, KeycloakLink], ...] = ()
    federated: bool = False

    @property
    def owner(self) -> str:
        """The ownership mark, "" where there is none."""
        return _first(self.attributes, OWNER_ATTRIBUTE)

    @property
    def vanished(self) -> str:
        """Since which day no policy names the user, "" where one does."""
        return _first(self.attributes, VANISHED_ATTRIBUTE)

    @property
    def invited(self) -> str:
        """How far the invitation is: due, claimed or sent; "" where none was asked for at creation."""
        return _first(self.attributes, INVITED_ATTRIBUTE)


@dataclass(frozen=True, slots=True)
class UserPatch:
    """What to alter on a user; None leaves a field as it is, an attribute without values is removed."""

    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    enabled: bool | None = None
    email_verified: bool | None = None
    attributes: Attributes = ()
    required_actions: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class KeycloakRole:
    """A realm role. `includes` names the realm roles it is made of; None means that nobody asked for them."""

    name: str
    id: str = ""
    description: str = ""
    attributes: Attributes = ()
    includes: frozenset[str] | None = frozenset()

    @property
    def owner(self) -> str:
        """The ownership mark, "" where there is none."""
        return _first(self.attributes, OWNER_ATTRIBUTE)

    @property
    def api(self) -> tuple[str, ...]:
        """Permissions of the controller's API, sorted."""
        return next((tuple(sorted(values)) for key, values in self.attributes if key == API_ATTRIBUTE), ())


@dataclass(frozen=True, slots=True)
class RolePatch:
    """What to alter on a role; None leaves a field as it is, an attribute without values is removed.

    `includes` is the whole new set of included realm roles; included client roles stay as they are.
    """

    description: str | None = None
    attributes: Attributes = ()
    includes: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class KeycloakRealm:
    """The settings of a realm that a policy manages, and what is needed to read it right.

    `lockout_seconds` is the longest wait after too many failures (`maxFailureWaitSeconds`),
    `wait_increment_seconds` what each further failure adds. `default_role` names the composite role that
    everybody gets who registers.
    """

    name: str
    id: str = ""
    enabled: bool = True
    display_name: str = ""
    brute_force: bool = False
    failures: int = 30
    lockout_seconds: int = 900
    wait_increment_seconds: int = 60
    permanent_lockout: bool = False
    default_role: str = ""
    admin_events: bool = False
    attributes: Attributes = ()

    @property
    def owner(self) -> str:
        """The ownership mark, "" where there is none."""
        return _first(self.attributes, OWNER_ATTRIBUTE)


@dataclass(frozen=True, slots=True)
class RealmPatch:
    """What to alter on a realm; None leaves a field as it is."""

    enabled: bool | None = None
    display_name: str | None = None
    brute_force: bool | None = None
    failures: int | None = None
    lockout_seconds: int | None = None
    wait_increment_seconds: int | None = None
    permanent_lockout: bool | None = None
    admin_events: bool | None = None
    attributes: Attributes = ()


@dataclass(frozen=True, slots=True)
class KeycloakRights:
    """Who we are and what we may do: `roles` are names of the realm's management, as `manage-users`."""

    user_id: str
    username: str
    roles: frozenset[str]
    create_realm: bool = False

    def missing(self, needed: frozenset[str]) -> frozenset[str]:
        """Those of `needed` that we lack; who may manage may view."""
        seen = {right.replace("manage-", "view-", 1) for right in self.roles if right.startswith("manage-")}
        return needed - self.roles - seen


@dataclass(frozen=True, slots=True)
class KeycloakAdministration:
    """What makes somebody an administrator of the realm.

    `users` (ids) hold `realm-admin` themselves; `groups` (ids) give it to whoever is in them or below;
    `roles` are realm roles that include it at any depth. `includes` is what every composite realm role is
    made of.
    """

    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    includes: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CreatedUsers:
    """What became of users to create: ids by user name, and the reason for each that was not created."""

    ids: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, ControllerError] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AdminEvent:
    """One write that the server recorded (realm setting `admin_events`); `time_ms` is its instant in ms.

    `actor` and `client` are ids of the account and of the program that it came by, `address` is where from.
    `object_id` is the group that was moved or made below the one that the path names, where the server says.
    """

    time_ms: int
    operation: str
    resource_type: str
    resource_path: str
    actor: str
    client: str = ""
    address: str = ""
    object_id: str = ""
