"""Reading a realm and a cluster whole, for look and import: requests per list and role, never per person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from controller.errors import NotAllowed, NotThere
from controller.look import KeycloakReading, ProxmoxReading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.keycloak_values import KeycloakRealm, KeycloakRole
    from controller.proxmox_values import (
        ProxmoxAccess,
        ProxmoxBackupJob,
        ProxmoxRealm,
        ProxmoxResources,
    )
    from controller.resources.ports import KeycloakReader

__all__ = ["ClusterReader", "read_cluster", "read_realm"]

_SINGLE_SIGN_ON = "openid"


class ClusterReader(Protocol):
    """One Proxmox VE, read only."""

    def access(self) -> ProxmoxAccess:
        """Users, groups, roles and entries. Raises Unobserved where a part is hidden."""
        ...

    def resources(self) -> ProxmoxResources:
        """Guests, nodes, storages and pools."""
        ...

    def realms(self) -> Mapping[str, ProxmoxRealm]:
        """The realms that people log in through."""
        ...

    def backup_jobs(self) -> tuple[ProxmoxBackupJob, ...]:
        """All backup jobs. Raises NotAllowed where we may not see them."""
        ...


def read_realm(
    reader: KeycloakReader,
) -> tuple[KeycloakRealm, Mapping[str, KeycloakRole], KeycloakReading]:
    """The realm's settings, its roles by name with what they include, and its people.

    Raises NotThere where there is no such realm.
    """
    realm = reader.realm()
    if realm is None:
        raise NotThere(f"there is no realm {reader.realm_name}, or our account may not see it")
    roles = {role.name: role for role in reader.roles(expand=lambda role: role.name != realm.default_role)}
    named = roles.keys() - {realm.default_role, *BUILT_IN_ROLES}
    reading = KeycloakReading(
        realm.name, reader.users(), reader.members(sorted(named)), reader.administrators()
    )
    return realm, {name: roles[name] for name in sorted(named)}, reading


BUILT_IN_ROLES = frozenset({"offline_access", "uma_authorization"})
"""Roles that every realm has and everybody gets through the default role."""


def read_cluster(reader: ClusterReader) -> ProxmoxReading:
    """Rights, guests and backup jobs of a cluster; the jobs only where we may see them."""
    jobs: tuple[ProxmoxBackupJob, ...] | None
    try:
        jobs = reader.backup_jobs()
    except NotAllowed:
        jobs = None
    sign_on = frozenset(name for name, realm in reader.realms().items() if realm.type == _SINGLE_SIGN_ON)
    return ProxmoxReading(reader.access(), reader.resources().guests, jobs, sign_on)
