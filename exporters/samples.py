"""Metrics, families and samples: the values that collectors hand to the renderer.

A `Metric` is a constant of its module, checked once when it is built. A `Family` is one reading of it, held
as columns: `rows` (the label values of each series) and `values` beside them. Devices change rarely and
numbers always, so a collector can hand out the same `rows` again and the renderer sees at a glance that only
the numbers are new. The rules are those of the Prometheus data model,
https://prometheus.io/docs/concepts/data_model/.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, overload

from exporters.errors import SampleError

_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_NO_TEXT = re.compile("[\udc80-\udcff]+")
"""What `surrogateescape` makes of bytes that are no UTF-8."""

Row = tuple[str, ...]
Rows = tuple[Row, ...]
Number = int | float

SINGLE: Rows = ((),)
"""The rows of a metric without labels: one series."""


class Kind(StrEnum):
    """Metric types of text format 0.0.4 that the exporters use."""

    COUNTER = "counter"
    GAUGE = "gauge"
    UNTYPED = "untyped"
    HISTOGRAM = "histogram"
    SUMMARY = "summary"

    @property
    def suffixes(self) -> tuple[str, ...]:
        """What the series of a composite type add to the metric's name; none of a plain type."""
        return _SUFFIXES.get(self, ())


_SUFFIXES = {Kind.HISTOGRAM: ("_bucket", "_sum", "_count"), Kind.SUMMARY: ("", "_sum", "_count")}


@dataclass(frozen=True, slots=True)
class Metric:
    """Name, type, help and label names of a metric.

    `is_sparse` leaves out labels without a value, which Prometheus takes for the same series, where
    node_exporter's rows have the labels that the device tells.

    A row of a histogram or summary begins with the suffix of its series, before the label values; `le` or
    `quantile` is one of the labels, empty where the series has none, so such a metric is sparse.

    Raises:
        SampleError: the name or a label name is not allowed, or a label occurs twice.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    is_sparse: bool = False

    def __post_init__(self) -> None:
        if not _METRIC_NAME.fullmatch(self.name):
            raise SampleError(f"metric name {self.name!r} is not allowed")
        for label in self.labels:
            if not _LABEL_NAME.fullmatch(label) or label.startswith("__"):
                raise SampleError(f"{self.name}: label name {label!r} is not allowed")
        if len(set(self.labels)) != len(self.labels):
            raise SampleError(f"{self.name}: a label name occurs twice")
        if self.kind.suffixes and not self.is_sparse:
            raise SampleError(f"{self.name}: a {self.kind.value} leaves out the labels that a series lacks")

    def one(self, value: Number) -> "Family":
        """The family of a metric without labels."""
        return Family(self, SINGLE, (value,))


class Family(NamedTuple):
    """One reading of a metric: the series in `rows` have the `values` at the same place."""

    metric: Metric
    rows: Rows
    values: Sequence[Number]

    def samples(self) -> Iterator[tuple[dict[str, str], Number]]:
        """Series by series as (labels, value): for people and tests, not for the scrape."""
        first = 1 if self.metric.kind.suffixes else 0
        for row, value in zip(self.rows, self.values, strict=True):
            yield dict(zip(self.metric.labels, row[first:], strict=True)), value


class Shape:
    """Metrics and the rows of each: what stays while devices do. `size` is the number of series."""

    __slots__ = ("series", "size")

    def __init__(self, series: Iterable[tuple[Metric, Rows]]) -> None:
        self.series = tuple(series)
        self.size = sum(len(rows) for _, rows in self.series)


class Block(Sequence[Family]):
    """A reading of a shape that the collector keeps: `values` are those of all its series, one after the
    other. The renderer sees by the very same shape that only the numbers are new.

    Raises:
        SampleError: there are more or fewer values than series.
    """

    __slots__ = ("shape", "values")

    def __init__(self, shape: Shape, values: Sequence[Number]) -> None:
        if len(values) != shape.size:
            raise SampleError(f"{len(values)} values for {shape.size} series")
        self.shape = shape
        self.values = values

    def __len__(self) -> int:
        return len(self.shape.series)

    @overload
    def __getitem__(self, place: int) -> Family: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Family]: ...

    def __getitem__(self, place: int | slice) -> Family | Sequence[Family]:
        return list(self)[place]

    def __iter__(self) -> Iterator[Family]:
        start = 0
        for metric, rows in self.shape.series:
            end = start + len(rows)
            yield Family(metric, rows, self.values[start:end])
            start = end


def check_rows(metric: Metric, rows: Rows) -> None:
    """See that each row has a value for each label and that no series occurs twice.

    Raises:
        SampleError: it does not, or it does.
    """
    suffixes = metric.kind.suffixes
    width = len(metric.labels) + bool(suffixes)
    for row in rows:
        if len(row) != width:
            raise SampleError(f"{metric.name}: {len(row)} label values for {width} labels")
        if suffixes and row[0] not in suffixes:
            raise SampleError(f"{metric.name}: no {metric.kind.value} has a series {row[0]!r}")
    if len(set(rows)) != len(rows):
        raise SampleError(f"{metric.name}: the same series occurs twice")


def label(raw: bytes) -> str:
    """A label value of kernel bytes: labels are UTF-8, so what is not becomes one U+FFFD for each run of such
    bytes, as in node_exporter.
    """
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return _NO_TEXT.sub("\ufffd", raw.decode("utf-8", "surrogateescape"))
