"""The same series as the real node_exporter, on this machine and on a saved tree, with the same numbers where
they rest.
"""

from __future__ import annotations

import urllib.request

import pytest

from exporters.build import Options, system_registry
from lab.processes import free_port, started
from tests.exporters.exposition import parse
from tests.exporters.trees import FIXTURES, options
from tests.real.servers import real_server

COLLECTORS = (
    "cpu",
    "diskstats",
    "filesystem",
    "loadavg",
    "meminfo",
    "netdev",
    "os",
    "stat",
    "time",
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
NEWER = "node_filesystem_purgeable_bytes"
"""node_exporter has it since 1.9; an older one, as Debian's, names things otherwise."""
NOHANDLER = "node_network_receive_nohandler_total"


def theirs(tmp_path, *flags):
    """What a real node_exporter with these collectors alone answers."""
    port = free_port()
    argv = [
        real_server("node_exporter"),
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.disable-exporter-metrics",
        "--collector.disable-defaults",
        *(f"--collector.{name}" for name in COLLECTORS),
        *flags,
    ]
    address = f"http://127.0.0.1:{port}/metrics"
    with (
        started(argv, log=tmp_path / "node_exporter.log", ready=address),
        urllib.request.urlopen(address) as answer,
    ):
        return parse(answer.read().decode())


async def ours(chosen):
    registry = system_registry(chosen)
    reading = await registry.scrape()
    registry.close()
    return parse(reading.text.decode())


def node_series(seen):
    """Series under node_exporter's names, without the two whose labels say which program it is."""
    return {key for key in seen.values if key[0].startswith("node_") and key[0] != "node_exporter_build_info"}


async def test_this_machine_has_the_same_series(tmp_path):
    reference, seen = theirs(tmp_path), await ours(Options(collectors=COLLECTORS))
    if NEWER in reference.names():
        assert node_series(reference) == node_series(seen)
    else:  # labels have changed since, so the names alone; fields of meminfo were taken as they came
        lacking = {name for name, _ in node_series(reference)} - seen.names()
        assert [name for name in lacking if not name.startswith("node_memory_")] == []
    assert {name: seen.kinds[name] for name in reference.names() & seen.names()} == {
        name: reference.kinds[name] for name in reference.names() & seen.names()
    }
    for key in node_series(reference) & node_series(seen):
        if key[0] in RESTING:
            assert seen.values[key] == reference.values[key], key


async def test_a_saved_tree_gives_the_same_series_and_numbers(tmp_path):
    folder = FIXTURES / "server"
    flags = (f"--path.procfs={folder}/proc", f"--path.sysfs={folder}/sys", f"--path.rootfs={folder}/root")
    reference = theirs(tmp_path, *flags)
    if NEWER not in reference.names():
        pytest.skip("this node_exporter is older than 1.9 and reads trees otherwise")
    reference = theirs(tmp_path, *flags, f"--path.udev.data={folder}/udev", "--no-collector.netdev.netlink")
    seen = await ours(options("server", collectors=COLLECTORS))
    differing = {name for name, _ in node_series(seen) ^ node_series(reference)} - {NOHANDLER}
    # node_exporter looks for cciss/c0d0 in /sys/block/cciss/c0d0, where the kernel says cciss!c0d0.
    assert differing == {"node_disk_info"}
    moving = ("node_filesystem_", "node_scrape_", "node_time_seconds")
    for key in node_series(seen) & node_series(reference):
        if not key[0].startswith(moving):
            assert seen.values[key] == reference.values[key], key
