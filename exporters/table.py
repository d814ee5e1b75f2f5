"""The table of collectors: name, where each reads, the module that reads, and whether it runs by default.

A module of the table has `build(host) -> Collector` and, where it has flags, `SETTINGS`. It is imported only
where its collector is wanted: what is switched off costs no memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from exporters.collector import Collector, Host
from exporters.errors import SettingError
from exporters.serving import web
from exporters.settings import Setting, Settings, switch

DEADLINE_SECONDS = 2.0
DISABLE_DEFAULTS = switch(
    "collector.disable-defaults", default=False, help_text="Only the collectors named by --collector.NAME."
)


@dataclass(frozen=True, slots=True)
class Row:
    """A collector: its name in `--collector.NAME` and `collect[]`, and the module below `exporters`.

    `source` says where it reads, for people. `in_node_exporter` says that node_exporter has a collector of
    this name. `deadline_seconds` is what one run may take.
    """

    name: str
    module: str
    source: str
    by_default: bool = True
    in_node_exporter: bool = True
    deadline_seconds: float = DEADLINE_SECONDS

    def load(self) -> ModuleType:
        """The collector's module."""
        return import_module(f"exporters.{self.module}")

    def build(self, host: Host) -> Collector:
        """The collector on this host.

        Raises:
            SettingError: one of its flags has a value that it does not take.
        """
        built: Collector = self.load().build(host)
        return built

    @property
    def settings(self) -> tuple[Setting[object], ...]:
        """Its flags beside its switch; imports the module."""
        return tuple(getattr(self.load(), "SETTINGS", ()))

    @property
    def switch(self) -> Setting[bool]:
        """`--collector.NAME` and `--no-collector.NAME`."""
        return switch(
            f"collector.{self.name}", default=self.by_default, help_text=f"{self.name}: {self.source}"
        )


SYSTEM = (
    Row("arp", "system.arp", "rtnetlink, /proc/net/arp"),
    Row("bcache", "system.bcache", "/sys/fs/bcache"),
    Row("bcachefs", "system.bcachefs", "/sys/fs/bcachefs"),
    Row("bonding", "system.bonding", "/sys/class/net/*/bonding"),
    Row("btrfs", "system.btrfs", "/sys/fs/btrfs, btrfs ioctls"),
    Row("buddyinfo", "system.buddyinfo", "/proc/buddyinfo", by_default=False),
    Row("cgroups", "system.cgroups", "/proc/cgroups", by_default=False),
    Row("conntrack", "system.conntrack", "/proc/sys/net/netfilter, /proc/net/stat/nf_conntrack"),
    Row("cpu", "system.cpu", "/proc/stat, /sys/devices/system/cpu"),
    Row(
        "cpu_vulnerabilities",
        "system.cpu_vulnerabilities",
        "/sys/devices/system/cpu/vulnerabilities",
        by_default=False,
    ),
    Row("cpufreq", "system.cpufreq", "/sys/devices/system/cpu/cpu*/cpufreq"),
    Row("diskstats", "system.diskstats", "/proc/diskstats, /sys/block, udev's data base"),
    Row("dmi", "system.dmi", "/sys/class/dmi/id"),
    Row("dmmultipath", "system.dmmultipath", "/sys/block/dm-*"),
    Row("drbd", "system.drbd", "/proc/drbd", by_default=False),
    Row("drm", "system.drm", "/sys/class/drm", by_default=False),
    Row("edac", "system.edac", "/sys/devices/system/edac"),
    Row("entropy", "system.entropy", "/proc/sys/kernel/random"),
    Row("fibrechannel", "system.fibrechannel", "/sys/class/fc_host"),
    Row("filefd", "system.filefd", "/proc/sys/fs/file-nr"),
    Row("filesystem", "system.filesystem", "/proc/1/mountinfo, statfs(2)", deadline_seconds=3.0),
    Row("hwmon", "system.hwmon", "/sys/class/hwmon"),
    Row("infiniband", "system.infiniband", "/sys/class/infiniband"),
    Row("interrupts", "system.interrupts", "/proc/interrupts", by_default=False),
    Row("ipvs", "system.ipvs", "/proc/net/ip_vs, /proc/net/ip_vs_stats"),
    Row("kernel_hung", "system.kernel_hung", "/proc/sys/kernel/hung_task_detect_count"),
    Row("ksmd", "system.ksmd", "/sys/kernel/mm/ksm", by_default=False),
    Row("loadavg", "system.loadavg", "/proc/loadavg"),
    Row("logind", "system.logind", "logind over D-Bus", by_default=False),
    Row("mdadm", "system.mdadm", "/proc/mdstat, /sys/block/md*/md"),
    Row("meminfo", "system.meminfo", "/proc/meminfo"),
    Row(
        "meminfo_numa",
        "system.meminfo_numa",
        "/sys/devices/system/node/node*/meminfo",
        by_default=False,
    ),
    Row("netclass", "system.netclass", "rtnetlink, ethtool netlink, /sys/class/net"),
    Row("netdev", "system.netdev", "rtnetlink, /proc/net/dev, /sys/class/net"),
    Row("netstat", "system.netstat", "/proc/net/netstat, /proc/net/snmp, /proc/net/snmp6"),
    Row("nfs", "system.nfs", "/proc/net/rpc/nfs"),
    Row("nfsd", "system.nfsd", "/proc/net/rpc/nfsd"),
    Row("nvme", "system.nvme", "/sys/class/nvme"),
    Row("nvmesubsystem", "system.nvmesubsystem", "/sys/class/nvme-subsystem", by_default=False),
    Row("os", "system.osrelease", "/etc/os-release, /usr/lib/os-release"),
    Row("powersupplyclass", "system.powersupplyclass", "/sys/class/power_supply"),
    Row("pressure", "system.pressure", "/proc/pressure"),
    Row("processes", "system.processes", "/proc/PID/stat"),
    Row("rapl", "system.rapl", "/sys/class/powercap"),
    Row("schedstat", "system.schedstat", "/proc/schedstat"),
    Row("selinux", "system.selinux", "selinuxfs, /etc/selinux/config"),
    Row("slabinfo", "system.slabinfo", "/proc/slabinfo", by_default=False),
    Row("sockstat", "system.sockstat", "/proc/net/sockstat, /proc/net/sockstat6"),
    Row("softirqs", "system.softirqs", "/proc/softirqs", by_default=False),
    Row("softnet", "system.softnet", "/proc/net/softnet_stat"),
    Row("stat", "system.stat", "/proc/stat"),
    Row("swap", "system.swap", "/proc/swaps", by_default=False),
    Row("sysctl", "system.sysctl", "/proc/sys", by_default=False),
    Row("systemd", "system.systemd", "systemd over D-Bus"),
    Row("tapestats", "system.tapestats", "/sys/class/scsi_tape"),
    Row("tcpstat", "system.tcpstat", "sock_diag, /proc/net/tcp, /proc/net/tcp6"),
    Row("textfile", "system.textfile", "*.prom in folders that are named"),
    Row("thermal_zone", "system.thermal_zone", "/sys/class/thermal"),
    Row("time", "system.clock", "the clock, /sys/devices/system/clocksource"),
    Row("timex", "system.timex", "adjtimex(2)"),
    Row("udp_queues", "system.udp_queues", "/proc/net/udp, /proc/net/udp6"),
    Row("uname", "system.uname", "uname(2)"),
    Row("vmstat", "system.vmstat", "/proc/vmstat"),
    Row("watchdog", "system.watchdog", "/sys/class/watchdog"),
    Row("xfrm", "system.xfrm", "/proc/net/xfrm_stat", by_default=False),
    Row("xfs", "system.xfs", "/sys/fs/xfs"),
    Row("zfs", "system.zfs", "/proc/spl/kstat/zfs"),
    Row("zoneinfo", "system.zoneinfo", "/proc/zoneinfo", by_default=False),
    Row("process", "system.process", "/proc/self", in_node_exporter=False),
)
"""Of the kernel, in the order of node_exporter's names; `process` is this very process."""

