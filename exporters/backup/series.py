"""Families of values that some states tell and others do not."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from exporters.samples import Family, Metric, Number, Row

T = TypeVar("T")


def family(metric: Metric, states: Sequence[tuple[Row, T]], pick: Callable[[T], Number | None]) -> Family:
    """The family of what `pick` finds in each state; a state that does not tell has no series."""
    told = [(row, value) for row, state in states if (value := pick(state)) is not None]
    return Family(metric, tuple(row for row, _ in told), [value for _, value in told])
