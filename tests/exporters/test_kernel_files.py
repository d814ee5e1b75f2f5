"""Collectors of single files of the kernel: other orders, missing fields, malformed and endless lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.errors import NoDataError, SourceError
from exporters.system import (
    buddyinfo,
    cpuinfo,
    entropy,
    filefd,
    interrupts,
    kernel_hung,
    meminfo,
    meminfo_numa,
    pressure,
    processes,
    schedstat,
    selinux,
    slabinfo,
    softirqs,
    swap,
    timex,
    zoneinfo,
)
from exporters.system.tree import Tree
from tests.exporters.trees import at, host, only, plant, scrape, text, tree

MEGABYTE = b"9" * 1_000_000


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "proc").mkdir()
    return tmp_path


class TestMeminfo:
    def test_an_order_that_changes_is_learned_anew(self):
        memory = meminfo.Memory()
        first = text(memory.collect(b"MemTotal:    1000 kB\nMemFree:  5 kB\nHugePages_Total:  3\n"))
        assert first.of("node_memory_MemTotal_bytes") == 1_024_000
        assert first.of("node_memory_HugePages_Total") == 3
        again = text(
            memory.collect(b"MemFree:  6 kB\nUnknown: 4 kB\nMemTotal: 1000 kB\nActive(anon): 7 kB\n")
        )
        assert again.of("node_memory_MemFree_bytes") == 6144
        assert again.of("node_memory_Active_anon_bytes") == 7168
        assert "node_memory_HugePages_Total" not in again.names()

    def test_a_number_that_grows_keeps_its_place(self):
        memory = meminfo.Memory()
        memory.collect(b"MemTotal: 9 kB\nDirectMap4k: 1 kB\nDirectMap2M: 2 kB\n")
        seen = text(memory.collect(b"MemTotal: 10000 kB\nDirectMap4k: 10 kB\nDirectMap2M: 22 kB\n"))
        assert seen.of("node_memory_MemTotal_bytes") == 10_240_000
        assert seen.of("node_memory_DirectMap4k_bytes") == 10_240
        assert seen.of("node_memory_DirectMap2M_bytes") == 22_528

    def test_a_number_that_vanishes_costs_its_line_alone_and_may_come_back(self):
        memory = meminfo.Memory()
        whole = b"MemTotal: 9 kB\nMemFree: 1 kB\n"
        before = text(memory.collect(whole))
        seen = text(memory.collect(b"MemTotal:  kB\nMemFree: 1 kB\n"))
        assert seen.values == text(meminfo.collect(b"MemFree: 1 kB\n")).values
        assert text(memory.collect(whole)).values == before.values

    @pytest.mark.parametrize(
        "line", [b"MemFree: -5 kB", b"MemFree: 5 MB", b"MemFree 5 kB", b"MemFree:", b"x" * 99]
    )
    def test_a_malformed_line_is_left_out(self, line):
        seen = text(meminfo.collect(b"MemTotal: 9 kB\n" + line + b"\n"))
        assert seen.names() == {"node_memory_MemTotal_bytes"}


class TestPressure:
    def test_kernels_differ(self, folder):
        plant(
            folder,
            {
                "proc/pressure/cpu": b"some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\n",
                "proc/pressure/irq": b"full avg10=0.00 avg60=0.00 avg300=0.00 total=7\nother x\n",
            },
        )
        seen = text(pressure.collect(pressure.read(at(folder))))
        assert seen.of("node_pressure_cpu_waiting_seconds_total") == 1.5
        assert seen.of("node_pressure_irq_stalled_seconds_total") == 7e-6
        assert "node_pressure_io_waiting_seconds_total" not in seen.names()

    def test_a_kernel_without_it_has_nothing_to_read(self, folder):
        with pytest.raises(NoDataError):
            pressure.read(at(folder))


class TestSchedstat:
    def test_domains_and_versions_are_passed_over(self):
        raw = b"version 17\ntimestamp 4\ncpu3 0 0 0 0 0 0 2000000000 500000000 9 7\ndomain0 MC 1 2 3\n"
        seen = text(schedstat.collect(schedstat.parse(raw)))
        assert seen.of("node_schedstat_running_seconds_total", cpu="3") == 2
        assert seen.of("node_schedstat_waiting_seconds_total", cpu="3") == 0.5
        assert seen.of("node_schedstat_timeslices_total", cpu="3") == 9

    def test_a_kernel_without_it_has_nothing_to_read(self, folder):
        with pytest.raises(NoDataError):
            schedstat.read(at(folder))


class TestProcesses:
    def stat(self, pid, state, threads, command="a"):
        return f"{pid} ({command}) {state} {'1 ' * 16}{threads} 0 99 1\n".encode()

    def folder(self, tmp_path):
        plant(
            tmp_path,
            {
                "proc/sys/kernel/threads-max": b"100\n",
                "proc/sys/kernel/pid_max": b"32768\n",
                "proc/1/stat": self.stat(1, "S", 1),
                "proc/1/task/1/stat": self.stat(1, "S", 1),
                "proc/7/stat": self.stat(7, "R", 3, "x) Z (y"),
                "proc/7/task/7/stat": self.stat(7, "S", 3),
                "proc/7/task/8/stat": self.stat(8, "D", 3),
                "proc/7/task/9/gone": b"",
                "proc/8/gone": b"",
                "proc/acpi/x": b"",
            },
        )
        return at(tmp_path)

    def test_what_ends_meanwhile_is_not_counted(self, tmp_path):
        seen = text(processes.collect(processes.read(self.folder(tmp_path))))
        assert seen.of("node_processes_pids") == 2
        assert seen.of("node_processes_threads") == 4
        assert seen.of("node_processes_state", state="R") == 1
        assert seen.of("node_processes_threads_state", thread_state="D") == 1
        assert seen.of("node_processes_threads_state", thread_state="R") == 1
        assert seen.of("node_processes_max_threads") == 100
        assert seen.of("node_processes_max_processes") == 32768

    def test_this_machine(self):
        live = Tree()
        raw = processes.read(live)
        live.close()
        assert raw.pids == sum(raw.states.values()) > 1
        assert raw.threads >= raw.pids

    @pytest.mark.parametrize(
        "raw", [b"", b"1 (a", b"1 (a) S 1", b"1 (a) S " + b"x " * 30, b"1 (a) " + MEGABYTE]
    )
    def test_malformed(self, raw):
        with pytest.raises(SourceError):
            processes.parse(raw)

    async def test_it_reads_behind_the_scrape(self, tmp_path):
        self.folder(tmp_path)
        seen = await scrape(host(at(tmp_path), only("processes")))
        assert seen.of("node_processes_pids") == 2
        assert seen.of("steward_scrape_collector_age_seconds", collector="processes") < 60


MODES = {
    "not there": ((b"", b"", b""), {"enabled": 0}),
    "no policy is loaded": ((b"0", b"kernel\0", b""), {"enabled": 0}),
    "permissive now": (
        (b"0", b"system_u:system_r:init_t:s0\0", b'# x\nSELINUX="enforcing"\n'),
        {"enabled": 1, "config_mode": 1, "current_mode": 0},
    ),
    "not configured": ((b"1", b"", b""), {"enabled": 1, "config_mode": -1, "current_mode": 1}),
    "unknown": (
        (b"?", b"", b"SELINUX=disabled\n"),
        {"enabled": 1, "config_mode": -1, "current_mode": -1},
    ),
}


class TestSelinux:
    @pytest.mark.parametrize(("raw", "expected"), MODES.values(), ids=MODES.keys())
    def test_modes(self, raw, expected):
        seen = text(selinux.collect(selinux.Raw(*raw)))
        assert {
            name.removeprefix("node_selinux_"): value for (name, _), value in seen.values.items()
        } == expected

    def test_from_a_tree(self):
        seen = text(selinux.collect(selinux.read(tree("server"))))
        assert seen.of("node_selinux_config_mode") == 0
        assert seen.of("node_selinux_current_mode") == 1


class TestTimex:
    def raw(self, state, status):
        fields = [0, -500, 65536 * 100, 16_000_000, 250, status, 7, 1, 2, 0, 0, 10_000]
        return timex.Raw(state, (*fields, 131072, 3000, 4, 65536, 1, 2, 3, 4, 37, *(0,) * 11))

    def test_microseconds(self):
        seen = text(timex.collect(self.raw(5, 64)))
        assert seen.of("node_timex_sync_status") == 0
        assert seen.of("node_timex_offset_seconds") == -0.0005
        assert seen.of("node_timex_frequency_adjustment_ratio") == 1.0001
        assert seen.of("node_timex_maxerror_seconds") == 16
        assert seen.of("node_timex_tick_seconds") == 0.01
        assert seen.of("node_timex_tai_offset_seconds") == 37
        assert seen.of("node_timex_pps_stability_exceeded_total") == 4

    def test_nanoseconds(self):
        seen = text(timex.collect(self.raw(0, 0x2001)))
        assert seen.of("node_timex_sync_status") == 1
        assert seen.of("node_timex_offset_seconds") == -5e-7
        assert seen.of("node_timex_pps_jitter_seconds") == 3e-6

    def test_the_running_kernel_answers(self):
        assert 0 < text(timex.collect(timex.asking()())).of("node_timex_tick_seconds") < 1


class TestKernelHung:
    def test_both_names(self):
        seen = text(kernel_hung.collect(b"3\n"))
        assert seen.of("node_kernel_hung_tasks") == seen.of("node_kernel_hung_tasks_total") == 3

    def test_an_old_kernel_has_nothing_to_read(self, folder):
        with pytest.raises(NoDataError):
            kernel_hung.read(at(folder))


PARSERS = {
    "buddyinfo": (buddyinfo.parse, [b"Node 0\n", b"Node 0, zone DMA x\n"]),
    "entropy": (lambda raw: entropy.collect(entropy.Raw(raw, b"256\n")), [b"", b"many"]),
    "filefd": (filefd.collect, [b"", b"1\t0", b"a\t0\tb"]),
    "interrupts": (interrupts.parse, [b"", b"CPU0\n 1: x timer\n"]),
    "kernel_hung": (kernel_hung.collect, [b"", b"x"]),
    "meminfo": (meminfo.collect, [b"", b"\n\n"]),
    "numa": (lambda raw: list(meminfo_numa.parse_meminfo(raw)), [b"Node 0 A: x", b"Node 0 A: 1 MB", b"Node"]),
    "numastat": (lambda raw: list(meminfo_numa.parse_numastat(raw)), [b"numa_hit", b"numa_hit x"]),
    "pressure": (pressure.parse, [b"some total=x", b"full avg10=1"]),
    "schedstat": (schedstat.parse, [b"cpu0 1 2 3", b"cpux 0 0 0 0 0 0 1 2 3"]),
    "slabinfo": (slabinfo.parse, [b"dentry 1 2", b"a x 1 1 1 1 : t 0 0 0 : s 1 1 0"]),
    "softirqs": (softirqs.parse, [b"", b"CPU0\nHI: x\n"]),
    "swap": (swap.parse, [b"head\n/dev/a b\n", b"head\n/dev/a file x 0 0\n"]),
}
MALFORMED = [(call, raw) for call, raws in PARSERS.values() for raw in raws]


@pytest.mark.parametrize(("call", "raw"), MALFORMED)
def test_malformed_files_are_said_to_be_malformed(call, raw):
    with pytest.raises(SourceError):
        call(raw)


ENDLESS = [(call, raw.replace(b"1", MEGABYTE)) for call, raw in MALFORMED if b"1" in raw]


@pytest.mark.parametrize(("call", "raw"), ENDLESS)
def test_a_number_of_a_megabyte_is_malformed(call, raw):
    with pytest.raises(SourceError):
        call(raw)


@given(
    st.binary(max_size=300), st.sampled_from([b"", b"CPU0\n", b"MemTotal: ", b"cpu0 ", b"processor : 0\n"])
)
def test_nothing_makes_a_parser_fail_otherwise(raw, head):
    for call, _ in (*PARSERS.values(), (cpuinfo.parse, ()), (zoneinfo.parse, ()), (processes.parse, ())):
        try:
            call(head + raw)
        except SourceError:
            continue


async def test_a_file_that_vanishes_costs_its_collector_alone(tmp_path):
    names = ("entropy", "filefd", "kernel_hung", "pressure", "schedstat", "stat", "swap")
    plant(tmp_path, {"proc/stat": b"intr 5\n", "proc/sys/fs/file-nr": b"1\t0\t9\n", "proc/swaps": b"head\n"})
    seen = await scrape(host(at(tmp_path), only(*names)))
    fared = {
        dict(labels)["collector"]: value
        for (name, labels), value in seen.values.items()
        if name == "steward_scrape_collector_success"
    }
    assert fared == {name: float(name != "entropy") for name in names}
    assert seen.of("node_filefd_maximum") == 9
    assert seen.of("node_intr_total") == 5
