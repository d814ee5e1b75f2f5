"""One program, run to its end within limits on time and output; no shell, a session of its own.

What hangs is ended together with its children. First by SIGTERM, on which a program removes its lock files
(git does), then by SIGKILL; and a grandchild that left the session and holds our pipes is not waited for.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from controller.errors import ControllerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Bounds", "CutOffError", "Ended", "run"]

_CHUNK = 256 * 1024
_LOOK_SECONDS = 0.2
_GRACE_SECONDS = 2.0
_MAX_SAID = 64 * 1024


class CutOffError(ControllerError):
    """The program took too long, wrote too much, or was not wanted any more; it has been ended."""

    def __init__(self, message: str, *, is_too_much: bool = False) -> None:
        super().__init__(message)
        self.is_too_much = is_too_much


@dataclass(frozen=True)
class Bounds:
    """How long it may take and how much it may write to its standard output."""

    seconds: float
    bytes: int


@dataclass(frozen=True)
class Ended:
    """How a program ended by itself: what it wrote, and the beginning of what it complained."""

    returncode: int
    out: bytes
    err: bytes


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    bounds: Bounds,
    input_: bytes = b"",
    is_stopping: Callable[[], bool] = lambda: False,
) -> Ended:
    """Run it in `/` and return how it ended. Raises CutOffError, and OSError where it cannot be started."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(  # noqa: S603 - argv is a tuple of ours, there is no shell
        argv, stdin=pipe, stdout=pipe, stderr=pipe, env=env, cwd="/", start_new_session=True
    )
    talk = _Talk(process, input_)
    try:
        why = talk.until_silent(bounds, is_stopping)
        if why:
            raise CutOffError(why, is_too_much=len(talk.out) > bounds.bytes)
        return Ended(process.wait(), bytes(talk.out), bytes(talk.err))
    finally:
        _end(process)
        talk.close()


class _Talk:
    """Both directions at once, so that neither side waits for the other for ever."""

    def __init__(self, process: subprocess.Popen[bytes], input_: bytes) -> None:
        assert process.stdin and process.stdout and process.stderr  # noqa: S101, PT018 - all are pipes
        self.out, self.err = bytearray(), bytearray()
        self._input = memoryview(input_)
        self._pipes: tuple[IO[bytes], ...] = (process.stdin, process.stdout, process.stderr)
        self._stdin = process.stdin
        self._selector = selectors.DefaultSelector()
        os.set_blocking(process.stdin.fileno(), False)
        self._selector.register(process.stdin, selectors.EVENT_WRITE)
        self._selector.register(process.stdout, selectors.EVENT_READ, self.out)
        self._selector.register(process.stderr, selectors.EVENT_READ, self.err)

    def until_silent(self, bounds: Bounds, is_stopping: Callable[[], bool]) -> str:
        """Talk until it closes its output; returns why it must be ended before, if so."""
        deadline = time.monotonic() + bounds.seconds
        while self._selector.get_map():
            for key, _ in self._selector.select(_LOOK_SECONDS):
                if key.fileobj is self._stdin:
                    self._feed()
                else:
                    self._take(key.fileobj, key.data)
            if len(self.out) > bounds.bytes:
                return f"wrote more than {bounds.bytes} bytes"
            if is_stopping():
                return "was ended because the controller stops"
            if time.monotonic() > deadline:
                return f"took longer than {bounds.seconds:g} s"
        return ""

    def close(self) -> None:
        self._selector.close()
        for pipe in self._pipes:
            with contextlib.suppress(OSError):  # input that nobody read
                pipe.close()

    def _feed(self) -> None:
        try:
            written = os.write(self._stdin.fileno(), self._input[:_CHUNK]) if self._input else 0
            self._input = self._input[written:]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._input = self._input[:0]
        if not self._input:
            self._selector.unregister(self._stdin)
            self._stdin.close()

    def _take(self, pipe: object, into: bytearray) -> None:
        chunk = os.read(pipe.fileno(), _CHUNK)  # type: ignore[attr-defined]
        if not chunk:
            self._selector.unregister(pipe)  # type: ignore[arg-type]
        elif into is self.out or len(into) < _MAX_SAID:
            into += chunk


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_SECONDS)
