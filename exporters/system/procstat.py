"""/proc/stat for those who read it in one scrape: the kernel sums up every interrupt of every CPU to write
it, so the `cpu` and the `stat` collector share one reading.
"""

from collections.abc import Callable
from time import monotonic

from exporters.system.tree import Tree

FRESH_SECONDS = 0.25


class ProcStat:
    """Keeps the last text; a reader never gets the same text twice, nor one older than `FRESH_SECONDS`."""

    def __init__(self, steady: Callable[[], float] = monotonic) -> None:
        self._steady = steady
        self._text = b""
        self._read_at = float("-inf")
        self._taken: set[str] = set()

    def read(self, tree: Tree, reader: str) -> bytes:
        """The text for the collector `reader`; raises what `Tree.proc` raises."""
        now = self._steady()
        if reader in self._taken or now - self._read_at > FRESH_SECONDS:
            self._taken.clear()
            self._text = tree.proc("stat")
            self._read_at = now
        self._taken.add(reader)
        return self._text
