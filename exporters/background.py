"""Slow sources: read in a thread of their own at their own interval, served from memory with their age.

A source that hangs holds its one thread; its last reading is served no longer than `stale_seconds`, then the
collector fails, because old numbers that look fresh are worse than none.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

from exporters.collector import Collector
from exporters.errors import ExporterError, NoDataError
from exporters.samples import Family
from exporters.text import Ready


@dataclass(frozen=True, slots=True)
class _Kept:
    families: Sequence[Family]
    error: Exception | None
    read_at: float


class Background:
    """Calls `read` every `interval_seconds` from the first `collect` on; `steady` is a clock that never goes
    back.
    """

    def __init__(
        self,
        name: str,
        read: Callable[[], Sequence[Family]],
        *,
        interval_seconds: float,
        idle_interval_seconds: float = 60.0,
        first_wait_seconds: float = 1.0,
        steady: Callable[[], float] = monotonic,
    ) -> None:
        self._name = name
        self._read = read
        self._interval_seconds = interval_seconds
        self._idle_interval_seconds = max(idle_interval_seconds, interval_seconds)
        self._first_wait_seconds = first_wait_seconds
        self._steady = steady
        self._kept: _Kept | None = None
        self._first = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def collector(self) -> Collector:
        """This source as the table's collector."""
        return Collector(self.collect, self.close, self.age_seconds)

    @property
    def stale_seconds(self) -> float:
        """Age from which a reading is not served any more."""
        return 3 * self._interval_seconds

    def collect(self) -> Sequence[Family]:
        """The last reading; the first call starts the thread and waits for it a moment.

        Raises:
            NoDataError: the source has nothing to read.
            ExporterError: no reading yet, or none for too long.
            Exception: what the last reading raised.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=f"exporters-{self._name}", daemon=True)
            self._thread.start()
            self._first.wait(self._first_wait_seconds)
        kept = self._kept
        if kept is None:
            raise ExporterError(f"{self._name}: the first reading is still under way")
        # The same error is raised at each scrape; its traceback must not grow each time.
        if isinstance(kept.error, NoDataError):
            raise kept.error.with_traceback(None)
        age = self._steady() - kept.read_at
        if age > self.stale_seconds:
            raise ExporterError(f"{self._name}: the last reading is {age:.0f} s old")
        if kept.error is not None:
            raise kept.error.with_traceback(None)
        return kept.families

    def age_seconds(self) -> float | None:
        """Age of the last reading; None before the first."""
        kept = self._kept
        return None if kept is None else round(self._steady() - kept.read_at, 3)

    def close(self) -> None:
        """Let the thread end; it may be stuck, so nobody waits for it."""
        self._closed.set()

    def _work(self) -> None:
        pause = 0.0
        while not self._closed.wait(pause):
            self._kept = kept = self._reading()
            self._first.set()
            pause = (
                self._idle_interval_seconds if isinstance(kept.error, NoDataError) else self._interval_seconds
            )

    def _reading(self) -> _Kept:
        try:
            families = self._read()
            if not isinstance(families, Ready):
                families = tuple(families)  # the same reading at each scrape, as the renderer sees by it
        except Exception as error:  # noqa: BLE001 - the isolating runner of a background source
            return _Kept((), error, self._steady())
        return _Kept(families, None, self._steady())
