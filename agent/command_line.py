"""The command line of steward-agent: subcommands, their options, and what --help says of them."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from agent import DEFAULT_CONFIG, VERSION, commands

__all__ = ["EXIT_USAGE", "build"]

EXIT_USAGE = 64

_DESCRIPTION = """\
The programs of one host: metrics for Prometheus, and actions that were signed.

  first      steward-agent enroll --token-file FILE    this host joins its controller
  then       steward-agent executor                    root: does what was signed and what agent.yaml allows
             steward-agent run                         no rights: polls the controller, serves /metrics
  or only    steward-agent export                      /metrics alone, without any controller
  by hand    steward-agent top                         this host on one screen, for who is logged in
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


def build(with_verifier: bool, *, describing: bool = False) -> argparse.ArgumentParser:
    """Build the parser; verifier and collectors are loaded only where their options are wanted."""
    parser: argparse.ArgumentParser = _Parser(
        prog="steward-agent", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"steward-agent {VERSION}")
    group = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_enroll(group)
    _add_run(group, describing)
    _add_executor(group)
    _add_export(group, describing)
    _add_top(group, describing)
    _add_check(group, describing)
    _add_deliver(group)
    _add_status(group)
    _add_trust(group)
    if with_verifier:
        from agent import verify_cli

        verify_cli.add_parser(group)
    else:
        group.add_parser("verify", help="verify a delivery, or published vectors, without running anything")
    return parser


if TYPE_CHECKING:
    _Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - it has no public name


def _add_enroll(group: "_Commands") -> None:
    parser = group.add_parser(
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
    parser.set_defaults(run=commands.enroll)


def _add_run(group: "_Commands", describing: bool) -> None:
    parser = group.add_parser(
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
    parser.set_defaults(run=commands.run)


def _add_executor(group: "_Commands") -> None:
    parser = group.add_parser(
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
    parser.set_defaults(run=commands.executor)


def _add_export(group: "_Commands", describing: bool) -> None:
    parser = group.add_parser(
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
    parser.set_defaults(run=commands.export)


def _add_top(group: "_Commands", describing: bool) -> None:
    parser = group.add_parser(
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
    parser.set_defaults(run=commands.top)


def _add_check(group: "_Commands", describing: bool) -> None:
    parser = group.add_parser(
        "check",
        help="check agent.yaml, flags and web configuration, and say what would run",
        description="Reads what `steward-agent run` would read and starts nothing.\n"
        "Exit 1 where something is wrong.",
    )
    _configured(parser)
    _exporter_options(parser, describing)
    parser.set_defaults(run=commands.check)


def _add_deliver(group: "_Commands") -> None:
    parser = group.add_parser(
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
    parser.set_defaults(run=commands.deliver)


def _add_status(group: "_Commands") -> None:
    parser = group.add_parser("status", help="what the executor says of itself, as JSON")
    _configured(parser)
    parser.set_defaults(run=commands.status)


def _add_trust(group: "_Commands") -> None:
    parser = group.add_parser("trust", help="the trust that this host holds")
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    show = verbs.add_parser("show", help="version, expiry and pins, as JSON")
    _configured(show)
    show.set_defaults(run=commands.trust_show)
    install = verbs.add_parser(
        "install",
        help="continue the chain of trust from a file",
        description="Takes a trust bundle, or one signed trust document, and installs what the chain itself "
        "proves; for a host that cannot reach its controller. Exit 3 where the chain does not hold.",
    )
    _configured(install)
    install.add_argument("file", metavar="FILE", help="JSON; - reads standard input")
    install.set_defaults(run=commands.trust_install)


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
