"""Rules of what people log in through: the realm, its identity providers, the clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from controller.policy.addresses import wrong_address, wrong_origin, wrong_redirect
from controller.policy.places import key_position, value_position
from controller.policy.problems import did_you_mean, quoted
from controller.policy.readings import entries_of, given, map_of, number_of, text_of, texts_of
from controller.policy.scalars import seconds_of

if TYPE_CHECKING:
    from controller.policy.merge import Merged
    from controller.policy.places import Value
    from controller.policy.readings import Path

__all__ = ["REQUIRED_ACTIONS", "check_login"]

REQUIRED_ACTIONS: Final = (
    "CONFIGURE_RECOVERY_AUTHN_CODES",
    "CONFIGURE_TOTP",
    "TERMS_AND_CONDITIONS",
    "UPDATE_EMAIL",
    "UPDATE_PASSWORD",
    "UPDATE_PROFILE",
    "VERIFY_EMAIL",
    "VERIFY_PROFILE",
    "delete_account",
    "delete_credential",
    "idp_link",
    "update_user_locale",
    "webauthn-register",
    "webauthn-register-passwordless",
)
"""What Keycloak itself may ask of people at a login (26.x, `RequiredActionProvider`s that come with it)."""

_OWN_CLIENTS: Final = (
    "account",
    "account-console",
    "admin-cli",
    "broker",
    "realm-management",
    "security-admin-console",
)
_LONGEST_SECONDS: Final = 2**31 - 1
_DAY_SECONDS: Final = 86_400
_SESSION_PAIRS: Final = (
    ("idle", "max"),
    ("remember_me_idle", "remember_me_max"),
    ("offline_idle", "offline_max"),
)
_OIDC_NEEDS: Final = ("issuer", "authorization_url", "token_url")
_OIDC_ONLY: Final = (*_OIDC_NEEDS, "user_info_url", "jwks_url", "logout_url")


def check_login(merged: Merged) -> None:
    """Report what contradicts itself, and what Keycloak would refuse or misunderstand."""
    realm = merged.entries("realm")
    _check_realm(merged, realm)
    _check_passwords(merged, map_of(realm, "password_policy"))
    _check_durations(merged, realm)
    _check_mail(merged, map_of(realm, "mail"))
    for alias, provider in map_of(realm, "identity_providers").items():
        if isinstance(provider, dict):
            _check_provider(merged, ("realm", "identity_providers", alias), provider)
    _check_actions(merged, realm)
    for path, client in entries_of(merged, "clients"):
        _check_client(merged, path, client)
    _check_proxmox(merged)


def _check_realm(merged: Merged, realm: dict[str, Value]) -> None:
    if realm.get("name") == "master":
        message = "the master realm holds Keycloak's administrators: no policy manages it"
        merged.report(value_position(merged.place, ("realm", "name")), message)


def _check_passwords(merged: Merged, policy: dict[str, Value]) -> None:
    """A policy that no password can satisfy would lock everybody out at the next change of theirs."""
    longest = number_of(policy, "max_length")
    classes = [number_of(policy, name) or 0 for name in ("digits", "lower_case", "upper_case", "special")]
    shortest = max(number_of(policy, "length") or 0, sum(classes))
    if longest is not None and shortest > longest:
        message = f"no password fits: at least {shortest} characters are asked for, {longest} are allowed"
        merged.report(value_position(merged.place, ("realm", "password_policy", "max_length")), message)


def _check_durations(merged: Merged, realm: dict[str, Value]) -> None:
    """Keycloak counts seconds in 32 bits, and the age of passwords in whole days."""
    for part in ("brute_force", "password_policy", "otp", "sessions", "tokens", "events", "invitation"):
        for name, value in map_of(realm, part).items():
            seconds = seconds_of(value) if isinstance(value, str) else None
            where = ("realm", part, name)
            if seconds is not None and seconds > _LONGEST_SECONDS:
                message = f"{quoted(value)} is longer than Keycloak can count (68 years)"
                merged.report(value_position(merged.place, where), message)
            elif seconds is not None and name == "max_age" and (seconds % _DAY_SECONDS or not seconds):
                message = f"{quoted(value)} is not a number of whole days, as 90d"
                merged.report(value_position(merged.place, where), message)
    sessions = map_of(realm, "sessions")
    for idle, longest in _SESSION_PAIRS:
        short, long = (seconds_of(text_of(sessions, name)) for name in (idle, longest))
        if short is not None and long is not None and long and short > long:
            message = f"{idle} is longer than {longest} ({sessions[longest]}): it would never come to it"
            merged.report(value_position(merged.place, ("realm", "sessions", idle)), message)


def _check_mail(merged: Merged, mail: dict[str, Value]) -> None:
    for one, other in (("user", "password"), ("password", "user")):
        if mail.get(one) not in (None, "") and mail.get(other) in (None, ""):
            message = f"a {one} of the mail server without a {other}: give both or neither"
            merged.report(key_position(merged.place, ("realm", "mail", one)), message)


def _check_provider(merged: Merged, path: Path, provider: dict[str, Value]) -> None:
    kind = text_of(provider, "type") or "oidc"
    missing = [name for name in _OIDC_NEEDS if kind == "oidc" and not text_of(provider, name)]
    if missing:
        message = f"type oidc needs {', '.join(missing)}: its discovery document has them"
        merged.report(key_position(merged.place, path), message)
    for name in _OIDC_ONLY if kind != "oidc" else ():
        if given(provider, name):
            message = f"{name} is for type oidc: Keycloak knows the addresses of {kind} itself"
            merged.report(key_position(merged.place, (*path, name)), message)
    for name in _OIDC_ONLY if kind == "oidc" else ():
        text = text_of(provider, name)
        if text and (wrong := wrong_address(text)):
            merged.report(value_position(merged.place, (*path, name)), f"{quoted(text)} {wrong}")
    if kind != "google" and text_of(provider, "hosted_domain"):
        message = f"hosted_domain is for type google, not {kind}"
        merged.report(key_position(merged.place, (*path, "hosted_domain")), message)
    if provider.get("by_email") == "link" and provider.get("trust_email") is not True:
        message = (
            "link needs trust_email: true: whoever enters somebody's address there would have the account"
        )
        merged.report(value_position(merged.place, (*path, "by_email")), message)


def _check_actions(merged: Merged, realm: dict[str, Value]) -> None:
    """Actions that are asked of people: known ones, and none that the realm has disabled."""
    states = map_of(realm, "required_actions")
    asked: list[tuple[Path, str]] = [
        (("realm", "invitation", "actions", index), name)
        for index, name in texts_of(map_of(realm, "invitation"), "actions")
    ]
    for path, user in entries_of(merged, "users"):
        asked += [
            ((*path, "required_actions", index), name) for index, name in texts_of(user, "required_actions")
        ]
        if user.get("mfa") == "required" and states.get("CONFIGURE_TOTP") == "disabled":
            asked.append(((*path, "mfa"), "CONFIGURE_TOTP"))
    for path, name in asked:
        if name not in states and name not in REQUIRED_ACTIONS:
            message = (
                f"unknown required action {quoted(name)}: a plug-in's is named in realm.required_actions"
            )
            meant = did_you_mean(name, (*REQUIRED_ACTIONS, *states))
            merged.report(value_position(merged.place, path), message, meant)
        elif states.get(name) == "disabled":
            where = value_position(merged.place, ("realm", "required_actions", name))
            merged.report(value_position(merged.place, path), f"{name} is disabled in this realm, at {where}")


def _check_client(merged: Merged, path: Path, client: dict[str, Value]) -> None:
    if path[1] in _OWN_CLIENTS:
        message = f"{quoted(path[1])} is a client of Keycloak's own: take another name"
        merged.report(key_position(merged.place, path), message)
    for name, why in (
        ("secret", "can keep no secret"),
        ("service_account", "cannot log in as itself"),
    ):
        if client.get("public") is True and client.get(name) not in (None, False):
            message = f"a public client {why}: drop {name}, or public"
            merged.report(key_position(merged.place, (*path, name)), message)
    for name, wrong_with in (
        ("redirect", wrong_redirect),
        ("post_logout", _wrong_post_logout),
        ("web_origins", wrong_origin),
    ):
        for index, text in texts_of(client, name):
            if wrong := wrong_with(text):
                merged.report(value_position(merged.place, (*path, name, index)), f"{quoted(text)} {wrong}")


def _wrong_post_logout(text: str) -> str:
    """Keycloak also takes `+`, the addresses of `redirect`."""
    return "" if text == "+" else wrong_redirect(text)


def _check_proxmox(merged: Merged) -> None:
    """A Proxmox has one OpenID realm of ours, so that one client at most is it."""
    first: Path | None = None
    for path, client in entries_of(merged, "clients"):
        if not given(client, "proxmox"):
            continue
        if first is None:
            first = path
            continue
        where = key_position(merged.place, (*first, "proxmox"))
        message = f"{quoted(first[1])} is the client of Proxmox already, at {where}: one logs everybody in"
        merged.report(key_position(merged.place, (*path, "proxmox")), message)
