"""What a Keycloak realm's settings mean, by the names that the policy has for them.

A setting is called as in the policy, `sessions.idle_seconds` for `realm.sessions.idle`; lengths of time are
whole seconds. `read` takes settings out of a RealmRepresentation, `written` puts them into one. Nothing here
does IO. Source: RealmRepresentation, https://www.keycloak.org/docs-api/latest/rest-api/ .
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from controller.keycloak_passwords import PASSWORDS, read_rules, written_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "ACTIONS",
    "MAIL",
    "MAIL_PASSWORD",
    "MAIL_PASSWORD_ATTRIBUTE",
    "PLAIN",
    "SettingValue",
    "Settings",
    "action_state",
    "action_switches",
    "read",
    "written",
]

SettingValue: TypeAlias = "bool | int | str | None"
Settings: TypeAlias = "Mapping[str, SettingValue]"
"""Settings by name; None is a rule that does not hold, a length of time without limit, an absent secret."""

Json: TypeAlias = "dict[str, Any]"

MAIL: Final = "mail."
ACTIONS: Final = "required_actions."
MAIL_PASSWORD: Final = "mail.password"  # noqa: S105 - its value is the name of a reference
MAIL_PASSWORD_ATTRIBUTE: Final = "steward.mail_password"  # noqa: S105 - the same
"""The realm attribute that remembers which reference the mail server's password came from."""

_ON: Final = "true"


@dataclass(frozen=True, slots=True)
class _Setting:
    """How one setting is read from a representation, and which fields say it."""

    read: Callable[[Json], SettingValue]
    write: Callable[[Any], Json]


def _plain(field: str, default: SettingValue) -> _Setting:
    def value(realm: Json) -> SettingValue:
        found: SettingValue = realm.get(field)
        return default if found is None else found

    return _Setting(value, lambda given: {field: given})


def _switch(field: str) -> _Setting:
    return _Setting(lambda realm: bool(realm.get(field)), lambda given: {field: given})


def _refresh_once() -> _Setting:
    def value(realm: Json) -> bool:
        return bool(realm.get("revokeRefreshToken")) and not realm.get("refreshTokenMaxReuse")

    def write(given: bool) -> Json:
        return {"revokeRefreshToken": given, **({"refreshTokenMaxReuse": 0} if given else {})}

    return _Setting(value, write)


def _permanent() -> _Setting:
    """Keycloak 24 and later may lock for a while some times before it locks for good."""

    def value(realm: Json) -> bool:
        return bool(realm.get("permanentLockout")) and not realm.get("maxTemporaryLockouts")

    def write(given: bool) -> Json:
        return {"permanentLockout": given, **({"maxTemporaryLockouts": 0} if given else {})}

    return _Setting(value, write)


def _offline_max() -> _Setting:
    def value(realm: Json) -> int | None:
        return (
            realm.get("offlineSessionMaxLifespan") if realm.get("offlineSessionMaxLifespanEnabled") else None
        )

    def write(given: int | None) -> Json:
        if given is None:
            return {"offlineSessionMaxLifespanEnabled": False}
        return {"offlineSessionMaxLifespanEnabled": True, "offlineSessionMaxLifespan": given}

    return _Setting(value, write)


def _algorithm() -> _Setting:
    def value(realm: Json) -> str:
        return str(realm.get("otpPolicyAlgorithm") or "HmacSHA1").removeprefix("Hmac")

    return _Setting(value, lambda given: {"otpPolicyAlgorithm": f"Hmac{given}"})


PLAIN: Final[Mapping[str, _Setting]] = MappingProxyType(
    {
        "display_name": _plain("displayName", ""),
        "registration": _switch("registrationAllowed"),
        "verify_email": _switch("verifyEmail"),
        "reset_password": _switch("resetPasswordAllowed"),
        "login_with_email": _switch("loginWithEmailAllowed"),
        "brute_force": _switch("bruteForceProtected"),
        "brute_force.failures": _plain("failureFactor", 30),
        "brute_force.lockout_seconds": _plain("maxFailureWaitSeconds", 900),
        "brute_force.permanent": _permanent(),
        "otp.type": _plain("otpPolicyType", "totp"),
        "otp.algorithm": _algorithm(),
        "otp.digits": _plain("otpPolicyDigits", 6),
        "otp.period_seconds": _plain("otpPolicyPeriod", 30),
        "otp.look_around": _plain("otpPolicyLookAheadWindow", 1),
        "otp.reusable": _switch("otpPolicyCodeReusable"),
        "sessions.idle_seconds": _plain("ssoSessionIdleTimeout", 0),
        "sessions.max_seconds": _plain("ssoSessionMaxLifespan", 0),
        "sessions.remember_me": _switch("rememberMe"),
        "sessions.remember_me_idle_seconds": _plain("ssoSessionIdleTimeoutRememberMe", 0),
        "sessions.remember_me_max_seconds": _plain("ssoSessionMaxLifespanRememberMe", 0),
        "sessions.offline_idle_seconds": _plain("offlineSessionIdleTimeout", 0),
        "sessions.offline_max_seconds": _offline_max(),
        "tokens.access_seconds": _plain("accessTokenLifespan", 0),
        "tokens.login_seconds": _plain("accessCodeLifespanLogin", 0),
        "tokens.action_by_user_seconds": _plain("actionTokenGeneratedByUserLifespan", 0),
        "tokens.action_by_admin_seconds": _plain("actionTokenGeneratedByAdminLifespan", 0),
        "tokens.refresh_once": _refresh_once(),
        "events.logins": _switch("eventsEnabled"),
        "events.keep_seconds": _plain("eventsExpiration", 0),
        "events.admin": _switch("adminEventsEnabled"),
        "events.admin_details": _switch("adminEventsDetailsEnabled"),
    }
)
"""Every setting that stands in fields of its own; passwords, mail and required actions are read apart."""

