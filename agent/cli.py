"""steward-agent: the command of a host. One small function per subcommand, what they need imported late.

Exit status: 0 done, 1 error, 3 refused (a signature, a limit, a trust chain), 64 wrong usage.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from agent import DEFAULT_CONFIG, VERSION
from agent.errors import AgentError, UsageError

__all__ = ["main"]

EXIT_ERROR = 1
EXIT_REFUSED = 3
EXIT_USAGE = 64

_DESCRIPTION = """\
The programs of one host: metrics for Prometheus, and actions that were signed.

  first      steward-agent enroll --token-file FILE    this host joins its controller
  then       steward-agent executor                    root: does what was signed and what agent.yaml allows
             steward-agent run                         no rights: polls the controller, serves /metrics
  or only    steward-agent export                      /metrics alone, without any controller
"""


class _Help(argparse.RawDescriptionHelpFormatter):
    """Help as wide as the flags of the exporters are told."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=100)


class _Parser(argparse.ArgumentParser):
    """argparse with this product's exit status for wrong usage."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(EXIT_USAGE, f"{self.prog}: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand; return its exit status."""
    words = sys.argv[1:] if argv is None else list(argv)
    parser = _parser("verify" in words[:1], describing=not {"-h", "--help"}.isdisjoint(words))
    arguments, rest = parser.parse_known_args(words)
    run: Callable[[argparse.Namespace], int] = arguments.run
    if rest and "path_procfs" not in arguments:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    arguments.rest = rest
    try:
        status = run(arguments)
        sys.stdout.flush()
        return status
    except UsageError as error:
        parser.error(str(error))
    except AgentError as error:
        _say(f"steward-agent: {error}")
        if error.hint:
            _say(f"  {error.hint}")
        return EXIT_ERROR
    except BrokenPipeError:
        # Whoever read has seen enough. What is left in the buffer must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_ERROR
    except OSError as error:
        _say(f"steward-agent: {error}")
        return EXIT_ERROR
    except KeyboardInterrupt:
        return EXIT_ERROR


