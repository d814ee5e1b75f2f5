"""The sections about people: realm, roles, teams, users, clients."""

from datetime import timedelta
from typing import Literal

from pydantic import Field

from controller.policy.scalars import (
    ApiPermission,
    Day,
    Duration,
    Email,
    Name,
    PersonName,
    Privilege,
    PublicKey,
    RealmName,
    RoleName,
    Text,
    UserName,
)
from controller.policy.section import Section

__all__ = ["BruteForce", "Client", "Realm", "Role", "Team", "User", "UserState"]

UserState = Literal["active", "disabled", "absent"]
"""`disabled` keeps the account without login, `absent` wants it gone."""


class BruteForce(Section):
    """Protection against guessing passwords."""

    failures: int = Field(default=30, ge=1, le=1_000_000)
    """Failed logins until the account waits."""
    lockout: Duration = Field(default_factory=lambda: timedelta(minutes=15))
    """How long it waits at most."""


class Realm(Section):
    """The Keycloak realm."""

    name: RealmName
    """The realm's name, as in its address."""
    display_name: Text = ""
    """What the login page shows."""
    brute_force: BruteForce | None = None
    """Left as it is where it is not given."""
    default_roles: tuple[RoleName, ...] = ()
    """For people who come by an identity provider or register themselves."""


class Role(Section):
    """What a person may do, in Keycloak, in the controller's API and on Proxmox."""

    description: Text = ""
    """One line for whoever reads the role in Keycloak."""
    includes: tuple[RoleName, ...] = ()
    """Roles that this one is made of (a composite role)."""
    api: tuple[ApiPermission, ...] = ()
    """Permissions of the controller's API."""
    proxmox: tuple[Privilege, ...] = ()
    """Privileges of the Proxmox role `steward-<name>`."""
    adopt: bool = False
    """Take over a role of this name that exists already."""


class Team(Section):
    """People who get the same roles."""

    parent: Name | None = None
    """The team that this one is part of."""
    members: tuple[UserName, ...] = ()
    managers: tuple[UserName, ...] = ()
    """People who may change the members."""
    roles: tuple[RoleName, ...] = ()
    """Roles of everybody in the team."""


class User(Section):
    """A person's account."""

    email: Email = Field(default="", examples=["jo@example.org"])
    """Unique over the policy; kept in lower case."""
    first_name: PersonName = ""
    last_name: PersonName = ""
    roles: tuple[RoleName, ...] = ()
    """Roles that the person has everywhere."""
    mfa: Literal["required", "optional"] = "optional"
    """`required`: a second factor must be set up at the next login."""
    state: UserState = "active"
    """A name that vanishes from the policy is disabled, and deleted after limits.delete_after."""
    expires: Day | None = None
    """From the day after on, the account is disabled."""
    ssh_keys: tuple[PublicKey, ...] = ()
    """Public keys for logging in to hosts."""
    adopt: bool = False
    """Take over an account of this name that exists already."""


class Client(Section):
    """A program that people log in to through Keycloak."""

    redirect: tuple[Text, ...] = ()
    """Addresses that Keycloak may send people back to."""
    roles_claim: bool = False
    """Put the person's roles into the token."""
