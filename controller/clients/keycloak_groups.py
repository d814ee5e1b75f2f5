"""Groups of one realm, read and written.

Since Keycloak 23 lists show no sub-groups unless they are searched: a search for `*` with
`populateHierarchy=false` lists every group of every depth, page by page. Deleting one takes its sub-groups
along, which is seen to here. Every method may raise what `keycloak` says
of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from controller.clients.keycloak_people_wire import GroupAnswer, merged_group, new_group
from controller.clients.keycloak_session import (
    PAGE,
    KeycloakSender,
    KeycloakSession,
    bound,
    page_of,
    path_part,
    require,
)
from controller.clients.keycloak_wire import NamedThing
from controller.errors import Conflict, Unobserved

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.keycloak_groups import GroupPatch, KeycloakGroup

__all__ = ["GroupReader", "GroupWriter"]

_ALL = {
    "search": "*",
    "populateHierarchy": "false",
    "briefRepresentation": "false",
    "subGroupsCount": "false",
}


class _Count(msgspec.Struct, frozen=True):
    count: int


class GroupReader(KeycloakSession):
    """Reads the groups of one realm."""

    def groups(self) -> tuple[KeycloakGroup, ...]:
        """All groups of every depth, with their attributes and the realm roles mapped to them.

        Raises `Unobserved` where the number of groups before, while and after reading was not the same.
        """
        before, first = self._side_by_side([self._count_groups, lambda: self._group_page(0)])
        rest = self._side_by_side([bound(self._group_page, start) for start in range(PAGE, before, PAGE)])
        after = self._count_groups() if rest else before
        read = [group for page in (first, *rest) for group in page]
        distinct = {group.id: group.value() for group in read}
        if not before == after == len(read) == len(distinct):
            why = f"{before} groups before, {len(read)} read, {len(distinct)} of them distinct, {after} after"
            raise Unobserved("keycloak", why, hint="somebody was writing: plan again")
        return tuple(distinct.values())

    def groups_while_writing(self) -> tuple[KeycloakGroup, ...]:
        """Every group that is there all the time, for whoever writes beside others who make groups.

        Pages come one after the other: a group that is made meanwhile pushes the following ones onto the
        next page, where they are met again, never off the list.
        """
        found: dict[str, KeycloakGroup] = {}
        start = 0
        while page := self._group_page(start):
            found.update((group.id, group.value()) for group in page)
            if len(page) < PAGE:
                break
            start += PAGE
        return tuple(found.values())

    def group(self, group_id: str) -> KeycloakGroup:
        """One group by id. Raises `NotThere`."""
        return self._read(f"/groups/{path_part(group_id)}", GroupAnswer).value()

    def _count_groups(self) -> int:
        return self._read("/groups/count", _Count).count

    def _group_page(self, start: int) -> list[GroupAnswer]:
        return self._read("/groups", list[GroupAnswer], **_ALL, **page_of(start))


class GroupWriter(KeycloakSender, GroupReader):
    """Writes the groups of one realm."""

    def create_group(self, group: KeycloakGroup) -> str:
        """Create the group below `group.parent_id` with its roles, and say its id.

        Raises `Conflict` (a sibling has the name), `NotThere` (parent or role).
        """
        above = f"/groups/{path_part(group.parent_id)}/children" if group.parent_id else "/groups"
        roles = self._role_references(group.roles)
        made = self._send("POST", f"{self._base}{above}", new_group(group))
        group_id = str(made.headers["Location"]).rpartition("/")[2]
        if roles:
            self._send("POST", f"{self._group_path(group_id)}/role-mappings/realm", roles)
        return group_id

    def update_group(
        self, group_id: str, patch: GroupPatch, *, still: Callable[[KeycloakGroup], bool] | None = None
    ) -> None:
        """Alter the group. Raises `NotThere`, `Conflict` (also: its new siblings have the name)."""
        path = self._group_path(group_id)
        current = self._get(path, dict[str, Any])
        live = msgspec.convert(current, GroupAnswer).value()
        require(still, lambda: live, live.path)
        if patch.parent_id is not None and patch.parent_id != live.parent_id:
            self._move(live, patch.parent_id)
        if patch.description is not None or patch.attributes:
            self._send("PUT", path, merged_group(current, patch))
        for method, names in (("POST", patch.granted), ("DELETE", patch.revoked)):
            if names:
                self._send(method, f"{path}/role-mappings/realm", self._role_references(names))

    def delete_group(self, group_id: str, *, still: Callable[[KeycloakGroup], bool] | None = None) -> None:
        """Delete the group. Raises `NotThere`, `Conflict` (also: it has sub-groups, which would go too)."""
        live = self.group(group_id)
        require(still, lambda: live, live.path)
        below = self._read(f"/groups/{path_part(group_id)}/children", list[NamedThing], max=1)
        if below:
            raise Conflict(
                f"the group {live.path} has the sub-group {below[0].name}, which would be deleted with it",
                hint="move or delete the sub-group first",
            )
        self._send("DELETE", self._group_path(group_id))

    def _move(self, live: KeycloakGroup, parent_id: str) -> None:
        """Below its new parent. Raises `Conflict` where a group there has its name."""
        above = f"/groups/{path_part(parent_id)}/children" if parent_id else "/groups"
        self._send("POST", f"{self._base}{above}", {"id": live.id, "name": live.name})

    def _group_path(self, group_id: str) -> str:
        return f"{self._base}/groups/{path_part(group_id)}"
