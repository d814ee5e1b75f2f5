"""Roles that everybody gets who comes to a realm by himself: those of ours in its default role.

The default role (`default-roles-<realm>`) is a composite of the server's own. Only roles that are ours are
put in and taken out; `offline_access`, `uma_authorization`, roles of clients and of others stay, and the
default role itself is never taken from anybody.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from controller.keycloak_values import RolePatch
from controller.plan.change import Change, Outcome, update
from controller.plan.plan import Report
from controller.resources.managed_roles import managed_roles
from controller.resources.resource import Context, Difference
from controller.resources.writing import applied, ended

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.keycloak_values import KeycloakRole
    from controller.policy.model import Policy
    from controller.policy.position import SourcePosition
    from controller.resources.ports import KeycloakReader, KeycloakWriter

__all__ = ["SECTION", "DefaultRoles", "apply", "desired", "diff", "observe"]

SECTION = "default_roles"


@dataclass(frozen=True)
class DefaultRoles:
    """The roles of ours in the default role; `theirs` are roles that are not ours to decide."""

    roles: frozenset[str]
    object_id: str = field(default="", compare=False)
    theirs: frozenset[str] = field(default=frozenset(), compare=False)
    source: SourcePosition | None = field(default=None, compare=False)


def desired(policy: Policy, context: Context) -> Mapping[str, DefaultRoles]:
    """The default roles of the policy, where it says any, or says that there are none."""
    realm = policy.realm
    if realm is None or "default_roles" not in realm.model_fields_set:
        return {}
    source = policy.at("realm", "default_roles")
    return {context.realm: DefaultRoles(frozenset(realm.default_roles), source=source)}


def observe(client: KeycloakReader, context: Context) -> Mapping[str, DefaultRoles]:
    """What of ours is in the default role; nothing in a realm that is not there."""
    realm = client.realm()
    if realm is None:
        return {}
    roles = {role.name: role for role in client.roles(expand=lambda role: role.name == realm.default_role)}
    default = roles[realm.default_role]
    theirs = _theirs(roles, context)
    return {context.realm: DefaultRoles((default.includes or frozenset()) - theirs, default.id, theirs)}


def diff(
    observed: Mapping[str, DefaultRoles], desired: Mapping[str, DefaultRoles], context: Context
) -> Difference:
    """One update where roles of ours are to be put in or taken out."""
    changes: list[Change] = []
    reported: list[Report] = []
    for realm, wanted in desired.items():
        seen = observed.get(realm, DefaultRoles(frozenset(), theirs=_theirs({}, context)))
        reported += [
            Report(
                context.system, SECTION, realm, f"{role} is no role of ours, and is not made a default role"
            )
            for role in sorted(wanted.roles & seen.theirs)
        ]
        after = replace(wanted, roles=wanted.roles - seen.theirs)
        if after.roles != seen.roles:
            changes.append(_change(realm, seen, after, context))
    populations = {SECTION: sum(len(seen.roles) for seen in observed.values())}
    return Difference(tuple(changes), reported=tuple(reported), populations=populations)


def apply(client: KeycloakWriter, change: Change) -> Outcome:
    """Put roles into the default role and take roles out, where it holds what the plan has seen."""

    def write() -> Outcome:
        realm = client.realm()
        default = client.role(realm.default_role if realm else change.key)
        before, after = _names(change.before), _names(change.after)
        held = default.includes or frozenset()

        def still(seen: KeycloakRole) -> bool:
            now = seen.includes or frozenset()
            return before <= now and not (after - before) & now

        includes = (held - (before - after)) | after
        client.update_role(default.id, RolePatch(includes=includes), still=still)
        return applied(change)

    return ended(change, write)


def _theirs(roles: Mapping[str, KeycloakRole], context: Context) -> frozenset[str]:
    return frozenset((roles.keys() | context.role_names) - managed_roles(roles, context, of="realm"))


def _change(realm: str, seen: DefaultRoles, after: DefaultRoles, context: Context) -> Change:
    given = [f"{context.system}/roles/{name}" for name in sorted(after.roles)]
    return update(
        context.system,
        SECTION,
        realm,
        {"roles": sorted(seen.roles)},
        {"roles": sorted(after.roles)},
        reason="default role differs in what it includes",
        source=after.source,
        depends_on=(f"{context.system}/realm/{context.realm}", *given),
        object_id=seen.object_id,
        removals={SECTION: len(seen.roles - after.roles)},
    )


def _names(fields: object) -> frozenset[str]:
    return frozenset(fields["roles"]) if fields else frozenset()  # type: ignore[index]
