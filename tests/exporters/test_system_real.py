"""All collectors that node_exporter runs by default, beside the real one: the same series, types and numbers
on every saved tree, and the same series on this machine, where numbers move. What differs is listed with its
reason.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from exporters.table import SYSTEM
from tests.exporters.reference import Compared, compare, ours, theirs
from tests.exporters.trees import FIXTURES, TREES
from tests.real.servers import real_server

if TYPE_CHECKING:
    from pathlib import Path

    from tests.exporters.exposition import Series

COLLECTORS = tuple(row.name for row in SYSTEM if row.in_node_exporter and row.by_default)
ON_HERE = frozenset({"processes", "systemd", "tcpstat"})
"""By default on here and off in node_exporter; docs/adr/0009 says why."""
FROM_FILES = ("--no-collector.netdev.netlink", "--no-collector.arp.netlink")
"""node_exporter asks the running kernel over netlink whatever tree it reads, unless told not to."""
LIVE = "this machine"
RESTING = (
    "node_arp_",
    "node_boot_time_seconds",
    "node_cpu_isolated",
    "node_cpu_online",
    "node_disk_info",
    "node_entropy_",
    "node_filefd_maximum",
    "node_filesystem_files",
    "node_filesystem_mount_info",
    "node_filesystem_readonly",
    "node_filesystem_size_bytes",
    "node_memory_MemTotal_bytes",
    "node_network_info",
    "node_network_mtu_bytes",
    "node_os_",
    "node_processes_max_",
    "node_selinux_",
    "node_timex_tick_seconds",
    "node_time_clocksource_",
    "node_time_zone_offset_seconds",
    "node_uname_info",
)
MOVING = ("node_time_seconds", "node_timex_", "node_filesystem_", "node_tcp_connection_states")
"""Of the running kernel, whatever tree is read; sizes of file systems change while the tests write."""


@dataclass(frozen=True)
class Allowed:
    """A difference that is meant: the metrics whose names match, and where it is seen."""

    metrics: str
    reason: str
    where: frozenset[str] = frozenset({LIVE, *TREES})


STATES = Allowed(
    "node_processes_(threads_)?state", "processes change between the two scrapes", frozenset({LIVE})
)
EXTRA = (
    STATES,
    Allowed("node_kernel_hung_tasks", "the name that published dashboards ask for"),
    Allowed("node_netstat_Tcp_MaxConn", "published dashboards ask for it"),
    Allowed("node_tcp_connection_states", "states without a socket are 0; sockets are those of the tree"),
    Allowed(
        "node_network_receive_nohandler_total",
        "read from /sys, where node_exporter has it over netlink only",
        frozenset(TREES),
    ),
    Allowed(
        "node_selinux_.*_mode",
        "read from the tree, where node_exporter asks the running kernel",
        frozenset({"server"}),
    ),
)
MISSING = (
    STATES,
    Allowed(
        "node_tcp_connection_states",
        "sockets of the running kernel, which node_exporter asks whatever tree it reads",
        frozenset(TREES),
    ),
)
OTHER = (
    Allowed(
        "node_disk_info",
        "node_exporter looks for cciss/c0d0 in /sys/block, where the kernel says cciss!c0d0",
        frozenset({"server"}),
    ),
    Allowed(
        "node_selinux_enabled",
        "read from the tree, where node_exporter asks the running kernel",
        frozenset({"server"}),
    ),
)
FARING = frozenset({"cpufreq", "tcpstat"})
"""Collectors that fare otherwise over a saved tree: cpufreq of node_exporter fails without a file `offline`,
which kernels without hotplug lack; its tcpstat asks the running kernel."""


def unexplained(seen: set[Series], allowed: tuple[Allowed, ...], where: str) -> list[Series]:
    """The series that no exception is for."""
    patterns = [re.compile(each.metrics) for each in allowed if where in each.where]
    return sorted(
        (series for series in seen if not any(pattern.fullmatch(series[0]) for pattern in patterns)), key=str
    )


def check(seen: Compared, where: str) -> None:
    """See that both say the same, but for what is listed."""
    assert unexplained(seen.missing(), MISSING + OTHER, where) == []
    assert unexplained(seen.extra(), EXTRA + OTHER, where) == []
    assert seen.other_kinds() == {}


def is_resting(name: str) -> bool:
    """Whether it is one of `RESTING`, where what ends in `_` is the beginning of names."""
    return name in RESTING or name.startswith(tuple(each for each in RESTING if each.endswith("_")))


def fared(seen: Compared) -> dict[str, tuple[float, float]]:
    """Collectors that succeeded with one and not with the other."""
    return {
        dict(labels)["collector"]: (value, seen.ours.values[name, labels])
        for (name, labels), value in seen.theirs.values.items()
        if name == "node_scrape_collector_success" and seen.ours.values[name, labels] != value
    }


def prepared(name: str, tmp_path: Path) -> Path:
    """The saved tree, with one CPU in /sys where it has no /sys: node_exporter ends with a panic without."""
    if (FIXTURES / name / "sys").exists():
        return FIXTURES / name
    copied = shutil.copytree(FIXTURES / name, tmp_path / name)
    (copied / "sys/devices/system/cpu/cpu0").mkdir(parents=True)
    return copied


@pytest.fixture(scope="module")
def defaults() -> dict[str, str]:
    """The collectors of the node_exporter at hand."""
    return collectors_of("node_exporter")


def collectors_of(program: str) -> dict[str, str]:
    """The collectors of a node_exporter, each `enabled` or `disabled` by default."""
    argv = [str(real_server(program)), "--help"]
    done = subprocess.run(argv, capture_output=True, check=False)
    text = " ".join((done.stdout + done.stderr).decode().split())
    return dict(re.findall(r"--(?:\[no-\])?collector\.(\w+) [^-]*?\(default: (\w+)\)", text))


@pytest.fixture
def modern(defaults: dict[str, str]) -> None:
    """Skips a test where the node_exporter at hand is older than the one whose names we follow."""
    if "kernel_hung" not in defaults:
        pytest.skip("this node_exporter is older than 1.12")


def test_each_default_collector_is_here(defaults, modern):
    enabled = {name for name, state in defaults.items() if state == "enabled"}
    assert set(COLLECTORS) - enabled == ON_HERE
    assert enabled - set(COLLECTORS) == set()


@pytest.mark.parametrize("name", TREES)
async def test_a_saved_tree_gives_the_same(name, tmp_path, modern):
    seen = await compare(tmp_path, COLLECTORS, prepared(name, tmp_path), their_flags=FROM_FILES)
    check(seen, name)
    assert unexplained(set(seen.other_values(MOVING)), OTHER, name) == []
    assert set(fared(seen)) - FARING == set()


async def test_this_machine_gives_the_same(tmp_path, modern):
    seen = await compare(tmp_path, COLLECTORS)
    check(seen, LIVE)
    assert [key for key in seen.other_values() if is_resting(key[0])] == []
    assert fared(seen) == {}


async def test_an_older_one_has_no_metric_that_we_lack(tmp_path):
    """Debian's: labels have changed since, so the names alone; it takes the fields of meminfo as found."""
    debian = "prometheus-node-exporter"
    known = collectors_of(debian)
    chosen = [name for name in COLLECTORS if name in known]
    seen = Compared(theirs(tmp_path, chosen, program=debian), await ours(chosen))
    lacking = {name for name, _ in seen.missing()} - seen.ours.names()
    assert [name for name in lacking if not name.startswith("node_memory_")] == []


