"""Keeps one server: runs it in a process group of its own and ends all of that when standard input ends.

`lab.processes` starts it with a pipe. However the starter goes, killed too, the pipe closes and nothing runs
on. A byte on the pipe halts the server or lets it go on. The exit status is the server's, 128 + N after
signal N, as a shell would say it. The script stands alone, so that it starts quickly.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["HALT", "RESUME", "main"]

HALT, RESUME = b"h", b"r"

_ORDERS = {HALT: signal.SIGSTOP, RESUME: signal.SIGCONT}


def main(stop_seconds: float, argv: Sequence[str]) -> int:
    """Run the server to its end and give its exit status.

    It may take `stop_seconds` to end by itself once it is asked to.
    """
    server = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603  # as told
    signal.signal(signal.SIGTERM, lambda *_: _ask_to_end(server))
    threading.Thread(target=_obey, args=(server, stop_seconds), daemon=True).start()
    status = server.wait()
    _send(server, signal.SIGKILL)
    return status if status >= 0 else 128 - status


def _obey(server: subprocess.Popen[bytes], stop_seconds: float) -> None:
    """Carry out what comes on the pipe; at its end, end the server: asked first, then made to."""
    while order := os.read(sys.stdin.fileno(), 1):
        if order in _ORDERS:
            _send(server, _ORDERS[order])
    _ask_to_end(server)
    try:
        server.wait(stop_seconds)
    except subprocess.TimeoutExpired:
        _send(server, signal.SIGKILL)


def _ask_to_end(server: subprocess.Popen[bytes]) -> None:
    _send(server, signal.SIGTERM)
    _send(server, signal.SIGCONT)  # one that is halted hears nothing


def _send(server: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """To the whole group, which may be gone already."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(server.pid, number)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
