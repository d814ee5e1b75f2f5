"""The same series as the real node_exporter, on this machine and on a saved tree, with the same numbers where
they rest.
"""

from __future__ import annotations

import pytest

from tests.exporters.reference import compare
from tests.exporters.trees import FIXTURES

COLLECTORS = (
    "cpu",
    "diskstats",
    "entropy",
    "filefd",
    "filesystem",
    "loadavg",
    "meminfo",
    "netdev",
    "os",
    "pressure",
    "processes",
    "schedstat",
    "stat",
    "time",
    "timex",
    "uname",
    "vmstat",
)
RESTING = (
    "node_boot_time_seconds",
    "node_cpu_isolated",
    "node_cpu_online",
    "node_disk_info",
    "node_filesystem_files",
    "node_filesystem_mount_info",
    "node_filesystem_readonly",
    "node_filesystem_size_bytes",
    "node_memory_MemTotal_bytes",
    "node_os_info",
    "node_os_version",
    "node_time_zone_offset_seconds",
    "node_uname_info",
)
NOHANDLER = "node_network_receive_nohandler_total"


async def test_this_machine_has_the_same_series(tmp_path):
    seen = await compare(tmp_path, COLLECTORS)
    if seen.is_modern:
        assert (seen.missing(), seen.extra()) == (set(), set())
    else:  # labels have changed since, so the names alone; fields of meminfo were taken as they came
        lacking = {name for name, _ in seen.missing()} - seen.ours.names()
        assert [name for name in lacking if not name.startswith("node_memory_")] == []
    assert seen.other_kinds() == {}
    assert [key for key in seen.other_values() if key[0] in RESTING] == []


async def test_a_saved_tree_gives_the_same_series_and_numbers(tmp_path):
    if not (await compare(tmp_path, ("filesystem",))).is_modern:
        pytest.skip("this node_exporter is older than 1.9 and reads trees otherwise")
    seen = await compare(
        tmp_path, COLLECTORS, FIXTURES / "server", their_flags=("--no-collector.netdev.netlink",)
    )
    differing = {name for name, _ in seen.missing() | seen.extra()} - {NOHANDLER}
    # node_exporter looks for cciss/c0d0 in /sys/block/cciss/c0d0, where the kernel says cciss!c0d0.
    assert differing == {"node_disk_info"}
    assert seen.other_values(("node_filesystem_", "node_time_seconds")) == {}