OTHERS = (
    Row("certificates", "system.certificates", "files and ports that are named", in_node_exporter=False),
    Row("units", "system.units", "/sys/fs/cgroup (version 2)", in_node_exporter=False),
    Row("users", "system.users", "/proc/PID of all processes", by_default=False, in_node_exporter=False),
    Row("gpu", "gpu.build", "NVML", in_node_exporter=False),
    Row(
        "ai",
        "ai.build",
        "HTTP APIs of Ollama, vLLM and LiteLLM",
        by_default=False,
        in_node_exporter=False,
    ),
    Row("backup", "backup.state", "state files that backups leave", in_node_exporter=False),
    Row("pve", "vm.build", "the API of Proxmox VE", by_default=False, in_node_exporter=False),
)

TABLE = (*SYSTEM, *OTHERS)

ELSEWHERE = frozenset(
    {
        *("ethtool", "lnstat", "mountstats", "network_route", "ntp", "pcidevice", "perf", "qdisc", "runit"),
        *("supervisord", "wifi"),
    }
)
"""Collectors of node_exporter on Linux that are not here: off by default there; many units say so."""


def wanted(settings: Settings, table: Sequence[Row] = TABLE) -> tuple[Row, ...]:
    """The collectors that these flags switch on.

    A flag of a collector switches it on too, unless its switch says no: nobody gives one to no effect.

    Raises:
        SettingError: a flag belongs to no collector, or has a value that it does not take.
    """
    check(settings, table)
    defaults = not settings[DISABLE_DEFAULTS]
    named = {row for name in settings.names if (row := find(name, table)[1]) is not None}
    return tuple(
        row
        for row in table
        if (
            settings[row.switch]
            if row.switch.name in settings.names
            else row in named or (defaults and row.by_default)
        )
    )


def find(name: str, table: Sequence[Row] = TABLE) -> tuple[Setting[object], Row | None]:
    """The setting of a flag's name, and the collector that it belongs to, if to one.

    Raises:
        SettingError: there is none.
    """
    for general in (DISABLE_DEFAULTS, *web.SETTINGS):
        if general.name == name:
            return general, None
    collector = name.split(".")[1] if name.startswith("collector.") else ""
    for row in table:
        # node_exporter has --collector.powersupply.ignored-supplies of its powersupplyclass.
        if collector and row.name.startswith(collector):
            for setting in (row.switch, *row.settings):
                if setting.name == name:
                    return setting, row
    if collector in ELSEWHERE:
        raise SettingError(f"--{name}: node_exporter has this collector, Steward has not")
    raise SettingError(f"--{name}: no such flag")


def check(settings: Settings, table: Sequence[Row] = TABLE) -> None:
    """See that each flag belongs to a collector and that its value can be read.

    Raises:
        SettingError: one does not, or cannot.
    """
    for name in settings.names:
        settings[find(name, table)[0]]
