"""What a stranger on the network can do to a running service: nothing, and not even fill its log."""

from __future__ import annotations

import asyncio
import ssl
import time

import pytest

from controller.api.problems import read_body
from controller.datafolder import DataFolder
from controller.doors import Doors, Listening
from tests.controller.api.guest import Clock, make_site


@pytest.fixture
async def doors(tmp_path):
    site = make_site(tmp_path, Clock())
    state = tmp_path / "state"
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    now = int(time.time())  # TLS goes by the real clock
    tls.load_cert_chain(*DataFolder(state).server_files(["127.0.0.1"], now=now))
    opened = Doors(site, Listening("127.0.0.1", 0, tls, state / "s"))
    await opened.open()
    yield opened, ssl.create_default_context(cadata=site.ca_certificate.decode())
    await opened.close()
    site.executor.shutdown()
    site.store.close()


async def answer(doors, sent, *, closes=False):
    """The status and content type of the first answer; with `closes`, up to the end of the connection."""
    opened, authority = doors
    reader, writer = await asyncio.open_connection("127.0.0.1", opened.port, ssl=authority)
    try:
        writer.write(sent)
        async with asyncio.timeout(20):
            head = await reader.readuntil(b"\r\n\r\n")
            if closes:
                await reader.read()
    finally:
        writer.close()
    kinds = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-type")]
    return int(head.split()[1]), kinds[0].partition(b": ")[2].partition(b";")[0].decode()


POST = b"POST /agent/v1/enroll HTTP/1.1\r\nHost: x\r\n"
POLL = b"POST /agent/v1/poll HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
REQUESTS = {
    "no-http": (b"GARBAGE\r\n\r\n", 400),
    "old-http": (b"GET /healthz HTTP/1.0\r\n\r\n", 200),
    "http-of-tomorrow": (b"GET /healthz HTTP/9.9\r\n\r\n", 400),
    "a-long-header": (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", 400),
    "many-headers": (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n", 400),
    "a-long-path": (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "two-lengths": (POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "a-negative-length": (POST + b"Content-Length: -1\r\n\r\n", 400),
    "compressed": (POST + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", 415),
    "a-huge-length": (POST + b"Content-Length: 99999999999\r\n\r\n", 413),
    "dots": (b"GET /static/%2e%2e/status.html HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "dots-and-a-slash": (b"GET /static/..%2fstatus.html HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "two-slashes": (b"GET //etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "a-proxys-request": (b"CONNECT evil:443 HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "another-method": (b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    "odd-bytes-for-a-token": (POLL + b"Authorization: Bearer \xff.\xfe.\xfd\r\n\r\n{}", 401),
}


@pytest.mark.parametrize("name", REQUESTS)
async def test_what_is_sent_is_answered(doors, name):
    sent, status = REQUESTS[name]
    told, kind = await answer(doors, sent)
    assert told == status
    assert kind in ("text/plain", "application/problem+json")
    if status in (401, 404, 405, 413, 415):
        assert kind == "application/problem+json"


async def test_a_body_that_is_refused_unread_ends_the_connection(doors):
    sent, status = REQUESTS["a-huge-length"]
    assert (await answer(doors, sent, closes=True))[0] == status


class Trickle:
    """A request whose body never ends."""

    content_length = None

    def __init__(self):
        self.content, self.headers = self, {}

    async def iter_chunked(self, size):
        yield b"x"
        await asyncio.Event().wait()


async def test_a_body_that_never_ends_is_not_waited_for():
    with pytest.raises(Exception, match="did not come within"):
        await read_body(Trickle(), seconds=0.01)
