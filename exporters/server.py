"""Serves a registry over HTTP: /metrics, /healthz and a landing page, on loopback unless told otherwise.

Built on an asyncio protocol and exporters/http.py: serving a scrape then costs a tenth of what an HTTP
framework takes, and what a scrape costs is what this product is compared by.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from ipaddress import ip_address

from exporters.errors import ExporterError, ListenError, UnknownCollectorError
from exporters.http import HEAD_END, LONGEST_HEAD_BYTES, Malformed, Request, answer_head, parse_head
from exporters.negotiation import accepts_gzip, wanted_format
from exporters.registry import Registry

logger = logging.getLogger(__name__)

MOST_SCRAPES = 40
MOST_CONNECTIONS = 512
IDLE_SECONDS = 300.0
"""A silent connection is closed after one to two of these; Prometheus scrapes more often than that."""

_HTML = b"text/html; charset=utf-8"
_PLAIN = b"text/plain; charset=utf-8"
_LANDING = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Steward agent</title></head>
<body><h1>Steward agent</h1><p>Metrics of this machine for Prometheus.</p>
<ul><li><a href="/metrics">Metrics</a></li><li><a href="/healthz">Health</a></li></ul></body></html>
"""
_GZIP_FIELDS = (b"Content-Encoding: gzip", b"Vary: Accept-Encoding")
_PLAIN_FIELDS = (b"Vary: Accept-Encoding",)
_ALLOW_FIELDS = (b"Allow: GET, HEAD",)


class _Site:
    """What the connections of one server share."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.scrapes = 0
        self.connections: set[_Connection] = set()
        self._sweep: asyncio.TimerHandle | None = None

    def admit(self, connection: "_Connection") -> bool:
        if len(self.connections) >= MOST_CONNECTIONS:
            return False
        self.connections.add(connection)
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._close_idle)
        return True

    def close(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in tuple(self.connections):
            connection.close()

    def _close_idle(self) -> None:
        for connection in tuple(self.connections):
            connection.close_if_idle()
        self._sweep = None
        if self.connections:
            self._sweep = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._close_idle)


class _Connection(asyncio.Protocol):
    """One client: requests are answered one at a time, in their order."""

    def __init__(self, site: _Site) -> None:
        self._site = site
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._task: asyncio.Task[None] | None = None
        self._seen = True
        self._is_full = False
        self._is_ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a TCP server makes nothing else
        self._transport = transport
        if not self._site.admit(self):
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        self._transport = None
        self._site.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self._seen = True
        self._buffer += data
        if self._task is None:
            self._next()
        elif len(self._buffer) > LONGEST_HEAD_BYTES:
            self.close()

    def eof_received(self) -> bool:
        self._is_ended = True
        return self._task is not None

    def pause_writing(self) -> None:
        """A client that asks and does not read gets nothing more until it reads."""
        self._is_full = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._is_full = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
        self._go_on()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def close_if_idle(self) -> None:
        if not self._seen and self._task is None:
            self.close()
        self._seen = False

    def _next(self) -> None:
        """Take the next whole request out of the buffer."""
        head, end, rest = self._buffer.partition(HEAD_END)
        if len(head) > LONGEST_HEAD_BYTES:
            self._send(431, _PLAIN, b"the request's head is too long\n", keep_alive=False)
            return
        if not end:
            return
        self._buffer = rest
        try:
            request = parse_head(head)
        except Malformed as error:
            self._send(error.status, _PLAIN, f"{error}\n".encode(), keep_alive=False)
            return
        self._task = asyncio.get_running_loop().create_task(self._answer(request))
        self._task.add_done_callback(self._answered)

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if task.cancelled():
            self.close()
        elif task.exception() is not None:
            logger.error("a request failed", exc_info=task.exception())
            self._send(500, _PLAIN, b"internal error\n", keep_alive=False)
        else:
            self._go_on()

    def _go_on(self) -> None:
        if self._task is not None or self._is_full or self._transport is None or self._transport.is_closing():
            return
        self._next()
        if self._is_ended and self._task is None:
            self.close()

    async def _answer(self, request: Request) -> None:
        keep = request.keep_alive
        bare = request.method == "HEAD"
        if request.method not in ("GET", "HEAD"):
            self._send(405, _PLAIN, b"GET or HEAD\n", keep_alive=keep, extra=_ALLOW_FIELDS)
        elif request.path == "/metrics":
            await self._metrics(request, bare)
        elif request.path == "/healthz":
            self._send(200, _PLAIN, b"ok\n", keep_alive=keep, bare=bare)
        elif request.path == "/":
            self._send(200, _HTML, _LANDING, keep_alive=keep, bare=bare)
        else:
            self._send(404, _PLAIN, b"not found\n", keep_alive=keep, bare=bare)

    async def _metrics(self, request: Request, bare: bool) -> None:
        site = self._site
        keep = request.keep_alive
        if site.scrapes >= MOST_SCRAPES:
            self._send(503, _PLAIN, b"too many scrapes at once\n", keep_alive=keep, bare=bare)
            return
        try:
            query = request.query
            names = (
                site.registry.select(query.get("collect[]", ()), query.get("exclude[]", ()))
                if query
                else None
            )
        except UnknownCollectorError as error:
            self._send(400, _PLAIN, f"{error}\n".encode(), keep_alive=keep, bare=bare)
            return
        site.scrapes += 1
        try:
            reading = await site.registry.scrape(names, wanted_format(request.fields.get("accept", "")))
        finally:
            site.scrapes -= 1
        packed = accepts_gzip(request.fields.get("accept-encoding", ""))
        body = reading.gzipped if packed else reading.text
        extra = _GZIP_FIELDS if packed else _PLAIN_FIELDS
        self._send(200, reading.format.value, body, keep_alive=keep, bare=bare, extra=extra)

    def _send(
        self,
        status: int,
        content_type: bytes,
        body: bytes,
        *,
        keep_alive: bool,
        bare: bool = False,
        extra: tuple[bytes, ...] = (),
    ) -> None:
        transport = self._transport
        if transport is None:
            return
        head = answer_head(status, content_type, len(body), keep_alive=keep_alive, extra=extra)
        transport.write(head if bare else head + body)
        if not keep_alive:
            transport.close()


def parse_address(address: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:9095`, `[::1]:9095` or `localhost:0`.

    Raises:
        ExporterError: it is none.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 0xFFFF:
        raise ExporterError(f"{address!r} is no address HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


@contextlib.asynccontextmanager
async def listening(registry: Registry, address: str, *, insecure: bool = False) -> AsyncIterator[str]:
    """Serve the registry while the context lasts; gives the address bound, HOST:PORT (port 0 picks a free
    one).

    Raises:
        ListenError: the address is not loopback and `insecure` was not given.
        OSError: the address cannot be bound.
    """
    host, port = parse_address(address)
    if not insecure and not is_loopback(host):
        raise ListenError(
            f"{address}: not a loopback address; anyone who reaches it reads the metrics (--insecure)"
        )
    site = _Site(registry)
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(site), host, port)
    try:
        yield _bound(server.sockets[0])
    finally:
        server.close()
        site.close()
        await server.wait_closed()


async def serve(registry: Registry, address: str, *, insecure: bool = False) -> None:
    """Serve until cancelled; see `listening`."""
    async with listening(registry, address, insecure=insecure):
        await asyncio.get_running_loop().create_future()


def _bound(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
