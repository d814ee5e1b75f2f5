"""Teams in Keycloak: one group each, nested as the policy says, with managers and roles. Ours by our mark.

Who is in a team is a field of each person (see `users`). Description is left alone where the policy gives
none; parent, managers and roles are always managed, roles as far as they are ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from controller.plan.change import delete
from controller.plan.plan import Report
from controller.resources.managed_roles import managed_roles
from controller.resources.ownership import Rules, compare
from controller.resources.resource import Context, Difference
from controller.resources.team_groups import TeamGroups, groups_below, sorted_out

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.keycloak_groups import KeycloakGroup
    from controller.plan.change import Change, Fields
    from controller.policy.model import Policy
    from controller.policy.position import SourcePosition
    from controller.resources.ports import KeycloakReader

__all__ = ["SECTION", "SeenTeams", "Team", "desired", "diff", "observe"]

SECTION = "teams"


@dataclass(frozen=True)
class Team:
    """What we manage of a team; a description that the policy does not give (None) is left alone.

    `parent` is the team above, "" at the top; below a group that is no team of ours, that group's path.
    """

    owner: str
    description: str | None = None
    parent: str = ""
    managers: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    adopt: bool = field(default=False, compare=False)
    object_id: str = field(default="", compare=False)
    source: SourcePosition | None = field(default=None, compare=False)

    def fields(self) -> Fields:
        """The managed fields, as a plan shows them."""
        return {
            "owner": self.owner,
            "description": self.description or "",
            "parent": self.parent,
            "managers": sorted(self.managers),
            "roles": sorted(self.roles),
        }


@dataclass(frozen=True)
class SeenTeams:
    """What was observed: every group of the realm, and the roles that are ours to give (`managed_roles`)."""

    groups: tuple[KeycloakGroup, ...] = ()
    managed_roles: frozenset[str] = frozenset()


def desired(policy: Policy, context: Context) -> Mapping[str, Team]:
    """The teams of the policy."""
    return {
        name: Team(
            owner=context.owner,
            description=wanted.description if "description" in wanted.model_fields_set else None,
            parent=wanted.parent or "",
            managers=frozenset(wanted.managers),
            roles=frozenset(wanted.roles),
            adopt=wanted.adopt,
            source=policy.at(SECTION, name),
        )
        for name, wanted in policy.teams.items()
    }


def observe(client: KeycloakReader, context: Context) -> SeenTeams:
    """All groups of every depth, by pages."""
    if client.realm() is None:
        return SeenTeams(managed_roles=managed_roles({}, context, of=SECTION))
    roles = {role.name: role for role in client.roles(expand=lambda _role: False)}
    return SeenTeams(client.groups(), managed_roles(roles, context, of=SECTION))


def diff(observed: SeenTeams, desired: Mapping[str, Team], context: Context) -> Difference:
    """What to create, alter, move and (as prunes) delete; what stands in the way is reported."""
    found = sorted_out(observed.groups, context)
    by_id = {group.id: group for group in observed.groups}
    seen = {name: _normal(group, found, by_id, observed) for name, group in found.by_team.items()}
    wanted = {
        name: _aligned(team, seen.get(name), observed.managed_roles)
        for name, team in desired.items()
        if name not in found.ambiguous
    }
    rules = Rules(SECTION, "team", lambda _name, after: _needs(after, context), _removed)
    changes, reported = compare(seen, wanted, context, rules)
    prunes, kept = _prunes(seen, observed, desired, context)
    reported += kept + _unclear(found, context) + _strangers(found, observed, context)
    ours = [name for name, team in seen.items() if team.owner == context.owner]
    return Difference(tuple(changes), tuple(prunes), tuple(reported), {SECTION: len(ours)})


def _normal(
    group: KeycloakGroup, found: TeamGroups, by_id: Mapping[str, KeycloakGroup], observed: SeenTeams
) -> Team:
    return Team(
        owner=group.owner,
        description=group.description,
        parent=_parent(by_id.get(group.parent_id), found),
        managers=group.managers,
        roles=group.roles & observed.managed_roles,
        object_id=group.id,
    )


def _parent(above: KeycloakGroup | None, found: TeamGroups) -> str:
    if above is None:
        return ""
    return above.name if found.by_team.get(above.name) is above else above.path


def _aligned(wanted: Team, seen: Team | None, managed: frozenset[str]) -> Team:
    """A description that the policy leaves alone is desired as it is; roles of others stay out of it."""
    description = wanted.description
    if description is None:
        description = "" if seen is None else seen.description
    return replace(wanted, description=description, roles=wanted.roles & managed)


def _needs(after: Fields, context: Context) -> tuple[str, ...]:
    roles = [f"{context.system}/roles/{role}" for role in after["roles"]]  # type: ignore[union-attr]
    above = [f"{context.system}/{SECTION}/{after['parent']}"] if after["parent"] else []
    return (f"{context.system}/realm/{context.realm}", *above, *roles)


def _removed(_name: str, before: Fields, after: Fields) -> Mapping[str, int]:
    """Roles taken from a team are taken from everybody in it: each counts as one grant."""
    lost = len(set(before["roles"]) - set(after["roles"]))  # type: ignore[arg-type]
    return {"grants": lost} if lost else {}


def _prunes(
    seen: Mapping[str, Team],
    observed: SeenTeams,
    desired: Mapping[str, Team],
    context: Context,
) -> tuple[list[Change], list[Report]]:
    """Deletions of teams that nobody wants any more, sub-teams first.

    Keycloak deletes what is below with a group: one with sub-groups that stay is kept and reported.
    """
    gone = {name for name, team in seen.items() if team.owner == context.owner and name not in desired}
    ids = {seen[name].object_id: name for name in gone}
    leaving = {
        seen[name].object_id for name in desired.keys() & seen.keys() if seen[name].owner == context.owner
    }
    prunes: list[Change] = []
    kept: list[Report] = []
    for name in sorted(gone):
        below = groups_below(seen[name].object_id, observed.groups)
        staying = [group for group in below if group.id not in ids and not _moves_away(group, leaving, below)]
        if staying:
            text = f"team is no longer in the policy and is kept: {staying[0].path} below it is not ours"
            kept.append(Report(context.system, SECTION, name, text))
            continue
        needs = tuple(f"{context.system}/{SECTION}/{ids[one.id]}" for one in below if one.id in ids)
        prunes.append(
            delete(
                context.system,
                SECTION,
                name,
                seen[name].fields(),
                reason="team carries our mark and is no longer in the policy",
                object_id=seen[name].object_id,
                depends_on=needs,
            )
        )
    return prunes, kept


def _moves_away(group: KeycloakGroup, leaving: set[str], below: list[KeycloakGroup]) -> bool:
    """Whether the group, or one between it and the team that goes, is a team that stays: it moves first."""
    by_id = {one.id: one for one in below}
    here: KeycloakGroup | None = group
    while here is not None:
        if here.id in leaving:
            return True
        here = by_id.get(here.parent_id)
    return False


def _unclear(found: TeamGroups, context: Context) -> list[Report]:
    ambiguous = [
        Report(
            context.system,
            SECTION,
            name,
            "several groups of this name carry our mark, none alone where the team belongs: left alone",
            pages=True,
        )
        for name in sorted(found.ambiguous)
    ]
    spare = [
        Report(
            context.system,
            SECTION,
            group.name,
            f"the group {group.path} carries our mark and is not the team's",
            pages=True,
        )
        for group in found.spare
        if group.name not in found.ambiguous
    ]
    return ambiguous + spare


def _strangers(found: TeamGroups, observed: SeenTeams, context: Context) -> list[Report]:
    """Groups that are not ours and give our roles to whoever is in them: somebody went past the policy."""
    ours = {group.id for group in (*found.by_team.values(), *found.spare) if group.owner == context.owner}
    adopted = {found.by_team[name].id for name in context.adopted_teams & found.by_team.keys()}
    return [
        Report(
            context.system,
            SECTION,
            group.path,
            f"is not ours and gives our roles {', '.join(sorted(group.roles & observed.managed_roles))}",
            pages=True,
        )
        for group in sorted(observed.groups, key=lambda one: one.path)
        if group.roles & observed.managed_roles and group.id not in ours | adopted
    ]
