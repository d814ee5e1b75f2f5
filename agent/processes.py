"""The long-running commands: what each process is made of, how it begins and how it ends."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.errors import AgentError, ConfigurationError, UsageError
from agent.exporter_flags import Exporting, problems
from agent.logs import configure, log

if TYPE_CHECKING:
    from agent.configuration import Loaded
    from exporters.serving.server import Place

__all__ = [
    "DEFAULT_ADDRESS",
    "configured_flags",
    "metrics_address",
    "run_executor",
    "run_export",
    "run_network",
]

DEFAULT_ADDRESS = "127.0.0.1:9095"
"""Where metrics are served that no configuration and no flag says otherwise of."""


def run_executor(config: Path, socket: Path | None) -> int:
    """Be the executor until told to stop or, under socket activation, until idle; raises AgentError."""
    from agent.executor import (
        Server,
        activated_socket,
        allowed_users,
        assemble,
        own_socket,
        undoable_kinds,
    )

    configure()
    assembled = assemble(config, os.environ, lambda: int(time.time()))
    try:
        settings = assembled.loaded.settings
        handed = activated_socket(os.environ, os.getpid())
        user = settings.executor.network_user
        place = socket or Path(settings.socket)
        server = Server(
            handed or own_socket(place, user),
            assembled.execution,
            users=allowed_users(user),
            idle_seconds=float(settings.executor.idle_seconds) if handed else None,
        )
        # A signal that reaches another thread, or this one just before select, would wait for the next
        # connection: the interpreter runs handlers in the main thread only, and only once that wakes.
        signal.set_wakeup_fd(server.wakeup_fd, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: server.stop())
        log("executor listens", socket="from systemd" if handed else str(place))
        if strange := undoable_kinds(assembled.loaded):
            log("agent.yaml allows kinds that this agent cannot do: they are refused", kinds=strange)
        server.serve()
    finally:
        signal.set_wakeup_fd(-1)
        assembled.close()
    log("executor ended")
    return 0


def run_network(config: Path, exporting: Exporting, *, poll_seconds: int) -> int:
    """Poll and serve /metrics until SIGTERM or SIGINT; raises AgentError."""
    from agent.configuration import load

    configure()
    _check_given(exporting)
    loaded = load(config, os.environ)
    if os.geteuid() == 0:
        log(
            "the network process runs as root: give it a user of its own",
            user=loaded.settings.executor.network_user,
        )
    return _until_told(_network(loaded, exporting, poll_seconds=poll_seconds))


def run_export(exporting: Exporting) -> int:
    """Serve /metrics alone until SIGTERM or SIGINT; raises AgentError."""
    configure()
    _check_given(exporting)
    return _until_told(_export(exporting))


def _check_given(exporting: Exporting) -> None:
    """Raises UsageError where a flag of the command line has a value that it does not take."""
    for name, why in problems(exporting.given):
        raise UsageError(f"--{name}: {why}")


def _import_aiohttp() -> None:
    """Import aiohttp without the system's certificate authorities.

    It reads them at its import, 2.7 MB, for contexts of its own; this process believes its controller alone
    (agent/tls.py). Collectors that want the system's make their contexts later.
    """
    places = ("SSL_CERT_FILE", "SSL_CERT_DIR")  # openssl-env(7)
    before = {name: os.environ.get(name) for name in places}
    os.environ.update(dict.fromkeys(places, os.devnull))
    try:
        import aiohttp  # noqa: F401 - for its effect
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


async def _network(loaded: "Loaded", exporting: Exporting, *, poll_seconds: int) -> None:
    _import_aiohttp()
    from agent.identity import read_identity, read_key
    from agent.network import Network, Pace
    from agent.tally import Tally
    from exporters.build import registry as build
    from exporters.collector import Collector
    from exporters.registry import Source
    from exporters.serving.server import listening

    host = exporting.host(configured_flags(loaded))
    options = exporting.options(host, loaded.settings.metrics.listen)
    directory = loaded.network_directory
    identity = read_identity(directory)
    key = read_key(directory / "transport.pem")
    tally = Tally()
    registry = build(host, [Source("agent", Collector(tally.collect))])
    with contextlib.closing(registry):
        async with listening(registry, options=options, host=host) as (served, *others):
            first_reading = asyncio.ensure_future(registry.scrape())
            for place in (served, *others):
                log("metrics are served", address=place.url)
            network = Network(
                identity=identity,
                key=key,
                directory=directory,
                socket=Path(loaded.settings.socket),
                tally=tally,
                metrics_address=metrics_address(loaded, served, identity.address, identity.host_name),
                pace=replace(Pace(), poll=poll_seconds),
            )
            await network.run()
            await first_reading


async def _export(exporting: Exporting) -> None:
    from exporters.build import registry as build
    from exporters.serving.server import listening

    host = exporting.host({})
    options = exporting.options(host, DEFAULT_ADDRESS)
    registry = build(host)
    with contextlib.closing(registry):
        async with listening(registry, options=options, host=host) as served:
            if sys.stdout is not None:  # closed by whoever started this
                sys.stdout.write("".join(f"{place.url}\n" for place in served))
                sys.stdout.flush()
            await registry.scrape()  # learns what is slow here, before the first scrape that counts
            await asyncio.get_running_loop().create_future()


def configured_flags(loaded: "Loaded") -> dict[str, tuple[str, ...]]:
    """`metrics.flags` of agent.yaml, checked; raises ConfigurationError, which names the key."""
    flags = loaded.exporter_flags
    for name, why in problems(flags):
        raise ConfigurationError(f"{loaded.path}: metrics.flags.{name}: {why}")
    return flags


def metrics_address(loaded: "Loaded", served: "Place", controller: str, host_name: str) -> str | None:
    """Return what the controller may hand to Prometheus, None where others could not reach it.

    A loopback address means something only to a controller on this very machine.
    """
    from urllib.parse import urlsplit

    from exporters.serving.server import is_loopback, parse_address

    advertised = loaded.settings.metrics.advertise
    if advertised:
        return advertised
    host, port = parse_address(served.address)
    if is_loopback(host):
        return served.origin if is_loopback(urlsplit(controller).hostname or "") else None
    return f"{served.scheme}://{host_name}:{port}" if host in {"0.0.0.0", "::"} else served.origin  # noqa: S104


def _until_told(work: Coroutine[Any, Any, None]) -> int:
    """Run until SIGTERM or SIGINT, then cancel and clean up; raises AgentError."""
    from exporters.errors import ExporterError

    async def run() -> None:
        task = asyncio.ensure_future(work)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await task

    try:
        asyncio.run(run())
    except (ExporterError, OSError) as error:
        raise AgentError(str(error)) from error
    except BaseExceptionGroup as group:
        raise AgentError(f"unexpected: {group.exceptions[0]!r}") from group
    log("ended")
    return 0
