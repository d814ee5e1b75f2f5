"""The Keycloak realm: that it exists, and what the policy gives of its brute-force protection and name.

A policy names its realm outright, so the realm needs no adoption: what the policy does not give stays as
it is. A realm is never deleted. One that we create records its admin events, so that every later write
can be proved.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from controller.keycloak_values import KeycloakRealm, RealmPatch
from controller.plan.change import Change, Operation, Outcome, create, update
from controller.resources.resource import Context, Difference
from controller.resources.writing import applied, ended

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.plan.change import Fields
    from controller.policy.model import Policy
    from controller.policy.position import SourcePosition
    from controller.resources.ports import KeycloakReader, KeycloakWriter

__all__ = ["SECTION", "Realm", "apply", "desired", "diff", "observe"]

SECTION = "realm"


@dataclass(frozen=True)
class Realm:
    """What we manage of a realm; None is a field that the policy leaves alone.

    `lockout_seconds` is the longest.
    """

    name: str
    display_name: str | None = None
    brute_force: bool | None = None
    failures: int | None = None
    lockout_seconds: int | None = None
    source: SourcePosition | None = field(default=None, compare=False)

    def fields(self) -> Fields:
        """The managed fields, as a plan shows them."""
        named = {
            "display_name": self.display_name,
            "brute_force": self.brute_force,
            "failures": self.failures,
            "lockout_seconds": self.lockout_seconds,
        }
        return {name: value for name, value in named.items() if value is not None}


def desired(policy: Policy, _context: Context) -> Mapping[str, Realm]:
    """The realm that the policy names."""
    wanted = policy.realm
    if wanted is None:
        return {}
    guard = wanted.brute_force
    realm = Realm(
        name=wanted.name,
        display_name=wanted.display_name if "display_name" in wanted.model_fields_set else None,
        brute_force=None if guard is None else True,
        failures=None if guard is None else guard.failures,
        lockout_seconds=None if guard is None else int(guard.lockout.total_seconds()),
        source=policy.at(SECTION, "name"),
    )
    return {realm.name: realm}


def observe(client: KeycloakReader, _context: Context) -> Mapping[str, Realm]:
    """The realm as it stands; nothing where there is none."""
    seen = client.realm()
    return {} if seen is None else {seen.name: _normal(seen)}


def diff(observed: Mapping[str, Realm], desired: Mapping[str, Realm], context: Context) -> Difference:
    """Creation where the realm is absent, else an update of the given fields that differ."""
    changes: list[Change] = []
    for name, wanted in desired.items():
        seen = observed.get(name)
        if seen is None:
            reason = "realm is in the policy and not there"
            changes.append(
                create(context.system, SECTION, name, wanted.fields(), reason=reason, source=wanted.source)
            )
            continue
        narrowed = _narrowed(seen, wanted)
        if narrowed != wanted:
            before, after = narrowed.fields(), wanted.fields()
            differing = sorted(key for key in after if before.get(key) != after[key])
            reason = f"realm differs in {', '.join(differing)}"
            changes.append(
                update(context.system, SECTION, name, before, after, reason=reason, source=wanted.source)
            )
    return Difference(changes=tuple(changes))


def apply(client: KeycloakWriter, change: Change) -> Outcome:
    """Create the realm, or set its fields where they are still as they were when the plan was made."""
    return ended(change, lambda: _write(client, change))


def _write(client: KeycloakWriter, change: Change) -> Outcome:
    after: dict[str, Any] = dict(change.after or {})
    if change.operation is Operation.CREATE:
        client.create_realm(replace(KeycloakRealm(name=change.key, admin_events=True), **after))
        return applied(change)
    before = change.before or {}

    def still(seen: KeycloakRealm) -> bool:
        now = _normal(seen).fields()
        return all(now.get(name) == value for name, value in before.items())

    client.update_realm(RealmPatch(**{name: after[name] for name in change.changed}), still=still)
    return applied(change)


def _normal(seen: KeycloakRealm) -> Realm:
    return Realm(seen.name, seen.display_name, seen.brute_force, seen.failures, seen.lockout_seconds)


def _narrowed(seen: Realm, wanted: Realm) -> Realm:
    """What was seen, without the fields that the policy leaves alone."""
    return replace(
        seen,
        display_name=None if wanted.display_name is None else seen.display_name,
        brute_force=None if wanted.brute_force is None else seen.brute_force,
        failures=None if wanted.failures is None else seen.failures,
        lockout_seconds=None if wanted.lockout_seconds is None else seen.lockout_seconds,
    )
