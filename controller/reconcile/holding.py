"""The lease, held for as long as a pass lasts: renewed by a thread, given back at the end.

A pass that is killed leaves its lease to run out after `TTL_SECONDS`. Renewals come at a third of that,
so that one of them may fail. Somebody who follows a pass whose process is gone waits for that end, and
for nobody else's.
"""

from __future__ import annotations

import os
import re
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

from controller.errors import ControllerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["TTL_SECONDS", "held", "holder_name", "is_gone"]

TTL_SECONDS = 15
_RENEW_SECONDS = 5.0
_HOLDER = re.compile(r"steward apply by .+@(?P<host>[^@ ]+) \(process (?P<process>[0-9]+)\)")


class _Lease(Protocol):
    @property
    def term(self) -> int: ...
    @property
    def holder(self) -> str: ...
    @property
    def until(self) -> int: ...


L = TypeVar("L", bound=_Lease)


class _Leases(Protocol[L]):
    def acquire(self, holder: str, ttl_seconds: int, now: int) -> L: ...
    def renew(self, lease: L, ttl_seconds: int, now: int) -> L: ...
    def release(self, lease: L, now: int) -> None: ...
    def current(self) -> L | None: ...


@contextmanager
def held(leases: _Leases[L], holder: str, *, clock: Callable[[], float] = time.time) -> Iterator[L]:
    """Take the lease and keep it until the block ends.

    Raises what acquiring raises. A renewal that fails ends the renewing: the store itself then refuses every
    write under the old term, which stops the pass.
    """
    over = threading.Event()
    _outlive(leases, clock, over)
    lease = leases.acquire(holder, TTL_SECONDS, int(clock()))

    def renew() -> None:
        current = lease
        while not over.wait(_RENEW_SECONDS):
            try:
                current = leases.renew(current, TTL_SECONDS, int(clock()))
            except ControllerError:
                return

    keeper = threading.Thread(target=renew, name="lease", daemon=True)
    keeper.start()
    try:
        yield lease
    finally:
        over.set()
        keeper.join()
        leases.release(lease, int(clock()))


def holder_name(actor: str) -> str:
    """How a pass of this process names itself; `is_gone` reads it. `actor` is user@host."""
    return f"steward apply by {actor} (process {os.getpid()})"


def is_gone(holder: str, host: str) -> bool:
    """Whether the holder is a pass on this host whose process has ended."""
    named = _HOLDER.fullmatch(holder)
    if named is None or named["host"] != host:
        return False
    try:
        os.kill(int(named["process"]), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


def _outlive(leases: _Leases[L], clock: Callable[[], float], over: threading.Event) -> None:
    """Wait out the lease of a process that is gone: at most TTL_SECONDS, and only on this host."""
    import socket

    current = leases.current()
    if current is None or not is_gone(current.holder, socket.gethostname()):
        return
    deadline = time.monotonic() + TTL_SECONDS + 1
    while current.until > int(clock()) and time.monotonic() < deadline:
        over.wait(0.1)
