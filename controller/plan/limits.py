"""How much one plan may remove, and who says so.

Limits come from three places (controller.yaml's floor, the last applied commit, the new one) and the
strictest of each counts, so that one commit cannot both loosen a limit and use it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from controller.plan.change import Json

__all__ = ["DEFAULT_LIMITS", "Allowance", "Limits", "Strictest", "strictest"]


@dataclass(frozen=True)
class Allowance:
    """How much may go of one population: the greater of `count` and `share` of what was seen.

    For few objects `count` therefore decides alone, and a share matters from where on it allows more. None
    means that this source does not say.
    """

    count: int | None = None
    share: Fraction | None = None

    def of(self, population: int) -> int:
        """How many objects of a population may go in one plan; where nothing is said, all."""
        if self.count is None and self.share is None:
            return population
        return max(self.count or 0, math.floor(population * (self.share or 0)))

    def to_json(self) -> dict[str, Json]:
        """The allowance as JSON; the share as text, because digests hold whole numbers only."""
        return {"count": self.count, "share": None if self.share is None else str(self.share)}

    def __str__(self) -> str:
        said = [] if self.count is None else [str(self.count)]
        said += [] if self.share is None else [f"{float(self.share * 100):g}%"]
        return " or ".join(said) or "no limit"


_NO_SECTIONS: Mapping[str, Allowance] = MappingProxyType({})
_NO_MINIMUM: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True)
class Limits:
    """What one source says: how much a plan may remove, how much must be left, who is protected.

    `sections` are allowances of single sections beside the general one, `minimum` what must be left of a
    population; `delete_after_days` is how long somebody stays disabled before deletion, None where nothing is
    said; `source` is what people call it.
    """

    count: int | None = None
    share: Fraction | None = None
    delete_after_days: int | None = None
    protected: frozenset[str] = frozenset()
    sections: Mapping[str, Allowance] = field(default_factory=lambda: _NO_SECTIONS)
    minimum: Mapping[str, int] = field(default_factory=lambda: _NO_MINIMUM)
    source: str = ""

    def allowed(self, population: int, section: str) -> int:
        """How many of a population may go in one plan; `section` governs it, by the keys of `sections`."""
        general = Allowance(self.count, self.share)
        return min(general.of(population), self.sections.get(section, Allowance()).of(population))

    def to_json(self) -> dict[str, Json]:
        """The limits as a plan and the store carry them."""
        return {
            "source": self.source,
            "max_deletes": Allowance(self.count, self.share).to_json(),
            "sections": {name: one.to_json() for name, one in sorted(self.sections.items())},
            "minimum": dict(sorted(self.minimum.items())),
            "delete_after_days": self.delete_after_days,
            "protected_users": sorted(self.protected),
        }


DEFAULT_LIMITS = Limits(count=5, share=Fraction(1, 10), delete_after_days=30, source="controller.yaml")
"""The floor where controller.yaml names none."""


@dataclass(frozen=True)
class Strictest:
    """Several sources together: what each of them allows."""

    sources: tuple[Limits, ...] = ()

    @property
    def protected(self) -> frozenset[str]:
        """Whoever is protected anywhere."""
        return frozenset[str]().union(*(limit.protected for limit in self.sources))

    @property
    def delete_after_days(self) -> int | None:
        """The longest wait."""
        waits = [one.delete_after_days for one in self.sources if one.delete_after_days is not None]
        return max(waits, default=None)

    def allowed(self, population: int, section: str = "") -> int:
        """How many may go by all sources together."""
        return min((limit.allowed(population, section) for limit in self.sources), default=population)

    def least(self, population: str) -> int:
        """How many of a population must be left."""
        return max((limit.minimum.get(population, 0) for limit in self.sources), default=0)

    def minima(self) -> frozenset[str]:
        """The populations of which something must be left."""
        return frozenset(name for limit in self.sources for name in limit.minimum)

    def to_json(self) -> dict[str, Json]:
        """What counts, whoever says it: each allowance once, so that one who repeats it alters no digest."""
        names = sorted({name for limit in self.sources for name in limit.sections})
        return {
            "max_deletes": _distinct(Allowance(limit.count, limit.share) for limit in self.sources),
            "sections": {
                name: _distinct(limit.sections.get(name, Allowance()) for limit in self.sources)
                for name in names
            },
            "minimum": {name: self.least(name) for name in sorted(self.minima())},
            "delete_after_days": self.delete_after_days,
            "protected_users": sorted(self.protected),
        }


def _distinct(allowances: Iterable[Allowance]) -> list[Json]:
    said = {str(one): one for one in allowances if one != Allowance()}
    return [said[text].to_json() for text in sorted(said)]


def strictest(sources: Iterable[Limits]) -> Strictest:
    """What all of these allow; a source that says nothing loosens nothing."""
    return Strictest(tuple(sources))
