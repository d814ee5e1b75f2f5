"""Every method that the simulator has, in the order in which paths are tried."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

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
    high_availability,
    node_tasks,
    pools,
    power,
    replication,
    storage,
    subscription,
    version,
    vzdump,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.proxmox.methods import Method

__all__ = ["METHODS", "as_of_8"]

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
    *high_availability.METHODS,
    *guests.METHODS,
    *containers.METHODS,
    *power.METHODS,
    *node_tasks.METHODS,
    *storage.METHODS,
    *replication.METHODS,
    *subscription.METHODS,
    *vzdump.METHODS,
)


def as_of_8(methods: Iterable[Method]) -> tuple[Method, ...]:
    """The same methods as Proxmox VE 8 has them: they know its privileges."""
    return tuple(
        replace(
            method,
            schema={
                name: replace(one, format="priv-of-8") if one.format == "priv" else one
                for name, one in method.schema.items()
            },
        )
        for method in methods
    )
