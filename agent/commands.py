"""What each subcommand of steward-agent does: one small function, what it needs imported late.

Each takes the parsed command line, gives an exit status and raises AgentError.
"""

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from agent.errors import AgentError

if TYPE_CHECKING:
    from agent.exporter_flags import Exporting

__all__ = [
    "check",
    "deliver",
    "enroll",
    "executor",
    "export",
    "run",
    "status",
    "top",
    "trust_install",
    "trust_show",
]


def enroll(arguments: argparse.Namespace) -> int:
    """Join a controller by a token, and say as what."""
    import asyncio
    import time

    from agent.configuration import load
    from agent.enrolment import enroll

    loaded = load(arguments.config, os.environ)
    token = _read(arguments.token_file, 4096).decode("ascii", "replace")
    done = asyncio.run(enroll(loaded, token, replace=arguments.replace, now=int(time.time())))
    identity = done.identity
    _print(f"enrolled {identity.host_name} as {identity.host_id} at {identity.address}")
    _print(f"trust version {done.trust_version}, valid until {_instant(done.trust_expires_at)}")
    return 0


def run(arguments: argparse.Namespace) -> int:
    """Be the network process until told to stop."""
    from agent.processes import run_network

    return run_network(
        arguments.config,
        _exporting(arguments),
        poll_seconds=arguments.poll_seconds,
    )


def executor(arguments: argparse.Namespace) -> int:
    """Be the executor until told to stop or idle."""
    from agent.processes import run_executor

    return run_executor(arguments.config, arguments.socket)


def export(arguments: argparse.Namespace) -> int:
    """Serve /metrics until told to stop."""
    from agent.processes import run_export

    return run_export(_exporting(arguments))


def check(arguments: argparse.Namespace) -> int:
    """Check configuration and flags, and say what would run."""
    from agent.checking import check

    return check(arguments.config, _exporting(arguments))


def top(arguments: argparse.Namespace) -> int:
    """Show the host until told to stop."""
    from agent.top.command import FLAGS, run

    return run(_exporting(arguments).host(FLAGS), interval_seconds=arguments.interval, once=arguments.once)


def deliver(arguments: argparse.Namespace) -> int:
    """Hand a delivery to the executor and print its receipt."""
    from agent import local

    delivery = _read(arguments.file, 1 << 20)
    return local.deliver(arguments.config, delivery, arguments.wait, as_json=arguments.output == "json")


def status(arguments: argparse.Namespace) -> int:
    """Print what the executor says of itself."""
    from agent import local

    return local.status(arguments.config)


def trust_show(arguments: argparse.Namespace) -> int:
    """Print the trust that this host holds."""
    from agent import local

    return local.trust_show(arguments.config)


def trust_install(arguments: argparse.Namespace) -> int:
    """Continue the chain of trust from a file."""
    from agent import local

    return local.trust_install(arguments.config, _read(arguments.file, 4 << 20))


def _exporting(arguments: argparse.Namespace) -> "Exporting":
    """What the command line says about the exporters; raises UsageError."""
    from agent.exporter_flags import Exporting, parse

    return Exporting(
        procfs=arguments.path_procfs,
        sysfs=arguments.path_sysfs,
        rootfs=arguments.path_rootfs,
        udev_data=arguments.path_udev_data,
        given=parse(arguments.rest),
        listen=tuple(arguments.listen) if "listen" in arguments else (),
        insecure=arguments.insecure,
    )


def _read(name: str, limit: int) -> bytes:
    """Read a file or, for -, standard input; raises AgentError where it cannot be read or is too long."""
    try:
        if name == "-":
            data = sys.stdin.buffer.read(limit + 1)
        else:
            with Path(name).open("rb") as handle:
                data = handle.read(limit + 1)
    except OSError as error:
        raise AgentError(f"{name}: {error.strerror}") from error
    if len(data) > limit:
        raise AgentError(f"{name}: longer than {limit} bytes")
    return data


def _instant(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _print(line: str) -> None:
    print(line)  # noqa: T201 - the command's output
