"""What files of the network may hold: nonsense, too much, odd names, or nothing all of a sudden."""

from __future__ import annotations

import os
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.errors import NoDataError, SettingError, SourceError
from exporters.system import (
    arp,
    bonding,
    conntrack,
    fibrechannel,
    infiniband,
    ipvs,
    netdev,
    netstat,
    nfs,
    nfsd,
    sockstat,
    softnet,
    tcpstat,
    udp_queues,
    xfrm,
)
from exporters.system.filters import accepts
from exporters.system.netclass_files import Files, number
from exporters.text import Renderer
from tests.exporters.exposition import parse
from tests.exporters.trees import FIXTURES, at, host, only, scrape

LONG = b"x" * (1 << 20)
ALL = (
    *("arp", "bonding", "conntrack", "fibrechannel", "infiniband", "ipvs", "netclass", "netdev", "netstat"),
    *("nfs", "nfsd", "sockstat", "softnet", "tcpstat", "udp_queues", "xfrm"),
)


@pytest.fixture
def folder(tmp_path):
    """A saved tree that the test may damage."""
    return shutil.copytree(FIXTURES / "arm", tmp_path / "tree")


def text(families):
    return parse(Renderer().render(families))


def sockets(raw):
    return sockstat.Sockets(4096).collect(sockstat.Raw(raw, None))


def fields(netstat_text=b"", snmp=b"", snmp6=b""):
    return netstat.Fields(lambda _: True).collect(netstat.Raw(netstat_text, snmp, snmp6))


SIXTEEN = b" ".join([b"1"] * 15)
MALFORMED = {
    "arp columns": lambda: arp.parse(b"1 2 3\n"),
    "conntrack columns": lambda: conntrack.sums(b"head\n1 2 3\n"),
    "conntrack words": lambda: conntrack.sums(b"head\n" + b"x " * 17 + b"\n"),
    "netdev negative": lambda: netdev.parse(b"h\nh\neth0: -1 " + SIXTEEN + b"\n", accepts()),
    "netdev too large": lambda: netdev.parse(b"h\nh\neth0: %d " % (1 << 64) + SIXTEEN + b"\n", accepts()),
    "netdev long": lambda: netdev.parse(b"h\nh\neth0: " + LONG + b"\n", accepts()),
    "netstat counts": lambda: fields(b"Tcp: A B\nTcp: 1\n"),
    "netstat words": lambda: fields(b"Tcp: A\nTcp: x\n"),
    "netstat no colon": lambda: fields(b"A B\n1 2\n"),
    "snmp field": lambda: fields(snmp=b"Tcp: \x00\nTcp: 1\n"),
    "sockstat protocol": lambda: sockets(b"T\xffP: inuse 1\n"),
    "snmp6 words": lambda: fields(snmp6=b"Ip6InOctets many\n"),
    "nfs unknown": lambda: nfs.parse(b"proc9 1 2\n"),
    "nfs count": lambda: nfs.parse(b"proc3 5 1 2\n"),
    "nfs few": lambda: nfs.parse(b"proc3 2 1 2\n"),
    "nfs words": lambda: nfs.parse(b"net 1 2 3 x\n"),
    "nfs empty line": lambda: nfs.parse(b"\n"),
    "nfsd negative": lambda: nfsd.parse(b"rc -1 2 3\n"),
    "nfsd short": lambda: nfsd.parse(b"io 1\n"),
    "nfsd bare": lambda: nfsd.parse(b"wdeleg_getattr\n"),
    "sockstat odd": lambda: sockets(b"TCP: inuse 1 mem\n"),
    "sockstat words": lambda: sockets(b"TCP: inuse many\n"),
    "sockstat short": lambda: sockets(b"TCP:\n"),
    "softnet short": lambda: softnet.parse(b"1 2 3\n"),
    "softnet words": lambda: softnet.parse(b"xyz " * 13 + b"\n"),
    "softnet wide": lambda: softnet.parse(b"1ffffffff " * 13 + b"\n"),
    "tcp short": lambda: tcpstat.parse([b"head\n0: 1 2\n"]),
    "tcp queue": lambda: tcpstat.parse([b"head\n0: 1 2 0A 12 3\n"]),
    "udp short": lambda: udp_queues.sums(b"head\n0: 1 2 07 0:0\n"),
    "udp long": lambda: udp_queues.sums(b"head\n" + LONG + b"\n"),
    "xfrm words": lambda: xfrm.collect(b"XfrmInError x\n"),
    "xfrm odd": lambda: xfrm.collect(b"XfrmInError\n"),
}


