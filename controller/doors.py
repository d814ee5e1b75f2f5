"""The service's two doors, HTTPS and the operators' socket, and the lock that keeps a second one away."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from controller.api.application import local_application, public_application
from controller.errors import ControllerError, Refused

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from controller.api.site import Site

__all__ = ["Doors", "Listening", "only_one"]

_SHUTDOWN_SECONDS = 5
_IDLE_SECONDS = 75
"""How long a connection may stand without a request; an agent's long-poll is a request."""


@dataclass(frozen=True)
class Listening:
    """Where to serve: HTTPS on host and port (0 for any free one), and a Unix socket for this machine."""

    host: str
    port: int
    tls: ssl.SSLContext
    socket: Path
    renew_tls: Callable[[], None] = lambda: None

    @property
    def lock(self) -> Path:
        """Held by the service that uses this data folder."""
        return self.socket.with_name("serve.lock")


class Doors:
    """Both doors of a site; `port` is the one that was got where any free one was asked for."""

    def __init__(self, site: Site, listening: Listening) -> None:
        self._listening = listening
        self._runners = [
            web.AppRunner(
                app,
                handler_cancellation=True,
                shutdown_timeout=_SHUTDOWN_SECONDS,
                keepalive_timeout=_IDLE_SECONDS,
                auto_decompress=False,
                access_log=None,
            )
            for app in (public_application(site), local_application(site))
        ]
        self.port = 0

    async def open(self) -> None:
        """Serve from here on; raises ControllerError where an address or the socket cannot be had."""
        public, local = self._runners
        place = self._listening
        for runner in self._runners:
            await runner.setup()
        try:
            site = web.TCPSite(public, place.host, place.port, ssl_context=place.tls)
            await site.start()
        except OSError as error:
            raise ControllerError(
                f"cannot listen on {place.host}:{place.port}: {_said(error)}",
                hint="`listen` in controller.yaml names the address",
            ) from error
        self.port = public.addresses[0][1]
        place.socket.unlink(missing_ok=True)  # of one that was killed: the lock says that none runs
        before = os.umask(0o177)
        try:
            await web.UnixSite(local, _short(place.socket)).start()
        except OSError as error:
            raise ControllerError(f"cannot listen on {place.socket}: {_said(error)}") from error
        finally:
            os.umask(before)

    async def close(self) -> None:
        """Take no more requests and end those under way."""
        for runner in self._runners:
            await runner.cleanup()
        self._listening.socket.unlink(missing_ok=True)


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Be the only service of a data folder; raises Refused. It ends with the process (flock(2))."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ControllerError(f"{path} cannot be written: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise Refused(
            f"another `steward serve` uses {path.parent}", hint="stop it first, or name another data folder"
        ) from error
    try:
        yield
    finally:
        os.close(descriptor)


def _said(error: OSError) -> str:
    """What the kernel says: asyncio wraps it in a sentence of its own, and keeps the number."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error.strerror or error)


def _short(path: Path) -> str:
    """The path as it fits into a socket's address (107 bytes, unix(7)): relative where that is shorter."""
    return min(str(path), os.path.relpath(path), key=len)
