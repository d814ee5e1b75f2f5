"""``steward serve`` and ``steward gitops``: the controller as a service, and which commits it may obey."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import time
from asyncio import sslproto
from pathlib import Path
from typing import Annotated

import typer

from controller.cli.plan import Config  # noqa: TC001 - typer reads it at run time
from controller.errors import ControllerError

__all__ = ["gitops", "serve"]

_TLS_BUFFER_BYTES = 32 * 1024
gitops = typer.Typer(no_args_is_help=True, help="Which commits of the policy the controller obeys.")


def serve(config: Config = Path("controller.yaml")) -> None:
    """Follow the policy in Git, keep systems so, and serve agents, Prometheus and the status page.

    Ctrl-C ends it.

    Example:
      steward serve -c controller.yaml
    """
    from controller.cli.printing import open_configuration
    from controller.logs import log_to_stderr
    from controller.service import build_service

    log_to_stderr()
    _make_room_for_agents()
    configuration = open_configuration(config)

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        built = build_service(configuration)
        try:
            await built.service.run(stop, ready=lambda: typer.echo(f"serving {configuration.url}"))
        finally:
            built.close()

    asyncio.run(run())


@gitops.command("accept")
def accept(
    commit: Annotated[str, typer.Argument(help="The commit, in full or abbreviated.")],
    config: Config = Path("controller.yaml"),
) -> None:
    """Let the controller obey a commit that does not follow the last obeyed one (a branch was rewritten).

    Example:
      steward gitops accept 3f2a91c
    """
    from controller.cli.local import LocalController
    from controller.cli.printing import actor, open_configuration, open_store
    from controller.gitops import GitError
    from controller.service import data_folder, policy_repository

    configuration = open_configuration(config)
    data = data_folder(configuration)
    mirror = policy_repository(configuration, data)
    try:
        full = mirror.resolve(commit)
    except GitError:  # perhaps nobody has fetched it yet
        mirror.fetch()
        full = mirror.resolve(commit)
    with contextlib.closing(open_store(configuration)) as store:
        store.commits.record(full, kind="accepted", actor=actor(), now=int(time.time()))
    typer.echo(f"{full} may be obeyed")
    local = LocalController(data.socket)
    if local.is_there():
        local.post("/local/v1/reconcile", {})


@gitops.command("status")
def status(config: Config = Path("controller.yaml")) -> None:
    """Print the last obeyed commit.

    Example:
      steward gitops status -c controller.yaml
    """
    from controller.cli.printing import open_configuration, open_store

    with contextlib.closing(open_store(open_configuration(config))) as store:
        last = store.commits.last_applied()
    if not last:
        raise ControllerError("no commit was obeyed yet")
    typer.echo(last)


def _make_room_for_agents() -> None:
    """Let this process hold thousands of connections: each agent that waits is one.

    The soft limit of open files stays at 1,024 for programs that use select(2) (systemd.exec(5),
    LimitNOFILE); this is none. And asyncio keeps a buffer of 256 KiB for each TLS connection from its first
    byte on (CPython, Lib/asyncio/sslproto.py), which an agent's few bytes do not need: 2,000 that wait took
    600 MiB. A TLS record has at most 16 KiB (RFC 8446, section 5.1).
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sslproto.SSLProtocol.max_size = _TLS_BUFFER_BYTES
