"""Rows of the Proxmox VE API and how they become values; unknown members are left aside."""

from __future__ import annotations

from typing import Literal, TypeVar

import msgspec

from controller.errors import ControllerError
from controller.proxmox_values import (
    ProxmoxBackupJob,
    ProxmoxEntry,
    ProxmoxGroup,
    ProxmoxGuest,
    ProxmoxNode,
    ProxmoxOpenId,
    ProxmoxPool,
    ProxmoxRealm,
    ProxmoxResources,
    ProxmoxRole,
    ProxmoxStorage,
    ProxmoxToken,
    ProxmoxUser,
)

__all__ = [
    "BackupJobRow",
    "CreatedToken",
    "EntryRow",
    "FilledPoolRow",
    "GroupRow",
    "PoolMemberRow",
    "PoolRow",
    "RealmRow",
    "RealmSettings",
    "ResourceRow",
    "RoleRow",
    "UserRow",
    "VersionRow",
    "converted",
    "resources_of",
]

T = TypeVar("T")


def converted(data: object, kind: type[T], call: str) -> T:
    """The data as `kind`; numbers may come as text. Raises `ControllerError` where it is something else."""
    try:
        return msgspec.convert(data, type=kind, strict=False)
    except msgspec.ValidationError as error:
        raise ControllerError(f"{call} answered something that Proxmox VE does not say: {error}") from error


def _sorted(listed: str) -> tuple[str, ...]:
    return tuple(sorted({element for element in listed.replace(";", ",").split(",") if element}))


class VersionRow(msgspec.Struct):
    """GET /version."""

    release: str
    version: str


class TokenRow(msgspec.Struct):
    """A token inside a user."""

    tokenid: str
    privsep: bool = True
    expire: int = 0
    comment: str = ""

    def value(self) -> ProxmoxToken:
        """As a value."""
        return ProxmoxToken(self.tokenid, self.privsep, self.expire, self.comment)


class UserRow(msgspec.Struct, rename={"realm_type": "realm-type"}):
    """GET /access/users with full=1."""

    userid: str
    enable: bool = True
    expire: int = 0
    firstname: str = ""
    lastname: str = ""
    email: str = ""
    comment: str = ""
    groups: str = ""
    tokens: list[TokenRow] | None = None
    realm_type: str = ""

    def value(self) -> ProxmoxUser:
        """As a value."""
        return ProxmoxUser(
            userid=self.userid,
            enabled=self.enable,
            expire=self.expire,
            first_name=self.firstname,
            last_name=self.lastname,
            email=self.email,
            comment=self.comment,
            groups=_sorted(self.groups),
            tokens=tuple(token.value() for token in self.tokens or ()),
            realm_type=self.realm_type,
        )


class GroupRow(msgspec.Struct):
    """GET /access/groups."""

    groupid: str
    comment: str = ""
    users: str = ""

    def value(self) -> ProxmoxGroup:
        """As a value."""
        return ProxmoxGroup(self.groupid, self.comment, _sorted(self.users))


class RoleRow(msgspec.Struct):
    """GET /access/roles."""

    roleid: str
    privs: str = ""
    special: bool = False

    def value(self) -> ProxmoxRole:
        """As a value."""
        return ProxmoxRole(self.roleid, _sorted(self.privs), self.special)


class EntryRow(msgspec.Struct):
    """GET /access/acl."""

    path: str
    type: Literal["user", "group", "token"]
    ugid: str
    roleid: str
    propagate: bool = True

    def value(self) -> ProxmoxEntry:
        """As a value."""
        return ProxmoxEntry(self.path, self.type, self.ugid, self.roleid, self.propagate)


class RealmRow(msgspec.Struct):
    """GET /access/domains."""

    realm: str
    type: str
    comment: str = ""
    default: bool = False

    def value(self) -> ProxmoxRealm:
        """As a value."""
        return ProxmoxRealm(self.realm, self.type, self.comment, self.default)


