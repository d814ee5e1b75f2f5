"""The lease, held for as long as a pass lasts: renewed by a thread, given back at the end.

A pass that is killed leaves its lease to run out after `TTL_SECONDS`; renewals come at a third of that,
so that one of them may fail (renewal wait + 2 × the store's patience stays below the time to live).
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

from controller.errors import ControllerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["TTL_SECONDS", "held"]

TTL_SECONDS = 15
_RENEW_SECONDS = 5.0


class _Lease(Protocol):
    @property
    def term(self) -> int: ...


L = TypeVar("L", bound=_Lease)


class _Leases(Protocol[L]):
    def acquire(self, holder: str, ttl_seconds: int, now: int) -> L: ...
    def renew(self, lease: L, ttl_seconds: int, now: int) -> L: ...
    def release(self, lease: L, now: int) -> None: ...


@contextmanager
def held(leases: _Leases[L], holder: str, *, clock: Callable[[], float] = time.time) -> Iterator[L]:
    """Take the lease and keep it until the block ends.

    Raises what acquiring raises. A renewal that fails ends the renewing: the store itself then refuses every
    write under the old term, which stops the pass.
    """
    lease = leases.acquire(holder, TTL_SECONDS, int(clock()))
    over = threading.Event()

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
