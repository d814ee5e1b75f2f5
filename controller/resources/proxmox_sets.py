"""Which guests a set of machines holds, and what machines and sets together say of one guest. Pure.

Sets have one level. Maps unite; what a machine says itself wins; what two sets say of one thing differently
is a mistake of the policy that names both. Templates belong to no set: clones carry the tags of their
template, and what starts machines or gives people rights on them is not meant for the image behind them.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from controller.policy.machines import Power
from controller.policy.problems import Problem, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from controller.policy.machines import Assigned, Machine, MachineSet, Match, Node, Pool, Storage
    from controller.policy.model import Policy
    from controller.policy.position import SourcePosition
    from controller.proxmox_values import EntryHolder, ProxmoxGuest

__all__ = [
    "HOLDERS",
    "Grant",
    "Key",
    "Matched",
    "Said",
    "backup_of",
    "entry_grants",
    "grants_of",
    "matched",
    "power_of",
    "said_by",
    "united",
]

Key: TypeAlias = tuple[str, ...]
"""What a value is about: `("assigned", "users", "jo")`, `("power", "when")`, `("backup",)`."""

HOLDERS: Mapping[str, EntryHolder] = MappingProxyType({"users": "user", "teams": "group", "tokens": "token"})
"""The maps of `assigned`, and the kind of holder that each names on Proxmox."""


@dataclass(frozen=True)
class Grant:
    """A role for somebody: `name` is the policy's for a person, a team (`group`) or a token (`jo!ci`).

    `by` is the set that says so, "" for the entry of the machine (pool, storage, node) itself.
    """

    kind: EntryHolder
    name: str
    role: str
    source: SourcePosition
    by: str = ""


@dataclass(frozen=True)
class Matched:
    """A set on one cluster: its guests, and those of which nobody can tell (their name is not known now).

    `why` says what keeps it from being applied: `expect` does not hold. "" where nothing does.
    """

    name: str
    vmids: frozenset[int]
    unsure: frozenset[int]
    source: SourcePosition
    why: str = ""


@dataclass(frozen=True)
class Said:
    """A value that one place of the policy gives: `by` is the set, "" for the machine itself."""

    value: object
    source: SourcePosition
    by: str = ""


def matched(policy: Policy, guests: Sequence[ProxmoxGuest], cluster: str) -> tuple[Matched, ...]:
    """Every set of the policy that may hold guests of this cluster."""
    return tuple(
        _matched(name, one, policy, guests)
        for name, one in policy.machine_sets.items()
        if one.match.cluster in {None, cluster}
    )


def _matched(name: str, one: MachineSet, policy: Policy, guests: Sequence[ProxmoxGuest]) -> Matched:
    possible = [guest for guest in guests if not guest.is_template and _has_tags(guest, one.match)]
    unsure = frozenset(guest.vmid for guest in possible if one.match.name is not None and not guest.name)
    sure = frozenset(
        guest.vmid for guest in possible if guest.vmid not in unsure and _is_named(guest, one.match)
    )
    source = policy.at("machine_sets", name)
    if one.expect is None:
        return Matched(name, sure, unsure, source)
    most = "" if one.expect.max is None else f" to {one.expect.max}"
    is_short = len(sure) + len(unsure) < one.expect.min
    is_long = one.expect.max is not None and len(sure) > one.expect.max
    why = f"holds {len(sure)} guests, not {one.expect.min}{most or ' or more'} as expected"
    return Matched(name, sure, unsure, source, why if is_short or is_long else "")


def _has_tags(guest: ProxmoxGuest, match: Match) -> bool:
    """Whether the guest has every tag; Proxmox keeps tags in lower case unless told otherwise."""
    tags = {tag.lower() for tag in guest.tags}
    return all(tag.lower() in tags for tag in match.tags)


def _is_named(guest: ProxmoxGuest, match: Match) -> bool:
    return match.name is None or fnmatchcase(guest.name, match.name)


def said_by(policy: Policy, section: str, name: str, one: Machine | MachineSet) -> dict[Key, Said]:
    """What an entry says of its guests, each value by its key.

    `schedule` and `state` are two ways to say when a guest runs, so they are one value: `power.when`.
    """
    by = name if section == "machine_sets" else ""
    said: dict[Key, Said] = {}
    for kind, holder, role in _assigned(one.assigned):
        said["assigned", kind, holder] = Said(role, policy.at(section, name, "assigned", kind, holder), by)
    if one.backup is not None:
        said["backup",] = Said(one.backup, policy.at(section, name, "backup"), by)
    if one.power is not None:
        for given in sorted(one.power.model_fields_set - {"stop"}):
            key = "when" if given in {"schedule", "state"} else given
            at = policy.at(section, name, "power", given)
            said["power", key] = Said((given, getattr(one.power, given)), at, by)
        for given in sorted(one.power.stop.model_fields_set):
            at = policy.at(section, name, "power", "stop", given)
            said["power", "stop", given] = Said(getattr(one.power.stop, given), at, by)
    return said


def _assigned(assigned: Assigned) -> Iterator[tuple[str, str, str]]:
    for kind in HOLDERS:
        for holder, role in getattr(assigned, kind).items():
            yield kind, holder, role


def united(
    own: Mapping[Key, Said], sets: Iterable[Mapping[Key, Said]], machine: str
) -> tuple[dict[Key, Said], dict[Key, Problem]]:
    """One value for each key, the machine's own or that of its sets; a problem where two of them differ."""
    chosen = dict(own)
    problems: dict[Key, Problem] = {}
    for one in sets:
        for key, said in one.items():
            first = chosen.setdefault(key, said)
            if first.by and first.value != said.value:
                problems[*key, first.by, said.by] = _disagreement(key, first, said, machine)
    return chosen, problems


def _disagreement(key: Key, first: Said, second: Said, machine: str) -> Problem:
    message = (
        f"{quoted(machine)} is in the sets {quoted(second.by)} and {quoted(first.by)} (at {first.source}), "
        f"which differ in {'.'.join(key)}"
    )
    return Problem(second.source, message)


def grants_of(said: Mapping[Key, Said]) -> tuple[Grant, ...]:
    """The roles among what is said."""
    return tuple(
        Grant(HOLDERS[key[1]], key[2], str(one.value), one.source, one.by)
        for key, one in said.items()
        if key[0] == "assigned"
    )


def entry_grants(policy: Policy, section: str, name: str, one: Pool | Storage | Node) -> tuple[Grant, ...]:
    """The roles that an entry gives which no set can hold."""
    return tuple(
        Grant(HOLDERS[kind], holder, role, policy.at(section, name, "assigned", kind, holder))
        for kind, holder, role in _assigned(one.assigned)
    )


def power_of(said: Mapping[Key, Said]) -> Power | None:
    """When the guest runs and how it is stopped; None where nothing is said."""
    given = {key: one.value for key, one in said.items() if key[0] == "power"}
    if not given:
        return None
    stop = {key[2]: value for key, value in given.items() if key[1] == "stop"}
    pairs = [value for key, value in given.items() if key[1] != "stop" and isinstance(value, tuple)]
    power = Power()
    values = {**dict(pairs), **({"stop": power.stop.model_copy(update=stop)} if stop else {})}
    return power.model_copy(update=values)


def backup_of(said: Mapping[Key, Said]) -> str | None:
    """The name of the guest's backup; None where nothing is said."""
    one = said.get(("backup",))
    return None if one is None else str(one.value)
