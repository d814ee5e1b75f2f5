"""A machine at rest: what reads as it did at the last scrape is the very same families again.

The source is read at each scrape; only the work after it is saved, the collector's and the renderer's, which
knows a tuple that it has rendered already.
"""

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from exporters.samples import Family

Raw = TypeVar("Raw")


class Unchanged(Generic[Raw]):
    """`read` and then `collect`, unless what was read equals what was read before; raises what they raise."""

    def __init__(self, read: Callable[[], Raw], collect: Callable[[Raw], Iterable[Family]]) -> None:
        self._read = read
        self._collect = collect
        self._last: tuple[Raw, tuple[Family, ...]] | None = None

    def __call__(self) -> tuple[Family, ...]:
        """Families of a new reading."""
        raw = self._read()
        last = self._last
        if last is None or raw != last[0]:
            self._last = last = (raw, tuple(self._collect(raw)))
        return last[1]
