"""Who and which teams have something on a Proxmox cluster: they need accounts and groups there. Pure.

Sets count whatever guests they hold now: an account without an entry may do nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.policy.teams import all_members
from controller.resources.proxmox_clusters import cluster_of, entries_here

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from controller.policy.machines import Assigned
    from controller.policy.model import Policy
    from controller.resources.resource import Context

__all__ = ["GROUP_PREFIX", "members_here", "people_here"]

GROUP_PREFIX = "steward-"
"""A team's group is named so on Proxmox."""


def members_here(policy: Policy, context: Context) -> Mapping[str, frozenset[str]]:
    """The teams that something of this cluster is assigned to, with their people.

    People of teams below belong to them too.
    """
    teams = {name for assigned in _assigned_here(policy, context) for name in assigned.teams}
    people = all_members(policy)
    return {name: people[name] for name in sorted(teams)}


def people_here(policy: Policy, context: Context) -> frozenset[str]:
    """The people who need an account on this cluster: by themselves, by a team, or for a token of theirs."""
    names: set[str] = set()
    for assigned in _assigned_here(policy, context):
        names.update(assigned.users)
        names.update(token.partition("!")[0] for token in assigned.tokens)
    return frozenset(names.union(*members_here(policy, context).values()))


def _assigned_here(policy: Policy, context: Context) -> Iterator[Assigned]:
    for machine in entries_here(policy.machines, context).values():
        yield machine.assigned
    for pool in entries_here(policy.pools, context).values():
        yield pool.assigned
    for storage in entries_here(policy.storages, context).values():
        yield storage.assigned
    for node in entries_here(policy.nodes, context).values():
        yield node.assigned
    for one in policy.machine_sets.values():
        if one.match.cluster in {None, cluster_of(context)}:
            yield one.assigned
