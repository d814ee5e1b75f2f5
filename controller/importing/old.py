"""From what is there to a policy folder that says the same. Pure: readings in, file texts out.

The folder starts in report mode with every entry adopted: planning it changes nothing and tells what
enforcing would write, which for realm, roles and users is our mark alone. Entries that the language
cannot say are left out and told.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from controller.policy.model import Sections

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from controller.keycloak_values import KeycloakRealm, KeycloakRole
    from controller.look import KeycloakReading, ProxmoxReading
    from controller.proxmox_values import ProxmoxEntry, ProxmoxGuest

__all__ = ["Imported", "RealmReading", "imported"]

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
_WORDS = frozenset({"true", "false", "null", "True", "False", "Null", "TRUE", "FALSE", "NULL"})
_OUR_ROLE = "steward-"
_MODES = ("realm", "roles", "users", "machines.assigned")

Entries = dict[str, dict[str, Any]]

_SETTINGS = """\
# Written by steward import: what was there, said as a policy. Nothing is enforced yet.
#
# modes: a section in report mode is compared and told, and never changed. So the first plan is empty, and
# shows what enforcing would do. When a section's report is what you want, take it out of modes, plan, and
# apply: from then on Git decides.
# owner: the mark that is set on everything this policy manages; controller.yaml must list it under owners.
# The language is in docs/policy.md.
"""
_REALM = """\
# The realm that people log in to. What is not written here stays as it is.
"""
_ROLES = """\
# What people may do. adopt: true takes over a role that nobody owns: our mark is set, the rest stays.
# proxmox: the privileges of the role steward-NAME on Proxmox VE, which assignments under machines give.
"""
_USERS = """\
# Who works here, a line each. Edit a line, and the next plan shows that change. A name that is taken out is
# disabled, and deleted after limits.delete_after; state: disabled keeps somebody without rights to log in.
# Second factors are not imported: mfa: required asks for one at the next login.
"""
_MACHINES = """\
# Who may do what on which guest: assigned: {users: {NAME: ROLE}}; the number (vmid) decides which guest.
# Applying gives the role steward-ROLE beside an older entry, which you then take out by hand. Entries of
# groups, of other realms and on pools stay as they are: no policy can say them yet.
"""


@dataclass(frozen=True)
class RealmReading:
    """A realm with its roles (by name, built-in ones left out) and its people."""

    realm: KeycloakRealm
    roles: Mapping[str, KeycloakRole]
    people: KeycloakReading


@dataclass(frozen=True)
class Imported:
    """A policy folder: texts by file name, and what was left out and why."""

    files: Mapping[str, str]
    left_out: tuple[str, ...]


def imported(
    owner: str, realm: RealmReading | None, cluster: ProxmoxReading | None, *, proxmox_realm: str
) -> Imported:
    """The folder that says what was read.

    `proxmox_realm` is the realm behind the `@` of people on Proxmox.
    """
    left_out: list[str] = []
    roles: Entries = {}
    users: Entries = {}
    files: dict[str, str] = {"policy.yaml": _settings(owner)}
    if realm is not None:
        files["realm.yaml"] = _REALM + _text("realm", _realm(realm.realm))
        roles = _sayable("roles", _roles(realm.roles), left_out)
        users = _sayable("users", _users(realm, roles.keys()), left_out)
    if cluster is not None:
        possible = _sayable("roles", _proxmox_roles(cluster), left_out)
        machines = _machines(cluster, proxmox_realm, users.keys(), {**roles, **possible}.keys(), left_out)
        files["machines.yaml"] = _MACHINES + _text("machines", _sayable("machines", machines, left_out))
        roles |= {name: role for name, role in possible.items() if name in _assigned(machines)}
    files["roles.yaml"] = _ROLES + _text("roles", roles)
    files["users.yaml"] = _USERS + _text("users", users)
    return Imported(files, tuple(left_out))


def _assigned(machines: Entries) -> frozenset[str]:
    """The roles that somebody has on a machine."""
    return frozenset(
        role
        for machine in machines.values()
        for role in machine.get("assigned", {}).get("users", {}).values()
    )


def _settings(owner: str) -> str:
    modes = ", ".join(f"{name}: report" for name in _MODES)
    return f"{_SETTINGS}version: 1\nowner: {_scalar(owner)}\nmodes: {{{modes}}}\n"


def _realm(realm: KeycloakRealm) -> dict[str, Any]:
    said: dict[str, Any] = {"name": realm.name}
    if realm.display_name:
        said["display_name"] = realm.display_name
    if realm.brute_force:
        said["brute_force"] = {"failures": realm.failures, "lockout": f"{realm.lockout_seconds}s"}
    return said


def _roles(roles: Mapping[str, KeycloakRole]) -> Entries:
    return {
        name: {
            **({"description": role.description} if role.description else {}),
            **(
                {"includes": included}
                if (included := sorted((role.includes or set()) & roles.keys()))
                else {}
            ),
            "adopt": True,
        }
        for name, role in sorted(roles.items())
    }


def _users(realm: RealmReading, roles: Iterable[str]) -> Entries:
    known = frozenset(roles)
    held: dict[str, list[str]] = {}
    for role, ids in sorted(realm.people.members.items()):
        for user_id in ids if role in known else ():
            held.setdefault(user_id, []).append(role)
    return {
        user.username: {
            **{
                field: value
                for field, value in (
                    ("email", user.email),
                    ("first_name", user.first_name),
                    ("last_name", user.last_name),
                )
                if value
            },
            **({"roles": held[user.id]} if user.id in held else {}),
            **({} if user.enabled else {"state": "disabled"}),
            "adopt": True,
        }
        for user in sorted(realm.people.users, key=lambda one: one.username)
    }


def _proxmox_roles(cluster: ProxmoxReading) -> Entries:
    """The roles of entries on guests: in the language, under their name without our prefix."""
    used = {entry.role for entry in cluster.access.entries if entry.path.startswith("/vms/")}
    return {
        name.removeprefix(_OUR_ROLE): {
            "description": f"as the Proxmox role {name}",
            "proxmox": list(cluster.access.roles[name].privileges),
        }
        for name in sorted(used)
        if name in cluster.access.roles and cluster.access.roles[name].privileges
    }


def _machines(
    cluster: ProxmoxReading,
    proxmox_realm: str,
    users: Iterable[str],
    roles: Iterable[str],
    left_out: list[str],
) -> Entries:
    people, known = frozenset(users), frozenset(roles)
    names = [guest.name for guest in cluster.guests]
    machines: Entries = {}
    for guest in sorted(cluster.guests, key=lambda one: one.vmid):
        if guest.is_template:
            continue
        name = (
            guest.name
            if guest.name and names.count(guest.name) == 1
            else f"{guest.name}-{guest.vmid}".lstrip("-")
        )
        assigned: dict[str, str] = {}
        for entry in _on(guest, cluster.access.entries):
            person = entry.holder.rpartition("@")[0]
            role = entry.role.removeprefix(_OUR_ROLE)
            why = _unsayable(entry, proxmox_realm, people, known)
            if why:
                left_out.append(f"{entry.path} ← {entry.kind} {entry.holder}: {entry.role} ({why})")
            elif person in assigned:
                left_out.append(
                    f"{entry.role} on {entry.path}: {person} has {assigned[person]} there already"
                )
            else:
                assigned[person] = role
        machines[name] = {"vmid": guest.vmid, **({"assigned": {"users": assigned}} if assigned else {})}
    return machines


def _unsayable(entry: ProxmoxEntry, proxmox_realm: str, people: frozenset[str], roles: frozenset[str]) -> str:
    """Why the policy cannot say an entry; "" where it can."""
    person, _, realm = entry.holder.rpartition("@")
    if entry.kind != "user":
        return f"a {entry.kind}; people alone can be assigned"
    if realm != proxmox_realm:
        return f"of the realm {realm}, not {proxmox_realm}"
    if person not in people:
        return "no such account in Keycloak"
    return "" if entry.role.removeprefix(_OUR_ROLE) in roles else "the role has no privileges"


def _on(guest: ProxmoxGuest, entries: Sequence[ProxmoxEntry]) -> list[ProxmoxEntry]:
    return [entry for entry in entries if entry.path == f"/vms/{guest.vmid}"]


def _sayable(section: str, entries: Entries, left_out: list[str]) -> Entries:
    """The entries that the language can say; the others are told, with the reason."""
    kept: Entries = {}
    for name, entry in entries.items():
        try:
            Sections.model_validate({section: {name: _strict(entry)}})
        except ValueError as error:
            left_out.append(f"{section}/{name}: {_reason(error)}")
        else:
            kept[name] = entry
    return kept


def _strict(value: Any) -> Any:
    """Lists as tuples, the way a policy's reader gives them."""
    if isinstance(value, dict):
        return {name: _strict(item) for name, item in value.items()}
    return tuple(map(_strict, value)) if isinstance(value, list) else value


def _reason(error: ValueError) -> str:
    """The second line of pydantic's text names the field, the third says what is wrong."""
    lines = str(error).splitlines()
    return " ".join(line.strip() for line in lines[1:3]).partition(" [type=")[0]


def _text(section: str, entries: Mapping[str, Any]) -> str:
    """A section, an entry a line; values in flow style, texts quoted as JSON (which YAML 1.2 contains)."""
    if not entries:
        return f"{section}: {{}}\n"
    lines = [f"  {_scalar(name)}: {_flow(value)}" for name, value in entries.items()]
    return "\n".join([f"{section}:", *lines]) + "\n"


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(name)}: {_flow(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _scalar(value) if isinstance(value, str) else json.dumps(value)


def _scalar(text: str) -> str:
    is_plain = _PLAIN.fullmatch(text) is not None and text not in _WORDS
    return text if is_plain else json.dumps(text, ensure_ascii=False)
