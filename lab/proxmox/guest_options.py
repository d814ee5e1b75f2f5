"""The options of a virtual machine's configuration, and who may set which.

(qemu-server:src/PVE/API2/Qemu.pm `check_vm_modify_config_perm`, QemuServer.pm.) Values that are lists of
their own, as those of disks and networks, are taken as they come.
"""

from __future__ import annotations

import re

from lab.proxmox.schema import Field, Schema, boolean, integer, number, text

__all__ = ["OPTIONS", "needed_for"]

_LOCKS = (
    *("backup", "clone", "create", "migrate", "rollback", "snapshot", "snapshot-delete"),
    *("suspending", "suspended"),
)
_OS_TYPES = (
    *("other", "wxp", "w2k", "w2k3", "w2k8", "wvista", "win7", "win8", "win10", "win11"),
    *("l24", "l26", "solaris"),
)
_CONTROLLERS = ("lsi", "lsi53c810", "virtio-scsi-pci", "virtio-scsi-single", "megasas", "pvscsi")
_KEYBOARDS = (
    *("de", "de-ch", "da", "en-gb", "en-us", "es", "fi", "fr", "fr-be", "fr-ca", "fr-ch", "hu", "is", "it"),
    *("ja", "lt", "mk", "nl", "no", "pl", "pt", "pt-br", "sv", "sl", "tr"),
)
_DEVICES = {
    "hostpci": 16, "ide": 4, "ipconfig": 32, "net": 32, "numa": 8, "sata": 6, "scsi": 31,
    "unused": 256, "usb": 14, "virtio": 16, "virtiofs": 10,
}  # fmt: skip
OPTIONS: Schema = {
    **{name: text(optional=True) for name in ("agent", "args", "boot", "cpu", "hotplug", "machine")},
    **{name: text(optional=True) for name in ("memory", "vga")},
    "startup": text("startup-order", optional=True),
    **{
        name: text(optional=True)
        for name in ("affinity", "amd-sev", "audio0", "cdrom", "cicustom", "cipassword")
    },
    **{name: text(optional=True) for name in ("ciuser", "efidisk0", "hookscript", "intel-tdx", "ivshmem")},
    **{name: text(optional=True) for name in ("rng0", "searchdomain", "spice_enhancements", "sshkeys")},
    **{name: text(optional=True) for name in ("tpmstate0", "watchdog")},
    **{name: boolean() for name in ("allow-ksm", "ciupgrade", "keephugepages", "localtime", "reboot", "tdf")},
    **{f"{kind}{index}": text(optional=True) for kind, count in _DEVICES.items() for index in range(count)},
    **{
        f"parallel{index}": Field(optional=True, pattern=r"/dev/parport\d+|/dev/usb/lp\d+")
        for index in range(3)
    },
    **{f"serial{index}": Field(optional=True, pattern=r"(/dev/[^,]+|socket)") for index in range(4)},
    "arch": Field(optional=True, enum=("x86_64", "aarch64")),
    "bootdisk": Field(optional=True, pattern=r"(ide|sata|scsi|virtio)\d+"),
    "citype": Field(optional=True, enum=("configdrive2", "nocloud", "opennebula")),
    "hugepages": Field(optional=True, enum=("any", "2", "1024")),
    "keyboard": Field(optional=True, enum=_KEYBOARDS),
    "migrate_downtime": number(minimum=0),
    "migrate_speed": integer(minimum=0),
    "nameserver": text("address", optional=True, listed=True),
    "revert": text("configid", optional=True, listed=True),
    "smbios1": text(optional=True, max_length=512),
    "smp": integer(minimum=1),
    "startdate": Field(optional=True, pattern=r"(now|\d{4}-\d{1,2}-\d{1,2}(T\d{1,2}:\d{1,2}:\d{1,2})?)"),
    "vmgenid": Field(optional=True, pattern=r"(?:[a-fA-F0-9]{8}(?:-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}|[01])"),
    "vmstatestorage": text("storageid", optional=True),
    **{name: boolean() for name in ("acpi", "autostart", "freeze", "kvm", "numa", "onboot", "protection")},
    **{name: boolean() for name in ("tablet", "template")},
    "name": text("dns-name", optional=True),
    "description": text(optional=True, max_length=8192),
    "tags": text("tag", optional=True, listed=True),
    "bios": Field(optional=True, enum=("seabios", "ovmf")),
    "lock": Field(optional=True, enum=_LOCKS),
    "ostype": Field(optional=True, enum=_OS_TYPES),
    "scsihw": Field(optional=True, enum=_CONTROLLERS),
    "cores": integer(minimum=1),
    "sockets": integer(minimum=1),
    "vcpus": integer(minimum=1),
    "balloon": integer(minimum=0),
    "shares": integer(minimum=0, maximum=50000),
    "cpuunits": integer(minimum=1, maximum=262144),
    "cpulimit": number(minimum=0, maximum=128),
}
"""The options that PUT takes, beside those that steer it."""


def _needs(*privileges: str, of: str) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(of.split(), privileges)


_NEEDED_FOR = {
    **_needs("VM.Config.CPU", of="cores cpu cpulimit cpuunits numa smp sockets vcpus affinity"),
    **_needs("VM.Config.Memory", of="memory balloon shares allow-ksm"),
    **_needs("VM.Config.HWType", of="acpi hotplug kvm machine scsihw smbios1 tablet vga watchdog audio0"),
    **_needs(
        "VM.Config.Options", of="agent autostart bios description keyboard localtime name onboot ostype"
    ),
    **_needs("VM.Config.Options", of="migrate_downtime migrate_speed protection reboot startdate startup"),
    **_needs("VM.Config.Options", of="tdf template tags"),
    **_needs("VM.PowerMgmt", of="freeze"),
    **_needs("VM.Config.Disk", of="boot bootdisk vmstatestorage efidisk0 tpmstate0"),
    **_needs("VM.Config.CDROM", of="cdrom"),
    **_needs("VM.Config.Cloudinit", "VM.Config.Network", of="cicustom cipassword citype ciuser ciupgrade"),
    **_needs("VM.Config.Cloudinit", "VM.Config.Network", of="nameserver searchdomain sshkeys ipconfig"),
    **_needs("VM.Config.Network", of="net"),
    **_needs("VM.Config.Disk", of="ide sata scsi virtio unused"),
    **_needs("VM.Config.HWType", of="serial usb hostpci"),
}


def needed_for(option: str) -> tuple[str, ...]:
    """The privileges of which one lets a user set the option; none where only root@pam may."""
    return _NEEDED_FOR.get(option) or _NEEDED_FOR.get(re.sub(r"\d+$", "", option), ())
