"""Sums the series of another server's metrics by model, and by who asked."""

from collections.abc import Callable, Iterable
from math import inf

from exporters.ai.exposition import Sample
from exporters.ai.readings import Histogram, Model, Person, Use

_MOST_NAMES = 10_000
_LONGEST_NAME = 256


class Accounts:
    """Models and uses that fill up sample by sample."""

    def __init__(self) -> None:
        self.models: dict[str, Model] = {}
        self.uses: dict[Person, Use] = {}

    def model(self, name: str) -> Model:
        """The model of this name, which may be new."""
        return self.models.setdefault(name[:_LONGEST_NAME], Model(name[:_LONGEST_NAME]))

    def use(self, person: Person) -> Use:
        """The use by this person, which may be new."""
        return self.uses.setdefault(person, Use(person))


def add(sums: dict[str, float], key: str, value: float) -> None:
    """Add to a sum that may be new."""
    sums[key] = sums.get(key, 0.0) + value


def histograms(
    samples: Iterable[Sample], name: str, model_of: Callable[[dict[str, str]], str]
) -> dict[str, Histogram]:
    """The histogram `name` by model: its series are summed over all other labels.

    A bucket that some series of a model lack is left out: it could not be summed.
    """
    found: dict[str, dict[tuple[tuple[str, str], ...], Histogram]] = {}
    for sample in samples:
        suffix = sample.name.removeprefix(name)
        if not sample.name.startswith(name) or suffix not in ("_bucket", "_sum", "_count"):
            continue
        rest = tuple(sorted((key, value) for key, value in sample.labels.items() if key != "le"))
        series = found.setdefault(model_of(sample.labels), {}).setdefault(rest, Histogram())
        if suffix == "_sum":
            series.sum = sample.value
        elif suffix == "_count":
            series.count = sample.value
        else:
            series.buckets[_bound(sample.labels.get("le", ""))] = sample.value
    summed = {}
    for model, parts in found.items():
        summed[model] = total = Histogram()
        for part in parts.values():
            total.add(part)
    return summed


def _bound(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return inf
