from __future__ import annotations

import asyncio
import socket
import threading
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporters.collector import Collector
from exporters.errors import ExporterError, ListenError
from exporters.registry import Registry, Source
from exporters.samples import Family, Kind, Metric
from exporters.serving.http import LONGEST_HEAD_BYTES
from exporters.serving.server import is_loopback, listening, parse_address
from exporters.serving.web import Options

ONE = Metric("test_one", Kind.GAUGE, "One.")
TWO = Metric("test_two", Kind.GAUGE, "Two.")
GET = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"
CLOSING = b"%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture
async def address():
    registry = Registry(
        [Source("one", Collector(lambda: [ONE.one(1)])), Source("two", Collector(lambda: [TWO.one(2)]))]
    )
    async with listening(registry, "127.0.0.1:0") as bound:
        yield bound[0].address
    registry.close()


async def connect(address):
    host, port = parse_address(address)
    return await asyncio.open_connection(host, port)


async def talk(address, sent):
    """Everything that comes back until the server closes."""
    reader, writer = await connect(address)
    writer.write(sent)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def answer_of(reader):
    """One answer of a connection that stays: status, fields, body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    body = await reader.readexactly(int(fields["content-length"]))
    return int(head[0].split()[1]), fields, body


async def test_metrics(address):
    reader, writer = await connect(address)
    writer.write(GET % b"/metrics")
    status, fields, body = await answer_of(reader)
    assert (status, fields["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert b"\ntest_one 1\n" in body
    assert body.endswith(b"\n")
    writer.close()


async def test_gzip_when_asked(address):
    reader, writer = await connect(address)
    writer.write(
        b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n" + GET % b"/metrics"
    )
    _, packed_fields, packed = await answer_of(reader)
    _, plain_fields, plain = await answer_of(reader)
    assert packed_fields["content-encoding"] == "gzip"
    assert "content-encoding" not in plain_fields
    assert packed_fields["vary"] == plain_fields["vary"] == "accept, accept-encoding"
    assert zlib.decompress(packed, 31) == plain
    writer.close()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (b"/", 200),
        (b"/healthz", 200),
        (b"/metrics", 200),
        (b"/metrics?collect[]=one", 200),
        (b"/metrics?collect%5B%5D=two", 200),
        (b"/metrics?exclude[]=one", 200),
        (b"/metrics?collect[]=nope", 400),
        (b"/metrics?collect[]=one&exclude[]=two", 400),
        (b"/nothing", 404),
        (b"/metrics/../etc/passwd", 404),
    ],
)
async def test_paths(address, path, status):
    got = await talk(address, CLOSING % (b"GET", path))
    assert got.startswith(b"HTTP/1.1 %d " % status)
    bare = await talk(address, CLOSING % (b"HEAD", path))
    assert bare.startswith(b"HTTP/1.1 %d " % status)
    assert bare.endswith(b"\r\n\r\n")
    assert b"Content-Length: 0\r\n" not in bare


async def test_a_part_of_the_collectors(address):
    got = await talk(address, CLOSING % (b"GET", b"/metrics?collect[]=one"))
    assert b"test_one" in got
    assert b"test_two" not in got


async def test_other_methods_are_not_allowed(address):
    got = await talk(address, CLOSING % (b"DELETE", b"/metrics"))
    assert got.startswith(b"HTTP/1.1 405 ")
    assert b"Allow: GET, HEAD\r\n" in got


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody", 400),
        (b"GET / HTTP/1.1\r\n" + b"A: " + b"b" * 20000 + b"\r\n\r\n", 431),
        (b"G" * 20000, 431),
    ],
)
async def test_bad_requests_end_the_connection(address, sent, status):
    got = await talk(address, sent)
    assert got.startswith(b"HTTP/1.1 %d " % status)
    assert b"Connection: close\r\n" in got


async def test_requests_in_one_packet_are_answered_in_turn(address):
    reader, writer = await connect(address)
    writer.write(GET % b"/healthz" + GET % b"/metrics" + GET % b"/nothing")
    assert [(await answer_of(reader))[0] for _ in range(3)] == [200, 200, 404]
    writer.close()


async def test_after_close_nothing_more_is_answered(address):
    got = await talk(address, CLOSING % (b"GET", b"/healthz") + GET % b"/metrics")
    assert got.count(b"HTTP/1.1 ") == 1


async def test_a_client_that_ends_its_side_still_gets_its_answers(address):
    reader, writer = await connect(address)
    writer.write(GET % b"/metrics" + GET % b"/healthz")
    writer.write_eof()
    got = await reader.read()
    assert got.count(b"HTTP/1.1 200 ") == 2
    writer.close()


async def test_a_client_that_asks_and_does_not_read_gets_everything_once_it_reads(address):
    reader, writer = await connect(address)
    asked = b""
    while len(asked) < LONGEST_HEAD_BYTES - 100:
        asked += GET % b"/metrics"
    writer.write(asked)
    for _ in range(10):
        assert (await talk(address, CLOSING % (b"GET", b"/healthz"))).startswith(b"HTTP/1.1 200 ")
    count = asked.count(b"GET")
    assert [(await answer_of(reader))[0] for _ in range(count)] == [200] * count
    writer.close()


async def test_a_client_that_asks_far_ahead_is_dropped(address):
    reader, writer = await connect(address)
    writer.write((GET % b"/metrics") * 10_000)

    async def read_all():
        return [await answer_of(reader) for _ in range(10_000)]

    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await read_all()
    writer.close()


async def test_a_request_in_pieces(address):
    reader, writer = await connect(address)
    for byte in GET % b"/healthz":
        writer.write(bytes([byte]))
        await writer.drain()
    assert (await answer_of(reader))[2] == b"ok\n"
    writer.close()


async def test_a_client_that_leaves_early_harms_nobody(address):
    for _ in range(20):
        _, writer = await connect(address)
        writer.write(GET % b"/metrics")
        writer.transport.abort()
    assert (await talk(address, CLOSING % (b"GET", b"/metrics"))).startswith(b"HTTP/1.1 200 ")


async def test_too_many_scrapes_at_once():
    entered, gate = threading.Event(), threading.Event()

    def slow():
        entered.set()
        gate.wait()
        return [ONE.one(1)]

    registry = Registry([Source("slow", Collector(slow), deadline_seconds=60)])
    async with listening(registry, "127.0.0.1:0") as (place,):
        address = place.address
        clients = [await connect(address) for _ in range(Options().most_scrapes)]
        for _, writer in clients:
            writer.write(GET % b"/metrics")
        await asyncio.to_thread(entered.wait)
        assert (await talk(address, CLOSING % (b"GET", b"/healthz"))).startswith(b"HTTP/1.1 200 ")
        got = await talk(address, CLOSING % (b"GET", b"/metrics"))
        assert got.startswith(b"HTTP/1.1 503 ")
        gate.set()
        assert {(await answer_of(reader))[0] for reader, _ in clients} == {200}
        for _, writer in clients:
            writer.close()
    registry.close()


async def test_a_fault_of_our_own_is_said_and_logged(caplog):
    def broken():
        raise RuntimeError("broken clock")

    registry = Registry([Source("one", Collector(lambda: [ONE.one(1)]))], steady=broken)
    async with listening(registry, "127.0.0.1:0") as (place,):
        address = place.address
        assert (await talk(address, CLOSING % (b"GET", b"/metrics"))).startswith(b"HTTP/1.1 500 ")
        assert (await talk(address, CLOSING % (b"GET", b"/healthz"))).startswith(b"HTTP/1.1 200 ")
    assert "a request failed" in [record.getMessage() for record in caplog.records]
    registry.close()


async def test_a_hanging_collector_leaves_the_scrape_200():
    gate = threading.Event()
    registry = Registry(
        [
            Source("hung", Collector(lambda: gate.wait() or []), deadline_seconds=0.05),
            Source("raises", Collector(lambda: [ONE.one(1 // 0)])),
            Source("good", Collector(lambda: [TWO.one(2)])),
        ]
    )
    async with listening(registry, "127.0.0.1:0") as (place,):
        address = place.address
        got = await talk(address, CLOSING % (b"GET", b"/metrics"))
    assert got.startswith(b"HTTP/1.1 200 ")
    assert b'steward_scrape_collector_success{collector="hung"} 0\n' in got
    assert b'steward_scrape_collector_success{collector="raises"} 0\n' in got
    assert b'steward_scrape_collector_success{collector="good"} 1\n' in got
    assert b"\ntest_two 2\n" in got
    gate.set()
    registry.close()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(garbage=st.binary(max_size=400))
def test_garbage_gets_an_error_or_silence(garbage):
    async def send():
        registry = Registry([Source("one", Collector(lambda: [ONE.one(1)]))])
        async with listening(registry, "127.0.0.1:0") as (place,):
            address = place.address
            got = await talk(address, garbage + b"\r\n\r\n")
            assert got.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5"))
            assert (await talk(address, CLOSING % (b"GET", b"/healthz"))).endswith(b"ok\n")
        registry.close()

    asyncio.run(send())


@pytest.mark.parametrize("address", ["0.0.0.0:0", "192.0.2.1:9095", "[::]:0", "example.org:80", ":0"])
async def test_others_reach_it_only_when_told(address):
    with pytest.raises(ListenError):
        async with listening(Registry([]), address):
            pass


async def test_others_reach_it_when_told():
    async with listening(Registry([]), "0.0.0.0:0", options=Options(insecure=True)) as (bound,):
        port = parse_address(bound.address)[1]
        assert (await talk(f"127.0.0.1:{port}", CLOSING % (b"GET", b"/healthz"))).endswith(b"ok\n")


@pytest.mark.parametrize(
    "address", ["", "localhost", ":", "localhost:", "localhost:http", "a:70000", "a:-1", "a:²"]
)
def test_bad_addresses(address):
    with pytest.raises(ExporterError):
        parse_address(address)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
    ],
)
def test_loopback(host, loopback):
    assert is_loopback(host) is loopback


LARGE = Metric("test_large", Kind.GAUGE, "Large.", ("n",))
ROWS = tuple((f"{n:0200}",) for n in range(40_000))


def large():
    return [Family(LARGE, ROWS, range(len(ROWS)))]


async def test_a_large_answer_is_compressed_beside_everything_else():
    registry = Registry([Source("large", Collector(large))])
    async with listening(registry, "127.0.0.1:0") as (place,):
        reader, writer = await connect(place.address)
        for _ in range(3):
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n")
            _, fields, packed = await answer_of(reader)
            assert fields["content-encoding"] == "gzip"
            assert zlib.decompress(packed, 31).count(b"\ntest_large{") == len(ROWS)
        writer.close()
    registry.close()


async def test_a_client_that_never_reads_is_cut():
    registry = Registry([Source("large", Collector(large))])
    options = Options(patience_seconds=0.05, most_scrapes=1)
    async with listening(registry, "127.0.0.1:0", options=options) as (place,):
        small = socket.create_connection(parse_address(place.address))
        small.setblocking(False)  # noqa: FBT003 - the socket has no other spelling
        reader, writer = await asyncio.open_connection(sock=small)
        writer.transport.pause_reading()
        writer.write(GET % b"/metrics")
        statuses = set()
        while b"200" not in statuses:  # until then, the answer that nobody reads is the one scrape allowed
            statuses.add((await talk(place.address, CLOSING % (b"GET", b"/metrics")))[9:12])
        assert b"503" in statuses
        writer.transport.resume_reading()
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await answer_of(reader)
        writer.close()
    registry.close()


async def test_a_request_that_never_ends_is_cut():
    async with listening(Registry([]), "127.0.0.1:0", options=Options(patience_seconds=0.05)) as (place,):
        assert await talk(place.address, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n") == b""


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        (None, 9.5),
        ("10", 9.5),
        ("15.000000", 14.5),
        ("0.8", 0.4),
        ("0.01", 0.1),
        ("3600", 120),
        ("0", 9.5),
        ("-1", 9.5),
        ("nan", 9.5),
        ("inf", 9.5),
        ("soon", 9.5),
    ],
)
async def test_a_scrape_takes_as_long_as_prometheus_waits(field, seconds):
    asked = []

    class Asked(Registry):
        async def scrape_whole(self, names=None, wanted=None, budget_seconds=0):
            asked.append(budget_seconds)
            return await super().scrape_whole(names, wanted, budget_seconds)

    registry = Asked([])
    extra = b"" if field is None else b"X-Prometheus-Scrape-Timeout-Seconds: %s\r\n" % field.encode()
    async with listening(registry, "127.0.0.1:0") as (place,):
        sent = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + extra + b"\r\n"
        assert (await talk(place.address, sent)).startswith(b"HTTP/1.1 200 ")
    assert asked == [pytest.approx(seconds)]
    registry.close()


async def test_an_answer_comes_in_time_whatever_hangs():
    gate = threading.Event()
    sources = [Source("hung", Collector(lambda: gate.wait() or []), deadline_seconds=60)]
    registry = Registry([Source("good", Collector(lambda: [TWO.one(2)])), *sources])
    async with listening(registry, "127.0.0.1:0") as (place,):
        got = await talk(
            place.address,
            b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"X-Prometheus-Scrape-Timeout-Seconds: 0.4\r\n\r\n",
        )
    assert b"\ntest_two 2\n" in got
    assert b'steward_scrape_collector_success{collector="hung"} 0\n' in got
    gate.set()
    registry.close()
