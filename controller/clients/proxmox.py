"""Proxmox VE as the controller sees it: `ProxmoxReader` observes a cluster, `ProxmoxWriter` alters it too.

Reading costs one request per list, never one per object. Lists hold only what our token may see, and say
nothing of the rest: `access` therefore looks at our own rights in the same breath and raises `Unobserved`
where they do not suffice.

Every method may raise `Unreachable`, `TransientError`, `NotAllowed` or `ControllerError` (an answer that is
none); writes also `OutcomeUnknown` and `TerminalError`. What else a method raises stands in its docstring.
Source: https://pve.proxmox.com/pve-docs/api-viewer/ .
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from controller.clients.proxmox_connection import MAX_CONNECTIONS, ProxmoxConnection, ProxmoxLogin
from controller.clients.proxmox_power import PowerReader, PowerSwitch
from controller.clients.proxmox_wire import (
    BackupJobRow,
    EntryRow,
    GroupRow,
    RealmRow,
    ResourceRow,
    RoleRow,
    UserRow,
    VersionRow,
    converted,
    resources_of,
)
from controller.errors import Unobserved
from controller.proxmox_values import ProxmoxAccess, ProxmoxRights, ProxmoxVersion

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from controller.proxmox_values import (
        ProxmoxBackupJob,
        ProxmoxEntry,
        ProxmoxGroup,
        ProxmoxRealm,
        ProxmoxResources,
        ProxmoxRole,
        ProxmoxUser,
        UserPatch,
    )

__all__ = ["ProxmoxLogin", "ProxmoxReader", "ProxmoxWriter"]

T = TypeVar("T")


class ProxmoxReader:
    """Reads one cluster; there is nothing in it that writes. Close it, or use it in a `with`."""

    def __init__(self, login: ProxmoxLogin, *, cluster: str = "") -> None:
        self._login = login
        self._system = f"proxmox:{cluster}" if cluster else "proxmox"
        self._connection = ProxmoxConnection(login)
        self.power = PowerReader(self._connection)
        """Tasks, and what single guests do now."""
        self._threads = ThreadPoolExecutor(MAX_CONNECTIONS, thread_name_prefix="proxmox")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End our threads and connections."""
        self._threads.shutdown()
        self._connection.close()

    @property
    def own_userid(self) -> str:
        """The user whose token we use: ourselves."""
        return self._login.userid

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
        running = [
            self._threads.submit(call)
            for call in (self.rights, self.users, self.groups, self.roles, self.entries)
        ]
        rights, users, groups, roles, entries = _results(running)
        if not rights.has_any("/access/groups", "User.Modify", "Sys.Audit"):
            raise self._hidden("users and groups", "Sys.Audit on /access/groups")
        if not rights.has("/access", "Sys.Audit"):
            raise self._hidden("access control entries", "Sys.Audit on /access")
        return ProxmoxAccess(rights, users, groups, roles, entries)

    def _hidden(self, what: str, needed: str) -> Unobserved:
        return Unobserved(
            self._system, f"{what} are hidden from {self._login.token_id}", hint=f"give it {needed}"
        )

    def _read(self, kind: type[T], *path: str, **params: str) -> T:
        return converted(self._connection.get(*path, **params), kind, f"GET /{'/'.join(path)}")


def _results(running: Iterable[Any]) -> list[Any]:
    """The results in order; waits for all, then raises the first error."""
    futures = list(running)
    errors = [error for future in futures if (error := future.exception()) is not None]
    if errors:
        raise errors[0]
    return [future.result() for future in futures]


class ProxmoxWriter(ProxmoxReader):
    """Reads and alters one cluster. A write is sent once; `OutcomeUnknown` where no answer came."""

    def __init__(self, login: ProxmoxLogin, *, cluster: str = "") -> None:
        super().__init__(login, cluster=cluster)
        self.switch = PowerSwitch(self._connection)
        """Starts and stops guests."""

    def create_role(self, role: ProxmoxRole) -> None:
        """Create a role. Raises `Conflict` where the name is taken."""
        self._connection.post("access", "roles", roleid=role.name, privs=",".join(role.privileges))

    def set_role(self, role: ProxmoxRole) -> None:
        """Give a role exactly these privileges. Raises `NotThere`."""
        self._connection.put("access", "roles", role.name, privs=",".join(role.privileges))

    def delete_role(self, name: str) -> None:
        """Delete a role; entries that name it vanish. Raises `NotThere`."""
        self._connection.delete("access", "roles", name)

    def create_user(self, user: ProxmoxUser) -> None:
        """Create a user without a password; the groups must exist. Raises `Conflict`, `TerminalError`."""
        self._connection.post("access", "users", userid=user.userid, **_user_form(user))

    def update_user(self, userid: str, patch: UserPatch) -> None:
        """Change what the patch holds. Raises `NotThere`."""
        self._connection.put("access", "users", userid, **_patch_form(patch))

    def delete_user(self, userid: str) -> None:
        """Delete a user with memberships, entries and tokens. Raises `NotThere`."""
        self._connection.delete("access", "users", userid)

    def create_group(self, name: str, *, comment: str = "") -> None:
        """Create an empty group. Raises `Conflict`."""
        self._connection.post("access", "groups", groupid=name, comment=comment)

    def update_group(self, name: str, *, comment: str) -> None:
        """Change a group's comment. Raises `NotThere`."""
        self._connection.put("access", "groups", name, comment=comment)

    def delete_group(self, name: str) -> None:
        """Delete a group with its entries. Raises `NotThere`."""
        self._connection.delete("access", "groups", name)

    def set_entry(self, entry: ProxmoxEntry) -> None:
        """Set an entry; one that differs only in `propagate` is replaced. Raises `NotThere`."""
        self._connection.put("access", "acl", **_entry_form(entry), propagate=str(int(entry.propagate)))

    def delete_entry(self, entry: ProxmoxEntry) -> None:
        """Delete an entry; one that is not there is no error."""
        self._connection.put("access", "acl", **_entry_form(entry), delete="1")


def _entry_form(entry: ProxmoxEntry) -> dict[str, str]:
    return {"path": entry.path, "roles": entry.role, f"{entry.kind}s": entry.holder}


def _user_form(user: ProxmoxUser) -> dict[str, str]:
    form = {
        "firstname": user.first_name,
        "lastname": user.last_name,
        "email": user.email,
        "comment": user.comment,
        "groups": ",".join(user.groups),
    }
    given = {name: value for name, value in form.items() if value}
    return {**given, "enable": str(int(user.enabled)), "expire": str(user.expire)}


def _patch_form(patch: UserPatch) -> dict[str, str]:
    form = {
        "enable": None if patch.enabled is None else str(int(patch.enabled)),
        "expire": None if patch.expire is None else str(patch.expire),
        "firstname": patch.first_name,
        "lastname": patch.last_name,
        "email": patch.email,
        "comment": patch.comment,
        "groups": None if patch.groups is None else ",".join(patch.groups),
    }
    return {name: value for name, value in form.items() if value is not None}
