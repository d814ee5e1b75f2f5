"""The resources of one Proxmox cluster, in an explicit table: one line each."""

from __future__ import annotations

from controller.resources import (
    proxmox_acl,
    proxmox_groups,
    proxmox_pools,
    proxmox_realm,
    proxmox_roles,
    proxmox_tokens,
    proxmox_users,
)
from controller.resources.proxmox_acl import MACHINES, NODES, POOLS, STORAGES, Area
from controller.resources.proxmox_power import POWER
from controller.resources.resource import Resource

__all__ = ["PROXMOX"]


def _assigned(area: Area, mode: str = "") -> Resource:
    return Resource(
        area.section, "proxmox", area.desired, area.observe, area.diff, proxmox_acl.apply, mode=mode
    )


PROXMOX = (
    Resource(
        proxmox_realm.SECTION,
        "proxmox",
        proxmox_realm.desired,
        proxmox_realm.observe,
        proxmox_realm.diff,
        proxmox_realm.apply,
        mode="clients",
    ),
    Resource(
        proxmox_roles.SECTION,
        "proxmox",
        proxmox_roles.desired,
        proxmox_roles.observe,
        proxmox_roles.diff,
        proxmox_roles.apply,
    ),
    Resource(
        proxmox_groups.SECTION,
        "proxmox",
        proxmox_groups.desired,
        proxmox_groups.observe,
        proxmox_groups.diff,
        proxmox_groups.apply,
    ),
    Resource(
        proxmox_users.SECTION,
        "proxmox",
        proxmox_users.desired,
        proxmox_users.observe,
        proxmox_users.diff,
        proxmox_users.apply,
    ),
    Resource(
        proxmox_pools.SECTION,
        "proxmox",
        proxmox_pools.desired,
        proxmox_pools.observe,
        proxmox_pools.diff,
        proxmox_pools.apply,
    ),
    Resource(
        proxmox_tokens.SECTION,
        "proxmox",
        proxmox_tokens.desired,
        proxmox_tokens.observe,
        proxmox_tokens.diff,
        proxmox_tokens.apply,
        mode="users",
    ),
    _assigned(MACHINES),
    _assigned(POOLS, "pools"),
    _assigned(STORAGES, "storages"),
    _assigned(NODES, "nodes"),
    POWER,
)
"""Order as in design.md section 4: roles, groups, people, assignments, power; removals in reverse."""
