"""Waking whoever waits.

The long-polls of a host when it gets something to do, status pages when anything changes.
"""

from __future__ import annotations

import asyncio

__all__ = ["Wakeups"]


class Wakeups:
    """Named bells on one event loop. A ring is never lost: who took a ticket before it wakes at once.

    Usage: take a `ticket`, look whether there is something to do, and if not, `wait` with that ticket.
    """

    def __init__(self) -> None:
        self._rings: dict[str, int] = {}
        self._rings_of_all = 0
        self._bells: dict[str, asyncio.Event] = {}
        self._is_closed = False

    def ticket(self, name: str) -> int:
        """How often `name` has been rung so far."""
        return self._rings.get(name, 0) + self._rings_of_all

    def ring(self, name: str) -> None:
        """Wake everybody who waits for `name`."""
        self._rings[name] = self._rings.get(name, 0) + 1
        bell = self._bells.pop(name, None)
        if bell is not None:
            bell.set()

    def ring_all(self) -> None:
        """Wake everybody who waits for anything."""
        self._rings_of_all += 1
        bells, self._bells = self._bells, {}
        for bell in bells.values():
            bell.set()

    async def wait(self, name: str, ticket: int, timeout_seconds: float) -> bool:
        """Wait until `name` is rung after `ticket`; False when time is up or the service stops."""
        if self._is_closed or timeout_seconds <= 0:
            return False
        if self.ticket(name) == ticket:
            bell = self._bells.setdefault(name, asyncio.Event())
            try:
                async with asyncio.timeout(timeout_seconds):
                    await bell.wait()
            except TimeoutError:
                return False
        return not self._is_closed

    def close(self) -> None:
        """Wake everybody, now and from now on: the service stops."""
        self._is_closed = True
        self.ring_all()

    def is_closed(self) -> bool:
        """Whether the service stops."""
        return self._is_closed
