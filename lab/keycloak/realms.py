"""The admin calls on realms: what they are made with, and how their settings are altered.

PUT alters what it names: attributes given replace all but those that every realm has, the settings of the
mail server are replaced as a whole but for a masked password.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.keycloak.answers import MASK, Refusal, realm_answer
from lab.keycloak.defaults import REALM_ATTRIBUTES
from lab.keycloak.mails import NO_SENDER
from lab.keycloak.model import REUSABLE_OTP
from lab.keycloak.password_policy import check_policy
from lab.keycloak.representations import REALM
from lab.keycloak.shapes import server_error, shaped

if TYPE_CHECKING:
    from lab.keycloak.call import Call
    from lab.keycloak.model import Keycloak, Realm

__all__ = ["ROUTES", "create"]

Json = dict[str, Any]
_APART = frozenset(
    {"id", "realm", "defaultRole", "attributes", "clientProfiles", "clientPolicies"}
    | {name for name, kind in REALM.fields.items() if kind in {"list", "map"}}
)
_NO_OTP_POLICY = {
    "otpPolicyType": "",
    "otpPolicyAlgorithm": "",
    "otpPolicyInitialCounter": 0,
    "otpPolicyDigits": 0,
    "otpPolicyLookAheadWindow": 0,
    "otpPolicyPeriod": 0,
    "otpPolicyCodeReusable": False,
}
_SOME_OTP_APPS = ("totpAppFreeOTPName", "totpAppGoogleName")
_OTP_APPS = {
    ("totp", "HmacSHA1", 6, 30): (
        "totpAppFreeOTPName",
        "totpAppGoogleName",
        "totpAppMicrosoftAuthenticatorName",
    )
}
_FLOWS = (
    "browserFlow",
    "registrationFlow",
    "directGrantFlow",
    "resetCredentialsFlow",
    "clientAuthenticationFlow",
    "dockerAuthenticationFlow",
    "firstBrokerLoginFlow",
)
_NOT_NEGATIVE = {"failureFactor": "Failure factor may not be a negative value"}


def create(keycloak: Keycloak, body: Any, text: str) -> Realm:
    """POST realms. Raises `Refusal`."""
    if body is None:
        raise server_error()
    try:
        given = shaped(REALM, body, text)
    except Refusal as refusal:
        raise Refusal(400, errorMessage="unable to read contents from stream") from refusal
    name = given.get("realm", "")
    if not name:
        raise Refusal(400, errorMessage="Realm name cannot be empty")
    if "/" in name:
        raise Refusal(400, error="Character '/' not allowed.")
    if name in keycloak.realms:
        raise Refusal(409, errorMessage=f"Realm {name} already exists")
    check_policy(given.get("passwordPolicy", ""))
    realm = keycloak.create_realm(name, {})
    attributes = realm.attributes | given.pop("attributes", {})
    _alter(realm, given)
    realm.settings["smtpServer"] = given.get("smtpServer", {})
    realm.attributes |= attributes
    return realm


def get_realm(call: Call) -> Json:
    """GET the realm: whole for those who may view it, little for others with any right."""
    if not call.rights:
        raise Refusal(403, error="HTTP 403 Forbidden")
    return realm_answer(call.realm, call.rights)


def update_realm(call: Call) -> None:
    """PUT the realm: settings not given stay."""
    call.require("manage-realm")
    realm, given = call.realm, call.given(REALM)
    for name, complaint in _NOT_NEGATIVE.items():
        if given.get(name, 0) < 0:
            raise Refusal(400, errorMessage=complaint)
    if any(name in given and given[name] not in realm.flows for name in _FLOWS):
        raise Refusal(500, errorMessage="Failed to update realm")
    name = given.get("realm", realm.name)
    if name != realm.name and name in call.keycloak.realms:
        raise Refusal(409, errorMessage="Realm with same name exists")
    check_policy(given.get("passwordPolicy", ""))
    if given.get("smtpServer") and not given["smtpServer"].get("from"):
        raise Refusal(400, errorMessage=NO_SENDER.format("null"))
    _alter(realm, given)
    call.record("UPDATE", "REALM", None, of=call.body)
    if name != realm.name:
        call.keycloak.rename_realm(realm, name)


def delete_realm(call: Call) -> None:
    """DELETE the realm."""
    call.require("manage-realm")
    if call.realm.name == "master":
        raise Refusal(400, errorMessage="Can't delete the master realm")
    call.keycloak.delete_realm(call.realm)


def _alter(realm: Realm, given: Json) -> None:
    if "attributes" in given:
        realm.attributes = {**REALM_ATTRIBUTES, **given["attributes"]}
    settings = {name: value for name, value in given.items() if name not in _APART}
    settings = _one_time_passwords(realm, settings)
    if "smtpServer" in settings:
        settings["smtpServer"] = _mail_server(realm, settings["smtpServer"])
    if "passwordPolicy" in settings:
        settings["passwordPolicy"] = settings["passwordPolicy"].strip()
    if "supportedLocales" in settings:
        settings["supportedLocales"] = sorted(settings["supportedLocales"])
    realm.settings |= settings


def _one_time_passwords(realm: Realm, settings: Json) -> Json:
    """Only where the type is given are they altered, and then all of them: what is missing is nothing."""
    others = {name: value for name, value in settings.items() if not name.startswith("otp")}
    if "otpPolicyType" not in settings:
        return others
    policy = {name: settings.get(name, nothing) for name, nothing in _NO_OTP_POLICY.items()}
    realm.attributes[REUSABLE_OTP] = str(policy["otpPolicyCodeReusable"]).lower()
    shape = tuple(policy[f"otpPolicy{part}"] for part in ("Type", "Algorithm", "Digits", "Period"))
    policy["otpSupportedApplications"] = [*_OTP_APPS.get(shape, _SOME_OTP_APPS)]
    return others | policy


def _mail_server(realm: Realm, given: dict[str, str]) -> dict[str, str]:
    """Who logs in nowhere needs neither name nor password."""
    if given.get("auth") != "true":
        return {name: text for name, text in given.items() if name not in {"user", "password"}}
    held = realm.settings["smtpServer"].get("password", MASK)
    return given | ({"password": held} if given.get("password") == MASK else {})


ROUTES = (
    ("GET", "", get_realm),
    ("PUT", "", update_realm),
    ("DELETE", "", delete_realm),
)
