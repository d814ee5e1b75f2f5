"""The resources of one Proxmox cluster, in an explicit table: one line each."""

from __future__ import annotations

from controller.resources import proxmox_acl, proxmox_roles, proxmox_users
from controller.resources.resource import Resource

__all__ = ["PROXMOX"]

PROXMOX = (
    Resource(
        proxmox_roles.SECTION,
        "proxmox",
        proxmox_roles.desired,
        proxmox_roles.observe,
        proxmox_roles.diff,
        proxmox_roles.apply,
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
        proxmox_acl.SECTION,
        "proxmox",
        proxmox_acl.desired,
        proxmox_acl.observe,
        proxmox_acl.diff,
        proxmox_acl.apply,
    ),
)
"""Order as in design.md section 4: roles, people, assignments; removals in reverse."""
