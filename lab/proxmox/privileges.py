"""Privileges and built-in roles of Proxmox VE 9 (pve-access-control 9.1.1, as the recordings list them)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BUILT_IN_ROLES", "PRIVILEGES"]


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

PRIVILEGES = frozenset({"Permissions.Modify"}.union(*(area.all() for area in _AREAS.values())))


def _built_in() -> dict[str, frozenset[str]]:
    roles: dict[str, set[str]] = {"NoAccess": set(), "PVEAdmin": set(), "PVEAuditor": set()}
    for name, area in _AREAS.items():
        administered = area.admin + area.user + area.audit
        roles[f"PVE{name}Admin"] = set(administered)
        roles["PVEAdmin"].update(administered)
        roles["PVEAuditor"].update(area.audit)
        if area.user:
            roles[f"PVE{name}User"] = set(area.user + area.audit)
    roles["PVEAdmin"].discard("Mapping.Modify")
    roles["PVETemplateUser"] = {"VM.Clone", "VM.Audit"}
    roles["Administrator"] = set(PRIVILEGES)
    return {name: frozenset(privileges) for name, privileges in roles.items()}


BUILT_IN_ROLES: Mapping[str, frozenset[str]] = _built_in()
