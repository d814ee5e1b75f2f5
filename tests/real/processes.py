"""Starting a real server for a test and stopping it again, with everything that it started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_PAUSE_SECONDS = 0.1
_STOP_SECONDS = 15
_LOG_TAIL = 4000


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(
    argv: Sequence[str | Path],
    *,
    log: Path,
    ready: str,
    environment: Mapping[str, str] | None = None,
    within_seconds: float = 60,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends; entered once `ready` (an address) answers 200.

    Raises `RuntimeError` with the end of its log where it ends by itself or is not ready in time.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(part) for part in argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        try:
            _wait_until_ready(process, ready, log, within_seconds)
            yield process
        finally:
            _stop(process)


def _wait_until_ready(process: subprocess.Popen[bytes], ready: str, log: Path, within_seconds: float) -> None:
    deadline = time.monotonic() + within_seconds
    while not _answers(ready):
        try:
            process.wait(timeout=_PAUSE_SECONDS)
        except subprocess.TimeoutExpired:
            if time.monotonic() < deadline:
                continue
            raise RuntimeError(
                f"{process.args!r} was not ready in {within_seconds} s:\n{_tail(log)}"
            ) from None
        raise RuntimeError(f"{process.args!r} ended with {process.returncode}:\n{_tail(log)}")


def _answers(address: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _tail(log: Path) -> str:
    return log.read_bytes()[-_LOG_TAIL:].decode(errors="replace")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the whole process group: asked first, then made to."""
    for order in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, order)
        except ProcessLookupError:
            break
        try:
            process.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    process.wait(timeout=_STOP_SECONDS)
