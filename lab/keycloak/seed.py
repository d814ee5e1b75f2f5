"""Accounts with a history, the same for the same seed: what years of hand work leave behind in a realm.

Told apart by their names in `ODD`, so that a test can ask whether `look` finds them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.errors import SeedError

if TYPE_CHECKING:
    from lab.keycloak.model import Keycloak, Realm
    from lab.keycloak.things import User

__all__ = ["LOOK_CLIENT", "ODD", "STEWARD_CLIENT", "organisation"]

STEWARD_CLIENT = "steward"
"""A service account of the realm that may observe and alter it; its secret is its name."""

LOOK_CLIENT = "steward-look"
"""A service account of the realm that may only observe it; its secret is its name."""

ODD = {
    "admin without second factor": ("ada.admin", "root", "carol.weber"),
    "admin whose account is disabled": ("former.admin",),
    "disabled, roles kept": ("olga.leaver", "tom.leaver", "ines.leaver"),
    "two accounts of one person": ("jo.doe", "jdoe"),
    "shared account with rights": ("oncall", "training"),
    "no e-mail address": ("oncall", "training", "root", "scanner"),
    "role of nobody": ("vpn-2019",),
}
"""What is odd in the realm, and whom it concerns (for the last: which role)."""

_FIRST = (
    "alma", "bela", "cara", "dora", "emil", "finn", "gwen", "hugo", "iris", "jana",
    "karl", "lena", "maro", "nina", "omar", "pola", "remy", "sami", "tara", "ugur",
)  # fmt: skip
_LAST = (
    "abel", "baker", "costa", "dumas", "evers", "faber", "garcia", "hansen", "ivanov", "jansen",
    "keller", "lopez", "martin", "novak", "olsen",
)  # fmt: skip
_LOOK_RIGHTS = {"view-realm", "view-users", "view-clients", "view-identity-providers", "view-events"}
_STEWARD_RIGHTS = {
    *_LOOK_RIGHTS,
    "manage-realm",
    "manage-users",
    "manage-clients",
    "manage-identity-providers",
}
_FIRST_DAY_MS = 1_546_300_800_000
_DAY_MS = 86_400_000
_DISABLED_EVERY, _OTP_EVERY, _OPERATOR_EVERY = 17, 3, 9


def organisation(keycloak: Keycloak, name: str, *, people: int) -> Realm:
    """A realm with `people` accounts, the odd ones among them, and two service accounts for Steward.

    Raises `SeedError` for fewer people than there are odd ones, or more than there are names.
    """
    odd = _odd_people()
    if not len(odd) <= people <= len(odd) + len(_FIRST) * len(_LAST) * 100:
        raise SeedError(f"an organisation of {people} people cannot be made")
    realm = keycloak.create_realm(name, {"enabled": True, "displayName": name.title()})
    _make_roles(keycloak, realm)
    for number in range(people - len(odd)):
        _ordinary(keycloak, realm, number)
    for username in odd:
        _odd(keycloak, realm, username)
    for client_id, rights in ((STEWARD_CLIENT, _STEWARD_RIGHTS), (LOOK_CLIENT, _LOOK_RIGHTS)):
        client = keycloak.new_client(realm, client_id, secret=client_id)
        keycloak.grant_management(realm, keycloak.new_service_account(realm, client), rights)
    return realm


def _odd_people() -> list[str]:
    named = [who for what, names in ODD.items() if what != "role of nobody" for who in names]
    return list(dict.fromkeys(named))


def _make_roles(keycloak: Keycloak, realm: Realm) -> None:
    for name, description in (
        ("employee", "works here"),
        ("operator", "runs the machines"),
        ("platform-admin", "may do everything in the platform"),
        ("vpn-2019", "the old VPN"),
    ):
        keycloak.new_role(realm, name, description)
    realm.roles["operator"].composites.add(realm.roles["employee"].id)
    realm.roles["platform-admin"].composites.add(realm.roles["operator"].id)


def _ordinary(keycloak: Keycloak, realm: Realm, number: int) -> None:
    first = _FIRST[number % len(_FIRST)]
    turn, last = divmod(number // len(_FIRST), len(_LAST))
    username = f"{first}.{_LAST[last]}{turn or ''}"
    roles = {"employee"} | ({"operator"} if number % _OPERATOR_EVERY == 0 else set())
    user = _account(keycloak, realm, username, roles)
    user.created_ms = _FIRST_DAY_MS + number * 7 * _DAY_MS
    user.has_otp = number % _OTP_EVERY != 0
    if number % _DISABLED_EVERY == _DISABLED_EVERY - 1:
        user.enabled = False
        user.roles -= {realm.roles[name].id for name in roles}


def _odd(keycloak: Keycloak, realm: Realm, username: str) -> None:
    is_admin = username in {*ODD["admin without second factor"], *ODD["admin whose account is disabled"]}
    has_rights = username in ODD["shared account with rights"]
    user = _account(keycloak, realm, username, {"operator"} if has_rights else {"employee"})
    user.created_ms = _FIRST_DAY_MS
    user.has_otp = username in {*ODD["admin whose account is disabled"], *ODD["two accounts of one person"]}
    leavers = {*ODD["disabled, roles kept"], *ODD["admin whose account is disabled"]}
    user.enabled = username not in leavers
    if is_admin:
        keycloak.grant_management(realm, user, {"realm-admin"})
        user.roles.add(realm.roles["platform-admin"].id)
    if username in ODD["no e-mail address"]:
        realm.set_email(user, None)
    if username in ODD["two accounts of one person"]:
        user.first_name, user.last_name = "Jo", "Doe"


def _account(keycloak: Keycloak, realm: Realm, username: str, roles: set[str]) -> User:
    user = keycloak.new_user(realm, username, password=f"{username}-password", roles=roles)
    first, _, last = username.partition(".")
    user.first_name, user.last_name = first.title(), last.title() or None
    realm.set_email(user, f"{username}@{realm.name}.example")
    user.email_verified = True
    return user
