"""Reads text format 0.0.4 back, strictly, for the tests of what the exporters write."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_SERIES = re.compile(rf"({_NAME})(?:\{{(.*)\}})? (\S+)")
_PAIR = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')
_SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("", "_sum", "_count")}
_UNESCAPE = {r"\\": "\\", r"\"": '"', r"\n": "\n"}

Series = tuple[str, frozenset[tuple[str, str]]]


@dataclass(frozen=True)
class Exposition:
    """The series with their values, and the type and help of each metric."""

    values: dict[Series, float]
    kinds: dict[str, str]
    helps: dict[str, str]

    def of(self, name: str, /, **labels: str) -> float:
        """The value of the one series with exactly these labels."""
        return self.values[name, frozenset(labels.items())]

    def names(self) -> set[str]:
        """Metric names."""
        return {name for name, _ in self.values}


def parse(text: str) -> Exposition:
    """Raises ValueError: a line is malformed, a series is there twice, a metric is not one group of lines."""
    values: dict[Series, float] = {}
    kinds: dict[str, str] = {}
    helps: dict[str, str] = {}
    current = ""
    for line in text.removesuffix("\n").split("\n"):
        if line.startswith("# HELP "):
            _, _, name, words = line.split(" ", 3)
            helps[name] = words
        elif line.startswith("# TYPE "):
            _, _, current, kind = line.split(" ")
            if current in kinds:
                raise ValueError(f"{current} is in two groups")
            kinds[current] = kind
        else:
            match = _SERIES.fullmatch(line)
            if match is None or match[1] not in _names(current, kinds.get(current, "")):
                raise ValueError(f"malformed line or out of its group: {line!r}")
            key = (match[1], _labels(match[2] or ""))
            if key in values:
                raise ValueError(f"twice: {line!r}")
            values[key] = float(match[3])
    return Exposition(values, kinds, helps)


def _names(metric: str, kind: str) -> tuple[str, ...]:
    """What the series of a metric may be called."""
    return tuple(f"{metric}{suffix}" for suffix in _SUFFIXES.get(kind, ("",)))


def _labels(text: str) -> frozenset[tuple[str, str]]:
    pairs, place = [], 0
    while place < len(text):
        match = _PAIR.match(text, place)
        if match is None:
            raise ValueError(f"malformed labels: {text!r}")
        pairs.append((match[1], re.sub(r'\\[\\"n]', lambda found: _UNESCAPE[found[0]], match[2])))
        place = match.end()
    return frozenset(pairs)
