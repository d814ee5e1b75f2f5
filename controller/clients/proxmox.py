"""Proxmox VE as the controller sees it: `ProxmoxReader` observes a cluster.

Reading costs one request per list, never one per object. Lists hold only what our token may see, and say
nothing of the rest: `access` therefore looks at our own rights in the same breath and raises `Unobserved`
where they do not suffice.

Every method may raise `Unreachable`, `TransientError`, `NotAllowed` or `ControllerError` (an answer that is
none). What else a method raises stands in its docstring.
Source: https://pve.proxmox.com/pve-docs/api-viewer/ .
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from controller.clients.proxmox_connection import MAX_CONNECTIONS, ProxmoxConnection, ProxmoxLogin
from controller.clients.proxmox_glance import RememberedReads
from controller.clients.proxmox_power import PowerReader
from controller.clients.proxmox_wire import (
    BackupJobRow,
    EntryRow,
    FilledPoolRow,
    GroupRow,
    PoolRow,
    RealmRow,
    RealmSettings,
    ResourceRow,
    RoleRow,
    UserRow,
    VersionRow,
    converted,
    resources_of,
)
from controller.errors import NotThere, Refused, Unobserved
from controller.proxmox_values import ProxmoxAccess, ProxmoxRights, ProxmoxVersion

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import Self

    from controller.clients.proxmox_glance import Reads
    from controller.proxmox_values import (
        ProxmoxBackupJob,
        ProxmoxEntry,
        ProxmoxGroup,
        ProxmoxOpenId,
        ProxmoxPool,
        ProxmoxRealm,
        ProxmoxResources,
        ProxmoxRole,
        ProxmoxUser,
    )
    from controller.secret_sources import Reference, SecretSources

__all__ = ["ProxmoxLogin", "ProxmoxReader"]

T = TypeVar("T")


class ProxmoxReader:
    """Reads one cluster; there is nothing in it that writes. Close it, or use it in a `with`."""

    def __init__(
        self,
        login: ProxmoxLogin,
        *,
        cluster: str = "",
        secrets: SecretSources | None = None,
        reads: Reads | None = None,
    ) -> None:
        self._login, self._cluster, self._secrets = login, cluster, secrets
        self._reads = reads or ProxmoxConnection(login)
        self.power = PowerReader(self._reads, login.token_id)
        """Tasks, and what single guests do now."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End our connections."""
        self._reads.close()

    def glance(self) -> ProxmoxReader:
        """A reader for one look at the cluster: what several of its callers ask for is read once.

        It lives on this one's connections, so it ends with this one.
        """
        return ProxmoxReader(
            self._login, cluster=self._cluster, secrets=self._secrets, reads=RememberedReads(self._reads)
        )

    @property
    def own_userid(self) -> str:
        """The user whose token we use: ourselves."""
        return self._login.userid

    def secret(self, reference: Reference) -> str:
        """A secret that the policy names. Raises `Refused` for a place that may not go to Proxmox."""
        return self._sources().read(reference, "proxmox")

    def secret_file(self, reference: Reference) -> Path:
        """Where a secret of a token is to be written. Raises `Refused` for a place that is not allowed."""
        return self._sources().file(reference, "proxmox_tokens")

    def _sources(self) -> SecretSources:
        if self._secrets is None:
            raise Refused("this client may not use secrets that a policy names")
        return self._secrets

    def version(self) -> ProxmoxVersion:
        """The version of the API."""
        row = self._read(VersionRow, "version")
        return ProxmoxVersion(row.release, row.version)

    def rights(self) -> ProxmoxRights:
        """Our own privileges, on every path that Proxmox VE tells of."""
        held = self._read(dict[str, dict[str, int]], "access", "permissions")
        return ProxmoxRights(
            {path: {name: bool(flag) for name, flag in at.items()} for path, at in held.items()}
        )

    def privileges_on(self, path: str) -> frozenset[str]:
        """Our own privileges on any path, whether an entry names it or not."""
        return frozenset(
            self._read(dict[str, dict[str, int]], "access", "permissions", path=path).get(path, {})
        )

    def privileges_of(self, userid: str, path: str) -> frozenset[str]:
        """What somebody (a user or a token) may do on a path, in Proxmox's own reckoning.

        Raises `NotAllowed` without Sys.Audit on /access.
        """
        query = {"path": path, "userid": userid}
        return frozenset(
            self._read(dict[str, dict[str, int]], "access", "permissions", **query).get(path, {})
        )

    def users(self) -> dict[str, ProxmoxUser]:
        """The users whom we may see, by user id, with their groups and tokens."""
        return {row.userid: row.value() for row in self._read(list[UserRow], "access", "users", full="1")}

    def groups(self) -> dict[str, ProxmoxGroup]:
        """The groups that we may see, with their members."""
        return {row.groupid: row.value() for row in self._read(list[GroupRow], "access", "groups")}

    def roles(self) -> dict[str, ProxmoxRole]:
        """All roles; everybody may see them."""
        return {row.roleid: row.value() for row in self._read(list[RoleRow], "access", "roles")}

    def entries(self) -> tuple[ProxmoxEntry, ...]:
        """The entries of the access control list that we may see, sorted."""
        return tuple(sorted(row.value() for row in self._read(list[EntryRow], "access", "acl")))

    def realms(self) -> dict[str, ProxmoxRealm]:
        """All realms; everybody may see them."""
        return {row.realm: row.value() for row in self._read(list[RealmRow], "access", "domains")}

    def realm(self, name: str) -> ProxmoxOpenId | None:
        """One realm with its settings, None where there is none of this name."""
        try:
            return self._read(RealmSettings, "access", "domains", name).value(name)
        except NotThere:
            return None

    def pools(self) -> dict[str, ProxmoxPool]:
        """The pools that we may see, by name."""
        return {row.poolid: row.value() for row in self._read(list[PoolRow], "pools")}

    def pool_members(self, name: str) -> tuple[str, ...]:
        """What one pool holds, as `guest 101` and `storage nfs-1`; the list of pools tells no storages."""
        rows = self._read(list[FilledPoolRow], "pools", poolid=name)
        return tuple(member.shown() for row in rows for member in row.members)

    def resources(self) -> ProxmoxResources:
        """Guests, nodes, storages and pools that we may see, in one request whatever their number."""
        return resources_of(self._read(list[ResourceRow], "cluster", "resources"))

    def backup_jobs(self) -> tuple[ProxmoxBackupJob, ...]:
        """All backup jobs of the cluster. Raises `NotAllowed` without Sys.Audit on /."""
        return tuple(row.value() for row in self._read(list[BackupJobRow], "cluster", "backup"))

    def access(self) -> ProxmoxAccess:
        """Users, groups, roles and entries, read side by side: five requests.

        Raises `Unobserved` where our rights hide a part of them.
        """
        with ThreadPoolExecutor(MAX_CONNECTIONS, thread_name_prefix="proxmox") as pool:
            running = [
                pool.submit(call) for call in (self.rights, self.users, self.groups, self.roles, self.entries)
            ]
        rights, users, groups, roles, entries = _results(running)
        if not rights.has_any("/access/groups", "User.Modify", "Sys.Audit"):
            raise self._hidden("users and groups", "Sys.Audit on /access/groups")
        if not rights.has("/access", "Sys.Audit"):
            raise self._hidden("access control entries", "Sys.Audit on /access")
        return ProxmoxAccess(rights, users, groups, roles, entries)

    def _hidden(self, what: str, needed: str) -> Unobserved:
        system = f"proxmox:{self._cluster}" if self._cluster else "proxmox"
        return Unobserved(system, f"{what} are hidden from {self._login.token_id}", hint=f"give it {needed}")

    def _read(self, kind: type[T], *path: str, **params: str) -> T:
        return converted(self._reads.get(*path, **params), kind, f"GET /{'/'.join(path)}")


def _results(running: Iterable[Any]) -> list[Any]:
    """The results in order; waits for all, then raises the first error."""
    futures = list(running)
    errors = [error for future in futures if (error := future.exception()) is not None]
    if errors:
        raise errors[0]
    return [future.result() for future in futures]
