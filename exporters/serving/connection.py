"""One client's connection: requests are answered one at a time, in their order, and nobody holds it for ever.

A silent connection is closed after a while; one that began a request and does not end it sooner; one that
does not read its answer is cut. Where there are too many, whoever has most of them loses one, not who comes
next. With TLS the handshake comes first, with the certificate that holds at that moment.
"""

import asyncio
import logging
from collections import Counter
from ipaddress import IPv6Address, ip_network
from typing import cast

from exporters.serving.http import (
    HEAD_END,
    LONGEST_HEAD_BYTES,
    Answer,
    Malformed,
    Request,
    answer_head,
    parse_head,
    plain,
)
from exporters.serving.site import Site
from exporters.serving.web_reload import Watched, is_allowed

logger = logging.getLogger(__name__)

MOST_CONNECTIONS = 512
_MOST_TOLD = 1024
IDLE_SECONDS = 300.0
"""A silent connection is closed after one to two of these; Prometheus scrapes more often than that."""


class Connections:
    """All connections of one server, and what they share.

    `patience_seconds` are for the rest of a request, for a client to read its answer, for a handshake.
    """

    def __init__(self, site: Site, watched: Watched | None, patience_seconds: float) -> None:
        self.site = site
        self.watched = watched
        self.patience_seconds = patience_seconds
        self._open: set[_Connection | _Greeting] = set()
        self._told: set[str] = set()
        self._sweep: asyncio.TimerHandle | None = None

    def make(self) -> asyncio.Protocol:
        """The protocol of a new connection."""
        return (
            _Connection(self)
            if self.watched is None or self.watched.current.context is None
            else _Greeting(self)
        )

    def admit(self, connection: "_Connection | _Greeting") -> bool:
        """Count it among the open ones; False where there are too many and none can be spared."""
        if len(self._open) >= MOST_CONNECTIONS and not self._make_room(connection):
            return False
        self._open.add(connection)
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(self.patience_seconds, self._close_idle)
        return True

    def _make_room(self, newcomer: "_Connection | _Greeting") -> bool:
        """Cut the one that is silent for longest of the client that has most, who may be the newcomer."""
        crowds = Counter(one.client for one in self._open)
        crowds[newcomer.client] += 1
        idle = [one for one in self._open if one.is_idle]
        if not idle:
            return False
        victim = max(idle, key=lambda one: (crowds[one.client], -one.heard))
        if crowds[victim.client] < crowds[newcomer.client]:
            return False
        self._open.discard(victim)
        victim.abort()
        return True

    def complain(self, client: str) -> None:
        """Say that a client's certificate has no allowed name: once, for it will come again and again."""
        if client not in self._told:
            if len(self._told) >= _MOST_TOLD:
                self._told.clear()
            self._told.add(client)
            logger.warning("a client's certificate has no name that is allowed", extra={"address": client})

    def left(self, connection: "_Connection | _Greeting") -> None:
        """It is none of the open ones any more."""
        self._open.discard(connection)

    def close(self) -> None:
        """Close all."""
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in tuple(self._open):
            connection.close()
        self.site.close()

    def _close_idle(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in tuple(self._open):
            connection.close_if_idle(now)
        self._sweep = None
        if self._open:
            self._sweep = asyncio.get_running_loop().call_later(self.patience_seconds, self._close_idle)


class _Connection(asyncio.Protocol):
    """A client after the handshake, if there was one."""

    def __init__(self, all_of_them: Connections) -> None:
        self._all = all_of_them
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._last: tuple[bytes, Request] | None = None
        self._task: asyncio.Task[None] | None = None
        self.heard = self._loop.time()
        self._begun = self.heard
        self._drained: asyncio.Future[None] | None = None
        self._is_full = False
        self._is_ended = False
        self.client = ""

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self._task is None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.client = _client(transport)
        if not self._all.admit(self):
            self._transport.close()
        elif self._buffer:  # came with the end of the handshake
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        self._transport = None
        self._all.left(self)
        self._let_go()

    def data_received(self, data: bytes) -> None:
        self.heard = self._loop.time()
        if not self._buffer:
            self._begun = self.heard
        self._buffer += data
        if self._transport is None:
            return
        if self._task is None:
            self._next()
        elif len(self._buffer) > LONGEST_HEAD_BYTES:
            self.close()

    def eof_received(self) -> bool:
        self._is_ended = True
        is_plain = self._transport is not None and self._transport.get_extra_info("ssl_object") is None
        return is_plain and self._task is not None

    def pause_writing(self) -> None:
        """A client that asks and does not read gets nothing more until it reads."""
        self._is_full = True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._is_full = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
        self._let_go()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Cut it without a word."""
        if self._transport is not None:
            self._transport.abort()

    def close_if_idle(self, now: float) -> None:
        """Close it where it is silent, or where a request drips in for longer than a client may take."""
        is_late = now - self._begun > self._all.patience_seconds if self._buffer else False
        if self._task is None and (is_late or now - self.heard > IDLE_SECONDS):
            self.abort()

    def _let_go(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def _next(self) -> None:
        """Take the next whole request out of the buffer."""
        head, end, rest = self._buffer.partition(HEAD_END)
        if len(head) > LONGEST_HEAD_BYTES:
            self._send(plain(431, "the request's head is too long", keep_alive=False))
            return
        if not end:
            return
        self._buffer = rest
        try:
            # Prometheus sends the same head at each scrape, for as long as the connection lasts.
            request = parse_head(head) if self._last is None or self._last[0] != head else self._last[1]
        except Malformed as error:
            self._send(plain(error.status, str(error), keep_alive=False))
            return
        self._last = (head, request)
        self._task = self._loop.create_task(self._answer(request))
        self._task.add_done_callback(self._answered)

    async def _answer(self, request: Request) -> None:
        answer = await self._all.site.answer(request, self.client)
        self._send(answer, bare=request.method == "HEAD", keep_alive=request.keep_alive)
        if self._is_full and self._transport is not None:
            await self._until_read(self._transport)

    async def _until_read(self, transport: asyncio.Transport) -> None:
        """Wait for the client to read its answer, and cut it off where it does not."""
        self._drained = self._loop.create_future()
        self._all.site.unread += 1
        try:
            await asyncio.wait_for(self._drained, self._all.patience_seconds)
        except TimeoutError:
            transport.abort()
        finally:
            self._all.site.unread -= 1

    def _answered(self, task: "asyncio.Task[None]") -> None:
        self._task = None
        self._begun = self._loop.time()
        if task.cancelled():
            self.close()
        elif task.exception() is not None:
            logger.error("a request failed", exc_info=task.exception())
            self._send(plain(500, "internal error", keep_alive=False))
        elif self._transport is not None and not self._transport.is_closing():
            self._next()
            if self._is_ended and self._task is None:
                self.close()

    def _send(self, answer: Answer, *, bare: bool = False, keep_alive: bool = True) -> None:
        transport = self._transport
        if transport is None:
            return
        keep_alive = keep_alive and answer.keep_alive
        head = answer_head(
            answer.status, answer.content_type, len(answer.body), keep_alive=keep_alive, extra=answer.fields
        )
        transport.write(head if bare else head + answer.body)
        if not keep_alive:
            transport.close()


class _Greeting(asyncio.Protocol):
    """A client before TLS: takes the handshake with the certificate of this moment."""

    def __init__(self, all_of_them: Connections) -> None:
        self._all = all_of_them
        self._task: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None
        self.heard = asyncio.get_running_loop().time()
        self.client = ""
        self.is_idle = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.pause_reading()
        self.client = _client(transport)
        if self._all.admit(self):
            self._task = asyncio.get_running_loop().create_task(self._greet(self._transport))
            self._task.add_done_callback(lambda _: self._all.left(self))
        else:
            self._transport.abort()

    def abort(self) -> None:
        """End the handshake."""
        if self._transport is not None:
            self._transport.abort()

    close = abort

    def close_if_idle(self, now: float) -> None:
        """Handshakes have a time limit of their own."""

    async def _greet(self, transport: asyncio.Transport) -> None:
        watched = self._all.watched
        current = None if watched is None else watched.current
        if current is None or current.context is None or current.config.tls is None:
            transport.abort()
            return
        connection = _Connection(self._all)
        try:
            secure = await asyncio.get_running_loop().start_tls(
                transport,
                connection,
                current.context,
                server_side=True,
                ssl_handshake_timeout=self._all.patience_seconds,
                ssl_shutdown_timeout=self._all.patience_seconds,
            )
        except OSError:  # of the client's making, and TLS has told it; ssl.SSLError is one
            transport.abort()
            return
        if secure is None:  # the client has gone
            transport.abort()
            return
        if not is_allowed(current.config.tls, secure.get_extra_info("peercert")):
            self._all.complain(self.client)
            transport.abort()
            return
        self._all.left(self)
        connection.connection_made(secure)


def _client(transport: asyncio.BaseTransport) -> str:
    """Who is at the other end: its address, of IPv6 the network of 64 bits, which is one customer's."""
    peer = transport.get_extra_info("peername")
    if not isinstance(peer, tuple):
        return ""
    address = str(peer[0]).partition("%")[0]
    if ":" not in address:
        return address
    return str(ip_network((int(IPv6Address(address)), 64), strict=False))
