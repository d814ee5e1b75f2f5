"""Who has a role and by which way, and what it gives: told from the policy alone. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.entitlements import assignments, holders_of, permissions_of
from controller.errors import NotThere
from controller.policy.problems import did_you_mean, quoted
from controller.policy.teams import with_included

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from controller.entitlements import Way
    from controller.policy.model import Policy
    from controller.policy.position import SourcePosition

__all__ = ["Holder", "Place", "RoleExplanation", "explain_role"]


@dataclass(frozen=True)
class Holder:
    """A person who has the role; `is_active` is False for an account that the policy disables."""

    user: str
    ways: tuple[Way, ...]
    is_active: bool

    def to_json(self) -> dict[str, object]:
        """The holder as JSON."""
        return {
            "user": self.user,
            "active": self.is_active,
            "ways": [way.to_json() for way in self.ways],
        }


@dataclass(frozen=True)
class Place:
    """Where the role is assigned to a user, a team or a token."""

    section: str
    name: str
    kind: str
    holder: str
    source: SourcePosition

    def to_json(self) -> dict[str, object]:
        """The place as JSON."""
        return {
            "section": self.section,
            "name": self.name,
            "kind": self.kind,
            "holder": self.holder,
            "source": str(self.source),
        }


@dataclass(frozen=True)
class RoleExplanation:
    """What a role is: what it is made of and part of, what it gives, who has it, where it is assigned.

    `is_default` says that people who come by an identity provider or register themselves have it, too.
    """

    role: str
    description: str
    source: SourcePosition
    includes: tuple[str, ...]
    included_by: tuple[str, ...]
    permissions: Mapping[str, tuple[str, ...]]
    privileges: tuple[str, ...]
    is_default: bool
    holders: tuple[Holder, ...]
    places: tuple[Place, ...]

    def to_json(self) -> dict[str, object]:
        """The explanation as JSON."""
        return {
            "role": self.role,
            "description": self.description,
            "source": str(self.source),
            "includes": list(self.includes),
            "included_by": list(self.included_by),
            "api": {permission: list(roles) for permission, roles in self.permissions.items()},
            "proxmox": list(self.privileges),
            "default": self.is_default,
            "holders": [holder.to_json() for holder in self.holders],
            "assigned": [place.to_json() for place in self.places],
        }


def explain_role(policy: Policy, role: str) -> RoleExplanation:
    """What `role` is and who has it. Raises NotThere where the policy has none of this name."""
    if role not in policy.roles:
        meant = did_you_mean(role, policy.roles)
        question = f"; did you mean {quoted(meant)}?" if meant else ""
        raise NotThere(f"the policy has no role {quoted(role)}{question}")
    entry = policy.roles[role]
    within = sorted(name for name in policy.roles if name != role and role in with_included(policy, (name,)))
    defaults = with_included(policy, policy.realm.default_roles) if policy.realm else frozenset()
    return RoleExplanation(
        role=role,
        description=entry.description,
        source=policy.at("roles", role),
        includes=tuple(sorted(with_included(policy, (role,)) - {role})),
        included_by=tuple(within),
        permissions=permissions_of(policy, (role,)),
        privileges=tuple(sorted(set(entry.proxmox))),
        is_default=role in defaults,
        holders=tuple(
            Holder(user, ways, is_active=policy.users[user].state == "active")
            for user, ways in holders_of(policy, role).items()
        ),
        places=tuple(_places(policy, role)),
    )


def _places(policy: Policy, role: str) -> Iterator[Place]:
    for section, name, assigned in assignments(policy):
        for kind in ("users", "teams", "tokens"):
            for holder, given in getattr(assigned, kind).items():
                if given == role:
                    source = policy.at(section, name, "assigned", kind, holder)
                    yield Place(section, name, kind.removesuffix("s"), holder, source)
