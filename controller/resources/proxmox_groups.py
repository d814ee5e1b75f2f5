"""Teams on Proxmox VE: a group `steward-TEAM` for each team that something of the cluster is assigned to.

A group is ours by the mark in its comment. Its members are those of the team and of all teams below it; who
is in it is a field of people (see `proxmox_users`). Deleting a group takes its entries and memberships along,
so one that others have given something, or put an account of theirs in, stays until they take it back.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from controller.errors import Conflict, NotThere
from controller.plan.change import Change, Operation, Outcome, delete, freeze
from controller.plan.plan import Report
from controller.resources.ownership import Rules, compare
from controller.resources.proxmox_holds import held_groups, require_own
from controller.resources.proxmox_marks import marked, owner_of, text_of
from controller.resources.proxmox_people import GROUP_PREFIX, members_here
from controller.resources.proxmox_sight import require_users
from controller.resources.resource import Context, Difference
from controller.resources.writing import applied, ended

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.plan.change import Fields
    from controller.policy.model import Policy
    from controller.policy.position import SourcePosition
    from controller.proxmox_values import ProxmoxGroup
    from controller.resources.proxmox_ports import ProxmoxReader, ProxmoxWriter

__all__ = ["SECTION", "Group", "apply", "desired", "diff", "observe"]

SECTION = "teams"


@dataclass(frozen=True)
class Group:
    """What we manage of a group; a description of None is one that the policy leaves alone."""

    owner: str
    description: str | None = None
    members: int = field(default=0, compare=False)
    holds: str = field(default="", compare=False)
    adopt: bool = field(default=False, compare=False)
    object_id: str = field(default="", compare=False)
    source: SourcePosition | None = field(default=None, compare=False)

    def fields(self) -> Fields:
        """The managed fields, as a plan shows them."""
        return {"owner": self.owner, "description": self.description or ""}


def desired(policy: Policy, context: Context) -> Mapping[str, Group]:
    """The teams that something of this cluster is assigned to."""
    return {
        name: Group(
            context.owner,
            text_of(team.description) if "description" in team.model_fields_set else None,
            adopt=team.adopt,
            source=policy.at(SECTION, name),
        )
        for name in members_here(policy, context)
        for team in (policy.teams[name],)
    }


def observe(client: ProxmoxReader, context: Context) -> Mapping[str, Group]:
    """The groups whose name is that of a team of ours, by team, with what others have in them."""
    groups = client.groups()
    require_users(client.rights(), context)
    held = held_groups(client, context)
    return {
        team: replace(_normal(group), holds=held.get(team, ""))
        for name, group in groups.items()
        if name.startswith(GROUP_PREFIX)
        for team in (name.removeprefix(GROUP_PREFIX),)
    }


def diff(observed: Mapping[str, Group], desired: Mapping[str, Group], context: Context) -> Difference:
    """What to create, alter and (as prunes) delete."""
    wanted = {name: _aligned(group, observed.get(name)) for name, group in desired.items()}
    changes, reported = compare(observed, wanted, context, Rules(SECTION, "group"))
    ours = {name: group for name, group in observed.items() if group.owner == context.owner}
    left = {name: group for name, group in ours.items() if name not in desired}
    reported += [_kept(name, group, context) for name, group in left.items() if group.holds]
    prunes = [_prune(name, group, context) for name, group in left.items() if not group.holds]
    return Difference(tuple(changes), tuple(prunes), tuple(reported), {SECTION: len(ours)})


def apply(client: ProxmoxWriter, change: Change) -> Outcome:
    """Write one change of a group, where the group is still what the plan has seen."""
    return ended(change, lambda: _write(client, change))


def _write(client: ProxmoxWriter, change: Change) -> Outcome:
    name = GROUP_PREFIX + change.key
    if change.operation is Operation.CREATE and change.after is not None:
        client.create_group(name, comment=_comment(change.after))
        return applied(change)
    seen = client.groups().get(name)
    if seen is None:
        raise NotThere(f"the group {name} is gone")
    if freeze(_normal(seen).fields()) != change.before:
        raise Conflict(f"the group {name} is not what the plan has seen")
    if change.after is None:
        others = [one for one in client.entries() if one.kind == "group" and one.holder == name]
        require_own(others, f"the group {name}")
        client.delete_group(name)
    else:
        client.update_group(name, comment=_comment(change.after))
    return applied(change)


def _normal(seen: ProxmoxGroup) -> Group:
    return Group(owner_of(seen.comment), text_of(seen.comment), len(seen.members), object_id=seen.name)


def _aligned(wanted: Group, seen: Group | None) -> Group:
    if wanted.description is not None:
        return wanted
    return replace(wanted, description=seen.description if seen else "")


def _comment(fields: Fields) -> str:
    return marked(str(fields["description"]), owner=str(fields["owner"]))


def _kept(name: str, group: Group, context: Context) -> Report:
    text = f"nothing here is assigned to this team any more, but its group has {group.holds}: left alone"
    return Report(context.system, SECTION, name, text)


def _prune(name: str, group: Group, context: Context) -> Change:
    return delete(
        context.system,
        SECTION,
        name,
        group.fields(),
        reason=f"nothing here is assigned to this team any more; its {group.members} members lose the group",
        object_id=group.object_id,
        removals={SECTION: 1, "grants": group.members},
    )
