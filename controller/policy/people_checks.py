"""Rules of people: names and addresses that are unique and possible, and what an account needs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from controller.policy.places import key_position, value_position
from controller.policy.problems import quoted
from controller.policy.readings import ASSIGNABLE, entries_of, map_of, text_of, texts_of

if TYPE_CHECKING:
    from controller.policy.merge import Merged
    from controller.policy.places import Value
    from controller.policy.readings import Path

__all__ = ["check_people"]

_BUILT_IN_ROLES: Final = frozenset(("offline_access", "uma_authorization"))
_TOKEN_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]+")
"""Proxmox names tokens as it names realms (pve-access-control, PVE::AccessControl)."""

_SERVICE_ACCOUNTS: Final = "service-account-"
_OUR_ATTRIBUTES: Final = "steward."
_FIELDS: Final = {
    "username": "the entry's own name",
    "email": "email",
    "firstName": "first_name",
    "lastName": "last_name",
    "first_name": "first_name",
    "last_name": "last_name",
}
"""What Keycloak keeps beside the attributes, and the field of the policy for it."""

_LONGEST_LOCAL_PART: Final = 64
"""Of an address, before the @ (RFC 5321, and Keycloak's own check)."""

_PROXMOX_EMAIL: Final = re.compile(r"[\w+~-]+(\.[\w+~-]+)*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", re.ASCII)
"""What Proxmox takes for an address (pve-common, PVE::JSONSchema `email-opt`)."""

_LONGEST_GROUP: Final = 56
"""Team `x` is the group `steward-x` on Proxmox; the same room as roles have."""


def check_people(merged: Merged) -> None:
    """Report what is wrong with roles, teams and users."""
    _check_role_names(merged)
    _check_team_names(merged)
    _check_emails(merged)
    _check_emails_on_proxmox(merged)
    _check_links(merged)
    for path, user in entries_of(merged, "users"):
        _check_user(merged, path, user)


def _check_role_names(merged: Merged) -> None:
    for name in merged.entries("roles"):
        if name in _BUILT_IN_ROLES or name.startswith("default-roles-"):
            message = f"{quoted(name)} is a role of Keycloak's own: take another name"
            merged.report(key_position(merged.place, ("roles", name)), message)


def _check_team_names(merged: Merged) -> None:
    """Keycloak and Proxmox tell names in capitals apart; people, and some databases, do not."""
    seen: dict[str, str] = {}
    for name in merged.entries("teams"):
        where = key_position(merged.place, ("teams", name))
        if len(name) > _LONGEST_GROUP:
            message = (
                f"{quoted(name)} is longer than {_LONGEST_GROUP} characters, what Proxmox's groups allow"
            )
            merged.report(where, message)
        first = seen.setdefault(name.lower(), name)
        if first != name:
            there = key_position(merged.place, ("teams", first))
            merged.report(where, f"{quoted(name)} differs from {quoted(first)} only in capitals, at {there}")


def _check_emails(merged: Merged) -> None:
    """Keycloak compares addresses in lower case and keeps each once in a realm."""
    seen: dict[str, str] = {}
    for name, user in merged.entries("users").items():
        email = text_of(user, "email")
        if not email:
            continue
        first = seen.setdefault(email.lower(), name)
        if first != name:
            where = value_position(merged.place, ("users", first, "email"))
            message = f"{quoted(email)} is the address of {quoted(first)} already, at {where}"
            merged.report(value_position(merged.place, ("users", name, "email")), message)


def _check_links(merged: Merged) -> None:
    """Keycloak can log nobody in whom a provider knows as two people."""
    known = map_of(dict(merged.entries("realm")), "identity_providers")
    seen: dict[tuple[str, str], Path] = {}
    for path, user in entries_of(merged, "users"):
        for alias, link in map_of(user, "links").items():
            if alias not in known:
                continue
            known_as, here = text_of(link, "id"), (*path, "links", alias, "id")
            first = seen.setdefault((alias, known_as), here) if known_as else here
            if first != here:
                there = value_position(merged.place, first)
                message = f"{quoted(known_as)} of {quoted(alias)} is {quoted(first[1])} already, at {there}"
                merged.report(value_position(merged.place, here), message)


def _check_emails_on_proxmox(merged: Merged) -> None:
    """An address that Proxmox refuses is a mistake for who gets an account there."""
    refused = {
        str(path[1]): email
        for path, user in entries_of(merged, "users")
        if (email := text_of(user, "email")) and not _PROXMOX_EMAIL.fullmatch(email)
    }
    for name in sorted(refused.keys() & _on_proxmox(merged)) if refused else ():
        message = f"Proxmox, where {quoted(name)} is assigned something, refuses the address"
        where = value_position(merged.place, ("users", name, "email"))
        merged.report(where, f"{message} {quoted(refused[name])}: letters, digits and . _ + - before the @")


def _on_proxmox(merged: Merged) -> set[str]:
    """The people who are assigned something, themselves, by a token or by a team or one above it."""
    people: set[str] = set()
    teams: set[str] = set()
    for _, entry in entries_of(merged, *ASSIGNABLE):
        assigned = map_of(entry, "assigned")
        people |= {*map_of(assigned, "users"), *(one.split("!")[0] for one in map_of(assigned, "tokens"))}
        teams |= map_of(assigned, "teams").keys()
    parents = {str(path[1]): text_of(team, "parent") for path, team in entries_of(merged, "teams")}
    for _ in parents:  # a chain is no longer than there are teams
        below = {team for team, parent in parents.items() if parent in teams} - teams
        if not below:
            break
        teams |= below
    for path, team in entries_of(merged, "teams"):
        people |= {name for _, name in texts_of(team, "members")} if path[1] in teams else set()
    for path, user in entries_of(merged, "users"):
        if teams & {name for _, name in texts_of(user, "teams")}:
            people.add(str(path[1]))
    return people


def _check_user(merged: Merged, path: Path, user: dict[str, Value]) -> None:
    if str(path[1]).startswith(_SERVICE_ACCOUNTS):
        message = f"{quoted(path[1])} is the account of a client: say service_account there"
        merged.report(key_position(merged.place, path), message)
    email = text_of(user, "email")
    if len(email.partition("@")[0]) > _LONGEST_LOCAL_PART:
        message = f"{quoted(email)} has more than {_LONGEST_LOCAL_PART} characters before the @"
        merged.report(value_position(merged.place, (*path, "email")), message)
    for name, why in (("invite", "an invitation goes"), ("email_verified", "what is verified is")):
        if user.get(name) is True and not email:
            message = f"{why} to an e-mail address" if name == "invite" else f"{why} an e-mail address"
            merged.report(key_position(merged.place, (*path, name)), f"{message}: give email")
    for name in map_of(user, "attributes"):
        where = key_position(merged.place, (*path, "attributes", name))
        if name in _FIELDS:
            merged.report(where, f"{quoted(name)} is no attribute: say {_FIELDS[name]}")
        elif name.startswith(_OUR_ATTRIBUTES):
            merged.report(where, f"{quoted(name)}: attributes named {_OUR_ATTRIBUTES}* are kept by us")
    for name in map_of(user, "proxmox_tokens"):
        if not _TOKEN_NAME.fullmatch(name):
            message = f"{quoted(name)} can be no token of Proxmox: a letter first, at least two characters"
            merged.report(key_position(merged.place, (*path, "proxmox_tokens", name)), message)