@pytest.mark.parametrize("call", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_sources_are_said_to_be_malformed(call):
    with pytest.raises(SourceError):
        call()


@given(st.binary(max_size=300))
def test_no_source_makes_a_collector_fail_otherwise(raw):
    calls = (
        arp.parse,
        conntrack.sums,
        fields,
        lambda data: fields(snmp6=data),
        nfs.parse,
        nfsd.parse,
        sockets,
        softnet.parse,
        lambda data: tcpstat.parse([data]),
        udp_queues.sums,
        xfrm.collect,
        lambda data: netdev.parse(data, accepts()),
    )
    for call in calls:
        try:
            call(raw)
        except SourceError:
            continue


@pytest.mark.parametrize("line", [b"TCP  C0A8:1 wlc\n", b"  -> zzzzzzzz:0CEA Tunnel 1 2 3\n"])
def test_a_malformed_backend_is_said_to_be_malformed(folder, line):
    (folder / "proc/net/ip_vs_stats").write_bytes(b"h\nh\n 1 2 3 4 5\n\n")
    (folder / "proc/net/ip_vs").write_bytes(line)
    with pytest.raises(SourceError):
        ipvs.read(at(folder))


def test_backends_that_labels_do_not_tell_apart_are_summed(folder):
    (folder / "proc/net/ip_vs_stats").write_bytes(b"h\nh\n 1 A 3 4 FFFFFFFFFF\n\n")
    (folder / "proc/net/ip_vs").write_bytes(
        b"IP Virtual Server version 1.2.1 (size=4096)\n"
        b"TCP  C0A80016:0CEA wlc\n  -> C0A85216:0CEA Tunnel 100 248 2\n  -> C0A85318:0CEA Tunnel 50 1 1\n"
        b"FWM  10001000 wlc\n"
        b"  -> [2001:0DB8:0000:0000:0000:0000:0000:0001]:0050 Route 7 8 9\n"
    )
    raw = ipvs.read(at(folder))
    by_service = ipvs.backend_metrics(ipvs.chosen_labels("local_mark,proto,local_address"))
    seen = text(ipvs.collect(raw, by_service))
    tcp = {"local_address": "192.168.0.22", "proto": "TCP", "local_mark": ""}
    assert seen.of("node_ipvs_backend_connections_active", **tcp) == 249
    assert seen.of("node_ipvs_backend_weight", **tcp) == 150
    assert seen.of("node_ipvs_outgoing_bytes_total") == 0xFFFFFFFFFF
    whole = text(ipvs.collect(raw, ipvs.backend_metrics(ipvs.chosen_labels(ipvs.BACKEND_LABELS.default))))
    addresses = {dict(labels).get("remote_address") for _, labels in whole.values} - {None}
    assert addresses == {"192.168.82.22", "192.168.83.24", "2001:db8::1"}
    with pytest.raises(SettingError):
        ipvs.chosen_labels("local_address,colour")


def bond(folder, name, slaves, prefix="lower"):
    base = folder / "sys/class/net" / name
    (base / "bonding").mkdir(parents=True)
    (base / "bonding/slaves").write_text(" ".join(slaves) + "\n")
    for slave, state in slaves.items():
        (base / f"{prefix}_{slave}/bonding_slave").mkdir(parents=True)
        (base / f"{prefix}_{slave}/bonding_slave/mii_status").write_text(state + "\n")


def test_bonds_of_new_and_old_kernels(folder):
    (folder / "sys/class/net/bonding_masters").write_text("bond0 int empty gone\n")
    bond(folder, "bond0", {"eth0": "up", "eth1": "down"})
    bond(folder, "int", {"eth2": "up", "eth3": "up"}, prefix="slave")
    bond(folder, "empty", {})
    seen = text(bonding.collect(bonding.read(at(folder))))
    assert seen.of("node_bonding_slaves", master="bond0") == 2
    assert seen.of("node_bonding_active", master="bond0") == 1
    assert seen.of("node_bonding_active", master="int") == 2
    assert seen.of("node_bonding_slaves", master="empty") == 0
    (folder / "sys/class/net/bond0/lower_eth0/bonding_slave/mii_status").unlink()
    again = bonding.read(at(folder))
    assert again.bonds == {"bond0": ("", "down"), "int": ("up", "up"), "empty": ()}


def write(folder, files):
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)


def test_an_infiniband_port_tells_what_it_has(folder):
    port = "sys/class/infiniband/mlx5_0/ports/1"
    write(
        folder,
        {
            "sys/class/infiniband/mlx5_0/fw_ver": "16.35.1\n",
            f"{port}/state": "4: ACTIVE\n",
            f"{port}/phys_state": "5: LinkUp\n",
            f"{port}/rate": "2.5 Gb/sec (1X SDR)\n",
            f"{port}/counters/port_rcv_data": "10\n",
            f"{port}/counters/link_downed": "N/A (no PMA)\n",
            f"{port}/counters_ext/port_xmit_data_64": "0x10\n",
            f"{port}/hw_counters/lifespan": "12500\n",
            f"{port}/hw_counters/unheard_of": "words\n",
        },
    )
    adapters = infiniband.Adapters(at(folder), accepts())
    seen = text(infiniband.collect(adapters.read()))
    labels = {"device": "mlx5_0", "port": "1"}
    assert seen.of("node_infiniband_rate_bytes_per_second", **labels) == 312500000
    assert seen.of("node_infiniband_port_data_received_bytes_total", **labels) == 40
    assert seen.of("node_infiniband_legacy_data_transmitted_bytes_total", **labels) == 64
    assert seen.of("node_infiniband_lifespan_seconds", **labels) == 12
    assert "node_infiniband_link_downed_total" not in seen.names()
    (folder / port / "state").write_text("ACTIVE\n")
    with pytest.raises(SourceError):
        adapters.read()


