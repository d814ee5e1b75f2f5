"""The network collectors beside the real node_exporter: the same series, and the same numbers where they
rest.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from exporters.system.tree import Tree
from tests.exporters.reference import compare
from tests.exporters.trees import FIXTURES, TREES

COLLECTORS = (
    "arp",
    "bonding",
    "conntrack",
    "fibrechannel",
    "infiniband",
    "ipvs",
    "netclass",
    "netdev",
    "netstat",
    "nfs",
    "nfsd",
    "sockstat",
    "softnet",
    "udp_queues",
    "xfrm",
)
WITH_SYS = [name for name in TREES if (FIXTURES / name / "sys").is_dir()]  # node_exporter ends without
FROM_FILES = ("--no-collector.netdev.netlink", "--no-collector.arp.netlink")
OURS_ALONE = {
    "node_netstat_Tcp_MaxConn",  # dashboards ask for it; not in node_exporter's default expression
    "node_network_receive_nohandler_total",  # node_exporter has it from netlink alone, we from /sys as well
}
MOVING = (
    "node_arp_",
    "node_netstat_",
    "node_nf_conntrack_",
    "node_sockstat_",
    "node_softnet_",
    "node_tcp_",
    "node_udp_",
    "node_network_receive_",
    "node_network_transmit_bytes",
    "node_network_transmit_packets",
)


async def modern(tmp_path, *arguments, **named):
    seen = await compare(tmp_path, *arguments, **named)
    if not (await compare(tmp_path, ("filesystem",))).is_modern:
        pytest.skip("this node_exporter is older than 1.9 and names some things otherwise")
    return seen


async def test_this_machine_has_the_same_series(tmp_path):
    seen = await modern(tmp_path, COLLECTORS)
    assert seen.missing() == set()
    assert {name for name, _ in seen.extra()} <= OURS_ALONE
    assert seen.other_kinds() == {}
    assert seen.other_values(MOVING) == {}


async def test_each_state_of_tcp_is_there_and_those_that_occur_agree(tmp_path):
    seen = await modern(tmp_path, ("tcpstat",))
    assert seen.missing() == set()
    assert len({key for key in seen.ours.values if key[0] == "node_tcp_connection_states"}) == 13
    assert seen.other_kinds() == {}


@pytest.mark.parametrize("name", WITH_SYS)
async def test_a_saved_tree_gives_the_same_series_and_numbers(tmp_path, name):
    seen = await modern(tmp_path, COLLECTORS, FIXTURES / name, their_flags=FROM_FILES)
    assert seen.missing() == set()
    assert {name for name, _ in seen.extra()} <= OURS_ALONE
    assert seen.other_kinds() == {}
    assert seen.other_values() == {}


FLAGS = {
    "devices": ("--collector.netdev.device-exclude=^lo$", "--collector.netclass.ignored-devices=^eth"),
    "include": ("--collector.netdev.device-include=^eth", "--collector.arp.device-exclude=^wlan"),
    "detailed": ("--collector.netdev.enable-detailed-metrics",),
    "alias": ("--collector.netdev.label-ifalias",),
    "speed": ("--collector.netclass.ignore-invalid-speed",),
    "fields": ("--collector.netstat.fields=^(Tcp|Ip6)_",),
}


@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS.keys())
async def test_flags_do_the_same(tmp_path, flags):
    collectors = ("arp", "netclass", "netdev", "netstat")
    seen = await modern(tmp_path, collectors, FIXTURES / "arm", flags=flags, their_flags=FROM_FILES)
    assert seen.missing() == set()
    assert {name for name, _ in seen.extra()} <= OURS_ALONE
    assert seen.other_values() == {}


@pytest.mark.parametrize(
    "flags",
    [
        ("--collector.netdev.enable-detailed-metrics", "--collector.netdev.label-ifalias"),
        ("--collector.netdev.address-info",),
        ("--no-collector.netdev.netlink", "--no-collector.netclass.netlink", "--no-collector.arp.netlink"),
    ],
)
async def test_flags_do_the_same_on_this_machine(tmp_path, flags):
    seen = await modern(tmp_path, ("arp", "netdev", "netclass"), flags=flags)
    assert (seen.missing(), seen.extra()) == (set(), set())
    assert seen.other_values(MOVING) == {}


RECORDS = ("meminfo", "net/netstat", "net/snmp", "net/snmp6", "net/sockstat", "stat", "sys/fs/file-nr")


@pytest.mark.parametrize("name", [name for name in RECORDS if Path("/proc", name).exists()])
def test_a_file_of_one_record_comes_whole_each_time(name):
    live = Tree()
    whole = Path("/proc", name).read_bytes().translate(None, b"0123456789 ")
    assert [live.proc(name).translate(None, b"0123456789 ") for _ in range(3)] == [whole] * 3
    live.close()
