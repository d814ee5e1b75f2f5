"""Whose word counts as the controller's: one certificate, the pinned one, and nothing that travels beside."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent.errors import ControllerUnavailableError, UntrustedControllerError
from agent.tls import context, fetch_ca, spki_sha256
from lab.tls import Authority

Write = Callable[[asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def honest(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "honest")


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "stranger")


@asynccontextmanager
async def answering(authority: Authority, write: Write) -> AsyncIterator[str]:
    """A TLS server that reads a request and then writes what it is told."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await write(writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=authority.server_context())
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def answer(*parts: bytes) -> Write:
    async def write(writer: asyncio.StreamWriter) -> None:
        length = sum(map(len, parts))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length)
        for part in parts:
            await writer.drain()
            await asyncio.sleep(0)  # each part in a TLS record of its own
            writer.write(part)
        await writer.drain()

    return write


def believes(ca_pem: bytes, authority: Authority) -> bool:
    """Whether a handshake with a server of that authority holds; in memory."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context(ca_pem).wrap_bio(to_client, to_server, server_hostname="127.0.0.1")
    server = authority.server_context("other").wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                return False
    return client.version() is not None


async def test_the_pinned_ca_is_fetched(honest: Authority) -> None:
    pem = honest.ca_file.read_bytes()
    async with answering(honest, answer(pem)) as address:
        fetched = await fetch_ca(address, {spki_sha256(pem)})
    assert believes(fetched, honest)


async def test_a_second_certificate_behind_the_pinned_one_is_never_believed(
    honest: Authority, stranger: Authority
) -> None:
    """Somebody in between hands on the true CA, which is public, and appends an own one."""
    pem = honest.ca_file.read_bytes()
    both = pem + stranger.ca_file.read_bytes()
    async with answering(stranger, answer(both)) as address:
        with pytest.raises(UntrustedControllerError, match="one certificate"):
            await fetch_ca(address, {spki_sha256(pem)})
    with pytest.raises(UntrustedControllerError, match="one certificate"):
        context(both)


async def test_a_ca_that_comes_in_pieces_is_put_together(honest: Authority) -> None:
    pem = honest.ca_file.read_bytes()
    pieces = [pem[at : at + 50] for at in range(0, len(pem), 50)]
    async with answering(honest, answer(*pieces)) as address:
        assert spki_sha256(await fetch_ca(address, {spki_sha256(pem)})) == spki_sha256(pem)


async def test_an_answer_that_does_not_end_is_cut_off(honest: Authority) -> None:
    async def flood(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"A" * 65_536)
            await writer.drain()

    async with answering(honest, flood) as address:
        with pytest.raises(ControllerUnavailableError, match="more than"):
            await fetch_ca(address, {"00" * 32})


@pytest.mark.parametrize(
    "text", [b"", b"junk", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
async def test_what_is_no_certificate_is_not_believed(text: bytes, honest: Authority) -> None:
    async with answering(honest, answer(text)) as address:
        with pytest.raises(UntrustedControllerError):
            await fetch_ca(address, {"00" * 32})
