"""Running aiohttp applications on free ports, in a thread of their own where clients block."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

__all__ = ["serve_in_thread", "start_site"]


async def start_site(
    app: web.Application, *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> tuple[web.AppRunner, int]:
    """Listen; gives the runner, whose `cleanup` ends it, and the port (a free one where 0 was asked)."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, host, port, ssl_context=tls).start()
    return runner, int(runner.addresses[0][1])


@contextmanager
def serve_in_thread(app: web.Application, *, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve while the context lasts; gives the address, `https://127.0.0.1:PORT` or `http://…`."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="lab-server", daemon=True)
    thread.start()
    try:
        runner, port = asyncio.run_coroutine_threadsafe(start_site(app, tls=tls), loop).result()
        try:
            yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        finally:
            asyncio.run_coroutine_threadsafe(_end(runner), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end(runner: web.AppRunner) -> None:
    """End, and leave no connection behind: one over TLS would wait for its client's goodbye."""
    connections = () if runner.server is None else tuple(runner.server.connections)
    transports = [connection.transport for connection in connections if connection.transport is not None]
    await runner.cleanup()
    for transport in transports:
        transport.abort()
    await asyncio.sleep(0)  # a transport closes its socket at the loop's next turn
