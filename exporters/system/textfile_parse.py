"""Reads text format 0.0.4 as strictly as node_exporter reads its text files.

https://prometheus.io/docs/instrumenting/exposition_formats/. The whole text is good or none of it: a line
that is not of the format, a last line without its end (a file that is still being written), TYPE after
samples, a second HELP or TYPE, the same series twice and time stamps refuse it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from math import isinf

from exporters.errors import SourceError
from exporters.samples import Kind, Number
from exporters.text import go_float

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*+"
_COMMENT = re.compile(rf"[ \t]*+#[ \t]*+(HELP|TYPE)[ \t]++({_NAME})(?:[ \t]++(.*))?", re.DOTALL)
_COMMENT_START = re.compile(r"[ \t]*+#[ \t]*+(?:HELP|TYPE)[ \t]++[^ \t]")
_SERIES = re.compile(rf"[ \t]*+({_NAME})[ \t]*+")
_PAIR = re.compile(
    r'[ \t]*+([a-zA-Z_][a-zA-Z0-9_]*+)[ \t]*+=[ \t]*+"([^"\\]*+(?:\\[\\"n][^"\\]*+)*+)"[ \t]*+(,|(?=\}))'
)
_END = re.compile(r"[ \t]*+\}[ \t]*+")
_NUMBER = re.compile(
    r"([+-]?)(?:[0-9]+\.?[0-9]*(?:e[+-]?[0-9]+)?|\.[0-9]+(?:e[+-]?[0-9]+)?|inf(?:inity)?|nan)", re.I
)
_TIMESTAMP = re.compile(r"[ \t]+[+-]?[0-9]+[ \t]*")
_ESCAPE = re.compile(r"\\(.)")
_UNESCAPED = {"n": "\n", "\\": "\\", '"': '"'}
_HELP = re.compile(r'[^\\]*+(?:\\[\\n"][^\\]*+)*+')
MOST_SERIES = 100_000
_EXACT_DIGITS = 15
"""Whole numbers of so many digits are the same number as a double."""

_BOUND = {Kind.HISTOGRAM: "le", Kind.SUMMARY: "quantile"}

Labels = tuple[tuple[str, str], ...]
"""Pairs of name and value, sorted, without empty values, which are the same as none."""

Key = tuple[str, Labels]
"""A series of a family: the suffix of a histogram or summary (empty otherwise), and the labels."""


class Reason(StrEnum):
    """Why a text is refused."""

    MALFORMED = "malformed"
    TIMESTAMP = "timestamp"
    DUPLICATE = "duplicate"
    TOO_MANY = "too_many"


class TextError(SourceError):
    """The text is refused; `reason` is the kind of fault, the message names the line."""

    def __init__(self, reason: Reason, line: int, why: str) -> None:
        super().__init__(f"line {line}", why)
        self.reason = reason


@dataclass(slots=True)
class Parsed:
    """A family of a text. `labels` are the names of all its labels in the order of their coming."""

    name: str
    kind: Kind | None = None
    help: str | None = None
    series: dict[Key, Number] = field(default_factory=dict)
    labels: dict[str, None] = field(default_factory=dict)

    @property
    def series_names(self) -> list[str]:
        """What its series are called: the name, or of a composite type the name with each suffix."""
        suffixes = self.kind.suffixes if self.kind else ()
        return [self.name, *(self.name + suffix for suffix in suffixes if suffix)]


def parse(text: bytes, most: int = MOST_SERIES) -> list[Parsed]:
    """The families that have series, each with type and series as node_exporter would send them.

    Raises:
        TextError: the text is refused, also where it has more than `most` samples.
    """
    try:
        lines = text.decode().split("\n")
    except UnicodeDecodeError as error:
        place = text.count(b"\n", 0, error.start) + 1
        raise TextError(Reason.MALFORMED, place, "not UTF-8") from error
    if lines.pop().strip(" \t"):
        raise TextError(Reason.MALFORMED, len(lines) + 1, "no line feed at the end")
    families: dict[str, Parsed] = {}
    for number, line in enumerate(lines, start=1):
        try:
            most -= _take(line, families)
            if most < 0:
                raise _LineError("more series than there may be", Reason.TOO_MANY)
        except _LineError as error:
            raise TextError(error.reason, number, str(error)) from error
    found = [family for family in families.values() if family.series]
    for family in found:
        _complete(family)
    return found


class _LineError(Exception):
    def __init__(self, why: str, reason: Reason = Reason.MALFORMED) -> None:
        super().__init__(why)
        self.reason = reason


def _take(line: str, families: dict[str, Parsed]) -> bool:
    """Whether it was a sample."""
    stripped = line.lstrip(" \t")
    if stripped.startswith("#"):
        _comment(line, families)
    elif stripped:
        _sample(line, families)
        return True
    return False


def _comment(line: str, families: dict[str, Parsed]) -> None:
    match = _COMMENT.fullmatch(line)
    if match is None:
        if _COMMENT_START.match(line):
            raise _LineError("a comment for something that is no metric name")
        return
    keyword, name, words = match.groups()
    if words is None:
        return
    family = _family(name, families)[0]
    if not words:
        return
    if keyword == "HELP":
        if family.help is not None:
            raise _LineError(f"a second HELP of {family.name}")
        if not _HELP.fullmatch(words):
            raise _LineError(f"an escape in HELP of {family.name} that there is not")
        family.help = _unescaped(words)
        return
    if family.kind is not None:
        raise _LineError(f"a second TYPE of {family.name}, or one after its samples")
    try:
        family.kind = Kind(words.lower())
    except ValueError as error:
        raise _LineError(f"{words[:20]!r} is no type") from error


def _family(name: str, families: dict[str, Parsed]) -> tuple[Parsed, str]:
    """The family that a name belongs to, and the suffix that it has there."""
    if name in families:
        return families[name], ""
    for kind in (Kind.SUMMARY, Kind.HISTOGRAM):
        for suffix in filter(None, kind.suffixes):
            family = families.get(name.removesuffix(suffix)) if name.endswith(suffix) else None
            if family is not None and family.kind is kind:
                return family, suffix
    families[name] = Parsed(name)
    return families[name], ""


def _sample(line: str, families: dict[str, Parsed]) -> None:
    match = _SERIES.match(line)
    if match is None:
        raise _LineError("no metric name")
    family, suffix = _family(match[1], families)
    if family.kind is None:
        family.kind = Kind.UNTYPED
    labels, at = _labels(line, match.end())
    number = _NUMBER.match(line, at)
    if number is None:
        raise _LineError(f"no number for {match[1]}")
    rest = line[number.end() :]
    if rest:
        stamped = _TIMESTAMP.fullmatch(rest) is not None
        raise _LineError(
            f"a time stamp of {match[1]}" if stamped else f"something behind the number of {match[1]}",
            Reason.TIMESTAMP if stamped else Reason.MALFORMED,
        )
    value = _number(number[0])
    bound = _BOUND.get(family.kind)
    if bound is not None:
        _check_composite(family, suffix, labels, bound, value)
    family.labels.update(dict.fromkeys(labels))
    key = (suffix, tuple(sorted((name, text) for name, text in labels.items() if text)))
    if key in family.series:
        raise _LineError(f"the same series of {family.name} twice", Reason.DUPLICATE)
    family.series[key] = value


def _labels(line: str, at: int) -> tuple[dict[str, str], int]:
    """The labels in braces, if there are any, and where the number begins."""
    labels: dict[str, str] = {}
    if not line.startswith("{", at):
        return labels, at
    at += 1
    while match := _PAIR.match(line, at):
        name = match[1]
        if name in labels or name.startswith("__"):
            raise _LineError(f"label {name!r} twice, or reserved")
        labels[name] = _unescaped(match[2])
        at = match.end()
    end = _END.match(line, at)
    if end is None:
        raise _LineError("malformed labels")
    return labels, end.end()


def _check_composite(family: Parsed, suffix: str, labels: dict[str, str], bound: str, value: Number) -> None:
    """See that a series is one that its type has; its bound is then in the form in which Go prints it."""
    has_bound = suffix == ("_bucket" if family.kind is Kind.HISTOGRAM else "")
    if not has_bound and suffix not in ("_sum", "_count"):
        raise _LineError(f"a series of {family.name} that no {family.kind} has")
    if has_bound != (bound in labels):
        raise _LineError(f"a series of {family.name} that has {bound} and should not, or the reverse")
    if has_bound:
        text = labels[bound]
        if not _NUMBER.fullmatch(text):
            raise _LineError(f"{bound} of {family.name} is no number")
        labels[bound] = go_float(repr(_number(text))).removesuffix(".0")
    if suffix in ("_bucket", "_count") and not (value >= 0 and value % 1 == 0):
        raise _LineError(f"a count of {family.name} that is none")


def _complete(family: Parsed) -> None:
    """Give each histogram and summary its sum and count, 0 where they are not told, and the last bucket."""
    if family.kind is None or family.kind not in _BOUND:
        return
    bound = _BOUND[family.kind]
    groups: dict[Labels, list[tuple[float, Key]]] = {}
    for suffix, labels in family.series:
        own = tuple(pair for pair in labels if pair[0] != bound)
        place = float(dict(labels).get(bound, "nan"))
        groups.setdefault(own, []).append((place, (suffix, labels)))
    series: dict[Key, Number] = {}
    for own, keys in groups.items():
        count = family.series.get(("_count", own), 0)
        for _, key in sorted(pair for pair in keys if pair[0] == pair[0]):
            series[key] = family.series[key]
        if family.kind is Kind.HISTOGRAM:
            series.setdefault(("_bucket", tuple(sorted((*own, (bound, "+Inf"))))), count)
        series["_sum", own] = family.series.get(("_sum", own), 0)
        series["_count", own] = count
    family.series = series
    family.labels[bound] = None


def _number(text: str) -> Number:
    if text.isdigit() and len(text) <= _EXACT_DIGITS:
        return int(text)
    value = float(text)
    if isinf(value) and "n" not in text.lower():
        raise _LineError(f"{text[:20]} is too large for a double")
    return value


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: _UNESCAPED[match[1]], text) if "\\" in text else text


def rows(family: Parsed, labels: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The rows of its series under these label names, as `Family` has them."""
    is_composite = bool(family.kind and family.kind.suffixes)
    for suffix, pairs in family.series:
        values = dict(pairs)
        row = tuple(values.get(name, "") for name in labels)
        yield (suffix, *row) if is_composite else row
