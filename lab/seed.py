"""A Proxmox VE cluster with a history, the same for the same numbers: what years of hand work leave behind.

`ODD` tells the odd things apart, so that a test can ask whether `look` finds them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.errors import SeedError
from lab.proxmox.accounts import Entry, Group, Pool, Token, User

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lab.proxmox.datacenter import Datacenter

__all__ = ["CONTROLLER_ID", "LOOK_ID", "ODD", "REALM", "environment", "populate"]

REALM = "keycloak"
"""The realm through which people come to Proxmox VE."""

CONTROLLER_ID = "steward@pve!controller"  # a name, not a secret
"""The token of the controller: it has what reconciling needs, and no more."""

LOOK_ID = "steward-look@pve!look"  # a name, not a secret
"""A token that may only look."""

ODD: Mapping[str, tuple[str, ...]] = {
    "administrator by an entry of their own on /": ("tom.leaver@keycloak", "kim.boss@pve"),
    "disabled user who still has entries": ("olga.leaver@keycloak",),
    "user with entries of their own on guests": ("ravi.intern@keycloak", "olga.leaver@keycloak"),
    "user of a realm that does not exist": ("svc-backup@ldap-old",),
    "token with all rights of its user, never expiring": ("kim.boss@pve!backup",),
    "group without members that has rights": ("old-admins",),
    "guest without an owner tag": ("web-02", "train-02"),
    "guest that a crashed backup left locked": ("db-02",),
    "guest that does not obey a shutdown": ("web-03",),
}
"""What is odd in the cluster, and whom or which guest it concerns."""

_NAMED = (
    (101, "web-01"), (102, "web-02"), (110, "db-01"), (120, "train-01"), (121, "train-02"),
    (103, "web-03"), (111, "db-02"), (112, "db-03"), (122, "train-03"), (123, "train-04"),
    (140, "gpu-01"), (141, "gpu-02"), (104, "web-04"), (124, "train-05"), (150, "golden-debian"),
)  # fmt: skip
_FIRST_LAB_GUEST = 200
_OWNERS = {"web": "ops", "db": "data", "train": "research", "gpu": "ml", "golden": "ops", "lab": "research"}
_RUNNING_EVERY = 3
_LEAST_GUESTS = len(_NAMED)


@dataclass(frozen=True)
class _Guest:
    vmid: int
    name: str

    @property
    def family(self) -> str:
        return self.name.partition("-")[0]

    def entry(self, number: int, nodes: int) -> dict[str, Any]:
        """The guest as an environment describes it."""
        tags = (
            [self.family]
            if self.name in ODD["guest without an owner tag"]
            else [self.family, f"owner-{_OWNERS[self.family]}"]
        )
        lines = [
            f"name: {self.name}",
            f"cores: {2 + number % 3 * 2}",
            f"memory: {2048 * (1 + number % 4)}",
            "sockets: 1",
        ]
        lines.append(f"tags: {';'.join(tags)}")
        if self.name in ODD["guest that a crashed backup left locked"]:
            lines.append("lock: backup")
        if self.family == "golden":
            lines.append("template: 1")
        running = number % _RUNNING_EVERY == 0 and self.family != "golden"
        hung = self.name in ODD["guest that does not obey a shutdown"]
        state = {"running": "hung" if hung else "running"} if running or hung else {}
        kind = "lxc" if self.family == "lab" and number % 5 == 0 else "qemu"
        config = "\n".join(lines) + "\n"
        return {
            "vmid": self.vmid,
            "type": kind,
            "node": f"pve{number % nodes + 1}",
            "config": config,
            **state,
        }


def environment(*, nodes: int = 3, guests: int = 40) -> dict[str, Any]:
    """A cluster named par1. Raises `SeedError` for less than one node or too few guests for the odd ones."""
    if nodes < 1 or guests < _LEAST_GUESTS:
        raise SeedError(
            f"a cluster of {nodes} nodes and {guests} guests cannot be made; at least 1 and {_LEAST_GUESTS}"
        )
    return {
        "cluster_name": "par1",
        "live_statistics": True,
        "nodes": [
            {"node": f"pve{number}", "id": number, "online": 1, "ip": f"192.0.2.{number}"}
            for number in range(1, nodes + 1)
        ],
        "guests": [guest.entry(number, nodes) for number, guest in enumerate(_guests(guests))],
        "storages": ["local", {"storage": "nfs-1", "content": "backup,images", "shared": 1, "type": "nfs"}],
        "backup_files": {"nfs-1": ["vzdump-qemu-101-2026_01_02-03_04_05.vma.zst (note 'web-01')"]},
    }


def _guests(count: int) -> Iterator[_Guest]:
    for vmid, name in _NAMED:
        yield _Guest(vmid, name)
    for number in range(count - len(_NAMED)):
        yield _Guest(_FIRST_LAB_GUEST + number, f"lab-{number + 1:02}")


def populate(center: Datacenter, *, steward_secret: str, look_secret: str) -> None:
    """Fill a new data centre with years of accounts, the odd ones among them, and two tokens for Steward."""
    accounts = center.accounts
    center.realms.by_name[REALM] = {
        "type": "openid",
        "issuer-url": "https://sso.example.org/realms/acme",
        "client-id": "proxmox",
        "comment": "Single sign-on",
        "default": 1,
    }
    accounts.roles["VMOperator"] = {"VM.Audit", "VM.PowerMgmt", "VM.Console"}
    _add_people(center)
    _add_groups(center)
    _add_pools(center)
    _add_steward(center, steward_secret, look_secret)
    center.backup_jobs["nightly"] = {
        "id": "nightly",
        "type": "vzdump",
        "enabled": 1,
        "schedule": "02:00",
        "storage": "nfs-1",
        "pool": "production",
    }
    accounts.settle()


def _add_people(center: Datacenter) -> None:
    users, acl = center.accounts.users, center.accounts.acl
    users["kim.boss@pve"] = User(
        firstname="Kim", lastname="Boss", tokens={"backup": Token(privsep=0, comment="nobody knows any more")}
    )
    users["tom.leaver@keycloak"] = User(firstname="Tom", lastname="Leaver")
    users["olga.leaver@keycloak"] = User(enable=0, firstname="Olga", lastname="Leaver")
    users["ravi.intern@keycloak"] = User(firstname="Ravi", lastname="Intern", expire=1_893_456_000)
    users["svc-backup@ldap-old"] = User(comment="from before the move")
    for name in ("alma.abel", "bela.baker", "cara.costa", "dora.dumas", "emil.evers"):
        first, _, last = name.partition(".")
        users[f"{name}@{REALM}"] = User(
            firstname=first.title(), lastname=last.title(), email=f"{name}@example.org"
        )
    for userid in ODD["administrator by an entry of their own on /"]:
        acl[Entry("/", "user", userid, "Administrator")] = 1
    acl[Entry("/vms/101", "user", "ravi.intern@keycloak", "PVEVMAdmin")] = 1
    acl[Entry("/vms/110", "user", "ravi.intern@keycloak", "VMOperator")] = 0
    acl[Entry("/vms/120", "user", "olga.leaver@keycloak", "PVEVMUser")] = 1
    acl[Entry("/storage/nfs-1", "user", "svc-backup@ldap-old", "PVEDatastoreAdmin")] = 1


def _add_groups(center: Datacenter) -> None:
    groups, acl = center.accounts.groups, center.accounts.acl
    groups["ops"] = Group("day and night", {f"alma.abel@{REALM}", f"bela.baker@{REALM}"})
    groups["research"] = Group(None, {f"cara.costa@{REALM}", f"dora.dumas@{REALM}", f"emil.evers@{REALM}"})
    groups["old-admins"] = Group("keep until the audit")
    acl[Entry("/vms", "group", "ops", "PVEVMAdmin")] = 1
    acl[Entry("/nodes", "group", "ops", "PVEAuditor")] = 1
    acl[Entry("/pool/research", "group", "research", "PVEVMUser")] = 1
    acl[Entry("/vms/110", "group", "ops", "NoAccess")] = 1
    acl[Entry("/pool", "group", "old-admins", "PVEPoolAdmin")] = 1


def _add_pools(center: Datacenter) -> None:
    guests = center.environment.guests.values()
    names = {guest.vmid: (guest.config or {}).get("name", "") for guest in guests}
    center.accounts.pools["production"] = Pool(
        "backed up each night",
        {vmid for vmid, name in names.items() if name.startswith(("web-", "db-"))},
        {"nfs-1"},
    )
    center.accounts.pools["research"] = Pool(
        None, {vmid for vmid, name in names.items() if name.startswith(("train-", "gpu-"))}
    )


def _add_steward(center: Datacenter, steward_secret: str, look_secret: str) -> None:
    accounts = center.accounts
    # What the facts of the API name as least rights of a reconciler; the deepest path wins, so /access
    # repeats.
    accounts.roles["StewardReconciler"] = {
        "Permissions.Modify",
        "VM.Audit",
        "VM.PowerMgmt",
        "Pool.Audit",
        "Pool.Allocate",
        "Datastore.Audit",
        "Sys.Audit",
    }
    accounts.roles["StewardAccess"] = {
        "Sys.Audit",
        "Sys.Modify",
        "User.Modify",
        "Group.Allocate",
        "Realm.Allocate",
        "Realm.AllocateUser",
    }
    for full, secret in ((CONTROLLER_ID, steward_secret), (LOOK_ID, look_secret)):
        userid, _, name = full.partition("!")
        accounts.users[userid] = User(comment="Steward", tokens={name: Token(privsep=0)})
        center.token_values[full] = secret
    accounts.acl[Entry("/", "user", "steward@pve", "StewardReconciler")] = 1
    accounts.acl[Entry("/access", "user", "steward@pve", "StewardAccess")] = 1
    accounts.acl[Entry("/", "user", "steward-look@pve", "PVEAuditor")] = 1
