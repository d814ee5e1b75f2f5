"""`steward-agent verify`: the verifier alone, over files.

One delivery against a trust bundle and limits, or published vectors. Exit codes: 0 accepted, or every
vector as it expects; 3 refused, or a vector that differs; 1 a file that cannot be read or is none of these.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from agent import configuration, strict_yaml
from agent.errors import AgentError
from protocol.documents import MAX_DELIVERY_BYTES, Limits, TrustBundle, VerifierState
from protocol.errors import BadDocument, NotStrictJson, ProtocolError
from protocol.vector import Vector
from protocol.verify import Refused, verify
from protocol.wire import decode_json

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["add_parser", "run"]

_REFUSED = 3
_MAX_FILE = 8 * 1024 * 1024


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand; its parser's default `run` is this module's."""
    parser = subparsers.add_parser(
        "verify",
        help="verify a delivery, or published vectors, without running anything",
        description="Say whether a host would accept a delivery: accepted, or refused and why (exit 3). "
        "Nothing is run and nothing is remembered.",
    )
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="the delivery")
    parser.add_argument("--trust", type=Path, metavar="FILE", help="trust bundle, JSON")
    parser.add_argument("--limits", type=Path, metavar="FILE", help="agent.yaml, or its `limits` as JSON")
    parser.add_argument("--host", metavar="ID", help="the host's id")
    parser.add_argument("--now", type=int, metavar="SECONDS", help="the time, in seconds since 1970 (now)")
    parser.add_argument(
        "--vector",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="run published vectors instead: `NAME: RESULT` a line",
    )
    parser.set_defaults(run=run, usage_error=parser.error)


def run(args: argparse.Namespace) -> int:
    """Verify what the arguments name and print the result; the exit code. Raises AgentError."""
    if args.vector is not None:
        if args.file is not None:
            args.usage_error("--vector takes no delivery besides")
        return _run_vectors(args.vector)
    if args.file is None or args.trust is None or args.limits is None or args.host is None:
        args.usage_error("FILE, --trust, --limits and --host are needed, or --vector")
    return _run_delivery(args)


def _run_delivery(args: argparse.Namespace) -> int:
    bundle, limits = _trust(args.trust), _limits(args.limits)
    now = int(time.time()) if args.now is None else args.now
    delivery = _read(args.file, MAX_DELIVERY_BYTES + 1)
    result = verify(delivery, bundle=bundle, limits=limits, host_id=args.host, now=now, state=VerifierState())
    if isinstance(result, Refused):
        _print(f"refused: {result.reason}")
        print(f"steward-agent: {result.detail}", file=sys.stderr)  # noqa: T201  (the command's output)
        return _REFUSED
    _print("accepted")
    return 0


def _run_vectors(paths: "Sequence[Path]") -> int:
    differing = 0
    for path in paths:
        try:
            vector = Vector.parse(_read(path))
            result = vector.run()
        except BadDocument as error:
            raise AgentError(f"{path}: {error}") from error
        _print(f"{vector.name}: {result}")
        if result != vector.expect:
            differing += 1
            print(f"steward-agent: {path}: expected {vector.expect}", file=sys.stderr)  # noqa: T201
    return _REFUSED if differing else 0


def _trust(path: Path) -> TrustBundle:
    try:
        return TrustBundle.parse(_read(path))
    except ProtocolError as error:
        raise AgentError(f"{path}: {error}") from error


def _limits(path: Path) -> Limits:
    """The limits in a file: by themselves, in JSON or YAML, or those of a whole agent.yaml."""
    data = _read(path)
    tree = _tree(data, path)
    try:
        if isinstance(tree, dict) and (not tree or "kinds" in tree):
            return Limits.parse(tree)
        if isinstance(tree, dict) and "limits" in tree and "state" not in tree:
            return Limits.parse(tree["limits"])
        return Limits.parse(configuration.parse(data, path, {}).settings.limits)
    except ProtocolError as error:
        raise AgentError(f"{path}: {error}") from error


def _tree(data: bytes, path: Path) -> object:
    """JSON where it is JSON, else YAML (which reads most JSON, but not all); both without a key twice."""
    try:
        return decode_json(data)
    except NotStrictJson:
        try:
            return strict_yaml.read(data)
        except strict_yaml.BadYamlError as error:
            raise AgentError(f"{path}{error.place}: {error}") from error


def _read(path: Path, most: int = _MAX_FILE) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise AgentError(f"{path}: {error.strerror}") from error


def _print(line: str) -> None:
    print(line)  # noqa: T201  (the command's output)
