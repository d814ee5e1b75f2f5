"""Files of /proc that two collectors read in one scrape and that cost the kernel much: it sums up every
interrupt of every CPU for /proc/stat, and every counter of every CPU for /proc/net/netstat.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from exporters.system.tree import Tree

FRESH_SECONDS = 0.25


@dataclass(slots=True)
class _Kept:
    text: bytes
    read_at: float
    readers: set[str] = field(default_factory=set)


class SharedReads:
    """Keeps the last text of each file; a reader never gets the same text twice, nor one older than
    `FRESH_SECONDS`.
    """

    def __init__(self, steady: Callable[[], float] = monotonic) -> None:
        self._steady = steady
        self._kept: dict[str, _Kept] = {}

    def read(self, tree: Tree, name: str, reader: str) -> bytes:
        """The text of a file below /proc for the collector `reader`; raises what `Tree.proc` raises."""
        now = self._steady()
        kept = self._kept.get(name)
        if kept is None or reader in kept.readers or now - kept.read_at > FRESH_SECONDS:
            kept = self._kept[name] = _Kept(tree.proc(name), now)
        kept.readers.add(reader)
        return kept.text
