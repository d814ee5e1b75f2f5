"""Roles of Proxmox VE: `steward-<role>` with the privileges that the policy lists; ours by their name."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from controller.errors import Conflict, NotThere
from controller.plan.change import Change, Operation, Outcome, delete, freeze
from controller.plan.plan import Report
from controller.policy.problems import did_you_mean, quoted
from controller.proxmox_values import ProxmoxRole
from controller.resources.ownership import Rules, compare
from controller.resources.resource import Context, Difference
from controller.resources.writing import applied, ended

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.plan.change import Fields
    from controller.policy.model import Policy
    from controller.policy.position import SourcePosition
    from controller.resources.proxmox_ports import ProxmoxReader, ProxmoxWriter

__all__ = ["PREFIX", "SECTION", "Role", "SeenRoles", "apply", "desired", "diff", "observe"]

SECTION = "roles"
PREFIX = "steward-"
"""A role, and every entry that names it, is ours when its name starts so."""

_EVERYTHING = "Administrator"
"""Proxmox's own role that holds each privilege that its version knows."""


@dataclass(frozen=True)
class Role:
    """A role of ours; `places` says where the policy lists each privilege."""

    privileges: frozenset[str]
    owner: str = field(default="", compare=False)
    adopt: bool = field(default=False, compare=False)
    object_id: str = field(default="", compare=False)
    source: SourcePosition | None = field(default=None, compare=False)
    places: Mapping[str, SourcePosition] = field(default_factory=dict, compare=False)

    def fields(self) -> Fields:
        """The managed fields, as a plan shows them."""
        return {"privileges": sorted(self.privileges)}


@dataclass(frozen=True)
class SeenRoles:
    """Our roles by the policy's name for them, and the privileges that this version knows."""

    roles: Mapping[str, Role]
    known: frozenset[str] = frozenset()


def desired(policy: Policy, context: Context) -> Mapping[str, Role]:
    """The roles of the policy that grant something on Proxmox."""
    return {
        name: Role(
            privileges=frozenset(role.proxmox),
            owner=context.owner,
            source=policy.at(SECTION, name),
            places={one: policy.at(SECTION, name, "proxmox", i) for i, one in enumerate(role.proxmox)},
        )
        for name, role in policy.roles.items()
        if role.proxmox
    }


def observe(client: ProxmoxReader, context: Context) -> SeenRoles:
    """All roles of ours; what the version knows is what its Administrator may do."""
    roles = client.roles()
    ours = {
        name.removeprefix(PREFIX): Role(frozenset(role.privileges), owner=context.owner, object_id=name)
        for name, role in roles.items()
        if name.startswith(PREFIX)
    }
    return SeenRoles(ours, frozenset(roles[_EVERYTHING].privileges) if _EVERYTHING in roles else frozenset())


def diff(observed: SeenRoles, desired: Mapping[str, Role], context: Context) -> Difference:
    """What to create, alter and (as prunes) delete; privileges that this version lacks are only reported."""
    possible = {
        name: replace(role, privileges=role.privileges & observed.known) if observed.known else role
        for name, role in desired.items()
    }
    changes, reported = compare(observed.roles, possible, context, Rules(SECTION, "role"))
    for name, role in desired.items():
        reported += _unknown(name, role, observed.known, context)
    prunes = [
        delete(
            context.system,
            SECTION,
            name,
            role.fields(),
            reason="role is ours by its name and no longer in the policy",
            object_id=role.object_id,
        )
        for name, role in observed.roles.items()
        if name not in desired
    ]
    return Difference(tuple(changes), tuple(prunes), tuple(reported), {SECTION: len(observed.roles)})


def apply(client: ProxmoxWriter, change: Change) -> Outcome:
    """Write one change of a role, where the role is still what the plan has seen."""
    return ended(change, lambda: _write(client, change))


def _write(client: ProxmoxWriter, change: Change) -> Outcome:
    name = PREFIX + change.key
    if change.operation is Operation.CREATE:
        client.create_role(ProxmoxRole(name, _privileges(change.after)))
        return applied(change)
    seen = client.roles().get(name)
    if seen is None:
        raise NotThere(f"the role {name} is gone")
    if freeze(Role(frozenset(seen.privileges)).fields()) != change.before:
        raise Conflict(f"the role {name} is not what the plan has seen")
    if change.operation is Operation.DELETE:
        client.delete_role(name)
    else:
        client.set_role(ProxmoxRole(name, _privileges(change.after)))
    return applied(change)


def _privileges(fields: Fields | None) -> tuple[str, ...]:
    listed = (fields or {}).get("privileges")
    return tuple(str(one) for one in listed) if isinstance(listed, tuple) else ()


def _unknown(name: str, role: Role, known: frozenset[str], context: Context) -> list[Report]:
    if not known:
        return []
    reports = []
    for privilege in sorted(role.privileges - known):
        meant = did_you_mean(privilege, known)
        question = f"; did you mean {quoted(meant)}?" if meant else ""
        text = f"this version of Proxmox has no privilege {quoted(privilege)}: left out{question}"
        reports.append(Report(context.system, SECTION, name, text, source=role.places.get(privilege)))
    return reports
