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
    Row("cpu", "system.cpu", "/proc/stat, /sys/devices/system/cpu"),
    Row("diskstats", "system.diskstats", "/proc/diskstats, /sys/block, udev's data base"),
    Row("entropy", "system.entropy", "/proc/sys/kernel/random"),
    Row("filefd", "system.filefd", "/proc/sys/fs/file-nr"),
    Row("filesystem", "system.filesystem", "/proc/1/mountinfo, statfs(2)", deadline_seconds=3.0),
    Row("kernel_hung", "system.kernel_hung", "/proc/sys/kernel/hung_task_detect_count"),
    Row("loadavg", "system.loadavg", "/proc/loadavg"),
    Row("meminfo", "system.meminfo", "/proc/meminfo"),
    Row("netdev", "system.netdev", "/proc/net/dev, /sys/class/net/*/statistics"),
    Row("os", "system.osrelease", "/etc/os-release, /usr/lib/os-release"),
    Row("pressure", "system.pressure", "/proc/pressure"),
    Row("processes", "system.processes", "/proc/PID/stat"),
    Row("schedstat", "system.schedstat", "/proc/schedstat"),
    Row("selinux", "system.selinux", "selinuxfs, /etc/selinux/config"),
    Row("stat", "system.stat", "/proc/stat"),
    Row("time", "system.clock", "the clock, /sys/devices/system/clocksource"),
    Row("timex", "system.timex", "adjtimex(2)"),
    Row("uname", "system.uname", "uname(2)"),
    Row("vmstat", "system.vmstat", "/proc/vmstat"),
    Row("process", "system.process", "/proc/self", in_node_exporter=False),
)
"""Of the kernel, in the order of node_exporter's names; `process` is this very process."""

OTHERS = (
    Row("gpu", "gpu.build", "NVML", in_node_exporter=False),
    Row("backup", "backup.state", "state files that backups leave", in_node_exporter=False),
)

TABLE = (*SYSTEM, *OTHERS)


def wanted(settings: Settings, table: Sequence[Row] = TABLE) -> tuple[Row, ...]:
    """The collectors that these flags switch on.

    Raises:
        SettingError: a flag belongs to no collector, or has a value that it does not take.
    """
    check(settings, table)
    defaults = not settings[DISABLE_DEFAULTS]
    return tuple(
        row
        for row in table
        if (settings[row.switch] if row.switch.name in settings.names else defaults and row.by_default)
    )


def find(name: str, table: Sequence[Row] = TABLE) -> Setting[object]:
    """The setting of a flag's name.

    Raises:
        SettingError: there is none.
    """
    if name == DISABLE_DEFAULTS.name:
        return DISABLE_DEFAULTS
    collector = name.split(".")[1] if name.startswith("collector.") else ""
    for row in table:
        if row.name == collector:
            for setting in (row.switch, *row.settings):
                if setting.name == name:
                    return setting
    raise SettingError(f"--{name}: no such flag")


def check(settings: Settings, table: Sequence[Row] = TABLE) -> None:
    """See that each flag belongs to a collector and that its value can be read.

    Raises:
        SettingError: one does not, or cannot.
    """
    for name in settings.names:
        settings[find(name, table)]
