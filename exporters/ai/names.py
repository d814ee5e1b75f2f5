"""Who is told by name where there may be any number: the first N, for as long as this process lives.

Choosing anew at each reading would move somebody's counters into `other` and out again, and every such move
looks like a restart to Prometheus.
"""

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Names(Generic[T]):
    """At most `most` names; those with the greatest weight when they are first seen."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[T] = set()

    def known(self, weighed: Iterable[tuple[T, float]]) -> set[T]:
        """Those of the given ones that have a name."""
        given = dict(weighed)
        new = sorted(given.keys() - self._known, key=lambda name: (-given[name], str(name)))
        self._known.update(new[: max(0, self._most - len(self._known))])
        return self._known & given.keys()
