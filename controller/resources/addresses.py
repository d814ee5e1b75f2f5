"""E-mail addresses that pass from one person to another: Keycloak keeps each once in a realm. Pure.

Whoever takes an address over waits for the one who gives it up. Where several give theirs to each other in a
ring nobody could begin: these wait for the same things, so that they are written together and `accounts`
empties their addresses first.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from controller.plan.change import Operation
from controller.plan.plan import Report

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from controller.plan.change import Change
    from controller.resources.people import User
    from controller.resources.resource import Context

__all__ = ["held_addresses", "in_turn", "passed_on"]


def in_turn(changes: Sequence[Change]) -> list[Change]:
    """The changes of people, those who take an address over after those who give it up."""
    before = _givers(changes)
    if not before:
        return list(changes)
    rings = _rings(before)
    by_key = {change.key: change for change in changes}
    ordered: list[Change] = []
    for change in changes:
        ring = rings.get(change.key)
        if ring is not None:
            needed = frozenset(name for member in ring for name in by_key[member].depends_on)
            ordered.append(replace(change, depends_on=tuple(sorted(needed))))
        elif change.key in before:
            giver = by_key[before[change.key]]
            ordered.append(replace(change, depends_on=(*change.depends_on, giver.identity)))
        else:
            ordered.append(change)
    return ordered


def passed_on(changes: Iterable[Change]) -> frozenset[str]:
    """The keys of those of these changes whose present address another of them takes."""
    return frozenset(_givers(list(changes)).values())


def held_addresses(changes: Iterable[Change], users: Mapping[str, User], context: Context) -> list[Report]:
    """A report for each address that somebody is to get while another, who keeps it, has it."""
    holders = {user.email: name for name, user in users.items() if user.email}
    made = list(changes)
    leaving = {change.key for change in made if "email" in change.changed}
    return [
        Report(
            context.system,
            change.section,
            change.key,
            f"{holder} has the address {email}",
            source=change.source,
        )
        for change in made
        if (email := _new_address(change))
        and (holder := holders.get(email, change.key)) != change.key
        and holder not in leaving
    ]


def _givers(changes: Sequence[Change]) -> dict[str, str]:
    """By who takes an address over, who gives it up (keys of changes)."""
    given_up = {
        str((change.before or {}).get("email")): change.key
        for change in changes
        if change.operation is Operation.UPDATE and "email" in change.changed
    }
    return {
        change.key: giver
        for change in changes
        if (giver := given_up.get(_new_address(change) or "-")) is not None and giver != change.key
    }


def _new_address(change: Change) -> str:
    if change.after is None or "email" not in change.changed:
        return ""
    return str(change.after["email"])


def _rings(before: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """By member, the rings in which each waits for the next."""
    found: dict[str, frozenset[str]] = {}
    for start in before:
        path, here = [start], before[start]
        while here in before and here not in path:
            path.append(here)
            here = before[here]
        if here == start:
            found[start] = frozenset(path)
    return found
