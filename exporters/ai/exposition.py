"""Reads the metrics of another server: text format 0.0.4, of which only the wanted names are looked at.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

import re
from collections.abc import Collection, Iterator
from math import isfinite
from typing import NamedTuple

from exporters.errors import SourceError

_SERIES = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?[ \t]+([^ \t]+)(?:[ \t]+-?[0-9]+)?[ \t]*")
_PAIR = re.compile(r'[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\]|\\.)*)"[ \t]*(?:,|$)')
_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n"}
_MOST_SERIES = 200_000
_LONGEST_LINE = 16_384


class Sample(NamedTuple):
    """One series and its value, which is finite and not negative."""

    name: str
    labels: dict[str, str]
    value: float


def samples(text: bytes, wanted: Collection[str]) -> Iterator[Sample]:
    """The series of these names. Values that are no numbers of something (NaN, negative) are passed over.

    Raises:
        SourceError: it is not text of this format.
    """
    try:
        lines = text.decode().split("\n")
    except UnicodeDecodeError as error:
        raise SourceError("metrics", "not UTF-8") from error
    if len(lines) > _MOST_SERIES:
        raise SourceError("metrics", f"more than {_MOST_SERIES} lines")
    for line in lines:
        if not line or line.startswith("#"):
            continue
        name = line.partition("{")[0].partition(" ")[0]
        if name not in wanted:
            continue
        match = _SERIES.fullmatch(line) if len(line) <= _LONGEST_LINE else None
        if match is None:
            raise SourceError("metrics", f"a malformed line of {name}")
        value = _value(match[3])
        if isfinite(value) and value >= 0:
            yield Sample(name, _labels(match[2] or "", name), value)


def _value(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise SourceError("metrics", "a value is no number") from error


def _labels(text: str, name: str) -> dict[str, str]:
    labels, place = {}, 0
    while place < len(text):
        match = _PAIR.match(text, place)
        if match is None:
            raise SourceError("metrics", f"malformed labels of {name}")
        labels[match[1]] = _ESCAPE.sub(lambda found: _ESCAPES.get(found[1], found[1]), match[2])
        place = match.end()
    return labels
