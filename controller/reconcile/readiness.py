"""Which changes of a stage may begin: those whose needs of the same stage have ended. Bookkeeping only.

No barrier stands between one that has ended and those that waited for it alone.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from controller.plan.change import Change

__all__ = ["Readiness"]


class Readiness:
    """The changes of one stage that have not begun, in their order. Every change is given out once."""

    def __init__(self, stage: Sequence[Change]) -> None:
        self._waiting = {change.identity: change for change in stage}
        self._dependents: defaultdict[str, list[str]] = defaultdict(list)
        self._open: dict[str, int] = {}
        for change in stage:
            needs = {name for name in change.depends_on if name in self._waiting and name != change.identity}
            self._open[change.identity] = len(needs)
            for name in needs:
                self._dependents[name].append(change.identity)
        self._ready = [name for name, number in self._open.items() if not number]

    def take(self) -> list[Change]:
        """Those that may begin now."""
        taken = [self._waiting.pop(name) for name in self._ready]
        self._ready = []
        return taken

    def take_all(self) -> list[Change]:
        """All that are left: for when nothing is under way any more and they wait for each other."""
        self._ready = list(self._waiting)
        return self.take()

    def end(self, changes: Iterable[Change]) -> None:
        """These have ended, well or not; who needed them may begin (or is skipped by whoever knows)."""
        for change in changes:
            for name in self._dependents.pop(change.identity, ()):
                self._open[name] -= 1
                if not self._open[name] and name in self._waiting:
                    self._ready.append(name)
