"""Collectors of the kernel that are off by default: interrupts, zones, nodes, swaps and named parameters."""

from __future__ import annotations

import pytest

from exporters.errors import ExporterError, NoDataError, SettingError, SourceError
from exporters.system import cpu_vulnerabilities, interrupts, ksmd, meminfo_numa, swap, sysctl, zoneinfo
from exporters.system.filters import accepts
from exporters.table import TABLE
from tests.exporters.trees import at, host, plant, text, tree

EVERY = accepts()


def labels_of(seen, name):
    return [dict(labels) for found, labels in seen.values if found == name]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "proc").mkdir()
    return tmp_path


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
        given = {"collector.interrupts.name-include": "a", "collector.interrupts.name-exclude": "b"}
        (row,) = [row for row in TABLE if row.name == "interrupts"]
        with pytest.raises(ExporterError):
            row.build(host(tree("vm"), given))


class TestSysctl:
    def read(self, folder, numbers=(), infos=()):
        return text(sysctl.collect(sysctl.read(at(folder), sysctl.parameters(numbers, infos))))

    def test_numbers_fields_and_words(self, folder):
        plant(
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
        plant(
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
        b"Node 0, zone      DMA\n  per-node stats\n      nr_dirtied   9\n  pages free     5\n"
        b"        min      1\n"
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
    plant(folder, {f"sys/kernel/mm/ksm/{name}": b"20\n" for name in (*names, *more)})
    seen = text(ksmd.collect(ksmd.read(at(folder))))
    assert seen.of("node_ksmd_sleep_seconds") == 0.02
    assert seen.kinds["node_ksmd_full_scans_total"] == "counter"


def test_swaps():
    raw = b"Filename\tType\tSize\tUsed\tPriority\n/dev/zram0 partition 8 2 -2\n/a\\040b file 1 0 5\n"
    seen = text(swap.collect(swap.parse(raw)))
    assert seen.of("node_swap_size_bytes", device="/dev/zram0", swap_type="partition") == 8192
    assert seen.of("node_swap_priority", device="/dev/zram0", swap_type="partition") == -2
    assert seen.of("node_swap_used_bytes", device="/a\\040b", swap_type="file") == 0
