"""Privileges and built-in roles of Proxmox VE 9, as the recordings list them, and of 8.

(pve-access-control 9.1.1; what 8 had instead stands in its debian/changelog.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["EIGHT", "NINE", "Catalogue"]


@dataclass(frozen=True)
class _Area:
    """Privileges of one area by who usually holds them."""

    root: tuple[str, ...] = ()
    admin: tuple[str, ...] = ()
    user: tuple[str, ...] = ()
    audit: tuple[str, ...] = ()

    def all(self) -> tuple[str, ...]:
        return self.root + self.admin + self.user + self.audit


def _under(prefix: str, names: str) -> tuple[str, ...]:
    return tuple(f"{prefix}.{name}" for name in names.split())


_AREAS: Mapping[str, _Area] = {
    "VM": _Area(
        admin=_under(
            "VM",
            "Config.Disk Config.CPU Config.Memory Config.Network Config.HWType Config.Options Allocate Clone "
            "Migrate Replicate Snapshot Snapshot.Rollback GuestAgent.Unrestricted",
        ),
        user=_under(
            "VM",
            "Config.CDROM Config.Cloudinit Console Backup PowerMgmt GuestAgent.FileRead "
            "GuestAgent.FileSystemMgmt GuestAgent.FileWrite",
        ),
        audit=_under("VM", "Audit GuestAgent.Audit"),
    ),
    "Sys": _Area(
        root=_under("Sys", "PowerMgmt Modify Incoming AccessNetwork"),
        admin=_under("Sys", "Console Syslog"),
        audit=("Sys.Audit",),
    ),
    "Datastore": _Area(
        admin=_under("Datastore", "Allocate AllocateTemplate"),
        user=("Datastore.AllocateSpace",),
        audit=("Datastore.Audit",),
    ),
    "SDN": _Area(admin=_under("SDN", "Allocate Audit"), user=("SDN.Use",), audit=("SDN.Audit",)),
    "User": _Area(root=("Realm.Allocate",), admin=("User.Modify", "Group.Allocate", "Realm.AllocateUser")),
    "Pool": _Area(admin=("Pool.Allocate",), user=("Pool.Audit",), audit=("Pool.Audit",)),
    "Mapping": _Area(admin=("Mapping.Modify",), user=("Mapping.Use",), audit=("Mapping.Audit",)),
}

_AREAS_OF_8: Mapping[str, _Area] = {
    **_AREAS,
    "VM": _Area(
        admin=_under(
            "VM",
            "Config.Disk Config.CPU Config.Memory Config.Network Config.HWType Config.Options Allocate Clone "
            "Migrate Monitor Snapshot Snapshot.Rollback",
        ),
        user=_under("VM", "Config.CDROM Config.Cloudinit Console Backup PowerMgmt"),
        audit=("VM.Audit",),
    ),
}


@dataclass(frozen=True)
class Catalogue:
    """What one release knows: its privileges, and its own roles with theirs."""

    privileges: frozenset[str]
    roles: Mapping[str, frozenset[str]]


def _catalogue(areas: Mapping[str, _Area]) -> Catalogue:
    privileges = frozenset({"Permissions.Modify"}.union(*(area.all() for area in areas.values())))
    roles: dict[str, set[str]] = {"NoAccess": set(), "PVEAdmin": set(), "PVEAuditor": set()}
    for name, area in areas.items():
        administered = area.admin + area.user + area.audit
        roles[f"PVE{name}Admin"] = set(administered)
        roles["PVEAdmin"].update(administered)
        roles["PVEAuditor"].update(area.audit)
        if area.user:
            roles[f"PVE{name}User"] = set(area.user + area.audit)
    roles["PVEAdmin"].discard("Mapping.Modify")
    roles["PVETemplateUser"] = {"VM.Clone", "VM.Audit"}
    roles["Administrator"] = set(privileges)
    return Catalogue(privileges, {name: frozenset(held) for name, held in roles.items()})


NINE = _catalogue(_AREAS)
EIGHT = _catalogue(_AREAS_OF_8)