class RealmSettings(msgspec.Struct, rename="kebab"):
    """GET /access/domains/{realm}; the key of the client comes as it is."""

    type: str
    issuer_url: str = ""
    client_id: str = ""
    client_key: str = ""
    username_claim: str = ""
    autocreate: bool = False
    default: bool = False
    comment: str = ""
    digest: str = ""

    def value(self, name: str) -> ProxmoxOpenId:
        """As a value."""
        return ProxmoxOpenId(
            name=name,
            type=self.type,
            issuer_url=self.issuer_url,
            client_id=self.client_id,
            client_key=self.client_key,
            username_claim=self.username_claim,
            autocreate=self.autocreate,
            default=self.default,
            comment=self.comment,
            digest=self.digest,
        )


class PoolRow(msgspec.Struct):
    """GET /pools."""

    poolid: str
    comment: str = ""

    def value(self) -> ProxmoxPool:
        """As a value."""
        return ProxmoxPool(self.poolid, self.comment)


class PoolMemberRow(msgspec.Struct):
    """A guest or a storage in a pool."""

    type: str
    vmid: int | None = None
    storage: str = ""

    def shown(self) -> str:
        """In words: `guest 101`, `storage nfs-1`."""
        return f"storage {self.storage}" if self.vmid is None else f"guest {self.vmid}"


class FilledPoolRow(msgspec.Struct):
    """GET /pools of one pool."""

    members: list[PoolMemberRow] = []


class CreatedToken(msgspec.Struct):
    """What making a token answers: its secret, this once."""

    value: str


class ResourceRow(msgspec.Struct):
    """GET /cluster/resources: rows of several kinds in one list."""

    type: str
    status: str = ""
    vmid: int = 0
    node: str = ""
    name: str = ""
    pool: str = ""
    tags: str = ""
    template: bool = False
    lock: str = ""
    hastate: str = ""
    uptime: int = 0
    cpu: float = 0.0
    netin: int = 0
    netout: int = 0
    storage: str = ""
    shared: bool = False

    def guest(self, kind: Literal["qemu", "lxc"]) -> ProxmoxGuest:
        """As a guest."""
        return ProxmoxGuest(
            vmid=self.vmid,
            kind=kind,
            node=self.node,
            status=self.status,
            name=self.name,
            pool=self.pool,
            tags=_sorted(self.tags),
            is_template=self.template,
            lock=self.lock,
            ha_state=self.hastate,
            uptime_seconds=self.uptime,
            cpu_ratio=self.cpu,
            net_bytes=self.netin + self.netout,
        )


class BackupJobRow(msgspec.Struct):
    """A job of GET /cluster/backup; one without `enabled` runs."""

    enabled: int = 1
    all: int = 0
    vmid: str = ""
    exclude: str = ""
    pool: str = ""

    def value(self) -> ProxmoxBackupJob:
        """The job in our words."""
        return ProxmoxBackupJob(
            bool(self.enabled), bool(self.all), _numbers(self.vmid), _numbers(self.exclude), self.pool
        )


def _numbers(listed: str) -> frozenset[int]:
    return frozenset(int(one) for one in _sorted(listed) if one.strip().isdigit())


def resources_of(rows: list[ResourceRow]) -> ProxmoxResources:
    """The list by kind, each sorted; kinds that we do not know are left aside."""
    guests = [
        row.guest("qemu" if row.type == "qemu" else "lxc") for row in rows if row.type in {"qemu", "lxc"}
    ]
    storages = [
        ProxmoxStorage(row.storage, row.node, row.status, row.shared) for row in rows if row.type == "storage"
    ]
    return ProxmoxResources(
        guests=tuple(sorted(guests, key=lambda guest: guest.vmid)),
        nodes=tuple(
            ProxmoxNode(row.node, row.status) for row in sorted(_of(rows, "node"), key=lambda row: row.node)
        ),
        storages=tuple(sorted(storages, key=lambda storage: (storage.name, storage.node))),
        pools=tuple(ProxmoxPool(row.pool) for row in sorted(_of(rows, "pool"), key=lambda row: row.pool)),
    )


def _of(rows: list[ResourceRow], kind: str) -> list[ResourceRow]:
    return [row for row in rows if row.type == kind]
