"""Serving a simulator from a thread, so that synchronous clients under test meet it over a real socket."""

from __future__ import annotations

import asyncio
import ssl
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from tests.real.certificates import Certificates

T = TypeVar("T")

_STOP_SECONDS = 10
_CLOSING_ROUNDS = 5


@contextmanager
def served(application: web.Application, certificates: Certificates | None = None) -> Iterator[str]:
    """Serve on a free port of 127.0.0.1 until the block ends; gives the address, https with certificates."""
    context = None
    if certificates is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificates.certificate, certificates.key)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="simulator", daemon=True)
    thread.start()
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    try:
        port = _run(loop, _start(runner, context))
        yield f"{'https' if context else 'http'}://127.0.0.1:{port}"
    finally:
        _run(loop, _stop(runner))
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_STOP_SECONDS)
        loop.close()


async def _start(runner: web.AppRunner, context: ssl.SSLContext | None) -> int:
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    return int(runner.addresses[0][1])


async def _stop(runner: web.AppRunner) -> None:
    """Drop what is still connected: a client that is gone would never say goodbye over TLS."""
    for connection in list(runner.server.connections if runner.server else ()):
        if connection.transport is not None:
            connection.transport.abort()
    await runner.cleanup()
    for _ in range(_CLOSING_ROUNDS):
        await asyncio.sleep(0)


def _run(loop: asyncio.AbstractEventLoop, work: Coroutine[object, object, T]) -> T:
    return asyncio.run_coroutine_threadsafe(work, loop).result(_STOP_SECONDS)
