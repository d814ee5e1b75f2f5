"""By which ways people administer a realm, and which of these a plan may take. Pure.

A way is named as in `Change.identity`, behind the system: `roles/NAME`, `teams/NAME` for what is ours to give
and to take, "" for everything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from controller.keycloak_values import KeycloakAdministration

__all__ = ["OTHER_WAY", "Ways"]

OTHER_WAY = ""
"""A way that no plan takes: a mapping by hand, a role or group that is not ours."""


@dataclass(frozen=True)
class Ways:
    """What makes administrators, seen from what is ours.

    `groups` are the ids of the groups whose members are administrators, `managed_roles` the roles and
    `teams` the groups (id to name of the team) that are ours to give.
    """

    administration: KeycloakAdministration
    groups: frozenset[str]
    managed_roles: frozenset[str]
    teams: Mapping[str, str]

    def of(self, user_id: str, roles: Collection[str], groups: Collection[str]) -> frozenset[str]:
        """How somebody with these roles and in these groups administers the realm; nothing if not at all."""
        found = {self._role(one) for one in self.administration.roles.intersection(roles)}
        found |= {self._group(one) for one in self.groups.intersection(groups)}
        return frozenset(found | ({OTHER_WAY} if user_id in self.administration.users else set()))

    def all_of_ours(self) -> frozenset[str]:
        """Everything of ours that makes whoever has it an administrator."""
        found = {self._role(one) for one in self.administration.roles}
        return frozenset(found | {self._group(one) for one in self.groups}) - {OTHER_WAY}

    def had_by(self, roles: Collection[str], groups: Collection[str]) -> frozenset[str]:
        """Everything of ours that somebody has: roles with all that they include, and teams."""
        reached, grown = frozenset[str](), frozenset(roles)
        while grown != reached:
            reached = grown
            grown = reached.union(*(self.administration.includes.get(one, ()) for one in reached))
        found = {self._role(one) for one in reached} | {self._group(one) for one in groups}
        return frozenset(found) - {OTHER_WAY}

    def _role(self, name: str) -> str:
        return f"roles/{name}" if name in self.managed_roles else OTHER_WAY

    def _group(self, group_id: str) -> str:
        team = self.teams.get(group_id)
        return OTHER_WAY if team is None else f"teams/{team}"
