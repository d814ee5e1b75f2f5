"""Metrics, families and samples: the values that collectors hand to the renderer.

A `Metric` is a constant of its module, checked once when it is built. A `Family` is one reading of it, held
as columns: `rows` (the label values of each series) and `values` beside them. Devices change rarely and
numbers always, so a collector can hand out the same `rows` again and the renderer sees at a glance that only
the numbers are new. The rules are those of the Prometheus data model,
https://prometheus.io/docs/concepts/data_model/.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from exporters.errors import SampleError

_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

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


@dataclass(frozen=True, slots=True)
class Metric:
    """Name, type, help and label names of a metric.

    `is_sparse` leaves out labels without a value, which Prometheus takes for the same series, where
    node_exporter's rows have the labels that the device tells.

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
        for row, value in zip(self.rows, self.values, strict=True):
            yield dict(zip(self.metric.labels, row, strict=True)), value


def check_rows(metric: Metric, rows: Rows) -> None:
    """See that each row has a value for each label and that no series occurs twice.

    Raises:
        SampleError: it does not, or it does.
    """
    width = len(metric.labels)
    for row in rows:
        if len(row) != width:
            raise SampleError(f"{metric.name}: {len(row)} label values for {width} labels")
    if len(set(rows)) != len(rows):
        raise SampleError(f"{metric.name}: the same series occurs twice")


def label(raw: bytes) -> str:
    """A label value of kernel bytes: labels are UTF-8, so what is not becomes U+FFFD, as in node_exporter."""
    return raw.decode("utf-8", "replace")
