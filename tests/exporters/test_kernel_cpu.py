"""CPU times, clocks and what else the kernel tells of processors: wraps, hot-unplug, 4,096 CPUs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.errors import SourceError
from exporters.system import cpu, cpufreq, cpuinfo, stat
from exporters.system.cpu import FIELDS, Ticks
from exporters.system.lists import parse_list
from exporters.system.shared import SharedReads
from exporters.table import SYSTEM
from exporters.text import Renderer
from tests.exporters.exposition import parse
from tests.exporters.trees import at, host, tree

LINE = "cpu{} 10 20 30 40 50 60 70 80 90 100\n"


def text(families):
    return parse(Renderer().render(families))


def ticks(**cpus):
    return Ticks(tuple(name[1:] for name in cpus), [tick for each in cpus.values() for tick in each])


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "proc").mkdir()
    return tmp_path


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


STEADY = {
    "it went on": ((100, 0, 50, 9000, 30), (101, 0, 50, 9001, 30), (101, 0, 50, 9001, 30)),
    "idle and iowait wobble": ((100, 0, 50, 9000, 30), (101, 0, 50, 8990, 29), (101, 0, 50, 9000, 30)),
    "a wrapped counter stays": ((100, 0, 50, 9000, 30), (5, 0, 50, 9001, 30), (100, 0, 50, 9001, 30)),
    "replugged": ((100, 0, 50, 9000, 30), (1, 0, 0, 8700, 0), (1, 0, 0, 8700, 0)),
    "replugged and negative": ((100, 0, 50, 9000, 30), (1, -4, 0, 10, 0), (1, 0, 0, 10, 0)),
}


@pytest.mark.parametrize(("before", "now", "expected"), STEADY.values(), ids=STEADY.keys())
def test_counters_never_step_back(before, now, expected):
    rest = (0,) * (FIELDS - 5)
    seen = cpu.steady(ticks(_0=before + rest, _1=(7,) * FIELDS), ticks(_0=now + rest, _1=(7,) * FIELDS))
    assert list(seen.counters) == [*expected, *rest, *(7,) * FIELDS]


def test_the_first_reading_is_not_negative():
    seen = cpu.steady(Ticks((), ()), ticks(_0=(-5, 1, -7, -900, 0, 0, 0, 0, 0, 0)))
    assert list(seen.counters) == [0, 1, 0, 0, 0, 0, 0, 0, 0, 0]


def test_a_cpu_that_comes_keeps_the_others_counters():
    before = ticks(_0=(100,) * FIELDS, _2=(50,) * FIELDS)
    now = ticks(_0=(99,) * FIELDS, _1=(1,) * FIELDS, _2=(50,) * FIELDS)
    assert list(cpu.steady(before, now).counters) == [100] * FIELDS + [1] * FIELDS + [50] * FIELDS


@given(st.lists(st.lists(st.integers(0, 1 << 64), min_size=FIELDS, max_size=FIELDS), min_size=2, max_size=6))
def test_whatever_comes_within_three_seconds_of_idle_never_falls(readings):
    kept = Ticks((), ())
    for reading in readings:
        last = kept.counters
        kept = cpu.steady(kept, Ticks(("0",), reading))
        if last and last[3] - reading[3] < 300:
            assert all(now >= before for now, before in zip(kept.counters, last, strict=True))


def test_an_unplugged_cpu_goes_and_comes_back_anew(folder):
    both = "cpu 0\n" + LINE.format(0) + LINE.format(1) + "intr 1\n"
    write(
        folder,
        {
            "proc/stat": both,
            "sys/devices/system/cpu/cpu0/online": "1\n",
            "sys/devices/system/cpu/cpu1/online": "1\n",
        },
    )
    cpus = cpu.Cpus(at(folder))
    assert text(cpus.collect()).of("node_cpu_online", cpu="1") == 1
    write(
        folder,
        {
            "proc/stat": "cpu 0\n" + LINE.format(0),
            "sys/devices/system/cpu/cpu1/online": "0\n",
        },
    )
    seen = text(cpus.collect())
    assert seen.of("node_cpu_online", cpu="1") == 0
    assert {dict(labels)["cpu"] for name, labels in seen.values if name == "node_cpu_seconds_total"} == {"0"}
    write(folder, {"proc/stat": both.replace("40", "4"), "sys/devices/system/cpu/cpu1/online": "1\n"})
    seen = text(cpus.collect())
    assert seen.of("node_cpu_seconds_total", cpu="0", mode="idle") == 0.4
    assert seen.of("node_cpu_seconds_total", cpu="1", mode="idle") == 0.04


@pytest.mark.parametrize("left", [None, "many\n", ""])
def test_a_throttle_counter_that_vanishes_costs_itself_alone(folder, left):
    core = "sys/devices/system/cpu/cpu0"
    write(
        folder,
        {
            "proc/stat": LINE.format(0),
            f"{core}/topology/physical_package_id": "0\n",
            f"{core}/topology/core_id": "3\n",
            f"{core}/thermal_throttle/core_throttle_count": "5\n",
            f"{core}/thermal_throttle/package_throttle_count": "9\n",
        },
    )
    cpus = cpu.Cpus(at(folder))
    assert text(cpus.collect()).of("node_cpu_core_throttles_total", core="3", package="0") == 5
    counter = folder / core / "thermal_throttle/core_throttle_count"
    counter.unlink() if left is None else counter.write_text(left)
    seen = text(cpus.collect())
    assert "node_cpu_core_throttles_total" not in seen.names()
    assert seen.of("node_cpu_package_throttles_total", package="0") == 9


def test_four_thousand_and_ninety_six_cpus(folder):
    write(
        folder, {"proc/stat": "cpu 0\n" + "".join(map(LINE.format, range(4096))) + "intr " + "1 " * 500_000}
    )
    seen = text(cpu.Cpus(at(folder)).collect())
    assert len([name for name, _ in seen.values if name == "node_cpu_seconds_total"]) == 4096 * 8
    assert seen.of("node_cpu_guest_seconds_total", cpu="4095", mode="nice") == 1
    assert text(stat.collect(stat.read(at(folder)))).of("node_intr_total") == 1


def test_guests_can_be_left_out():
    (row,) = [row for row in SYSTEM if row.name == "cpu"]
    found = row.build(host(tree("server"), {"collector.cpu.guest": "false"})).collect()
    assert "node_cpu_guest_seconds_total" not in text(found).names()


def test_short_lines_of_old_kernels_count_nothing_for_what_they_lack():
    assert cpu.parse_ticks(b"cpu0 1 2 3 4\ncpu1 1 2 3 4 5\n") == ticks(
        _0=(1, 2, 3, 4, 0, 0, 0, 0, 0, 0), _1=(1, 2, 3, 4, 5, 0, 0, 0, 0, 0)
    )


MALFORMED = {
    "no cpu": b"intr 5\n",
    "no number": b"cpu0 1 x 3\n",
    "no number of the cpu": b"cpux 1 2 3\n",
    "twice": b"cpu0 1 2 3 4\ncpu0 1 2 3 4\n",
    "a number of a megabyte": b"cpu0 " + b"9" * 1_000_000 + b"\n",
}


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_ticks(raw):
    with pytest.raises(SourceError):
        cpu.parse_ticks(raw)


LISTS = {
    "empty": (b"\n", ()),
    "one": (b"3\n", ("3",)),
    "ranges": (b"0-2,5,7-8\n", ("0", "1", "2", "5", "7", "8")),
}


@pytest.mark.parametrize(("raw", "expected"), LISTS.values(), ids=LISTS.keys())
def test_lists_of_cpus(raw, expected):
    assert parse_list("list", raw) == expected


@pytest.mark.parametrize("raw", [b"0-x", b"a", b"0-999999999999", b"1-2-3"])
def test_lists_that_are_none(raw):
    with pytest.raises(SourceError):
        parse_list("list", raw)


class TestStat:
    def test_fields_in_any_order(self):
        raw = b"procs_blocked 1\nbtime 7\nintr 5 1 2\ncpu 1 2\nctxt 9\nprocesses 3\nprocs_running 2\n"
        seen = text(stat.collect(raw))
        assert seen.of("node_boot_time_seconds") == 7
        assert seen.of("node_intr_total") == 5
        assert seen.of("node_procs_blocked") == 1

    def test_kinds_of_soft_interrupts(self):
        raw = b"intr 5\nsoftirq 55 1 2 3 4 5 6 7 8 9 10\n"
        seen = text(stat.collect(raw, with_softirqs=True))
        assert seen.of("node_softirqs_total", vector="hi") == 1
        assert seen.of("node_softirqs_total", vector="rcu") == 10

    def test_both_readers_share_a_reading_and_none_gets_it_twice(self, folder):
        now = [0.0]
        shared = SharedReads(lambda: now[0])
        saved = at(folder)
        write(folder, {"proc/stat": "a"})
        assert shared.read(saved, "stat", "cpu") == b"a"
        write(folder, {"proc/stat": "b"})
        assert shared.read(saved, "stat", "stat") == b"a"
        assert shared.read(saved, "stat", "stat") == b"b"
        write(folder, {"proc/stat": "c"})
        now[0] += 1
        assert shared.read(saved, "stat", "cpu") == b"c"


FREQUENCIES = {
    "cpuinfo_min_freq": "800000\n",
    "cpuinfo_max_freq": "4000000\n",
    "scaling_cur_freq": "1200000\n",
    "scaling_available_governors": "performance powersave\n",
    "scaling_governor": "powersave\n",
}


class TestClocks:
    def folder(self, tmp_path, cpus, *, shared=False):
        base = tmp_path / "sys/devices/system/cpu"
        write(tmp_path, {"proc/stat": "", "sys/devices/system/cpu/online": f"0-{cpus - 1}\n"})
        for number in range(cpus):
            (base / f"cpu{number}").mkdir()
            policy = f"policy{0 if shared else number}"
            write(
                tmp_path, {f"sys/devices/system/cpu/cpufreq/{policy}/{n}": c for n, c in FREQUENCIES.items()}
            )
            (base / f"cpu{number}/cpufreq").symlink_to(f"../cpufreq/{policy}")
        return tmp_path

    def test_rates_are_hertz(self, tmp_path):
        seen = text(cpufreq.Clocks(at(self.folder(tmp_path, 2))).collect())
        assert seen.of("node_cpu_scaling_frequency_hertz", cpu="1") == 1.2e9
        assert seen.of("node_cpu_frequency_max_hertz", cpu="0") == 4e9
        assert seen.of("node_cpu_scaling_governor", cpu="0", governor="powersave") == 1
        assert seen.of("node_cpu_scaling_governor", cpu="0", governor="performance") == 0
        assert "node_cpu_frequency_avg_hertz" not in seen.names()

    def test_a_shared_policy_is_read_once_and_told_of_each_cpu(self, tmp_path):
        clocks = cpufreq.Clocks(at(self.folder(tmp_path, 4, shared=True)))
        assert len(clocks.read().states) == 1
        assert text(clocks.collect()).of("node_cpu_frequency_min_hertz", cpu="3") == 8e8

    @pytest.mark.parametrize("content", ["<unknown>\n", "", "-5\n"])
    def test_a_rate_that_is_not_known_is_absent(self, tmp_path, content):
        folder = self.folder(tmp_path, 2)
        clocks = cpufreq.Clocks(at(folder))
        clocks.collect()
        write(folder, {"sys/devices/system/cpu/cpufreq/policy1/scaling_cur_freq": content})
        seen = text(clocks.collect())
        assert [
            dict(labels) for name, labels in seen.values if name == "node_cpu_scaling_frequency_hertz"
        ] == [{"cpu": "0"}]

    def test_offline_cpus_are_left_out(self, tmp_path):
        folder = self.folder(tmp_path, 3)
        clocks = cpufreq.Clocks(at(folder))
        clocks.collect()
        write(folder, {"sys/devices/system/cpu/online": "0,2\n", "sys/devices/system/cpu/offline": "1\n"})
        seen = text(clocks.collect())
        assert {dict(labels)["cpu"] for _, labels in seen.values} == {"0", "2"}

    def test_without_scaling_there_is_nothing(self, folder):
        assert text_or_nothing(cpufreq.Clocks(at(folder)).collect()) == ""


def text_or_nothing(families):
    return Renderer().render(families)


CPUINFO = b"""processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 142
model name\t: A CPU: the fast one
stepping\t: 10
microcode\t: 0xb4
cpu MHz\t\t: 799.998
cache size\t: 8192 KB
physical id\t: 0
core id\t\t: 1
flags\t\t: fpu vme fpu aes
bugs\t\t: cpu_meltdown mds

