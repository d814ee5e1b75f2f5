"""Who may be put into which group of Proxmox VE: only groups of ours take and lose people. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.plan.plan import Report
from controller.resources.proxmox_groups import SECTION
from controller.resources.proxmox_marks import owner_of
from controller.resources.proxmox_people import GROUP_PREFIX

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from controller.proxmox_values import ProxmoxGroup
    from controller.resources.resource import Context

__all__ = ["Team", "owned_by", "strangers", "usable"]


@dataclass(frozen=True)
class Team:
    """A team with a group here: its people, whether an unmarked group is taken over or a missing one made."""

    members: frozenset[str]
    adopt: bool = False
    is_made: bool = True


def usable(groups: Mapping[str, ProxmoxGroup], teams: Mapping[str, Team], context: Context) -> frozenset[str]:
    """The teams whose group is ours, or will be by the time that people join it."""
    found = set()
    for name, team in teams.items():
        group = groups.get(GROUP_PREFIX + name)
        owner = owner_of(group.comment) if group else ""
        will_be = team.is_made and (group is None or (not owner and team.adopt))
        if will_be or (group is not None and owner == context.owner):
            found.add(name)
    return frozenset(found)


def owned_by(name: str, groups: Mapping[str, ProxmoxGroup], context: Context) -> frozenset[str]:
    """The identities of the teams whose group of ours somebody is in."""
    return frozenset(
        f"{context.system}/{SECTION}/{group.name.removeprefix(GROUP_PREFIX)}"
        for group in groups.values()
        if group.name.startswith(GROUP_PREFIX)
        and owner_of(group.comment) == context.owner
        and f"{name}@{context.realm}" in group.members
    )


def strangers(
    groups: Mapping[str, ProxmoxGroup],
    teams: Mapping[str, Team],
    ours: frozenset[str],
    accounts: Collection[str],
    context: Context,
) -> list[Report]:
    """Members of our groups (of the teams `ours`) whom no policy puts there and whose account is not ours.

    `accounts` are the people of the realm whose account is ours: their membership is altered, not told.
    """
    reports = []
    for team in sorted(ours):
        group = groups.get(GROUP_PREFIX + team)
        for userid in group.members if group else ():
            name, _, realm = userid.rpartition("@")
            is_named = realm == context.realm and (name in teams[team].members or name in accounts)
            if not is_named:
                text = f"{userid} is in the group {GROUP_PREFIX}{team}, and no policy says so"
                reports.append(Report(context.system, SECTION, team, text, pages=True))
    return reports
