"""A bounded number of series: those that use most have their own, the rest is one named "other".

Counters of "other" never step back, whoever comes, goes, or changes between the two: it collects what each of
the rest used since the reading before. Who has a series keeps it until somebody uses twice as much.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from exporters.samples import Number

K = TypeVar("K", bound=Hashable)

Numbers = Sequence[Number | None]

_DISPLACES = 2.0


@dataclass(frozen=True, slots=True)
class Chosen(Generic[K]):
    """Who has series of their own, in the order of their coming, and the numbers of the rest: counters since
    the beginning, and the sum of gauges; None where nobody of the rest ever had one.
    """

    shown: Mapping[K, Numbers]
    other: Numbers


class TopList(Generic[K]):
    """Chooses `most` of all. `is_counter` says which numbers are counters; `weight` is who comes first."""

    def __init__(self, most: int, is_counter: Sequence[bool], weight: Callable[[Numbers], float]) -> None:
        self._most = most
        self._is_counter = is_counter
        self._weight = weight
        self._shown: dict[K, None] = {}
        self._before: Mapping[K, Numbers] = {}
        self._other: list[Number | None] = [None] * len(is_counter)

    def choose(self, used: Mapping[K, Numbers]) -> Chosen[K]:
        """Take a reading: the numbers of each, None where one is not known."""
        self._pick(used)
        rest = [key for key in used if key not in self._shown]
        other: list[Number | None] = []
        for place, is_counter in enumerate(self._is_counter):
            if is_counter:
                steps = [step for key in rest if (step := self._step(key, used[key], place)) is not None]
                if steps:
                    self._other[place] = (self._other[place] or 0) + sum(steps)
                other.append(self._other[place])
            else:
                values = [value for key in rest if (value := used[key][place]) is not None]
                other.append(sum(values) if values else None)
        self._before = used
        return Chosen({key: used[key] for key in self._shown}, other)

    def _step(self, key: K, numbers: Numbers, place: int) -> Number | None:
        """What one used since the reading before; all that it has where it is new or began anew."""
        now = numbers[place]
        if now is None:
            return None
        before = self._before[key][place] if key in self._before else None
        return now if before is None or now < before else now - before

    def _pick(self, used: Mapping[K, Numbers]) -> None:
        shown = {key: None for key in self._shown if key in used}
        weights = {key: self._weight(numbers) for key, numbers in used.items()}
        waiting = sorted((key for key in used if key not in shown), key=lambda key: -weights[key])
        for key in waiting:
            if len(shown) < self._most:
                shown[key] = None
                continue
            least = min(shown, key=lambda each: weights[each], default=None)
            if least is None or weights[key] <= _DISPLACES * weights[least]:
                break
            del shown[least]
            shown[key] = None
        self._shown = shown
