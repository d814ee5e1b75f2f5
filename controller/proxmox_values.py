"""What Proxmox VE holds, as values: the words that the Proxmox client and the resources speak to each other.

Values are normalised, so that equality means no drift: absent text as "", lists sorted and without
repetition. Nothing here does IO.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "EntryHolder",
    "ProxmoxAccess",
    "ProxmoxBackupJob",
    "ProxmoxEntry",
    "ProxmoxGroup",
    "ProxmoxGuest",
    "ProxmoxNode",
    "ProxmoxOpenId",
    "ProxmoxPool",
    "ProxmoxRealm",
    "ProxmoxResources",
    "ProxmoxRights",
    "ProxmoxRole",
    "ProxmoxStorage",
    "ProxmoxToken",
    "ProxmoxUser",
    "ProxmoxVersion",
    "RealmPatch",
    "TokenPatch",
    "UserPatch",
]

EntryHolder = Literal["user", "group", "token"]


@dataclass(frozen=True, slots=True)
class ProxmoxVersion:
    """The version of the API, such as release 9.2, version 9.2.11."""

    release: str
    version: str


@dataclass(frozen=True, slots=True)
class ProxmoxToken:
    """An API token of a user; `separated` ones have at most their own rights. `expire` 0 is never."""

    name: str
    separated: bool
    expire: int = 0
    comment: str = ""


@dataclass(frozen=True, slots=True)
class ProxmoxUser:
    """A user; `userid` is name@realm, `expire` seconds since the epoch, 0 is never."""

    userid: str
    enabled: bool = True
    expire: int = 0
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    comment: str = ""
    groups: tuple[str, ...] = ()
    tokens: tuple[ProxmoxToken, ...] = ()
    realm_type: str = ""

    @property
    def realm(self) -> str:
        """The realm that the user logs in through."""
        return self.userid.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class UserPatch:
    """What to change of a user; None is left alone, "" clears, `groups` replaces."""

    enabled: bool | None = None
    expire: int | None = None
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    comment: str | None = None
    groups: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class TokenPatch:
    """What to change of a token; None is left alone. Its secret stays the same."""

    separated: bool | None = None
    expire: int | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class ProxmoxGroup:
    """A group of users."""

    name: str
    comment: str = ""
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProxmoxRole:
    """A role; a `built_in` one cannot be altered."""

    name: str
    privileges: tuple[str, ...] = ()
    built_in: bool = False


@dataclass(frozen=True, slots=True, order=True)
class ProxmoxEntry:
    """An entry of the access control list: on `path`, the `holder` of this kind has `role`.

    Whoever sets the same entry with another `propagate` replaces the flag: it is no part of what names the
    entry.
    """

    path: str
    kind: EntryHolder
    holder: str
    role: str
    propagate: bool = True


@dataclass(frozen=True, slots=True)
class ProxmoxRealm:
    """A realm that people log in through; `type` is pam, pve, openid, ldap or ad."""

    name: str
    type: str
    comment: str = ""
    default: bool = False


@dataclass(frozen=True, slots=True)
class ProxmoxOpenId:
    """A realm with its settings, as far as we speak of them; `type` is openid for those that we may write.

    `client_key` is a secret: it never leaves the process. `digest` is that of the whole list of realms.
    """

    name: str
    type: str = "openid"
    issuer_url: str = ""
    client_id: str = ""
    client_key: str = field(default="", repr=False)
    username_claim: str = ""
    autocreate: bool = False
    default: bool = False
    comment: str = ""
    digest: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class RealmPatch:
    """What to change of an OpenID realm; None is left alone, a `client_key` of "" is taken away.

    Proxmox VE never changes a realm's `username_claim`.
    """

    issuer_url: str | None = None
    client_id: str | None = None
    client_key: str | None = field(default=None, repr=False)
    autocreate: bool | None = None
    default: bool | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class ProxmoxRights:
    """Our own privileges: path → those that hold there → whether they hold below it too.

    Paths without any privilege are absent, and so are paths that neither an entry nor a pool names.
    """

    on: Mapping[str, Mapping[str, bool]]

    def has(self, path: str, *privileges: str) -> bool:
        """Whether we hold all the privileges on a path that Proxmox always tells of, such as `/access`."""
        held = self.on.get(path, {})
        return all(privilege in held for privilege in privileges)

    def has_any(self, path: str, *privileges: str) -> bool:
        """Whether we hold one of the privileges on such a path."""
        held = self.on.get(path, {})
        return any(privilege in held for privilege in privileges)


@dataclass(frozen=True, slots=True)
class ProxmoxAccess:
    """Who may do what, seen whole."""

    rights: ProxmoxRights
    users: Mapping[str, ProxmoxUser]
    groups: Mapping[str, ProxmoxGroup]
    roles: Mapping[str, ProxmoxRole]
    entries: tuple[ProxmoxEntry, ...]


@dataclass(frozen=True, slots=True)
class ProxmoxGuest:
    """A guest as the cluster list shows it.

    On a dead node `status` is unknown and `name` is "". The list is up to 10 s old, so it does not confirm a
    power action. `cpu_ratio` is of all its processors, `net_bytes` what it received and sent since it began.
    """

    vmid: int
    kind: Literal["qemu", "lxc"]
    node: str
    status: str
    name: str = ""
    pool: str = ""
    tags: tuple[str, ...] = ()
    is_template: bool = False
    lock: str = ""
    ha_state: str = ""
    uptime_seconds: int = 0
    cpu_ratio: float = 0.0
    net_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ProxmoxBackupJob:
    """A backup job: the guests named, all of them but those excluded, or those of a pool."""

    enabled: bool
    everything: bool = False
    vmids: frozenset[int] = frozenset()
    excluded: frozenset[int] = frozenset()
    pool: str = ""

    def covers(self, guest: ProxmoxGuest) -> bool:
        """Whether this job backs the guest up."""
        if not self.enabled or guest.vmid in self.excluded:
            return False
        return self.everything or guest.vmid in self.vmids or bool(self.pool and guest.pool == self.pool)


@dataclass(frozen=True, slots=True)
class ProxmoxNode:
    """A member of the cluster; `status` is online, offline or unknown."""

    name: str
    status: str


@dataclass(frozen=True, slots=True)
class ProxmoxStorage:
    """A storage as one node has it."""

    name: str
    node: str
    status: str
    shared: bool = False


@dataclass(frozen=True, slots=True)
class ProxmoxPool:
    """A pool of guests and storages; one nested in another is named `outer/inner`.

    The cluster list does not tell comments.
    """

    name: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class ProxmoxResources:
    """The cluster list, by kind; holds only what we may see."""

    guests: tuple[ProxmoxGuest, ...]
    nodes: tuple[ProxmoxNode, ...]
    storages: tuple[ProxmoxStorage, ...]
    pools: tuple[ProxmoxPool, ...]
