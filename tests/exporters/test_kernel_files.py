"""Collectors of single files of the kernel: other orders, missing fields, malformed and endless lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.errors import ExporterError, NoDataError, SettingError, SourceError
from exporters.settings import Settings
from exporters.system import (
    buddyinfo,
    cpu_vulnerabilities,
    cpuinfo,
    entropy,
    filefd,
    interrupts,
    kernel_hung,
    ksmd,
    meminfo,
    meminfo_numa,
    pressure,
    processes,
    schedstat,
    selinux,
    slabinfo,
    softirqs,
    swap,
    sysctl,
    timex,
    zoneinfo,
)
from exporters.system.filters import accepts
from exporters.system.tree import Tree
from exporters.table import TABLE
from exporters.text import Renderer
from tests.exporters.exposition import parse
from tests.exporters.trees import at, host, only, scrape, tree

MEGABYTE = b"9" * 1_000_000
EVERY = accepts()


def text(families):
    return parse(Renderer().render(families))


def labels_of(seen, name):
    return [dict(labels) for found, labels in seen.values if found == name]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "proc").mkdir()
    return tmp_path


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


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

    def test_a_number_that_vanishes_is_malformed(self):
        memory = meminfo.Memory()
        memory.collect(b"MemTotal: 9 kB\nMemFree: 1 kB\n")
        with pytest.raises(SourceError):
            memory.collect(b"MemTotal:  kB\nMemFree: 1 kB\n")

    @pytest.mark.parametrize(
        "line", [b"MemFree: -5 kB", b"MemFree: 5 MB", b"MemFree 5 kB", b"MemFree:", b"x" * 99]
    )
    def test_a_malformed_line_is_left_out(self, line):
        seen = text(meminfo.collect(b"MemTotal: 9 kB\n" + line + b"\n"))
        assert seen.names() == {"node_memory_MemTotal_bytes"}


class TestPressure:
    def test_kernels_differ(self, folder):
        write(
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
        write(
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


INTERRUPTS = b"""           CPU0       CPU1
  0:         18          0  IR-IO-APIC-edge      timer
 16:     328511     322879  IR-IO-APIC   16-fasteoi   ehci_hcd:usb1, mmc0
