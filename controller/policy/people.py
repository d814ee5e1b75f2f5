"""The sections about people: roles, teams, users, clients."""

from typing import Literal

from pydantic import Field

from controller.policy.scalars import (
    ApiPermission,
    Day,
    Email,
    Name,
    PersonName,
    Privilege,
    PublicKey,
    RoleName,
    Text,
    UserName,
)
from controller.policy.secret_reference import SecretReference
from controller.policy.section import Section

__all__ = ["Client", "FederatedLink", "ProxmoxLogin", "ProxmoxToken", "Role", "Team", "User", "UserState"]

UserState = Literal["active", "disabled", "absent"]
"""`disabled` keeps the account without login, `absent` wants it gone."""


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

    description: Text = ""
    """One line for whoever reads the group in Keycloak."""
    parent: Name | None = None
    """The team that this one is part of: its members have the roles of both."""
    members: tuple[UserName, ...] = ()
    """People in it, beside those who name it under `teams`."""
    managers: tuple[UserName, ...] = ()
    """People who may change the members."""
    roles: tuple[RoleName, ...] = ()
    """Roles of everybody in the team."""
    adopt: bool = False
    """Take over a group of this name that exists already."""


class FederatedLink(Section):
    """Whom an identity provider knows this person as."""

    id: Text
    """The provider's own immutable id (the claim `sub`)."""
    name: Text = ""
    """The name there, as Keycloak shows it."""


class ProxmoxToken(Section):
    """An API token of this person on every Proxmox where the person has an account.

    It is always separated: it may do what its own assignments give and its user may, nothing more.
    """

    comment: Text = ""
    """One line for whoever reads the token in Proxmox."""
    expires: Day | None = None
    """From the day after on, it is refused."""
    secret: SecretReference
    """`controller_file`: where the secret is written, once, when the token is made (mode 0600)."""


class User(Section):
    """A person's account."""

    email: Email = Field(default="", examples=["jo@example.org"])
    """Unique over the policy; kept in lower case; left as it is where it is not given."""
    email_verified: bool | None = None
    """Left as it is where it is not given."""
    first_name: PersonName = ""
    """Left as it is where it is not given."""
    last_name: PersonName = ""
    """Left as it is where it is not given."""
    roles: tuple[RoleName, ...] = ()
    """Roles that the person has everywhere."""
    teams: tuple[Name, ...] = ()
    """Teams of the person, beside those that name it as a member."""
    mfa: Literal["required", "optional"] = "optional"
    """`required`: a second factor must be set up at the next login."""
    state: UserState = "active"
    """A name that vanishes from the policy is disabled, and deleted after limits.delete_after."""
    expires: Day | None = None
    """From the day after on, the account is disabled."""
    invite: bool = False
    """Send a link by mail when the account is created, as realm.invitation says."""
    required_actions: tuple[Name, ...] = ()
    """What the person has to do at the next login, asked for once when the account is created."""
    links: dict[Name, FederatedLink] = Field(default={}, examples=[{"google": {"id": "1042", "name": "jo"}}])
    """Accounts at identity providers that are this person."""
    attributes: dict[Name, Text] = Field(default={}, examples=[{"theme": "dark"}])
    """Further attributes; the realm's user profile must know them."""
    proxmox_tokens: dict[Name, ProxmoxToken] = Field(default={})
    """API tokens on Proxmox, by name; `assigned.tokens` gives them roles."""
    ssh_keys: tuple[PublicKey, ...] = ()
    """Public keys for logging in to hosts."""
    adopt: bool = False
    """Take over an account of this name that exists already."""


class ProxmoxLogin(Section):
    """Proxmox VE logs people in through this client: its OpenID realm is kept as this says.

    The realm's name is that of controller.yaml (`proxmox.NAME.realm`).
    """

    default: bool = False
    """The realm that the login page offers first."""
    comment: Text = ""
    """What the login page calls the realm."""


class Client(Section):
    """A program that people log in to through Keycloak (OpenID Connect)."""

    name: Text = ""
    """What the login page calls it."""
    description: Text = ""
    """One line for whoever reads the client in Keycloak."""
    enabled: bool = True
    """False: nobody can log in to it."""
    redirect: tuple[Text, ...] = ()
    """Addresses that Keycloak may send people back to."""
    post_logout: tuple[Text, ...] = ()
    """Addresses that people may be sent to after they logged out."""
    web_origins: tuple[Text, ...] = ()
    """Pages that may use it from a browser (CORS)."""
    public: bool = False
    """A program that can keep no secret: without one, with PKCE."""
    secret: SecretReference | None = None
    """Where the secret is; without this Keycloak makes one, which is left alone."""
    service_account: bool = False
    """It may log in as itself."""
    direct_grant: bool = False
    """It may ask for passwords itself."""
    roles_claim: bool = False
    """Put the person's roles into the token, as the claim `roles`."""
    proxmox: ProxmoxLogin | None = None
    """Proxmox VE logs people in through this client; one client at most has it."""
    adopt: bool = False
    """Take over a client of this name that exists already."""
