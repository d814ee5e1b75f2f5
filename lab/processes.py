"""Starting real servers and ending them with everything that they started, even where the lab is killed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab import keeper
from lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["Server", "free_port", "started"]

_PAUSE_SECONDS = 0.1
_END_SECONDS = 5
_ANSWER_SECONDS = 5
_LOG_TAIL = 4000


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A server that runs under a keeper."""

    def __init__(self, argv: Sequence[str], keeping: subprocess.Popen[bytes], stop_seconds: float) -> None:
        self._argv = argv
        self._keeping = keeping
        self._stop_seconds = stop_seconds

    @property
    def name(self) -> str:
        """The command line, for messages."""
        return " ".join(self._argv)

    def ended(self, within_seconds: float = 0) -> int | None:
        """The exit status (128 + N after signal N), None while it runs."""
        try:
            return self._keeping.wait(within_seconds)
        except subprocess.TimeoutExpired:
            return None

    def halt(self) -> None:
        """Stop it where it stands: connections stay open, nothing is answered. Raises `LabError`."""
        self._order(keeper.HALT)

    def resume(self) -> None:
        """Let it go on where it stood. Raises `LabError`."""
        self._order(keeper.RESUME)

    def end(self) -> None:
        """End it with its whole process group."""
        if self._keeping.stdin is not None:
            self._keeping.stdin.close()
        self._keeping.wait(self._stop_seconds + _END_SECONDS)

    def _order(self, order: bytes) -> None:
        if self._keeping.stdin is None or self.ended() is not None:
            raise LabError(f"{self.name} runs no more")
        try:
            self._keeping.stdin.write(order)
        except OSError as error:
            raise LabError(f"{self.name} runs no more") from error


@contextmanager
def started(
    argv: Sequence[str | Path],
    *,
    log: Path,
    ready: str,
    environment: Mapping[str, str] | None = None,
    within_seconds: float = 60,
    stop_seconds: float = 15,
) -> Iterator[Server]:
    """Run a server until the block ends; entered once `ready` (an address) answers 200.

    It gets `environment`, or ours where that is None, and `stop_seconds` to end once it is asked to. Raises
    `LabError` with the end of its log where it ends by itself or is not ready in time.
    """
    command = [str(part) for part in argv]
    with log.open("wb") as output:
        keeping = subprocess.Popen(  # noqa: S603  # no shell; the caller names the program
            [sys.executable, "-I", keeper.__file__, str(stop_seconds), *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(os.environ if environment is None else environment),
            start_new_session=True,
            bufsize=0,
        )
    server = Server(command, keeping, stop_seconds)
    try:
        _wait_until_ready(server, ready, log, within_seconds)
        yield server
    finally:
        server.end()


def _wait_until_ready(server: Server, ready: str, log: Path, within_seconds: float) -> None:
    deadline = time.monotonic() + within_seconds
    while not _answers(ready):
        status = server.ended(_PAUSE_SECONDS)
        if status is not None:
            raise LabError(f"{server.name} ended with {status}:\n{_tail(log)}")
        if time.monotonic() > deadline:
            raise LabError(f"{server.name} was not ready in {within_seconds:.0f} s:\n{_tail(log)}")


def _answers(address: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=_ANSWER_SECONDS) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _tail(log: Path) -> str:
    return log.read_bytes()[-_LOG_TAIL:].decode(errors="replace")
