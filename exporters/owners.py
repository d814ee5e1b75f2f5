"""Which collector a metric belongs to: it must stand in one group of lines, so to one collector alone.

It belongs to the collector that had it first. Some collectors serve names that others chose, such as those of
text files; they give way: another collector takes a metric from them, and what they wrote is then dropped.
"""

from collections.abc import Collection, Iterable

from exporters.errors import SampleError


class Owners:
    """`giving_way` are the collectors that give way; metrics `reserved` belong to the registry itself."""

    def __init__(self, giving_way: Collection[str], reserved: Iterable[str]) -> None:
        self._giving_way = giving_way
        self._owners = dict.fromkeys(reserved, "")

    def claim(self, collector: str, names: Iterable[str]) -> frozenset[str]:
        """Take these metrics for a collector; returns the collectors that lost one.

        Raises:
            SampleError: a metric belongs to another collector.
        """
        losers = set()
        for name in names:
            owner = self._owners.setdefault(name, collector)
            if owner == collector:
                continue
            if owner not in self._giving_way or collector in self._giving_way:
                raise SampleError(f"{name} belongs to {f'collector {owner}' if owner else 'the registry'}")
            self._owners[name] = collector
            losers.add(owner)
        return frozenset(losers)

    def is_taken(self, collector: str, name: str) -> bool:
        """Whether a metric belongs to another collector than this one."""
        return self._owners.get(name, collector) != collector
