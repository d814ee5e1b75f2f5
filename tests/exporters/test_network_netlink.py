"""What the collectors make of the kernel's answers over netlink: many, odd, malformed, refused."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.collector import Collector
from exporters.errors import SourceError
from exporters.system import arp, netclass, netdev, tcpstat
from exporters.system.ethtool import Modes
from exporters.system.filters import accepts
from exporters.system.links import ALIAS, NAME, Links
from exporters.system.netclass_files import Files
from exporters.system.netclass_kernel import Kernel
from exporters.system.netlink import Changes, Channel, attribute, attributes
from exporters.system.sock_diag import Sockets
from exporters.system.tree import Tree
from exporters.text import Renderer
from tests.exporters.exposition import parse
from tests.exporters.trees import tree

GET_LINK, GET_NEIGHBOURS, GET_STATISTICS, GET_SOCKETS = 18, 30, 94, 18
BIG = (1 << 64) - 1


class Told:
    """A channel that answers what it was told to, or raises it."""

    def __init__(self, **answers):
        self.answers = {int(kind.removeprefix("kind")): bodies for kind, bodies in answers.items()}
        self.asked = []

    def dump(self, kind, body):
        self.asked.append(kind)
        answer = self.answers[kind]
        if isinstance(answer, Exception):
            raise answer
        return [(b"header" + body, 6, 6 + len(body)) for body in answer]

    def close(self):
        pass


def link(index, name, *, flags=1, alias=b""):
    named = attribute(NAME, name + b"\0") + (attribute(ALIAS, alias + b"\0") if alias else b"")
    return struct.pack("=BxHiII", 0, 1, index, flags, 0) + named


def statistics(index, *counters):
    padded = (*counters, *[0] * (25 - len(counters)))
    return struct.pack("=B3xiI", 0, index, 1) + attribute(1, struct.pack("=25Q", *padded))


def links(bodies, counters=()):
    channel = Told(**{f"kind{GET_LINK}": bodies, f"kind{GET_STATISTICS}": counters})
    return Links(channel, fresh_seconds=0)


def text(families):
    return parse(Renderer().render(families))


def test_counters_come_under_the_names_of_their_devices():
    odd = b'q"\\ \xff'
    counters = [statistics(1, *range(100, 125)), statistics(7, BIG, 2, 3), statistics(9, 5)]
    kernel = netdev.Kernel(links([link(1, b"lo"), link(7, odd)], counters), accepts())
    seen = text(kernel.collect())
    assert seen.of("node_network_receive_bytes_total", device="lo") == 102
    assert seen.of("node_network_receive_drop_total", device="lo") == 106 + 115
    assert seen.of("node_network_receive_frame_total", device="lo") == 113 + 110 + 111 + 112
    assert seen.of("node_network_transmit_carrier_total", device="lo") == 117 + 116 + 119 + 120
    assert seen.of("node_network_receive_nohandler_total", device="lo") == 123
    assert seen.of("node_network_receive_packets_total", device='q"\\ \ufffd') == float(BIG)
    assert len({labels for _, labels in seen.values}) == 2


def test_sums_wrap_as_the_kernel_s_do():
    counters = [statistics(1, *[0] * 6, BIG, *[0] * 8, 3)]
    kernel = netdev.Kernel(links([link(1, b"lo")], counters), accepts())
    assert text(kernel.collect()).of("node_network_receive_drop_total", device="lo") == 2


def test_an_alias_is_a_label_where_it_is_wanted():
    bodies = [link(1, b"lo"), link(2, b"eth0", alias=b'up "1"')]
    told = links(bodies, [statistics(1), statistics(2, 5)])
    seen = text(netdev.Kernel(told, accepts(), with_alias=True).collect())
    assert seen.of("node_network_receive_packets_total", device="eth0", ifalias='up "1"') == 5


def test_a_device_that_goes_between_two_questions_is_left_out():
    told = links([link(1, b"lo"), link(2, b"gone")], [statistics(1, 4)])
    seen = text(netdev.Kernel(told, accepts()).collect())
    assert seen.of("node_network_receive_packets_total", device="lo") == 4
    assert len({labels for _, labels in seen.values}) == 1


def test_five_thousand_devices_keep_their_rows():
    names = [b"tap%d" % number for number in range(5000)]
    channel = Told(
        **{
            f"kind{GET_LINK}": [link(index, name) for index, name in enumerate(names, 1)],
            f"kind{GET_STATISTICS}": [statistics(index, index) for index in range(1, 5001)],
        }
    )
    kernel = netdev.Kernel(Links(channel, fresh_seconds=0), accepts())
    first, second = kernel.collect(), kernel.collect()
    assert len(text(first).values) == 17 * 5000
    assert all(one.rows is other.rows for one, other in zip(first, second, strict=True))
    channel.answers[GET_LINK] = channel.answers[GET_LINK][1:]
    assert len(kernel.collect()[0].rows) == 4999


def test_the_list_is_the_same_object_until_something_changes():
    channel = Told(**{f"kind{GET_LINK}": [link(1, b"lo"), link(2, b"eth0")]})
    found = Links(channel, fresh_seconds=0)
    first = found.read()
    assert found.read() is first
    channel.answers[GET_LINK] = [link(1, b"lo"), link(2, b"wan0")]
    second = found.read()
    assert second is not first
    assert second[0] is first[0]
    assert second[1].name == b"wan0"


def test_collectors_of_one_scrape_share_a_list():
    now = [0.0]
    channel = Told(**{f"kind{GET_LINK}": [link(1, b"lo")]})
    found = Links(channel, steady=lambda: now[0])
    found.read()
    found.read()
    now[0] += 1
    found.read()
    assert channel.asked == [GET_LINK] * 2


class News:
    """Changes that the test tells of."""

    def __init__(self):
        self.pending = True

    def happened(self):
        told, self.pending = self.pending, False
        return told

    def close(self):
        pass


def test_the_list_is_asked_for_when_the_kernel_told_of_a_change_and_once_a_minute():
    now = [0.0]
    news = News()
    channel = Told(**{f"kind{GET_LINK}": [link(1, b"lo")]})
    found = Links(channel, news, steady=lambda: now[0])
    asked = []
    for change in (False, False, True, False):
        now[0] += 10
        news.pending = news.pending or change
        found.read()
        asked.append(len(channel.asked))
    now[0] += 60
    found.read()
    assert (asked, len(channel.asked)) == ([1, 1, 2, 2], 3)


def test_a_list_that_failed_is_asked_for_again():
    now = [0.0]
    news = News()
    channel = Told(**{f"kind{GET_LINK}": [link(1, b"lo")]})
    found = Links(channel, news, steady=lambda: now[0])
    found.read()
    news.pending = True
    channel.answers[GET_LINK] = OSError(105, "no buffers")
    now[0] += 1
    with pytest.raises(OSError, match="no buffers"):
        found.read()
    channel.answers[GET_LINK] = [link(1, b"lo"), link(2, b"eth0")]
    now[0] += 1
    assert len(found.read()) == 2


def test_this_kernel_tells_of_no_change_where_there_was_none():
    changes = Changes(socket.NETLINK_ROUTE, 1 << 30)  # a group that nothing is sent to
    assert changes.happened()
    assert not changes.happened()
    changes.close()


def test_neighbours_that_need_no_arp_are_left_out():
    states = [(1, 0x02), (1, 0x40), (1, 0x04), (2, 0x80), (9, 0x02)]
    channel = Told(
        **{
            f"kind{GET_LINK}": [link(1, b"eth0"), link(2, b"eth1")],
            f"kind{GET_NEIGHBOURS}": [
                struct.pack("=B3xIHBB", 2, index, state, 0, 0) for index, state in states
            ],
        }
    )
    assert arp.count(Links(channel)).entries == {"eth0": 2, "eth1": 1}


def tcp(state, received=0, sent=0):
    return struct.pack("=BBBB48sIIIII", 2, state, 0, 0, b"", 0, received, sent, 0, 0)


def test_states_of_tcp_and_their_queues():
    told = Told(**{f"kind{GET_SOCKETS}": [tcp(1, 5, 6), tcp(1, 1), tcp(6), tcp(10, 0, 128)]})
    seen = text(tcpstat.TcpStat(tree("arm"), Sockets(told)).collect())
    states = {dict(labels)["state"]: value for (_, labels), value in seen.values.items()}
    assert states == {
        **dict.fromkeys(("syn_sent", "syn_recv", "fin_wait1", "fin_wait2", "close", "close_wait"), 0),
        **dict.fromkeys(("last_ack", "closing"), 0),
        "established": 2,
        "time_wait": 1,
        "listen": 1,
        "rx_queued_bytes": 6,
        "tx_queued_bytes": 134,
    }


class TestRefused:
    """A container without privileges, a kernel without the interface: the files say the same."""

    refusals = (PermissionError(1, "No"), OSError(97, "no such family"), SourceError("netlink", "odd"))

    @pytest.mark.parametrize("refusal", refusals, ids=repr)
    def test_files_are_read(self, refusal):
        saved = tree("arm")
        refused = Links(Told(**{f"kind{GET_LINK}": refusal, f"kind{GET_NEIGHBOURS}": refusal}))
        ignored = accepts(include="^$")
        collectors = {
            "netdev": Collector(
                netdev.NetDev(netdev.Devices(saved), netdev.Kernel(refused, accepts())).collect
            ),
            "netclass": Collector(
                netclass.NetClass(
                    Files(saved, ignored), Kernel(saved, refused, ignored, Modes(Told()))
                ).collect
            ),
            "arp": Collector(arp.Neighbours(saved, accepts(), refused).collect),
            "tcpstat": Collector(
                tcpstat.TcpStat(saved, Sockets(Told(**{f"kind{GET_SOCKETS}": refusal}))).collect
            ),
        }
        seen = {name: text(collector.collect()) for name, collector in collectors.items()}
        assert seen["netdev"].of("node_network_receive_packets_total", device="wlan0") == 412345
        assert seen["netclass"].of("node_network_mtu_bytes", device="eth0") == 1500
        assert seen["arp"].of("node_arp_entries", device="eth0") == 3
        assert seen["tcpstat"].of("node_tcp_connection_states", state="listen") == 2

    def test_devices_of_another_network_namespace_are_not_believed(self):
        saved = tree("arm")
        channel = Told(**{f"kind{GET_LINK}": [link(1, b"lo"), link(2, b"eth0")]})
        ignored = accepts(include="^$")
        kernel = Kernel(saved, Links(channel, fresh_seconds=0), ignored, Modes(Told()))
        found = netclass.NetClass(Files(saved, ignored), kernel)
        for _ in range(5):
            assert text(found.collect()).of("node_network_mtu_bytes", device="eth0") == 1500
        assert len(channel.asked) == 3  # then it is not asked any more


def test_this_kernel_s_answer_is_the_one_of_its_files():
    live = Tree()
    ignored = accepts(include="^$")
    channel_less = Kernel(live, Links(), ignored, Modes())
    try:
        asked = channel_less.read()
    except (OSError, SourceError) as error:
        pytest.skip(f"no netlink here: {error}")
    finally:
        channel_less.close()
    read = Files(live, ignored).read()
    assert {each.name: each for each in asked.devices} == {each.name: each for each in read.devices}


MALFORMED = {
    "link short": lambda: links([b"\0" * 15]).read(),
    "link attribute long": lambda: links([struct.pack("=BxHiIIHH", 0, 1, 1, 0, 0, 99, 3)]).read(),
    "link attribute short": lambda: links([struct.pack("=BxHiIIHH", 0, 1, 1, 0, 0, 3, 3)]).read(),
    "statistics short": lambda: links([], [struct.pack("=B3xiIHH", 0, 1, 1, 12, 1) + bytes(8)]).statistics(),
    "statistics of another type": lambda: links(
        [], [struct.pack("=B3xiI", 0, 1, 1) + attribute(2, bytes(200))]
    ).statistics(),
    "socket short": lambda: Sockets(Told(**{f"kind{GET_SOCKETS}": [bytes(71)]})).read(),
    "neighbour short": lambda: arp.count(
        Links(Told(**{f"kind{GET_LINK}": [link(1, b"lo")], f"kind{GET_NEIGHBOURS}": [b"\0" * 11]}))
    ),
}


@pytest.mark.parametrize("call", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_answers_are_said_to_be_malformed(call):
    with pytest.raises(SourceError):
        call()


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_no_answer_makes_a_reader_fail_otherwise(bodies):
    told = Told(**{f"kind{kind}": bodies for kind in (GET_LINK, GET_NEIGHBOURS, GET_STATISTICS)})
    found = Links(told, fresh_seconds=0)
    for call in (found.read, found.statistics, lambda: arp.count(found), Sockets(told).read):
        try:
            call()
        except SourceError:
            continue


@given(st.binary(max_size=200))
def test_attributes_end_where_the_message_does(body):
    try:
        found = attributes(body, 0, len(body))
    except SourceError:
        return
    assert sum(map(len, found.values())) <= len(body)


def test_a_refused_question_says_why_and_the_next_is_answered():
    route = Channel(socket.NETLINK_ROUTE)
    with pytest.raises(OSError, match="not supported"):
        route.dump(2047, b"\0" * 16)
    found = Links(route)
    assert b"lo" in {each.name for each in found.read()}
    found.close()
