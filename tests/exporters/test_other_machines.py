"""Machines that we do not have: saved trees with files as other kernels, other hardware and broken copies
write them. A collector may say that it cannot read one; it may not break, nor write what nobody can parse.
"""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING

import pytest

from exporters.errors import ExporterError
from exporters.table import SYSTEM
from exporters.text import Renderer
from tests.exporters.exposition import parse
from tests.exporters.test_network_real import modern
from tests.exporters.test_system_real import FROM_FILES, check
from tests.exporters.trees import FIXTURES, LIVE, TREES, at, host, plant

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from exporters.collector import Collector
    from exporters.system.tree import Tree
    from exporters.table import Row

BACKGROUND = frozenset({"logind", "processes", "systemd"})
"""Read in the background, or ask over D-Bus."""
ROWS = tuple(row for row in SYSTEM if row.name not in LIVE | BACKGROUND)
SHARE = 0.2
"""Of the files that a round breaks: a collector that gives up at its first file would hide the others."""
FULL, NO_FLOAT = b"18446744073709551615", b"18446744073709551616000"


def _at_word(text: bytes, chance: random.Random, new: bytes) -> bytes:
    words = text.split()
    return text.replace(chance.choice(words), new, 1) if words else text


def _without_line(text: bytes, chance: random.Random) -> bytes:
    lines = text.split(b"\n")
    lines.pop(chance.randrange(len(lines)))
    return b"\n".join(lines)


def _swapped(text: bytes, chance: random.Random) -> bytes:
    lines = text.split(b"\n")
    chance.shuffle(lines)
    return b"\n".join(lines)


def _each_line(text: bytes, change: Callable[[bytes], bytes]) -> bytes:
    return b"\n".join(change(line) if line.strip() else line for line in text.split(b"\n"))


BREAKS: dict[str, Callable[[bytes, random.Random], bytes | None]] = {
    "gone": lambda text, chance: None,
    "empty": lambda text, chance: b"",
    "cut short": lambda text, chance: text[: chance.randrange(len(text) + 1)],
    "no newline at the end": lambda text, chance: text.rstrip(b"\n"),
    "lines of Windows": lambda text, chance: text.replace(b"\n", b"\r\n"),
    "tabs": lambda text, chance: text.replace(b" ", b"\t"),
    "blank lines": lambda text, chance: text.replace(b"\n", b"\n\n"),
    "line less": _without_line,
    "line twice": lambda text, chance: text + text.split(b"\n")[chance.randrange(text.count(b"\n") + 1)],
    "other order": _swapped,
    "column more": lambda text, chance: _each_line(text, lambda line: line + b" 7"),
    "column less": lambda text, chance: _each_line(text, lambda line: b" ".join(line.split()[:-1])),
    "word less": lambda text, chance: _at_word(text, chance, b""),
    "64 bits full": lambda text, chance: _at_word(text, chance, FULL),
    "more than 64 bits": lambda text, chance: _at_word(text, chance, NO_FLOAT),
    "negative": lambda text, chance: _at_word(text, chance, b"-1"),
    "no number": lambda text, chance: _at_word(text, chance, b"nan"),
    "word": lambda text, chance: _at_word(text, chance, b"<unknown>"),
    "no UTF-8": lambda text, chance: _at_word(text, chance, b"\xff\xfe"),
    "quotes": lambda text, chance: _at_word(text, chance, b'a"b\\c'),
    "zero byte": lambda text, chance: _at_word(text, chance, b"a\0b"),
    "long": lambda text, chance: _at_word(text, chance, b"x" * 100_000),
    "other units": lambda text, chance: text.replace(b"kB", b"MB"),
}


@pytest.fixture(scope="module")
def copies(tmp_path_factory) -> dict[str, Path]:
    """A copy of each saved tree."""
    folder = tmp_path_factory.mktemp("trees")
    return {name: shutil.copytree(FIXTURES / name, folder / name, symlinks=True) for name in TREES}