processor\t: 1
model name\t: A CPU: the fast one
"""


class TestInfo:
    def test_labels(self):
        (info, flags, bugs) = cpuinfo.collect(cpuinfo.parse(CPUINFO), lambda name: name != "vme", None)
        seen = text([info, flags, bugs])
        assert (
            seen.of(
                "node_cpu_info",
                package="0",
                core="1",
                cpu="0",
                vendor="GenuineIntel",
                family="6",
                model="142",
                model_name="A CPU: the fast one",
                microcode="0xb4",
                stepping="10",
                cachesize="8192 KB",
            )
            == 1
        )
        assert {dict(labels)["flag"] for name, labels in seen.values if name == "node_cpu_flag_info"} == {
            "fpu",
            "aes",
        }
        assert "node_cpu_bug_info" not in seen.names()

    @pytest.mark.parametrize("raw", [b"", b"vendor_id: x\n", b"processor\t: x\n"])
    def test_malformed(self, raw):
        with pytest.raises(SourceError):
            cpuinfo.parse(raw)

    def test_rates_of_both_sources_are_one_metric(self, folder):
        (folder / "proc/cpuinfo").write_bytes(CPUINFO)
        seen = text(cpufreq.Clocks(at(folder), with_cpuinfo=True).collect())
        assert seen.of("node_cpu_frequency_hertz", package="0", core="1", cpu="0") == 799998000.0
        assert seen.of("node_cpu_frequency_hertz", package="", core="", cpu="1") == 0
