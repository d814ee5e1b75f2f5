"""Realm roles of Keycloak: description, what they include, and the permissions of our API that they give.

A role is ours when it carries our mark. The permissions stand in an attribute, so that whoever knows the
roles of a token finds them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from controller.keycloak_values import API_ATTRIBUTE, OWNER_ATTRIBUTE, KeycloakRole, RolePatch, attributes_of
from controller.plan.change import Change, Operation, Outcome, delete, freeze
from controller.resources.ownership import Rules, compare
from controller.resources.resource import Context, Difference
from controller.resources.writing import applied, ended

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.keycloak_values import Attributes
    from controller.plan.change import Fields
    from controller.policy.model import Policy
    from controller.policy.position import SourcePosition
    from controller.resources.ports import KeycloakReader, KeycloakWriter

__all__ = ["SECTION", "Role", "apply", "desired", "diff", "observe"]

SECTION = "roles"


@dataclass(frozen=True)
class Role:
    """What we manage of a role; a description that the policy does not give (None) is left alone."""

    owner: str
    description: str | None = None
    includes: frozenset[str] = frozenset()
    api: tuple[str, ...] = ()
    adopt: bool = field(default=False, compare=False)
    object_id: str = field(default="", compare=False)
    source: SourcePosition | None = field(default=None, compare=False)

    def fields(self) -> Fields:
        """The managed fields, as a plan shows them."""
        return {
            "owner": self.owner,
            "description": self.description or "",
            "includes": sorted(self.includes),
            "api": list(self.api),
        }


def desired(policy: Policy, context: Context) -> Mapping[str, Role]:
    """The roles of the policy."""
    return {
        name: Role(
            owner=context.owner,
            description=wanted.description if "description" in wanted.model_fields_set else None,
            includes=frozenset(wanted.includes),
            api=tuple(sorted(set(wanted.api))),
            adopt=wanted.adopt,
            source=policy.at(SECTION, name),
        )
        for name, wanted in policy.roles.items()
    }


def observe(client: KeycloakReader, context: Context) -> Mapping[str, Role]:
    """All realm roles; what they include is read for those that the policy names or that carry our mark."""
    if client.realm() is None:
        return {}

    def matters(role: KeycloakRole) -> bool:
        return role.name in context.role_names or role.owner == context.owner

    return {role.name: _normal(role) for role in client.roles(expand=matters)}


def diff(observed: Mapping[str, Role], desired: Mapping[str, Role], context: Context) -> Difference:
    """What to create, alter and (as prunes) delete; roles of others in the way are reported."""
    aligned = {name: _aligned(wanted, observed.get(name)) for name, wanted in desired.items()}

    def depends_on(_name: str, after: Fields) -> tuple[str, ...]:
        included = [f"{context.system}/{SECTION}/{one}" for one in after["includes"]]  # type: ignore[union-attr]
        return (f"{context.system}/realm/{context.realm}", *included)

    changes, reported = compare(observed, aligned, context, Rules(SECTION, "role", depends_on))
    ours = {name: role for name, role in observed.items() if role.owner == context.owner}
    prunes = [
        delete(
            context.system,
            SECTION,
            name,
            role.fields(),
            reason="role carries our mark and is no longer in the policy",
            object_id=role.object_id,
            # A role that goes vanishes from those that include it: these go first, as the plan has seen them.
            depends_on=tuple(
                f"{context.system}/{SECTION}/{other}" for other, one in ours.items() if name in one.includes
            ),
        )
        for name, role in ours.items()
        if name not in desired
    ]
    populations = {SECTION: len(ours)}
    return Difference(tuple(changes), tuple(prunes), tuple(reported), populations)


def apply(client: KeycloakWriter, change: Change) -> Outcome:
    """Write one change of a role, where the role is still what the plan has seen."""
    return ended(change, lambda: _write(client, change))


def _write(client: KeycloakWriter, change: Change) -> Outcome:
    def still(seen: KeycloakRole) -> bool:
        return freeze(_normal(seen).fields()) == change.before

    after = change.after
    if after is None:
        client.delete_role(change.object_id, still=still)
    elif change.operation is Operation.CREATE:
        client.create_role(_stored(change.key, after))
    else:
        wanted = _stored(change.key, after)
        patch = RolePatch(
            description=wanted.description if "description" in change.changed else None,
            attributes=_marks(after) if {"owner", "api"} & set(change.changed) else (),
            includes=wanted.includes if "includes" in change.changed else None,
        )
        client.update_role(change.object_id, patch, still=still)
    return applied(change)


def _normal(seen: KeycloakRole) -> Role:
    return Role(
        owner=seen.owner,
        description=seen.description,
        includes=seen.includes or frozenset(),
        api=seen.api,
        object_id=seen.id,
    )


def _aligned(wanted: Role, seen: Role | None) -> Role:
    """A field that the policy leaves alone is desired as it is."""
    if wanted.description is not None:
        return wanted
    return replace(wanted, description="" if seen is None else seen.description)


def _stored(name: str, after: Fields) -> KeycloakRole:
    return KeycloakRole(
        name=name,
        description=str(after["description"]),
        attributes=attributes_of(dict(_marks(after))),
        includes=frozenset(map(str, after["includes"])),  # type: ignore[arg-type]
    )


def _marks(after: Fields) -> Attributes:
    """Our attributes as an update writes them: one without a value is taken away."""
    api = tuple(map(str, after["api"]))  # type: ignore[arg-type]
    return ((API_ATTRIBUTE, api), (OWNER_ATTRIBUTE, (str(after["owner"]),)))
