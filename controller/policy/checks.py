"""Rules that hold across the entries of a policy, beyond the type of each field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from controller.policy.places import key_position, value_position
from controller.policy.problems import quoted
from controller.policy.references import check_references

if TYPE_CHECKING:
    from controller.policy.merge import Merged

__all__ = ["check"]

_BUILT_IN_ROLES: Final = frozenset(("offline_access", "uma_authorization"))
_TARGETS: Final = ("users", "roles", "machines")


def check(merged: Merged) -> None:
    """Report everything that is wrong between entries."""
    check_references(merged)
    _check_emails(merged)
    _check_vmids(merged)
    _check_role_names(merged)
    _check_realm(merged)
    _check_ignore(merged)
    _check_power(merged)
    _check_one_machine(merged)


def _check_emails(merged: Merged) -> None:
    """Keycloak compares addresses in lower case and keeps each once in a realm."""
    seen: dict[str, str] = {}
    for name, user in merged.entries("users").items():
        email = user.get("email") if isinstance(user, dict) else None
        if not isinstance(email, str) or not email:
            continue
        first = seen.setdefault(email.lower(), name)
        if first != name:
            where = value_position(merged.place, ("users", first, "email"))
            message = f"{quoted(email)} is the address of {quoted(first)} already, at {where}"
            merged.report(value_position(merged.place, ("users", name, "email")), message)


def _check_vmids(merged: Merged) -> None:
    seen: dict[tuple[object, int], str] = {}
    for name, machine in merged.entries("machines").items():
        vmid = machine.get("vmid") if isinstance(machine, dict) else None
        if not isinstance(machine, dict) or not isinstance(vmid, int) or isinstance(vmid, bool):
            continue
        cluster = machine.get("cluster")
        first = seen.setdefault((str(cluster), vmid), name)
        if first != name:
            where = value_position(merged.place, ("machines", first, "vmid"))
            message = f"vmid {vmid} is that of {quoted(first)} already, at {where}"
            merged.report(value_position(merged.place, ("machines", name, "vmid")), message)


def _check_role_names(merged: Merged) -> None:
    for name in merged.entries("roles"):
        if name in _BUILT_IN_ROLES or name.startswith("default-roles-"):
            message = f"{quoted(name)} is a role of Keycloak's own"
            merged.report(key_position(merged.place, ("roles", name)), message)


def _check_realm(merged: Merged) -> None:
    if merged.entries("realm").get("name") == "master":
        message = "the master realm holds Keycloak's administrators: no policy manages it"
        merged.report(value_position(merged.place, ("realm", "name")), message)


def _check_ignore(merged: Merged) -> None:
    rules = merged.values.get("ignore")
    for index, rule in enumerate(rules if isinstance(rules, tuple) else ()):
        if isinstance(rule, dict) and sum(target in rule for target in _TARGETS) != 1:
            message = f"ignore names exactly one of {', '.join(_TARGETS)}"
            merged.report(value_position(merged.place, ("ignore", index)), message)


def _check_power(merged: Merged) -> None:
    for section in ("machines", "machine_sets"):
        for name, machine in merged.entries(section).items():
            power = machine.get("power") if isinstance(machine, dict) else None
            if isinstance(power, dict) and "schedule" in power and "state" in power:
                message = "power has a schedule or a state, not both"
                merged.report(key_position(merged.place, (section, name, "power", "state")), message)


def _check_one_machine(merged: Merged) -> None:
    if merged.entries("rules").get("one_machine_per_user") is not True:
        return
    seen: dict[str, tuple[str, ...]] = {}
    for name, machine in merged.entries("machines").items():
        assigned = machine.get("assigned") if isinstance(machine, dict) else None
        users = assigned.get("users") if isinstance(assigned, dict) else None
        for user in users if isinstance(users, dict) else ():
            path = ("machines", name, "assigned", "users", user)
            first = seen.setdefault(user, path)
            if first != path:
                where = key_position(merged.place, first)
                message = (
                    f"{quoted(user)} has {quoted(first[1])} already, at {where} (rules.one_machine_per_user)"
                )
                merged.report(key_position(merged.place, path), message)
