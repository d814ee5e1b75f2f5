"""Which group of Keycloak is which team of ours: by name, mark and place. Pure.

Names of groups are unique among siblings only. Of several with our mark the one below the right parent is the
team's; where even that leaves two, nobody can tell, and the team is left alone. A group without our mark is
in the way, or to be adopted, only where the team's own group would stand.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from controller.keycloak_groups import KeycloakGroup
    from controller.resources.resource import Context

__all__ = ["TeamGroups", "groups_below", "lineage", "sorted_out"]


@dataclass(frozen=True)
class TeamGroups:
    """`by_team` is each team's group, ours or what stands in its place; `spare` are groups with our mark and
    a team's name that are not the team's; `ambiguous` are teams of which nobody can tell."""

    by_team: Mapping[str, KeycloakGroup]
    spare: tuple[KeycloakGroup, ...] = ()
    ambiguous: frozenset[str] = frozenset()

    def managed(self, context: Context) -> frozenset[str]:
        """The teams whose members are ours to decide: ours by mark, to be adopted, or not made yet.

        Where people are applied while teams are only reported, none is adopted or made.
        """
        if context.withholds("teams", of="users"):
            return frozenset(name for name, one in self.by_team.items() if one.owner == context.owner)
        named = context.teams.keys() - self.by_team.keys() - self.ambiguous
        return frozenset(named | {name for name, group in self.by_team.items() if _is_ours(group, context)})


def sorted_out(groups: Iterable[KeycloakGroup], context: Context) -> TeamGroups:
    """Each team's group: those of the policy from the top down, then those that only our mark tells of."""
    named: defaultdict[str, list[KeycloakGroup]] = defaultdict(list)
    for group in groups:
        named[group.name].append(group)
    found: dict[str, KeycloakGroup] = {}
    spare: list[KeycloakGroup] = []
    ambiguous: set[str] = set()
    for team in _from_the_top(context.teams):
        parent = found.get(context.teams[team])
        place = "" if not context.teams[team] else parent.id if parent else None
        marked = [group for group in named[team] if group.owner == context.owner]
        here = [group for group in named[team] if group.parent_id == place]
        best = [group for group in marked if group.parent_id == place] or marked or here
        if len(best) == 1:
            found[team] = best[0]
            spare += [group for group in marked if group is not best[0]]
        elif best:
            ambiguous.add(team)
            spare += marked
    for name in named.keys() - context.teams.keys():
        marked = [group for group in named[name] if group.owner == context.owner]
        if len(marked) == 1:
            found[name] = marked[0]
        elif marked:
            ambiguous.add(name)
            spare += marked
    return TeamGroups(found, tuple(sorted(spare, key=lambda group: group.path)), frozenset(ambiguous))


def groups_below(group_id: str, groups: Sequence[KeycloakGroup]) -> list[KeycloakGroup]:
    """The sub-groups of a group, at any depth."""
    below: list[KeycloakGroup] = []
    above = {group_id}
    while above:
        next_ones = [group for group in groups if group.parent_id in above]
        below += next_ones
        above = {group.id for group in next_ones}
    return below


def lineage(group: KeycloakGroup, by_id: Mapping[str, KeycloakGroup]) -> list[KeycloakGroup]:
    """The group and those above it, whose roles its members have as well."""
    found = [group]
    while (above := by_id.get(found[-1].parent_id)) is not None:
        found.append(above)
    return found


def _is_ours(group: KeycloakGroup, context: Context) -> bool:
    return group.owner == context.owner or (not group.owner and group.name in context.adopted_teams)


def _from_the_top(parents: Mapping[str, str]) -> list[str]:
    """The teams, each after its parent; a parent that the policy does not know counts as the top."""
    ordered: dict[str, None] = {}

    def add(team: str) -> None:
        parent = parents[team]
        if parent in parents and parent not in ordered:
            add(parent)
        ordered[team] = None

    for team in parents:
        if team not in ordered:
            add(team)
    return list(ordered)
