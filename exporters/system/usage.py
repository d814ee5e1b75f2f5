"""Tables of what many use of a host (units, containers, users) as families: a row for each and for others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from exporters.samples import Family, Kind, Metric, Number, Row
from exporters.system.toplist import Chosen

OTHER = "other"


@dataclass(frozen=True, slots=True)
class Series:
    """A metric of each: the end of its name, its help with {} for what one is called, and the numbers that it
    holds, each with the value of `label` where there are several.
    """

    name: str
    kind: Kind
    help: str
    fields: tuple[tuple[str, ...], ...]
    label: tuple[str, ...] = ()
    has_other: bool = True


def single(field: str, name: str, kind: Kind, words: str, *, has_other: bool = True) -> Series:
    """A metric of one number; `has_other` is false where a sum over several would mean nothing."""
    return Series(name, kind, words, ((field,),), has_other=has_other)


class Sheet:
    """Metrics `steward_SUBJECT_*`: `labels` name one, `fields` are the numbers of one in their order."""

    def __init__(
        self, subject: str, labels: tuple[str, ...], series: Sequence[Series], fields: Sequence[str]
    ) -> None:
        self._series = series
        self._places = {field: place for place, field in enumerate(fields)}
        self._other = (OTHER,) * len(labels)
        self._metrics = [
            Metric(
                f"steward_{subject}_{each.name}", each.kind, each.help.format(subject), (*labels, *each.label)
            )
            for each in series
        ]
        kinds = {field[0]: each.kind for each in series for field in each.fields}
        self.is_counter = tuple(kinds[field] is Kind.COUNTER for field in fields)

    def families(self, chosen: Chosen[Row]) -> Iterator[Family]:
        """A family for each metric; a number that is not known has no series."""
        for metric, series in zip(self._metrics, self._series, strict=True):
            rows: list[Row] = []
            values: list[Number] = []
            others = [(self._other, chosen.other)] if series.has_other else []
            for labels, numbers in [*chosen.shown.items(), *others]:
                for field, *label in series.fields:
                    value = numbers[self._places[field]]
                    if value is not None:
                        rows.append((*labels, *label))
                        values.append(value)
            yield Family(metric, tuple(rows), values)