_MAIL_FIELDS: Final = MappingProxyType(
    {
        "mail.host": "host",
        "mail.sender": "from",
        "mail.sender_name": "fromDisplayName",
        "mail.reply_to": "replyTo",
        "mail.user": "user",
    }
)
_DEFAULT_PORT: Final = 25


def read(realm: Json) -> dict[str, SettingValue]:
    """Every setting of a realm but its required actions; a realm without a mail server has none of `mail`."""
    settings = {name: setting.read(realm) for name, setting in PLAIN.items()}
    return settings | read_rules(str(realm.get("passwordPolicy") or "")) | _read_mail(realm)


def written(realm: Json, settings: Settings, *, mail_password: str | None = None) -> Json:
    """The representation with these settings laid over it; whatever else it holds stays.

    `mail_password` is the secret itself; without it the server keeps the one that it has.
    """
    made = dict(realm)
    for name, value in settings.items():
        if name in PLAIN:
            made |= PLAIN[name].write(value)
    rules = {name: value for name, value in settings.items() if name.startswith(PASSWORDS)}
    if rules:
        made["passwordPolicy"] = written_rules(str(realm.get("passwordPolicy") or ""), rules)
    mail = {name: value for name, value in settings.items() if name.startswith(MAIL)}
    return _written_mail(made, mail, mail_password) if mail else made


def action_state(action: Json) -> str:
    """What a RequiredActionProviderRepresentation says: `enabled`, `default` or `disabled`."""
    if not action.get("enabled"):
        return "disabled"
    return "default" if action.get("defaultAction") else "enabled"


def action_switches(state: str) -> Json:
    """The fields of a RequiredActionProviderRepresentation that say a state."""
    return {"enabled": state != "disabled", "defaultAction": state == "default"}


def _read_mail(realm: Json) -> dict[str, SettingValue]:
    server = realm.get("smtpServer") or {}
    if not server:
        return {}
    texts: dict[str, SettingValue] = {name: server.get(field) or "" for name, field in _MAIL_FIELDS.items()}
    if server.get("auth") != _ON:
        texts["mail.user"] = ""
    port = str(server.get("port") or _DEFAULT_PORT)
    remembered = (realm.get("attributes") or {}).get(MAIL_PASSWORD_ATTRIBUTE) or None
    return texts | {
        "mail.port": int(port) if port.isdecimal() else port,
        "mail.encryption": _encryption(server),
        MAIL_PASSWORD: remembered if server.get("password") else None,
    }


def _encryption(server: Json) -> str:
    if server.get("ssl") == _ON:
        return "tls"
    return "starttls" if server.get("starttls") == _ON else "none"


def _written_mail(realm: Json, mail: Settings, password: str | None) -> Json:
    """`smtpServer` and `attributes` are replaced whole by the server, so that both go back whole."""
    server = dict(realm.get("smtpServer") or {})
    for name, field in _MAIL_FIELDS.items():
        if name in mail:
            server[field] = mail[name]
    if "mail.port" in mail:
        server["port"] = str(mail["mail.port"])
    if "mail.encryption" in mail:
        server |= {
            "ssl": str(mail["mail.encryption"] == "tls").lower(),
            "starttls": str(mail["mail.encryption"] == "starttls").lower(),
        }
    if "mail.user" in mail:
        server["auth"] = str(bool(mail["mail.user"])).lower()
    if password is not None:
        server["password"] = password
    attributes = dict(realm.get("attributes") or {})
    if MAIL_PASSWORD in mail:
        attributes[MAIL_PASSWORD_ATTRIBUTE] = mail[MAIL_PASSWORD]
    if server.get("auth") != _ON:
        server.pop("password", None)
        attributes.pop(MAIL_PASSWORD_ATTRIBUTE, None)
    return realm | {
        "smtpServer": {name: text for name, text in server.items() if text},
        "attributes": attributes,
    }
