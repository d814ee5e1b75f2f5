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
    """So many characters at least."""
    max_length: int | None = Field(default=None, ge=1, le=256)
    """So many characters at most."""
    digits: int | None = Field(default=None, ge=1, le=64)
    """So many digits at least."""
    lower_case: int | None = Field(default=None, ge=1, le=64)
    """So many lower-case letters at least."""
    upper_case: int | None = Field(default=None, ge=1, le=64)
    """So many capitals at least."""
    special: int | None = Field(default=None, ge=1, le=64)
    """So many special characters at least."""
    not_username: bool = False
    """It is not the user name."""
    not_email: bool = False
    """It is not the e-mail address."""
    history: int | None = Field(default=None, ge=1, le=100)
    """How many former passwords may not come back."""
    max_age: Duration | None = None
    """After this many days a new password is asked for; whole days."""


class OneTimePasswords(Section):
    """One-time passwords, as authenticator apps make them."""

    type: Literal["totp", "hotp"] = "totp"
    """By the time (totp), or one after the other (hotp)."""
    algorithm: Literal["SHA1", "SHA256", "SHA512"] = "SHA1"
    """What codes are made with; not every app knows more than SHA1."""
    digits: Literal[6, 8] = 6
    """How long a code is."""
    period: Duration = Field(default_factory=lambda: timedelta(seconds=30))
    """How long a code of the type totp lives."""
    look_around: int = Field(default=1, ge=0, le=10)
    """How many codes before and after the current one are taken too."""
    reusable: bool = False
    """A code may be used twice."""


class Sessions(Section):
    """How long people stay logged in."""

    idle: Duration | None = None
    """Without use for this long, people log in anew."""
    max: Duration | None = None
    """After this long people log in anew in any case."""
    remember_me: bool | None = None
    """Offer to stay logged in beyond the end of the browser."""
    remember_me_idle: Duration | None = None
    """`idle` for those who asked to stay logged in."""
    remember_me_max: Duration | None = None
    """`max` for those who asked to stay logged in."""
    offline_idle: Duration | None = None
    """Without use for this long, an offline session (of a program that acts for somebody) ends."""
    offline_max: Duration | None = None
    """Giving this limits offline sessions at all."""


class Tokens(Section):
    """How long tokens and links live."""

    access: Duration | None = None
    """How long an access token is good; who is disabled may use one until then."""
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
    """The server's name."""
    port: int = Field(default=25, ge=1, le=65_535)
    """The server's port."""
    sender: Email = Field(examples=["sso@example.org"])
    """The address that mail comes from."""
    sender_name: Text = ""
    """The name that mail comes from."""
    reply_to: Email = ""
    """Where answers go."""
    encryption: Literal["none", "starttls", "tls"] = "none"
    """None, from the start (tls), or on demand (starttls)."""
    user: Text = ""
    """Whom to log in as."""
    password: SecretReference | None = None
    """Where the password is, on the controller."""


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
    """Where people go afterwards: an address that the client may send people to."""


class IdentityProvider(Section):
    """Somebody else's login: Google, GitHub, or any OpenID Connect provider."""

    type: Literal["oidc", "google", "github", "gitlab", "microsoft"] = "oidc"
    """What kind of provider; `oidc` is any OpenID Connect provider."""
    enabled: bool = True
    """False: nobody can come through it."""
    display_name: Text = ""
    """What the login page calls it."""
    client_id: Text
    """Whom we are for the provider."""
    client_secret: SecretReference | None = None
    """Where the secret is, on the controller."""
    issuer: Text = ""
    """Type oidc: what tokens must say that they come from."""
    authorization_url: Text = ""
    """Type oidc: where people are sent."""
    token_url: Text = ""
    """Type oidc: where codes become tokens."""
    user_info_url: Text = ""
    """Type oidc: where more is told of people."""
    jwks_url: Text = ""
    """Type oidc: where the keys are that tokens are checked with."""
    logout_url: Text = ""
    """Type oidc: where people are sent to log out there too."""
    scopes: tuple[Text, ...] = ()
    """What is asked for; without this what the provider gives by default."""
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
    """People must prove that an address is theirs."""
    reset_password: bool | None = None
    """Offer a link for a forgotten password."""
    login_with_email: bool | None = None
    """The address does as user name."""
    brute_force: BruteForce | None = None
    """Protection against guessing passwords."""
    password_policy: PasswordPolicy | None = None
    """What a password must be."""
    otp: OneTimePasswords | None = None
    """How one-time passwords are made."""
    sessions: Sessions | None = None
    """How long people stay logged in."""
    tokens: Tokens | None = None
    """How long tokens and links live."""
    mail: Mail | None = None
    """How Keycloak sends mail."""
    required_actions: dict[Name, ActionState] = Field(default={}, examples=[{"CONFIGURE_TOTP": "default"}])
    """What may be, or is, asked of people at a login; actions of plug-ins are named here first."""
    events: Events | None = None
    """What Keycloak records."""
    invitation: Invitation = Field(default_factory=Invitation)
    """What `invite: true` sends."""
    identity_providers: dict[Name, IdentityProvider] = Field(default={})
    """By alias, as it stands in the address that the provider sends people back to."""
