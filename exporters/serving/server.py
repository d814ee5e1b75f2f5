"""Serves a registry over HTTP: metrics, JSON, health, a page for people; on loopback unless told otherwise.

Built on an asyncio protocol and exporters/serving/http.py: serving a scrape then costs a tenth of what an
HTTP framework takes, and what a scrape costs is what this product is compared by.
"""

import asyncio
import contextlib
import os
import resource
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from exporters.collector import Host
from exporters.errors import ExporterError, ListenError
from exporters.registry import Registry
from exporters.serving.connection import MOST_CONNECTIONS, Connections
from exporters.serving.passwords import find_bcrypt
from exporters.serving.site import Site
from exporters.serving.web import Options
from exporters.serving.web_reload import Watched

_MOST_FILES = 4096


def parse_address(address: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:9095`, `[::1]:9095` or `localhost:0`; `:9100` has no host and is every
    address.

    Raises:
        ExporterError: it is none.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 0xFFFF:
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


@dataclass(frozen=True)
class Place:
    """Where metrics are served: `http` or `https`, HOST:PORT, and the path."""

    scheme: str
    address: str
    path: str

    @property
    def origin(self) -> str:
        """The address without the path."""
        return f"{self.scheme}://{self.address}"

    @property
    def url(self) -> str:
        """The metrics' address."""
        return f"{self.origin}{self.path}"


@contextlib.asynccontextmanager
async def listening(
    registry: Registry, *addresses: str, options: Options | None = None, host: Host | None = None
) -> AsyncIterator["tuple[Place, ...]"]:
    """Serve the registry while the context lasts, on these addresses or else those of the options.

    Gives the addresses bound (port 0 picks a free one). JSON documents are served where `host` is given.

    Raises:
        ListenError: an address is not loopback, and neither does the web configuration keep strangers out
            nor was `insecure` given; or there is no address.
            Or it cannot be bound.
        WebConfigError: the web configuration cannot be used.
    """
    options = options or Options()
    watched = None if options.config_file is None else Watched(options.config_file)
    check_addresses(addresses or options.addresses, watched, options)
    _allow_files()
    connections = Connections(Site(registry, options, watched, host), watched, options.patience_seconds)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(connections.close)
        scheme = "http" if watched is None or watched.current.context is None else "https"
        bound = [
            await _listen(stack, connections, *parse_address(address))
            for address in addresses or options.addresses
        ]
        yield tuple(Place(scheme, address, options.telemetry_path) for address in bound)


def check_addresses(addresses: Sequence[str], watched: Watched | None, options: Options) -> None:
    """See that nobody reads metrics who was not meant to.

    Raises:
        ExporterError: an address is none, or strangers reach it, or passwords cannot be checked here.
    """
    if not addresses:
        raise ListenError("no address to listen on")
    if watched is not None and watched.current.config.users:
        find_bcrypt()
    is_guarded = options.insecure or (watched is not None and watched.current.config.is_guarded)
    for address in addresses:
        host, _ = parse_address(address)
        if not is_guarded and not is_loopback(host):
            raise ListenError(
                f"{address}: not a loopback address; anyone who reaches it reads the metrics. Give "
                "--web.config.file with TLS and users (or client certificates), or --insecure"
            )


async def serve(registry: Registry, address: str, *, options: Options | None = None) -> None:
    """Serve until cancelled; see `listening`."""
    async with listening(registry, address, options=options):
        await asyncio.get_running_loop().create_future()


def _allow_files() -> None:
    """Let this process have as many files open as all connections and all collectors together want."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # a filter of system calls may be in the way
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _listen(stack: contextlib.AsyncExitStack, connections: Connections, host: str, port: int) -> str:
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(connections.make, host or None, port, backlog=MOST_CONNECTIONS)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise ListenError(f"{host}:{port}: {why}") from error
    stack.push_async_callback(server.wait_closed)
    stack.callback(connections.close)
    stack.callback(server.close)
    return _bound(server.sockets[0])


def _bound(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