def failed(row: Row, saved: Tree) -> str:
    """What else than an error that is told the collector ends with."""
    collector = row.build(host(saved))
    try:
        text = Renderer().render(collector.collect())
        if text:
            parse(text)
    except (ExporterError, OSError):
        return ""
    except Exception as error:  # noqa: BLE001 - any other is what this looks for
        return f"{row.name}: {error!r:.200}"
    finally:
        collector.close()
    return ""


@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.parametrize("name", TREES)
def test_no_file_breaks_a_collector(name, how, copies):
    folder = copies[name]
    chance = random.Random(f"{name} {how}")
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    broken = {path: path.read_bytes() for path in files if chance.random() < SHARE}
    try:
        for path, text in broken.items():
            other = BREAKS[how](text, chance)
            if other is None:
                path.unlink()
            else:
                path.write_bytes(other)
        saved = at(folder)
        assert [said for row in ROWS if (said := failed(row, saved))] == []
    finally:
        for path, text in broken.items():
            path.write_bytes(text)


def values(_: Row, collector: Collector, renderer: Renderer) -> object:
    """What it says now; None where it says nothing."""
    try:
        text = renderer.render(collector.collect())
    except (ExporterError, OSError):
        return None
    return parse(text).values if text else None


@pytest.mark.parametrize("name", TREES)
def test_a_broken_reading_leaves_nothing_behind(name, copies):
    """But with `cpu`, whose seconds may not go back, as in node_exporter."""
    folder = copies[name]
    chance = random.Random(name)
    saved = at(folder)
    kept = [(row, row.build(host(saved)), Renderer()) for row in ROWS if row.name != "cpu"]
    before = [values(*each) for each in kept]
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    for how in sorted(BREAKS)[::4]:
        broken = {path: path.read_bytes() for path in files if chance.random() < SHARE}
        for path, text in broken.items():
            path.write_bytes(BREAKS[how](text, chance) or b"")
        for each in kept:
            values(*each)
        for path, text in broken.items():
            path.write_bytes(text)
        after = [values(*each) for each in kept]
        assert [each[0].name for each, x, y in zip(kept, before, after, strict=True) if x != y] == []
    for _, collector, _ in kept:
        collector.close()


