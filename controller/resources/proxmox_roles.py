"""Roles of Proxmox VE: `steward-<role>` with the privileges that the policy lists; ours by their name.

A role that lists a privilege which this version does not have is left as it is: half a role would be one that
nobody wrote. Where it lists the privilege of the other version beside it, it means both versions, and each
gets its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from controller.errors import Conflict, NotThere
from controller.plan.change import Change, Operation, Outcome, delete, freeze
from controller.plan.plan import Gap
from controller.policy.problems import did_you_mean, quoted
from controller.proxmox_values import ProxmoxRole
from controller.resources.ownership import Rules, compare
from controller.resources.resource import Context, Difference
from controller.resources.writing import applied, ended

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from controller.plan.change import Fields
    from controller.policy.model import Policy
    from controller.policy.position import SourcePosition
    from controller.resources.proxmox_ports import ProxmoxReader, ProxmoxWriter

__all__ = [
    "PREFIX",
    "SECTION",
    "Role",
    "SeenRoles",
    "apply",
    "desired",
    "diff",
    "known_to",
    "lacking",
    "observe",
]

SECTION = "roles"
PREFIX = "steward-"
"""A role, and every entry that names it, is ours when its name starts so."""

_EVERYTHING = "Administrator"
"""Proxmox's own role that holds each privilege that its version knows."""

_COUNTERPARTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "VM.Monitor": ("VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted"),
        "VM.GuestAgent.Audit": ("VM.Monitor",),
        "VM.GuestAgent.FileRead": ("VM.Monitor",),
        "VM.GuestAgent.FileSystemMgmt": ("VM.Monitor",),
        "VM.GuestAgent.FileWrite": ("VM.Monitor",),
        "VM.GuestAgent.Unrestricted": ("VM.Monitor",),
    }
)
"""What Proxmox VE 9 has for a privilege of 8, and the reverse (pve-access-control:debian/changelog)."""


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
    """Our roles by the policy's name for them, and the privileges that this `version` (9.2) knows."""

    roles: Mapping[str, Role]
    known: frozenset[str] = frozenset()
    version: str = ""


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
    return SeenRoles(ours, known_to(roles), client.version().release)


def known_to(roles: Mapping[str, ProxmoxRole]) -> frozenset[str]:
    """The privileges that this Proxmox VE knows, as far as its roles tell."""
    return frozenset(roles[_EVERYTHING].privileges) if _EVERYTHING in roles else frozenset()


def lacking(privileges: Iterable[str], known: frozenset[str]) -> tuple[str, ...]:
    """The privileges that this version does not have and that nothing in the list stands in for."""
    listed = frozenset(privileges)
    if not known:
        return ()
    return tuple(
        one for one in sorted(listed - known) if not (listed & known).intersection(_COUNTERPARTS.get(one, ()))
    )


def diff(observed: SeenRoles, desired: Mapping[str, Role], context: Context) -> Difference:
    """What to create, alter and (as prunes) delete; roles that this version cannot have are gaps."""
    known = observed.known
    possible = {
        name: replace(role, privileges=role.privileges & known if known else role.privileges)
        for name, role in desired.items()
        if not lacking(role.privileges, known)
    }
    changes, reported = compare(observed.roles, possible, context, Rules(SECTION, "role"))
    gaps = [
        Gap(context.system, SECTION, _impossible(name, role, observed), is_held=True)
        for name, role in desired.items()
        if name not in possible
    ]
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
    return Difference(
        tuple(changes), tuple(prunes), tuple(reported), {SECTION: len(observed.roles)}, gaps=tuple(gaps)
    )


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


def _impossible(name: str, role: Role, observed: SeenRoles) -> str:
    """Why a role is left as it is: each privilege that is missing, with its place and what to say instead."""
    missing = lacking(role.privileges, observed.known)
    told = [f"{role.places.get(one, role.source)}: {_unknown(one, observed)}" for one in missing]
    return f"the role {quoted(name)} is left as it is: {'; '.join(told)}"


def _unknown(privilege: str, observed: SeenRoles) -> str:
    text = f"{quoted(privilege)} is no privilege of this Proxmox VE {observed.version}"
    instead = [one for one in _COUNTERPARTS.get(privilege, ()) if one in observed.known]
    if instead:
        return f"{text}; use {instead[0]} (a role for both versions lists both)"
    meant = did_you_mean(privilege, observed.known)
    return f"{text}; did you mean {quoted(meant)}?" if meant else text