def _parser(with_verifier: bool, *, describing: bool = False) -> argparse.ArgumentParser:
    """Build the parser; verifier and collectors are loaded only where their options are wanted."""
    parser: argparse.ArgumentParser = _Parser(
        prog="steward-agent", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"steward-agent {VERSION}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_enroll(commands)
    _add_run(commands, describing)
    _add_executor(commands)
    _add_export(commands, describing)
    _add_top(commands, describing)
    _add_check(commands, describing)
    _add_deliver(commands)
    _add_status(commands)
    _add_trust(commands)
    if with_verifier:
        from agent import verify_cli

        verify_cli.add_parser(commands)
    else:
        commands.add_parser(
            "verify", help="verify a delivery, or published vectors, without running anything"
        )
    return parser


if TYPE_CHECKING:
    from agent.exporter_flags import Exporting

    _Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - it has no public name


def _add_enroll(commands: "_Commands") -> None:
    parser = commands.add_parser(
        "enroll",
        help="join a controller by a token",
        description="Spends an enrolment token: checks the controller's CA and root of trust against its "
        "pins, makes this host's two keys, and writes its identity below `state`. Run it as root. "
        "`steward host enroll NAME` on the controller's side prints a token.",
    )
    _configured(parser)
    parser.add_argument(
        "--token-file",
        required=True,
        metavar="FILE",
        help="file with the token; - reads it from standard input",
    )
    parser.add_argument("--replace", action="store_true", help="give up this host's present identity")
    parser.set_defaults(run=_enroll)


def _add_run(commands: "_Commands", describing: bool) -> None:
    parser = commands.add_parser(
        "run",
        help="the network process: poll the controller, serve /metrics",
        description="Polls the controller, carries deliveries to the executor and receipts back, and serves\n"
        "/metrics. Needs no rights: run it as a user of its own. It never starts the executor: systemd does\n"
        "by socket activation, without systemd start `steward-agent executor` yourself.",
    )
    _configured(parser)
    _exporter_options(parser, describing)
    parser.add_argument(
        "--poll-seconds",
        type=_poll_seconds,
        default=50,
        metavar="N",
        help="longest wait of one poll, 0 to 50 (default 50)",
    )
    parser.set_defaults(run=_run)


def _add_executor(commands: "_Commands") -> None:
    parser = commands.add_parser(
        "executor",
        help="the process that does what was signed",
        description="Listens on a Unix socket, believes nobody: verifies every delivery against its own "
        "trust, journal, clock and agent.yaml, runs what is accepted, signs receipts. With systemd it is "
        "started by its socket and leaves when idle; without, it makes the socket itself and stays.",
    )
    _configured(parser)
    parser.add_argument(
        "--socket", type=Path, metavar="PATH", help="listen here instead of `socket` of agent.yaml"
    )
    parser.set_defaults(run=_executor)


def _add_export(commands: "_Commands", describing: bool) -> None:
    parser = commands.add_parser(
        "export",
        help="serve /metrics alone, without a controller",
        description="Serves this machine's metrics under node_exporter's, dcgm-exporter's and\n"
        "prometheus-pve-exporter's names. Needs no configuration and no enrolment.",
    )
    parser.add_argument(
        "--listen",
        action="append",
        default=[],
        metavar="HOST:PORT",
        help="default 127.0.0.1:9095; may be given again; port 0 picks a free one",
    )
    _exporter_options(parser, describing)
    parser.set_defaults(run=_export)


def _add_top(commands: "_Commands", describing: bool) -> None:
    parser = commands.add_parser(
        "top",
        help="this host on one terminal screen",
        description="CPU, memory, GPUs, guests, users, services, disks and networks of this host, read anew\n"
        "every half second. No server is asked, nothing is stored, no rights are needed for most of it.\n"
        "Keys: space pauses, m and c sort by memory and CPU, q quits.",
    )
    parser.add_argument(
        "--interval", type=_interval, default=0.5, metavar="SECONDS", help="0.1 to 60 (default 0.5)"
    )
    parser.add_argument("--once", action="store_true", help="print one screen as text and end")
    _exporter_options(parser, describing)
    parser.set_defaults(run=_top)


def _add_check(commands: "_Commands", describing: bool) -> None:
    parser = commands.add_parser(
        "check",
        help="check agent.yaml, flags and web configuration, and say what would run",
        description="Reads what `steward-agent run` would read and starts nothing.\n"
        "Exit 1 where something is wrong.",
    )
    _configured(parser)
    _exporter_options(parser, describing)
    parser.set_defaults(run=_check)


def _add_deliver(commands: "_Commands") -> None:
    parser = commands.add_parser(
        "deliver",
        help="hand a delivery to the executor and print its receipt",
        description="What the network process does with a delivery, by hand: for an operator at the host, "
        "and to see what the executor says to a delivery from anywhere. Exit 0 done, 3 refused, 1 failed.",
    )
    _configured(parser)
    parser.add_argument("file", metavar="FILE", help="the delivery as JSON; - reads standard input")
    parser.add_argument(
        "--wait", type=_wait_seconds, default=60.0, metavar="SECONDS", help="wait so long for the receipt"
    )
    parser.add_argument(
        "--output", choices=("text", "json"), default="text", help="how to print it (default text)"
    )
    parser.set_defaults(run=_deliver)


def _add_status(commands: "_Commands") -> None:
    parser = commands.add_parser("status", help="what the executor says of itself, as JSON")
    _configured(parser)
    parser.set_defaults(run=_status)


def _add_trust(commands: "_Commands") -> None:
    parser = commands.add_parser("trust", help="the trust that this host holds")
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    show = verbs.add_parser("show", help="version, expiry and pins, as JSON")
    _configured(show)
    show.set_defaults(run=_trust_show)
    install = verbs.add_parser(
        "install",
        help="continue the chain of trust from a file",
        description="Takes a trust bundle, or one signed trust document, and installs what the chain itself "
        "proves; for a host that cannot reach its controller. Exit 3 where the chain does not hold.",
    )
    _configured(install)
    install.add_argument("file", metavar="FILE", help="JSON; - reads standard input")
    install.set_defaults(run=_trust_install)


def _configured(parser: argparse.ArgumentParser) -> None:
    default = Path(os.environ.get("STEWARD_AGENT_CONFIG", DEFAULT_CONFIG))
    parser.add_argument(
        "--config", type=Path, default=default, metavar="FILE", help=f"agent.yaml (default {default})"
    )


def _exporter_options(parser: argparse.ArgumentParser, describing: bool) -> None:
    parser.formatter_class = _Help
    parser.allow_abbrev = False  # what is nearly right is told, not taken
    if describing:
        from agent.exporter_flags import describe

        parser.epilog = describe()
    group = parser.add_argument_group("exporters", "as node_exporter's flags of the same names")
    for name, value in (
        ("procfs", "/proc"),
        ("sysfs", "/sys"),
        ("rootfs", "/"),
        ("udev.data", "/run/udev/data"),
    ):
        group.add_argument(
            f"--path.{name}",
            dest=f"path_{name.replace('.', '_')}",
            type=Path,
            default=Path(value),
            metavar="PATH",
            help=f"default {value}",
        )
    group.add_argument(
        "--insecure",
        action="store_true",
        help="allow an address that others can reach without TLS and users (--web.config.file)",
    )


def _wait_seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 86_400:  # also not a number, which is smaller than nothing
        raise argparse.ArgumentTypeError("0 to 86400")
    return value


def _interval(text: str) -> float:
    value = float(text)
    if not 0.1 <= value <= 60:
        raise argparse.ArgumentTypeError("0.1 to 60")
    return value


def _poll_seconds(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 50:
        raise argparse.ArgumentTypeError("0 to 50")
    return value


def _enroll(arguments: argparse.Namespace) -> int:
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


def _run(arguments: argparse.Namespace) -> int:
    from agent.processes import run_network

    return run_network(
        arguments.config,
        _exporting(arguments),
        poll_seconds=arguments.poll_seconds,
    )


def _executor(arguments: argparse.Namespace) -> int:
    from agent.processes import run_executor

    return run_executor(arguments.config, arguments.socket)


def _export(arguments: argparse.Namespace) -> int:
    from agent.processes import run_export

    return run_export(_exporting(arguments))


def _check(arguments: argparse.Namespace) -> int:
    from agent.checking import check

    return check(arguments.config, _exporting(arguments))


def _top(arguments: argparse.Namespace) -> int:
    from agent.top.command import FLAGS, run

    return run(_exporting(arguments).host(FLAGS), interval_seconds=arguments.interval, once=arguments.once)


def _deliver(arguments: argparse.Namespace) -> int:
    from agent import local

    delivery = _read(arguments.file, 1 << 20)
    return local.deliver(arguments.config, delivery, arguments.wait, as_json=arguments.output == "json")


def _status(arguments: argparse.Namespace) -> int:
    from agent import local

    return local.status(arguments.config)


def _trust_show(arguments: argparse.Namespace) -> int:
    from agent import local

    return local.trust_show(arguments.config)


def _trust_install(arguments: argparse.Namespace) -> int:
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


def _say(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201 - the command's complaint


if __name__ == "__main__":
    sys.exit(main())