IPI0:5 6 Rescheduling interrupts
NMI:         47       5031   Non-maskable interrupts
ERR:          0
"""


class TestInterrupts:
    def test_names_and_devices(self):
        seen = text(interrupts.collect(interrupts.parse(INTERRUPTS), EVERY))
        name = "node_interrupts_total"
        assert seen.of(name, cpu="1", type="NMI", info="Non-maskable interrupts", devices="") == 5031
        assert seen.of(name, cpu="0", type="IPI0", info="Rescheduling interrupts", devices="") == 5
        shared = "16-fasteoi ehci_hcd:usb1, mmc0"
        assert seen.of(name, cpu="0", type="16", info="IR-IO-APIC", devices=shared) == 328511
        assert "ERR" not in {labels["type"] for labels in labels_of(seen, name)}

    def test_filters(self):
        accept = accepts(include="^(0|NMI);")
        found = interrupts.collect(interrupts.parse(INTERRUPTS), accept, with_zeros=False)
        kept = {(labels["type"], labels["cpu"]) for labels in labels_of(text(found), "node_interrupts_total")}
        assert kept == {("0", "0"), ("NMI", "0"), ("NMI", "1")}

    def test_both_filters_at_once_are_refused(self):
        given = {"collector.interrupts.name-include": ("a",), "collector.interrupts.name-exclude": ("b",)}
        (row,) = [row for row in TABLE if row.name == "interrupts"]
        with pytest.raises(ExporterError):
            row.build(type(host(tree("vm")))(tree("vm"), Settings(given), "saved"))


class TestSysctl:
    def read(self, folder, numbers=(), infos=()):
        return text(sysctl.collect(sysctl.read(at(folder), sysctl.parameters(numbers, infos))))

    def test_numbers_fields_and_words(self, folder):
        write(
            folder,
            {
                "proc/sys/kernel/threads-max": b"7801\n",
                "proc/sys/net/ipv4/tcp_rmem": b"4096\t131072\t6291456\n",
                "proc/sys/kernel/seccomp/actions_avail": b"kill_process trap\n",
            },
        )
        seen = self.read(
            folder,
            ("kernel.threads-max", "net.ipv4.tcp_rmem:min,default,max", "net/ipv4/tcp_rmem"),
            ("kernel.seccomp.actions_avail",),
        )
        assert seen.of("node_sysctl_kernel_threads_max") == 7801
        assert seen.of("node_sysctl_net_ipv4_tcp_rmem_max") == 6291456
        assert seen.of("node_sysctl_net_ipv4_tcp_rmem", index="1") == 131072
        assert seen.of("node_sysctl_info", name="kernel.seccomp.actions_avail", value="trap", index="1") == 1

    @pytest.mark.parametrize("name", ["", "../../etc/passwd", "/etc/passwd", "a..b", "a b", "a\nb"])
    def test_names_that_lead_elsewhere_are_refused(self, name):
        with pytest.raises(SettingError):
            sysctl.parameters((name,), ())

    @pytest.mark.parametrize("flag", ["kernel.x:a,b", "kernel.words", "kernel.nothing"])
    def test_malformed(self, folder, flag):
        write(
            folder,
            {
                "proc/sys/kernel/x": b"1\n",
                "proc/sys/kernel/words": b"a b\n",
                "proc/sys/kernel/nothing": b"\n",
            },
        )
        with pytest.raises(SourceError):
            self.read(folder, (flag,))

    def test_nothing_named_is_nothing_read(self, folder):
        assert sysctl.read(at(folder), sysctl.parameters((), ())) == []


VULNERABILITIES = {
    "Not affected": ("not affected", ""),
    "Vulnerable": ("vulnerable", ""),
    "Vulnerable: No microcode": ("vulnerable", "No microcode"),
    "Mitigation: Clear buffers; SMT on": ("mitigation", "Clear buffers; SMT on"),
    "Unknown: Dependent on host": ("unknown", "Dependent on host"),
    "KVM: Mitigation: VMX unsupported": ("unknown", "KVM: Mitigation: VMX unsupported"),
}


@pytest.mark.parametrize(("words", "expected"), VULNERABILITIES.items())
def test_vulnerabilities(words, expected):
    assert cpu_vulnerabilities.parse("x", words) == ("x", *expected)


def test_zones_of_two_nodes():
    raw = (
        b"Node 0, zone      DMA\n  per-node stats\n      nr_dirtied   9\n  pages free     5\n        min      1\n"
        b"        protection: (0, 2877)\n  pagesets\n    cpu: 0\n              high:  378\n"
        b"Node 1, zone   Normal\n  pages free     6\n        min      2\n      nr_free_pages 6\n"
    )
    seen = text(zoneinfo.collect(zoneinfo.parse(raw)))
    assert seen.of("node_zoneinfo_min_pages", node="1", zone="Normal") == 2
    assert seen.of("node_zoneinfo_nr_dirtied_total", node="0", zone="DMA") == 9
    assert seen.of("node_zoneinfo_protection_1", node="0", zone="DMA") == 2877
    assert "node_zoneinfo_high_pages" not in seen.names()


def test_numa_nodes():
    raw = meminfo_numa.Raw(
        {"0": b"\nNode 0 MemTotal:  10 kB\nNode 0 Active(anon): 2 kB\nNode 0 HugePages_Total: 3\n"},
        {"0": b"numa_hit 193460335812\n"},
    )
    seen = text(meminfo_numa.collect(raw))
    assert seen.of("node_memory_numa_MemTotal", node="0") == 10_240
    assert seen.of("node_memory_numa_Active_anon", node="0") == 2048
    assert seen.of("node_memory_numa_HugePages_Total", node="0") == 3
    assert seen.kinds["node_memory_numa_numa_hit_total"] == "counter"


def test_merged_pages(folder):
    names = ("full_scans", "merge_across_nodes", "pages_shared", "pages_sharing", "pages_to_scan")
    more = ("pages_unshared", "pages_volatile", "run", "sleep_millisecs")
    with pytest.raises(NoDataError):
        ksmd.read(at(folder))
    write(folder, {f"sys/kernel/mm/ksm/{name}": b"20\n" for name in (*names, *more)})
    seen = text(ksmd.collect(ksmd.read(at(folder))))
    assert seen.of("node_ksmd_sleep_seconds") == 0.02
    assert seen.kinds["node_ksmd_full_scans_total"] == "counter"


def test_swaps():
    raw = b"Filename\tType\tSize\tUsed\tPriority\n/dev/zram0 partition 8 2 -2\n/a\\040b file 1 0 5\n"
    seen = text(swap.collect(swap.parse(raw)))
    assert seen.of("node_swap_size_bytes", device="/dev/zram0", swap_type="partition") == 8192
    assert seen.of("node_swap_priority", device="/dev/zram0", swap_type="partition") == -2
    assert seen.of("node_swap_used_bytes", device="/a\\040b", swap_type="file") == 0


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
    write(tmp_path, {"proc/stat": b"intr 5\n", "proc/sys/fs/file-nr": b"1\t0\t9\n", "proc/swaps": b"head\n"})
    seen = await scrape(host(at(tmp_path), only(*names)))
    fared = {
        dict(labels)["collector"]: value
        for (name, labels), value in seen.values.items()
        if name == "steward_scrape_collector_success"
    }
    assert fared == {name: float(name != "entropy") for name in names}
    assert seen.of("node_filefd_maximum") == 9
    assert seen.of("node_intr_total") == 5
