"""The alarm clock: rings at intervals. What is due, and doing it, is the business of whoever listens."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from apscheduler.schedulers.asyncio import AsyncIOScheduler

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Alarm"]


class Alarm:
    """Calls functions at intervals on the running event loop; they must return at once.

    Rings that were missed (a machine that slept) become one.
    """

    def __init__(self) -> None:
        self._scheduler = AsyncIOScheduler(timezone=UTC)

    def every(self, seconds: float, name: str, ring: Callable[[], None]) -> None:
        """Call `ring` every so many seconds, the first time after that long."""

        async def on_the_loop() -> None:  # a plain function would be called on a thread of its own
            ring()

        self._scheduler.add_job(
            on_the_loop,
            "interval",
            seconds=seconds,
            id=name,
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
        )

    def start(self) -> None:
        """Begin; needs a running event loop."""
        self._scheduler.start()

    def stop(self) -> None:
        """Ring no more; harmless where it never began."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