CPU = "sys/devices/system/cpu"
FAN = "sys/class/hwmon/hwmon90"
BATTERY = "sys/class/power_supply/BAT7"
MACHINES: dict[str, dict[str, bytes]] = {
    "kernel 2.6": {
        "proc/diskstats": b"   8    0 sda 1 2 3 4 5 6 7 8 9 10 11\n   8    1 sda1 100 200 300 400\n",
        "proc/stat": b"cpu  1 2 3 4 5 6 7\ncpu0 1 2 3 4 5 6 7\nintr 5 1\nctxt 6\nbtime 7\nprocesses 8\n"
        b"procs_running 1\nprocs_blocked 0\n",
        "proc/net/snmp": b"Ip: Forwarding DefaultTTL\nIp: 1 64\nTcp: MaxConn ActiveOpens\nTcp: -1 7\n",
        "proc/net/sockstat": b"sockets: used 23\nTCP: inuse 1 orphan 0 tw 0 alloc 5 mem 1\nUDP: inuse 2\n",
        "proc/vmstat": b"nr_free_pages 1\npgpgin 2\npswpin 4\npgfault 6\npgmajfault 7\n",
        "proc/net/softnet_stat": b"0000000a 00000000 00000001 0 0 0 0 0 0\n",
        "proc/schedstat": b"version 14\ntimestamp 1\ncpu0 1 2 3 4 5 6 7 8 9 10 11 12\n",
    },
    "CPUs with holes": {
        "proc/stat": b"cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\ncpu17 9 2 3 4 5 6 7 8 9 10\n"
        b"intr 5 1\nctxt 6\nbtime 7\nprocesses 8\nprocs_running 1\nprocs_blocked 0\n",
        f"{CPU}/cpu17/topology/core_id": b"3\n",
        f"{CPU}/cpu17/topology/physical_package_id": b"1\n",
        f"{CPU}/cpu17/thermal_throttle/core_throttle_count": b"5\n",
        f"{CPU}/cpu17/thermal_throttle/package_throttle_count": b"6\n",
        f"{CPU}/isolated": b"0,17-18\n",
        f"{CPU}/offline": b"1-16\n",
        "sys/devices/system/node/node12/meminfo": b"Node 12 MemTotal: 5 kB\nNode 12 HugePages_Free: 1\n",
        "sys/devices/system/node/node12/numastat": b"numa_hit 1\nnuma_miss 2\n",
        "proc/softirqs": b"          CPU0    CPU17\n    HI:       1        2\n TIMER:       3        4\n",
        "proc/interrupts": b"      CPU0       CPU17\n  0:    44          5  IR-IO-APIC    2-edge      timer\n"
        b"NMI:          3          4   Non-maskable interrupts\nERR:          0\n",
    },
    "laptop": {
        f"{FAN}/name": b"applesmc\n",
        f"{FAN}/fan1_input": b"1998\n",
        f"{FAN}/fan1_label": b"Left side  \n",
        f"{FAN}/temp1_input": b"41250\n",
        f"{FAN}/temp1_label": b"  \xff\xfe\xfdC \xb0\n",
        f"{BATTERY}/type": b"Battery\n",
        f"{BATTERY}/model_name": b"\xff\xffLNV\xff\n",
        f"{BATTERY}/capacity": b"98\n",
        f"{BATTERY}/current_now": b"-5000\n",
    },
    "ARM board": {
        "proc/interrupts": b"      CPU0     CPU1\n 17:   0        1     GICv2  29 Level     arch_timer\n"
        b"IPI0:       9364      12823       Rescheduling interrupts\nErr:          0\n",
        "proc/diskstats": b" 179 0 mmcblk0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15\n"
        b" 179 32 mmcblk0boot0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15\n"
        b" 254 0 zram0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n",
        "proc/meminfo": b"MemTotal: 948012 kB\nCmaTotal: 65536 kB\nION_heap: 5 kB\nActive(anon): 7 kB\n",
        "sys/class/thermal/thermal_zone70/type": b"cpu-thermal\n",
        "sys/class/thermal/thermal_zone70/temp": b"-4500\n",
        "sys/class/thermal/thermal_zone70/policy": b"step_wise\n",
    },
}


@pytest.mark.parametrize("machine", MACHINES)
async def test_another_machine_gives_what_node_exporter_says(machine, tmp_path):
    folder = shutil.copytree(FIXTURES / "vm", tmp_path / "tree", symlinks=True)
    plant(folder, MACHINES[machine])
    names = [row.name for row in ROWS if row.in_node_exporter]
    seen = await modern(tmp_path, names, folder, their_flags=FROM_FILES)
    check(seen, "vm")
    assert seen.other_values(("node_tcp_connection_states",)) == {}


@pytest.mark.parametrize(
    "text",
    [
        b"vendor_id       : IBM/S390\n# processors    : 1\nprocessor 0: version = 00,  machine = 2964\n",
        b"Processor\t: ARMv6-compatible processor rev 7 (v6l)\nBogoMIPS\t: 697.95\n",
        b"processor\t: 0\nBogoMIPS\t: 48.00\nCPU part\t: 0xd03\n",
        b"",
    ],
)
def test_rates_of_cpufreq_stay_where_cpuinfo_is_unlike_that_of_x86(text, tmp_path):
    folder = shutil.copytree(FIXTURES / "arm", tmp_path / "tree", symlinks=True)
    plant(folder, {"proc/cpuinfo": text})
    row = next(row for row in ROWS if row.name == "cpufreq")
    plain, with_info = (
        parse(Renderer().render(row.build(host(at(folder), flags)).collect())).values
        for flags in ({}, {"collector.cpu.info": "true"})
    )
    told = {
        (metric, frozenset(pair for pair in labels if pair[1])): value
        for (metric, labels), value in with_info.items()
    }
    assert plain
    assert told == plain  # an empty label is one that is not there
