"""Readings whose text is written where they are read, in the background: a large one costs a scrape nothing.

Family by family, so that of tens of thousands of series only those of one family are in memory at once beside
the text. The text is kept in the format that was asked for last, compressed too; in the other one only the
lines above the samples differ, so that is put together from pieces where somebody asks for it.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from typing import overload

from exporters import packing
from exporters.errors import SampleError
from exporters.samples import Family, Kind, Metric, Number, Row, check_rows
from exporters.text import Format, Ready, Rendering, head, printable, series

_BATCH = 500
_LINE = re.compile(r"[^{ ]+(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'[^=,]+="((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the series of a metric stand in the text, behind the lines above them."""

    metric: Metric
    begins: int
    ends: int
    is_counter: bool


class Writer:
    """Writes the readings of one source. `names` are those of all metrics that it may have."""

    def __init__(self, names: frozenset[str]) -> None:
        self._all_names = names
        self._names: frozenset[str] = frozenset()
        self._wanted = Format.TEXT

    def write(self, families: Iterable[Family]) -> "Written":
        """The families that have series.

        Raises:
            SampleError: labels do not fit, a metric or a series occurs twice, a value is no number, or a
                metric is a histogram or summary.
        """
        text, places, wanted = BytesIO(), list[_Place](), self._wanted
        for family in families:
            if family.rows:
                places.append(self._add(text, family, wanted))
        names = frozenset(place.metric.name for place in places)
        if len(names) != len(places):
            raise SampleError("a metric occurs twice in one collector")
        # The same object while they are the same: the registry looks for clashes where it is another.
        self._names = self._names if names == self._names else names
        return Written(Prepared(self, places, wanted, text.getvalue()), self._names)

    def asked(self, wanted: Format) -> None:
        """The text was asked for in this format."""
        self._wanted = wanted

    def head(self, metric: Metric, wanted: Format, *, is_counter: bool) -> bytes:
        """The lines above the samples."""
        no_counters = frozenset() if is_counter else frozenset({metric.name})
        return head(metric, wanted, self._all_names, no_counters).encode()

    def _add(self, text: BytesIO, family: Family, wanted: Format) -> _Place:
        metric, values = family.metric, tuple(family.values)
        if metric.kind.suffixes:
            raise SampleError(f"{metric.name}: a {metric.kind.value} is not written ahead")
        if len(family.rows) != len(values):
            raise SampleError(f"{metric.name}: {len(values)} values for {len(family.rows)} rows")
        check_rows(metric, family.rows)
        is_counter = metric.kind is not Kind.COUNTER or all(value >= 0 for value in values)
        text.write(self.head(metric, wanted, is_counter=is_counter))
        begins = text.tell()
        lines = zip(family.rows, printable(values), strict=True)
        while batch := list(islice(lines, _BATCH)):
            text.write(
                "".join([f"{series(metric, row, wanted)} {value!r}\n" for row, value in batch]).encode()
            )
        return _Place(metric, begins, text.tell(), is_counter)


class Prepared(Rendering):
    """The text of one reading."""

    __slots__ = ("_blocks", "_places", "_text", "_writer", "_written_in")

    def __init__(self, writer: Writer, places: Sequence[_Place], written_in: Format, text: bytes) -> None:
        self._made = {written_in: text}
        self._writer = writer
        self._places = tuple(places)
        self._written_in = written_in
        self._text = text
        self._blocks = packing.piece(text)

    @property
    def is_empty(self) -> bool:
        """Whether there are no series."""
        return not self._places

    def text(self, wanted: Format = Format.TEXT) -> bytes:
        """The text."""
        self._writer.asked(wanted)
        made = self._made.get(wanted)
        if made is None:
            self._made[wanted] = made = b"".join(self._pieces(wanted))
        return made

    def blocks(self, wanted: Format) -> bytes | None:
        """The text compressed ahead, in the format that it was written in."""
        return self._blocks if wanted is self._written_in else None

    def families(self) -> Iterator[Family]:
        """Read back from the text."""
        for place in self._places:
            lines = self._text[place.begins : place.ends].decode().split("\n")[:-1]
            rows, values = zip(*map(_read_back, lines), strict=True)
            yield Family(place.metric, rows, values)

    def __len__(self) -> int:
        return len(self._places)

    def _pieces(self, wanted: Format) -> Iterator[bytes | memoryview]:
        text = memoryview(self._text)
        for place in self._places:
            yield self._writer.head(place.metric, wanted, is_counter=place.is_counter)
            yield text[place.begins : place.ends]


class Written(Ready):
    """The families of one reading as their text; they are read back from it where somebody wants them."""

    __slots__ = ("names", "rendering")

    def __init__(self, rendering: Prepared, names: frozenset[str]) -> None:
        self.rendering: Prepared = rendering
        self.names = names

    def __len__(self) -> int:
        return len(self.rendering)

    @overload
    def __getitem__(self, place: int) -> Family: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Family]: ...

    def __getitem__(self, place: int | slice) -> Family | Sequence[Family]:
        return list(self)[place]

    def __iter__(self) -> Iterator[Family]:
        return self.rendering.families()


def _read_back(line: str) -> tuple[Row, Number]:
    match = _LINE.fullmatch(line)
    if match is None:
        raise SampleError(f"{line!r} is no sample")
    labels = tuple(_ESCAPED.sub(_unescaped, value) for value in _LABEL.findall(match[1] or ""))
    return labels, int(match[2]) if match[2].lstrip("-").isdigit() else float(match[2])


def _unescaped(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]