def test_a_fibre_channel_adapter_without_some_counters(folder):
    base = "sys/class/fc_host/host0"
    write(
        folder,
        {
            f"{base}/port_name": "0x1000e0071bce95f2\n",
            f"{base}/speed": "16 Gbit\n",
            f"{base}/statistics/rx_frames": "0x3\n",
            f"{base}/statistics/nos_count": "0xffffffffffffffff\n",
        },
    )
    seen = text(fibrechannel.collect(fibrechannel.read(at(folder))))
    assert seen.of("node_fibrechannel_rx_frames_total", fc_host="host0") == 3
    assert "node_fibrechannel_nos_total" not in seen.names()
    (info,) = [dict(labels) for name, labels in seen.values if name == "node_fibrechannel_info"]
    assert info["port_name"] == "1000e0071bce95f2"
    (folder / base / "statistics/rx_frames").write_text("many\n")
    with pytest.raises(SourceError):
        fibrechannel.read(at(folder))


def test_devices_with_odd_names_and_files(folder):
    net = folder / "sys/class/net"
    for name in (b"eth\xff", b"eth\xfe", b'q"\\'):
        shutil.copytree(net / "eth0", net / os.fsdecode(name))
    (net / "bonding_masters").write_text("\n")
    (net / "eth0/mtu").unlink()
    (net / "eth0/speed").write_text("fast\n")
    (net / "eth0/ifalias").write_bytes(b"a" * 200)
    devices = {each.name: each for each in Files(at(folder), accepts(include="^$")).read().devices}
    assert set(devices) == {"lo", "eth0", "wlan0", "usb0", "eth\ufffd", 'q"\\'}
    assert "mtu" not in devices["eth0"].numbers
    assert devices["eth0"].numbers["speed"] == 0
    assert devices["eth0"].words["ifalias"] == "a" * 128
    assert "carrier" not in devices["usb0"].numbers


@pytest.mark.parametrize(
    ("written", "meant"),
    [(b"0x1003", 4099), (b"-1", -1), (b"010", 8), (b"08", 0), (b"", 0), (b"fast", 0), (b"9" * 127, 0)],
)
def test_numbers_of_files_are_read_as_node_exporter_reads_them(written, meant):
    assert number(written) == meant


def test_fields_are_found_anew_when_the_kernel_s_list_changes():
    found = netstat.Fields(lambda name: name != "Tcp_B")
    first = text(found.collect(netstat.Raw(b"Tcp: A B\nTcp: 1 2\n", b"", b"Ip6InOctets 5\n")))
    assert first.values == {
        ("node_netstat_Tcp_A", frozenset()): 1,
        ("node_netstat_Ip6_InOctets", frozenset()): 5,
    }
    second = text(found.collect(netstat.Raw(b"Tcp: B C A\nTcp: 3 -4 5\n", b"", b"Ip6InOctets 6\nbare\n")))
    assert second.of("node_netstat_Tcp_C") == -4
    assert second.of("node_netstat_Tcp_A") == 5
    assert second.of("node_netstat_Ip6_InOctets") == 6


def test_five_thousand_devices_in_a_file():
    line = b"%s: " + b" ".join([b"18446744073709551615"] * 16) + b"\n"
    raw = b"head\nhead\n" + b"".join(line % (b"tap%d" % number) for number in range(5000))
    counters = netdev.parse(raw, accepts())
    assert len(counters) == 5000
    assert counters["tap4999"] == ((1 << 64) - 1,) * 16


def test_a_long_list_of_sockets_is_summed():
    line = b"  1: 00000000:0044 00000000:0000 07 00000001:00000002 00:0 0 0 0 16201 2 0 0\n"
    assert udp_queues.sums(b"head\n" + line * 100_000) == (100_000, 200_000)


async def test_files_that_are_not_there_are_no_failure(tmp_path):
    found = await scrape(host(at(tmp_path), only(*ALL)))
    failed = [
        dict(labels)["collector"]
        for (name, labels), value in found.values.items()
        if name == "steward_scrape_collector_success" and value == 0
    ]
    assert failed == ["netdev"]


async def test_a_file_that_vanishes_costs_its_collector(folder):
    (folder / "proc/net/dev").unlink()
    (folder / "proc/net/softnet_stat").write_bytes(LONG)
    found = await scrape(host(at(folder), only(*ALL)))
    for name in ("netdev", "softnet"):
        assert found.of("steward_scrape_collector_success", collector=name) == 0
    assert found.of("node_sockstat_TCP_inuse") == 12
    assert found.of("node_network_mtu_bytes", device="eth0") == 1500


def test_a_kernel_without_statistics_of_connections(folder):
    (folder / "proc/net/stat/nf_conntrack").unlink()
    seen = text(conntrack.collect(conntrack.read(at(folder))))
    assert seen.names() == {"node_nf_conntrack_entries", "node_nf_conntrack_entries_limit"}
    (folder / "proc/sys/net/netfilter/nf_conntrack_count").unlink()
    with pytest.raises(NoDataError):
        conntrack.read(at(folder))
