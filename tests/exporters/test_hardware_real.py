"""The collectors of hardware and storage against the real node_exporter, over each saved tree: the same
series, types and numbers.
"""

from __future__ import annotations

import pytest

from tests.exporters.reference import compare
from tests.exporters.trees import FIXTURES, TREES

COLLECTORS = (
    "bcache",
    "bcachefs",
    "btrfs",
    "diskstats",
    "dmi",
    "dmmultipath",
    "drbd",
    "drm",
    "edac",
    "hwmon",
    "mdadm",
    "nvme",
    "nvmesubsystem",
    "powersupplyclass",
    "rapl",
    "tapestats",
    "thermal_zone",
    "watchdog",
    "xfs",
)
WITH_SYS = tuple(name for name in TREES if (FIXTURES / name / "sys").is_dir())
"""Without /sys node_exporter does not start."""
ELSEWHERE = "cciss/c0d0"
"""node_exporter looks for it in /sys/block/cciss/c0d0, where the kernel says cciss!c0d0."""


async def compared(tmp_path, folder, *flags):
    seen = await compare(tmp_path, ("filesystem", *COLLECTORS), folder, flags=flags)
    if not seen.is_modern:
        pytest.skip("this node_exporter is older than 1.9 and reads trees otherwise")
    return seen


def without_mounts(series):
    return {
        (name, labels)
        for name, labels in series
        if not name.startswith("node_filesystem_") and ("device", ELSEWHERE) not in labels
    }


@pytest.mark.parametrize("name", WITH_SYS)
async def test_a_saved_tree_gives_the_same_series_and_numbers(tmp_path, name):
    seen = await compared(tmp_path, FIXTURES / name)
    assert without_mounts(seen.missing()) == set()
    assert without_mounts(seen.extra()) == set()
    assert seen.other_kinds() == {}
    assert seen.other_values(("node_filesystem_",)) == {}


@pytest.mark.parametrize("name", WITH_SYS)
async def test_the_same_collectors_count_as_well(tmp_path, name):
    """What is not there is no success in node_exporter, and alerts are made of it."""
    seen = await compared(tmp_path, FIXTURES / name)
    for collector in COLLECTORS:
        label = {"collector": collector}
        theirs = seen.theirs.of("node_scrape_collector_success", **label)
        assert seen.ours.of("node_scrape_collector_success", **label) == theirs, collector


FLAGS = {
    "chips": "--collector.hwmon.chip-exclude=nvme",
    "one chip": "--collector.hwmon.chip-include=coretemp",
    "sensors": "--collector.hwmon.sensor-exclude=coretemp_0;temp[2-9]",
    "one kind of sensor": "--collector.hwmon.sensor-include=;fan",
    "zones": "--collector.rapl.enable-zone-label",
    "tapes": "--collector.tapestats.ignored-devices=^st0$",
    "disks": "--collector.diskstats.device-include=^sd",
    "no disks": "--collector.diskstats.device-exclude=^(md|nvme)",
}


@pytest.mark.parametrize("flag", FLAGS.values(), ids=FLAGS.keys())
async def test_flags_do_the_same(tmp_path, flag):
    seen = await compared(tmp_path, FIXTURES / "numa", flag)
    assert without_mounts(seen.missing() | seen.extra()) == set()
    assert seen.other_values(("node_filesystem_",)) == {}


async def test_this_machine_gives_the_same_series(tmp_path):
    seen = await compared(tmp_path, None)
    assert (seen.missing(), seen.extra()) == (set(), set())
