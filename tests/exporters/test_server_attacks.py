"""Clients that want the server's connections, or a browser's leave, for themselves."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from exporters.collector import Collector
from exporters.errors import ListenError, SettingError
from exporters.registry import Registry, Source
from exporters.samples import Kind, Metric
from exporters.serving.connection import MOST_CONNECTIONS
from exporters.serving.local_names import is_at_home
from exporters.serving.server import listening, parse_address
from exporters.serving.web import Options, options
from exporters.settings import Settings

ONE = Metric("test_one", Kind.GAUGE, "One.")


def one():
    return Registry([Source("one", Collector(lambda: [ONE.one(1)]))])


async def ask(address, host, path="/metrics", source="127.0.0.1"):
    """Status and text of an answer."""
    there, port = parse_address(address)
    reader, writer = await asyncio.open_connection(there, port, local_addr=(source, 0))
    field = "" if host is None else f"Host: {host}\r\n"
    version = "1.0" if host is None else "1.1"
    writer.write(f"GET {path} HTTP/{version}\r\n{field}Connection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return int(answer[9:12]), answer.partition(b"\r\n\r\n")[2].decode()


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("127.0.0.1:9095", True),
        ("localhost", True),
        ("LocalHost.:9095", True),
        ("gpu1.localhost:9095", True),
        ("[::1]:9095", True),
        ("10.1.2.3", True),
        ("", True),
        ("evil.example:9095", False),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("127.0.0.1@evil.example", False),
        ("evil-localhost", False),
        ("[::1].evil.example", False),
        ("[evil.example]", False),
        ("[::1", False),
        ("::1", False),
    ],
)
def test_names_that_no_strange_dns_can_have_made(host, known):
    assert is_at_home(host) is known


async def test_a_page_of_another_site_reads_nothing_by_a_name_that_it_made_ours():
    registry = one()
    async with listening(registry, "127.0.0.1:0") as (place,):
        for path in ("/metrics", "/", "/gpu", "/healthz", "http://evil.example/metrics"):
            status, text = await ask(place.address, "evil.example:9095", path)
            assert status == 421
            assert "test_one" not in text
        assert (await ask(place.address, "127.0.0.1", "http://evil.example/metrics"))[0] == 421
        assert (await ask(place.address, "localhost:1"))[0] == 200
        assert (await ask(place.address, None))[0] == 200
    async with listening(registry, "127.0.0.1:0", options=Options(insecure=True)) as (place,):
        assert (await ask(place.address, "behind-a-proxy.example"))[0] == 200
    registry.close()


@pytest.mark.parametrize(
    ("flag", "value", "right"),
    [
        ("web.telemetry-path", "/node/metrics-2", True),
        ("web.telemetry-path", "/metrics?x", False),
        ("web.telemetry-path", "/metrics#x", False),
        ("web.telemetry-path", "/met rics", False),
        ("web.telemetry-path", "/%6d", False),
        ("web.telemetry-path", "metrics", False),
        ("web.telemetry-path", "/gpu", False),
        ("web.cors-origins", "*", True),
        ("web.cors-origins", "https://wall.example.org:8443", True),
        ("web.cors-origins", "http://[::1]:3000", True),
        ("web.cors-origins", "null", False),
        ("web.cors-origins", "wall.example.org", False),
        ("web.cors-origins", "https://wall.example.org/", False),
        ("web.cors-origins", "https://*.example.org", False),
        ("web.max-requests", "x", False),
        ("web.max-requests", "513", False),
    ],
)
def test_values_that_could_never_work_are_refused(flag, value, right):
    if right:
        options(Settings({flag: (value,)}))
        return
    with pytest.raises(SettingError, match=flag) as told:
        options(Settings({flag: (value,)}))
    assert "base 10" not in str(told.value)


async def test_an_address_that_cannot_be_bound_is_named(address_in_use):
    with pytest.raises(ListenError, match=f"^{address_in_use}: Address already in use$"):
        async with listening(Registry([]), address_in_use):
            pass


@pytest.fixture
def address_in_use():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield f"127.0.0.1:{holder.getsockname()[1]}"


async def test_a_request_that_drips_in_is_cut():
    async with listening(Registry([]), "127.0.0.1:0", options=Options(patience_seconds=0.05)) as (place,):
        reader, writer = await asyncio.open_connection(*parse_address(place.address))
        writer.write(b"GET /metrics HTTP/1.1\r\nX: ")
        got = None
        while got is None:
            writer.write(b"x")
            with contextlib.suppress(TimeoutError):
                got = await asyncio.wait_for(reader.read(), 0.005)
        assert got == b""
        writer.close()


async def test_who_has_all_connections_loses_one_to_who_has_none():
    registry = one()
    async with listening(registry, "127.0.0.1:0") as (place,), contextlib.AsyncExitStack() as stack:
        held = []
        for _ in range(MOST_CONNECTIONS):
            reader, writer = await asyncio.open_connection(*parse_address(place.address))
            stack.callback(writer.close)
            held.append(reader)
        assert (await ask(place.address, "localhost", source="127.0.0.2"))[0] == 200
        assert (await ask(place.address, "localhost"))[0] == 200
        assert await held[0].read() == b""
        assert not held[-1].at_eof()
    registry.close()
