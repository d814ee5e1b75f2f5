"""Every method that the simulator has, in the order in which paths are tried."""

from __future__ import annotations

from lab.proxmox import (
    access_acl,
    access_groups,
    access_login,
    access_realms,
    access_roles,
    access_tokens,
    access_users,
    backup_jobs,
    cluster,
    containers,
    guests,
    node_tasks,
    pools,
    power,
    storage,
    version,
)

__all__ = ["METHODS"]

METHODS = (
    *version.METHODS,
    *access_login.METHODS,
    *access_users.METHODS,
    *access_tokens.METHODS,
    *access_groups.METHODS,
    *access_roles.METHODS,
    *access_acl.METHODS,
    *access_realms.METHODS,
    *pools.METHODS,
    *cluster.METHODS,
    *backup_jobs.METHODS,
    *guests.METHODS,
    *containers.METHODS,
    *power.METHODS,
    *node_tasks.METHODS,
    *storage.METHODS,
)
