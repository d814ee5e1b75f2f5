"""The section `realm`: the Keycloak realm with its protection, sessions, mail, events, identity providers.

A field that is not given is left as the server has it.
"""

from datetime import timedelta
from typing import Literal

from pydantic import Field

from controller.policy.scalars import Duration, Email, Name, RealmName, RoleName, Text
from controller.policy.secret_reference import SecretReference
from controller.policy.section import Section

__all__ = [
    "BruteForce",
    "Events",
    "IdentityProvider",
    "Invitation",
    "Mail",
    "OneTimePasswords",
    "PasswordPolicy",
    "Realm",
    "Sessions",
    "Tokens",
]

ActionState = Literal["enabled", "default", "disabled"]
"""`default`: every new account has it to do; `enabled`: it may be asked for; `disabled`: it may not."""


class BruteForce(Section):
    """Protection against guessing passwords."""

    failures: int = Field(default=30, ge=1, le=1_000_000)
    """Failed logins until the account waits."""
    lockout: Duration = Field(default_factory=lambda: timedelta(minutes=15))
    """How long it waits at most."""
    permanent: bool = False
    """Lock until an administrator unlocks, instead of for a while."""


class PasswordPolicy(Section):
    """What a password must be; rules that are not given do not hold."""

    length: int | None = Field(default=None, ge=1, le=256)
    max_length: int | None = Field(default=None, ge=1, le=256)
    digits: int | None = Field(default=None, ge=1, le=64)
    lower_case: int | None = Field(default=None, ge=1, le=64)
    upper_case: int | None = Field(default=None, ge=1, le=64)
    special: int | None = Field(default=None, ge=1, le=64)
    not_username: bool = False
    not_email: bool = False
    history: int | None = Field(default=None, ge=1, le=100)
    """How many former passwords may not come back."""
    max_age: Duration | None = None
    """After this many days a new password is asked for; whole days."""


class OneTimePasswords(Section):
    """One-time passwords, as authenticator apps make them."""

    type: Literal["totp", "hotp"] = "totp"
    algorithm: Literal["SHA1", "SHA256", "SHA512"] = "SHA1"
    digits: Literal[6, 8] = 6
    period: Duration = Field(default_factory=lambda: timedelta(seconds=30))
    """How long a code of the type totp lives."""
    look_around: int = Field(default=1, ge=0, le=10)
    """How many codes before and after the current one are taken too."""
    reusable: bool = False


class Sessions(Section):
    """How long people stay logged in."""

    idle: Duration | None = None
    max: Duration | None = None
    remember_me: bool | None = None
    """Offer to stay logged in beyond the end of the browser."""
    remember_me_idle: Duration | None = None
    remember_me_max: Duration | None = None
    offline_idle: Duration | None = None
    offline_max: Duration | None = None
    """Giving this limits offline sessions at all."""


class Tokens(Section):
    """How long tokens and links live."""

    access: Duration | None = None
    login: Duration | None = None
    """How long a login may take."""
    action_by_user: Duration | None = None
    """Links that a person asked for, as for a forgotten password."""
    action_by_admin: Duration | None = None
    """Links that an administrator, or an invitation, sends."""
    refresh_once: bool | None = None
    """Each refresh token is good for one use."""


class Mail(Section):
    """The server through which Keycloak sends mail (SMTP)."""

    host: Text
    port: int = Field(default=25, ge=1, le=65_535)
    sender: Email = Field(examples=["sso@example.org"])
    sender_name: Text = ""
    reply_to: Email = ""
    encryption: Literal["none", "starttls", "tls"] = "none"
    user: Text = ""
    password: SecretReference | None = None


class Events(Section):
    """What Keycloak records."""

    logins: bool | None = None
    """Keep logins and failures."""
    keep: Duration | None = None
    """How long logins are kept."""
    admin: bool | None = None
    """Keep what administrators changed: what `drift` needs to say who did it."""
    admin_details: bool | None = None
    """Keep the changed object as well."""


class Invitation(Section):
    """What happens to a person with `invite: true` when the account is created: a link by mail, once."""

    actions: tuple[Name, ...] = Field(default=("UPDATE_PASSWORD", "VERIFY_EMAIL"), min_length=1)
    """What the link leads through, as Keycloak names required actions."""
    lives: Duration = Field(default_factory=lambda: timedelta(days=3))
    client: Name | None = None
    """Where people go afterwards: a client of this policy."""
    redirect: Text = ""


class IdentityProvider(Section):
    """Somebody else's login: Google, GitHub, or any OpenID Connect provider."""

    type: Literal["oidc", "google", "github", "gitlab", "microsoft"] = "oidc"
    enabled: bool = True
    display_name: Text = ""
    client_id: Text
    client_secret: SecretReference | None = None
    issuer: Text = ""
    """Type oidc: what tokens must say that they come from."""
    authorization_url: Text = ""
    token_url: Text = ""
    user_info_url: Text = ""
    jwks_url: Text = ""
    """Type oidc: where the keys are that tokens are checked with."""
    logout_url: Text = ""
    scopes: tuple[Text, ...] = ()
    hosted_domain: Text = ""
    """Type google: only people of this domain."""
    trust_email: bool = False
    """Believe that addresses are verified."""
    by_email: Literal["confirm", "link"] = "confirm"
    """Who comes with the address of an account confirms that it is theirs, or is linked to it at once."""
    sync: Literal["import", "force"] = "import"
    """Take over names and address at the first login only, or at every login."""
    adopt: bool = False
    """Take over an identity provider of this alias that exists already."""


class Realm(Section):
    """The Keycloak realm."""

    name: RealmName
    """The realm's name, as in its address."""
    display_name: Text = ""
    """What the login page shows."""
    default_roles: tuple[RoleName, ...] = ()
    """For people who come by an identity provider or register themselves."""
    registration: bool | None = None
    """People may register themselves."""
    verify_email: bool | None = None
    reset_password: bool | None = None
    """Offer a link for a forgotten password."""
    login_with_email: bool | None = None
    brute_force: BruteForce | None = None
    password_policy: PasswordPolicy | None = None
    otp: OneTimePasswords | None = None
    sessions: Sessions | None = None
    tokens: Tokens | None = None
    mail: Mail | None = None
    required_actions: dict[Name, ActionState] = Field(default={}, examples=[{"CONFIGURE_TOTP": "default"}])
    events: Events | None = None
    invitation: Invitation = Field(default_factory=Invitation)
    identity_providers: dict[Name, IdentityProvider] = Field(default={})
    """By alias, as it stands in the address that the provider sends people back to."""
