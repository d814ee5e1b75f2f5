"""Keeping the lease: who may write to the systems just now, by a clock that nobody sets back.

The arithmetic: a holder renews every `loop_wait`; one attempt may fail and be repeated, each taking
up to `retry_timeout`; so `loop_wait + 2 × retry_timeout ≤ ttl`, or a single lost request would end a
healthy holder. The end is counted on the monotonic clock from *before* the request, so it can only be
earlier than the store's.

A predecessor that did not give the lease back may still have requests under way: writing then waits for the
old end plus `drain` seconds (Proxmox needs 15, see actions.md section 11).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.errors import ControllerError
from controller.store import LeaseHeld, LeaseLost, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.store import Lease, Store

__all__ = ["Leadership", "LeaseTiming"]


@dataclass(frozen=True)
class LeaseTiming:
    """Durations in seconds; raises ControllerError where they do not add up."""

    ttl: int = 15
    loop_wait: int = 5
    retry_timeout: int = 5
    drain: int = 15

    def __post_init__(self) -> None:
        if min(self.ttl, self.loop_wait, self.retry_timeout) < 1 or self.drain < 0:
            raise ControllerError("lease times are at least one second")
        if self.loop_wait + 2 * self.retry_timeout > self.ttl:
            raise ControllerError(
                f"a lease of {self.ttl} s is too short: renewing every {self.loop_wait} s with two attempts"
                f" of {self.retry_timeout} s each needs {self.loop_wait + 2 * self.retry_timeout} s"
            )


class Leadership:
    """One candidate for the lease. `step` is called every `loop_wait` seconds."""

    def __init__(
        self,
        store: Store,
        holder: str,
        timing: LeaseTiming,
        *,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._leases = store.lease
        self._holder = holder
        self._timing = timing
        self._clock = clock
        self._monotonic = monotonic
        self._lease: Lease | None = None
        self._deadline = 0.0
        self._writes_from = 0.0
        self.note = ""

    @property
    def lease(self) -> Lease | None:
        """The lease while it is ours; None from its end on."""
        return self._lease if self._monotonic() < self._deadline else None

    def may_write(self) -> bool:
        """Whether a write may begin now.

        Our lease outlives a slow request, and a predecessor's have drained.
        """
        now = self._monotonic()
        is_long = now < self._deadline - self._timing.retry_timeout
        return self._lease is not None and is_long and now >= self._writes_from

    def step(self) -> Lease | None:
        """Take or renew the lease; blocking. What keeps us from it is told in `note`."""
        before, now = self._monotonic(), int(self._clock())
        try:
            held = self.lease
            if held is not None:
                self._lease = self._leases.renew(held, self._timing.ttl, now)
            else:
                self._take(before, now)
            self._deadline, self.note = before + self._timing.ttl, ""
        except (LeaseHeld, LeaseLost) as error:
            self._lease, self._deadline, self.note = None, 0.0, str(error)
        except StoreError as error:  # still ours until its end: the next step may reach the store
            self.note = str(error)
        return self.lease

    def release(self) -> None:
        """Give the lease back; blocking. Nothing of ours may be under way."""
        if self._lease is not None:
            self._leases.release(self._lease, int(self._clock()))
        self._lease, self._deadline = None, 0.0

    def _take(self, before: float, now: int) -> None:
        previous = self._leases.current()
        self._lease = self._leases.acquire(self._holder, self._timing.ttl, now)
        wait = 0
        if previous is not None and previous.until > 0:
            wait = max(0, previous.until + self._timing.drain - now)
        self._writes_from = before + min(wait, self._timing.ttl + self._timing.drain)