OFF = ("buddyinfo", "interrupts", "meminfo_numa", "slabinfo", "softirqs", "swap", "sysctl", "zoneinfo")
OFF_FLAGS = (
    "--collector.cpu.info.flags-include=^(fpu|aes)$",
    "--collector.cpu.info.bugs-include=spectre",
    "--no-collector.cpu.guest",
    "--collector.stat.softirq",
    "--collector.sysctl.include=net.ipv4.tcp_rmem:min,default,max",
    "--collector.sysctl.include-info=kernel.threads-max",
    "--collector.interrupts.name-exclude=^(RES|CAL);",
    "--no-collector.interrupts.include-zeros",
    "--collector.slabinfo.slabs-exclude=^kmalloc",
    "--collector.vmstat.fields=^nr_",
)


async def test_what_is_off_by_default_gives_the_same(tmp_path, modern):
    collectors = (*OFF, "cpu", "cpu_vulnerabilities", "ksmd", "stat", "vmstat")
    seen = await compare(tmp_path, collectors, FIXTURES / "vm", OFF_FLAGS)
    assert (seen.missing(), seen.extra(), seen.other_kinds()) == (set(), set(), {})
    assert seen.other_values() == {}
    assert fared(seen) == {}
    for metric in ("node_zoneinfo_low_pages", "node_cpu_bug_info", "node_sysctl_net_ipv4_tcp_rmem_min"):
        assert metric in seen.ours.names()
