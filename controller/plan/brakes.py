"""Brakes: what a plan may not do, whatever the policy says. A refusal names the changes that it holds.

Each says as well what would loosen it; nobody is told to switch a brake off.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.plan.change import Operation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from controller.plan.change import Change, Json
    from controller.plan.limits import Limits, Strictest
    from controller.plan.plan import Plan

__all__ = ["ACTIVE_USERS", "ADMINS", "EVERY_ADMIN", "OURSELVES", "Refusal", "check", "person_of"]

ADMINS = "admins"
"""The population of people who can administer a system; it may shrink but never to nothing."""

ACTIVE_USERS = "active_users"
"""The population of people of ours who can log in: what `minimum: {users: …}` counts."""

EVERY_ADMIN = "*administrators"
"""Among the possessions of a plan: the roles and teams without which nobody could administer the system."""

OURSELVES = "*ourselves"
"""Among the possessions of a plan: the roles and teams that the account has which we act with."""

_GOVERNED = {
    "profile": "users",
    "tokens": "users",
    "identity_providers": "realm",
    "default_roles": "realm",
    "pools.assigned": "pools",
    "storages.assigned": "storages",
    "nodes.assigned": "nodes",
}
"""Populations that are not called as the key of `limits.sections` that governs them."""

_MOST_NAMED = 20
_TAKEN = ("roles", "teams", "groups", "includes")
_OWN_GROUPS = "steward-"


@dataclass(frozen=True)
class Refusal:
    """One brake that holds a plan: its rule, what it says, the changes that it holds, what loosens it."""

    rule: str
    text: str
    changes: tuple[Change, ...]
    remedy: str = ""

    def __str__(self) -> str:
        named = ", ".join(change.label for change in self.changes[:_MOST_NAMED])
        rest = len(self.changes) - _MOST_NAMED
        named += f", and {rest} more" if rest > 0 else ""
        return f"{self.text}: {named}" if named else self.text

    def to_json(self) -> dict[str, Json]:
        """The refusal as JSON, its changes by their identities."""
        return {
            "rule": self.rule,
            "text": self.text,
            "changes": [change.identity for change in self.changes],
            "remedy": self.remedy,
        }


def check(plan: Plan, limits: Strictest, *, ourselves: frozenset[str] = frozenset()) -> tuple[Refusal, ...]:
    """All brakes that hold `plan`; an empty tuple lets it pass.

    `ourselves` holds identities (system/section/key) of the accounts that we act with, and as
    `system/holders/NAME` what access control lists call them.
    """
    return (
        *_too_many(plan, limits),
        *_too_few(plan, limits),
        *_last_admin(plan),
        *_protected(plan, limits),
        *_own_account(plan, ourselves),
    )


def _too_many(plan: Plan, limits: Strictest) -> list[Refusal]:
    refusals = []
    for population, number in sorted(_removed(plan.changes).items()):
        system, _, name = population.rpartition("/")
        if name in {ADMINS, ACTIVE_USERS}:
            continue
        seen, section = plan.populations.get(population, 0), _GOVERNED.get(name, name)
        allowed = limits.allowed(seen, section)
        if number <= allowed:
            continue
        text = f"removes {number} of {seen} {population}, more than the {allowed} that limits allow"
        binding = [one for one in limits.sources if one.allowed(seen, section) < number]
        remedy = _larger_steps(binding, section, allowed)
        refusals.append(Refusal("max_deletes", text, _removing(plan.changes, system, name), remedy))
    return refusals


def _larger_steps(binding: Sequence[Limits], section: str, allowed: int) -> str:
    """Which settings hold, and the way past them."""
    named = []
    for limit in binding:
        own = limit.sections.get(section)
        setting = "limits.max_deletes" if own is None else f"limits.max_deletes or limits.sections.{section}"
        named.append(f"{setting} of {limit.source or 'a source'}")
    smaller = f"remove at most {allowed} at a time (--target), or " if allowed else ""
    return f"{smaller}raise {' and '.join(named)}, in a commit that is applied before this one"


def _too_few(plan: Plan, limits: Strictest) -> list[Refusal]:
    """Populations of which too little would be left; a plan that takes nothing from them is not held."""
    refusals = []
    removed, created = _removed(plan.changes), _created(plan.changes)
    for name in sorted(limits.minima()):
        counted = ACTIVE_USERS if name == "users" else name
        for system in _homes(plan, counted):
            population = f"{system}/{counted}"
            left = plan.populations.get(population, 0) - removed[population] + created[f"{system}/{name}"]
            if not removed[population] or left >= limits.least(name):
                continue
            text = (
                f"leaves {max(left, 0)} {system}/{name}, fewer than the {limits.least(name)} that must stay"
            )
            sources = [one.source or "a source" for one in limits.sources if one.minimum.get(name, 0) > left]
            remedy = (
                f"lower limits.minimum.{name} of {' and '.join(sources)}, in a commit applied before this one"
            )
            refusals.append(Refusal("minimum", text, _removing(plan.changes, system, counted), remedy))
    return refusals


def _homes(plan: Plan, population: str) -> list[str]:
    """Where a population is counted: on Keycloak, where people live; without one, on each other system."""
    if "keycloak" in plan.instances or f"keycloak/{population}" in plan.populations:
        return ["keycloak"]
    ending = f"/{population}"
    return sorted(name.removesuffix(ending) for name in plan.populations if name.endswith(ending))


def _last_admin(plan: Plan) -> list[Refusal]:
    refusals = []
    removed = _removed(plan.changes)
    for system in sorted({change.system for change in plan.changes}):
        population = f"{system}/{ADMINS}"
        if removed[population] and removed[population] >= plan.populations.get(population, 0):
            text = f"{system} would be left without an administrator"
            remedy = "give somebody else the rights of an administrator first"
            refusals.append(Refusal("last_admin", text, _removing(plan.changes, system, ADMINS), remedy))
    needed = plan.possessions.get(EVERY_ADMIN, frozenset())
    held = tuple(change for change in plan.changes if _takes(change) and _edges(change) & needed)
    if held:
        remedy = "give somebody the rights of an administrator by hand first"
        text = "takes from what every administrator has the rights by"
        refusals.append(Refusal("last_admin", text, held, remedy))
    return refusals


def _removed(changes: Iterable[Change]) -> Counter[str]:
    """How many go, by `system/population`."""
    counted: Counter[str] = Counter()
    for change in changes:
        for population, number in change.removals.items():
            counted[f"{change.system}/{population}"] += number
    return counted


def _created(changes: Iterable[Change]) -> Counter[str]:
    """How many come, by `system/section`; accounts that are made disabled do not count."""
    return Counter(
        f"{change.system}/{change.section}"
        for change in changes
        if change.operation is Operation.CREATE and (change.after or {}).get("enabled", True)
    )


def _removing(changes: Sequence[Change], system: str, population: str) -> tuple[Change, ...]:
    return tuple(change for change in changes if change.system == system and change.removals.get(population))


def _protected(plan: Plan, limits: Strictest) -> list[Refusal]:
    """Changes that take something from protected users, or from a role, team or group that they have."""
    names = limits.protected
    theirs = frozenset[str]().union(*(plan.possessions.get(name, frozenset()) for name in names))
    held = tuple(
        change
        for change in plan.changes
        if _takes(change) and (person_of(change) in names or _edges(change) & theirs)
    )
    if not held:
        return []
    sources = [one.source or "a source" for one in limits.sources if one.protected]
    remedy = f"keep it, or take the name out of limits.protected_users of {' and '.join(sources)} first"
    return [Refusal("protected_users", "takes something from protected users", held, remedy)]


def _takes(change: Change) -> bool:
    """Whether somebody has less afterwards: an object is gone, something is removed, an edge is cut."""
    if change.operation is Operation.DELETE or any(change.removals.values()):
        return True
    before, after = change.before or {}, change.after or {}
    if before.get("parent") and before["parent"] != after.get("parent"):
        return True  # whoever is in a team has the roles of those above it
    return any(set(_names(before, field)) - set(_names(after, field)) for field in _TAKEN)


def _edges(change: Change) -> frozenset[str]:
    """The role, team or group that a change takes something from, by identity."""
    fields = change.before or {}
    if change.section in {"roles", "teams"}:
        return frozenset({change.identity})
    if fields.get("kind") == "group":
        team = str(fields.get("holder", "")).removeprefix(_OWN_GROUPS)
        return frozenset({f"{change.system}/teams/{team}"})
    return frozenset()


def _own_account(plan: Plan, ourselves: frozenset[str]) -> list[Refusal]:
    own = plan.possessions.get(OURSELVES, frozenset())
    held = tuple(
        change
        for change in plan.changes
        if change.identity in ourselves
        or (_takes(change) and _edges(change) & own)
        or (
            change.before is not None
            and ourselves & {f"{change.system}/users/{person_of(change)}", _holder(change)}
        )
    )
    if not held:
        return []
    remedy = "take this account, client or token out of the policy: its rights are given by hand"
    text = "changes the account that Steward itself acts with, or what it has"
    return [Refusal("ourselves", text, held, remedy)]


def _holder(change: Change) -> str:
    fields = change.before or change.after or {}
    return f"{change.system}/holders/{fields['holder']}" if fields.get("holder") else ""


def person_of(change: Change) -> str:
    """Whom a change of an account, a token or an entry is about, as the policy names people; or ""."""
    if change.section == "users":
        return change.key
    fields = change.before or change.after or {}
    holder = str(fields.get("holder") or fields.get("userid") or "")
    if change.section == "tokens" or fields.get("kind") == "token":
        owner = (holder or change.key).partition("!")[0]
        return owner.rpartition("@")[0] or owner
    return holder.rpartition("@")[0] if fields.get("kind") == "user" else ""


def _names(fields: Mapping[str, Json], field: str) -> tuple[str, ...]:
    value = fields.get(field)
    return tuple(map(str, value)) if isinstance(value, tuple) else ()
