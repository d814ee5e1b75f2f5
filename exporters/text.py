"""Text format 0.0.4 and OpenMetrics 1.0: from families to the bytes of an answer.

https://prometheus.io/docs/instrumenting/exposition_formats/ and https://prometheus.io/docs/specs/om/. A
`Renderer` belongs to one collector: it keeps the text of the last shape (metrics and rows) as a template, so
that a scrape on an unchanged set of devices is one string operation over the numbers. The formats differ in
the lines above the samples alone, and each is made only where somebody asks for it.
"""

from collections.abc import Iterator, Sequence
from enum import Enum
from itertools import chain
from math import isfinite, isnan

from exporters.errors import SampleError
from exporters.samples import Block, Family, Kind, Metric, Number, Row, Rows, Shape, check_rows

_TEXT_HELP_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_NUMBERS = frozenset({int, float})
_TOTAL = "_total"
_FLOAT_LABELS = frozenset({"le", "quantile"})
_EXPONENT_FROM = 1e6

_Shape = list[tuple[Metric, Rows]]


class Format(Enum):
    """What an answer is written in; the value is its content type."""

    TEXT = b"text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = b"application/openmetrics-text; version=1.0.0; charset=utf-8"

    @property
    def end(self) -> bytes:
        """What stands after the last family."""
        return b"# EOF\n" if self is Format.OPENMETRICS else b""


class _NotFinite:
    """Prints as both formats want it: NaN, +Inf, -Inf."""

    def __init__(self, value: float) -> None:
        self._value = value

    def __repr__(self) -> str:
        if isnan(self._value):
            return "NaN"
        return "+Inf" if self._value > 0 else "-Inf"


class _Templates:
    """A shape with its text in each format that was asked for."""

    def __init__(self, shape: _Shape) -> None:
        names = [metric.name for metric, _ in shape]
        self.names = frozenset(names)
        if len(self.names) != len(names):
            raise SampleError("a metric occurs twice in one collector")
        for metric, rows in shape:
            check_rows(metric, rows)
        self.shape = shape
        self._made: dict[Format, bytes] = {}

    def of(self, wanted: Format) -> bytes:
        made = self._made.get(wanted)
        if made is None:
            self._made[wanted] = made = self.make(wanted, frozenset())
        return made

    def make(self, wanted: Format, no_counters: frozenset[str]) -> bytes:
        """The template; the metrics `no_counters` have values that OpenMetrics allows no counter."""
        parts = []
        for metric, rows in self.shape:
            if not rows:
                continue
            parts.append(head(metric, wanted, self.names, no_counters).replace("%", "%%"))
            # Joined family by family: of a large one, its lines alone are in memory at once.
            parts.append("".join([f"{series(metric, row, wanted).replace('%', '%%')} %r\n" for row in rows]))
        return "".join(parts).encode()

    def impossible_counters(self, values: Sequence[Number]) -> frozenset[str]:
        """Counters with a value below 0 or NaN."""
        found = []
        place = 0
        for metric, rows in self.shape:
            end = place + len(rows)
            if metric.kind is Kind.COUNTER and not all(value >= 0 for value in values[place:end]):
                found.append(metric.name)
            place = end
        return frozenset(found)


class Rendering:
    """One reading of a collector, ready to be written in any format."""

    __slots__ = ("_made", "_templates", "_values")

    def __init__(self, templates: _Templates, values: tuple[Number, ...]) -> None:
        self._templates = templates
        self._values = values
        self._made: dict[Format, bytes] = {}

    @property
    def is_empty(self) -> bool:
        """Whether it has no series."""
        return not self._values

    def text(self, wanted: Format = Format.TEXT) -> bytes:
        """The text, kept from the first time on.

        Raises:
            SampleError: a value is no number.
        """
        made = self._made.get(wanted)
        if made is None:
            self._made[wanted] = made = self._template(wanted) % printable(self._values)
        return made

    def has(self, wanted: Format) -> bool:
        """Whether the text is there already."""
        return wanted in self._made

    def blocks(self, wanted: Format) -> bytes | None:  # noqa: ARG002 - what is written ahead has them
        """The text compressed ahead by `packing.piece`, None where it was not."""
        return None

    def _template(self, wanted: Format) -> bytes:
        if wanted is Format.OPENMETRICS and not _all_from_zero(self._values):
            impossible = self._templates.impossible_counters(self._values)
            if impossible:
                return self._templates.make(wanted, impossible)
        return self._templates.of(wanted)


class Ready(Sequence[Family]):
    """Families that come with their rendering; `names` are those of the metrics."""

    names: frozenset[str]
    rendering: Rendering


class Renderer:
    """Renders the families of one collector, remembering the shape of its last reading."""

    def __init__(self) -> None:
        self._templates = _Templates([])
        self._shape: Shape | None = None
        self._last: tuple[Sequence[Family], Rendering] | None = None
        self._ready: frozenset[str] | None = None

    @property
    def names(self) -> frozenset[str]:
        """Names of the metrics in the last reading."""
        return self._templates.names if self._ready is None else self._ready

    def reading(self, families: Sequence[Family]) -> Rendering:
        """These families, ready to be written; a tuple that is handed in again is the same reading as before.

        Raises:
            SampleError: labels do not fit, a metric or a series occurs twice.
        """
        if self._last is not None and self._last[0] is families:
            return self._last[1]
        if isinstance(families, Ready):
            self._ready = families.names
            return families.rendering
        self._ready = None
        if isinstance(families, Block):
            return self._block(families)
        self._shape = None
        shape = [(family.metric, family.rows) for family in families]
        if shape != self._templates.shape:
            self._templates = _Templates(shape)
        for family in families:
            if len(family.rows) != len(family.values):
                raise SampleError(
                    f"{family.metric.name}: {len(family.values)} values for {len(family.rows)} rows"
                )
        rendering = Rendering(
            self._templates, tuple(chain.from_iterable([family.values for family in families]))
        )
        # A list may be filled anew; a tuple is what a background reading hands out until the next.
        self._last = (families, rendering) if isinstance(families, tuple) else None
        return rendering

    def _block(self, block: Block) -> Rendering:
        if block.shape is not self._shape:
            self._templates = _Templates(list(block.shape.series))
            self._shape = block.shape
        return Rendering(self._templates, tuple(block.values))

    def render(self, families: Sequence[Family], wanted: Format = Format.TEXT) -> str:
        """The text of these families.

        Raises:
            SampleError: labels do not fit, a metric or a series occurs twice, a value is no number.
        """
        return self.reading(families).text(wanted).decode()


def escape_label(value: str) -> str:
    """A label value with its escapes, without the quotes around it."""
    return value.translate(_ESCAPES)


def go_float(text: str) -> str:
    """A number as Go's %g with a point: what OpenMetrics calls canonical in `le` and `quantile`."""
    value = float(text)
    if not isfinite(value):
        return repr(_NotFinite(value))
    if abs(value) < _EXPONENT_FROM or "e" in repr(value):
        return repr(value)
    digits, _, _ = repr(value).partition(".")
    significant = repr(value).removesuffix(".0").replace(".", "").lstrip("-")
    exponent = len(digits.lstrip("-")) - 1
    fraction = significant[1:].rstrip("0")
    sign = "-" if value < 0 else ""
    return f"{sign}{significant[0]}{'.' + fraction if fraction else ''}e+{exponent:02d}"


def _all_from_zero(values: tuple[Number, ...]) -> bool:
    # NaN compares False with everything, so min alone may miss it; a sum does not.
    return not values or (min(values) >= 0 and not isnan(sum(values)))


def head(
    metric: Metric,
    wanted: Format,
    names: frozenset[str],
    no_counters: frozenset[str] = frozenset(),
) -> str:
    """HELP and TYPE, of one of the metrics `names`.

    OpenMetrics names a counter without _total there, and one that cannot be is of unknown type, as in
    Prometheus' own libraries.
    """
    name, kind, escapes = metric.name, metric.kind.value, _TEXT_HELP_ESCAPES
    if wanted is Format.OPENMETRICS:
        escapes = _ESCAPES
        if metric.kind is Kind.COUNTER:
            short = name.removesuffix(_TOTAL)
            if short == name or short in names or name in no_counters:
                kind = "unknown"
            else:
                name = short
        elif metric.kind is Kind.UNTYPED:
            kind = "unknown"
    return f"# HELP {name} {metric.help.translate(escapes)}\n# TYPE {name} {kind}\n"


def printable(values: tuple[Number, ...]) -> tuple[object, ...]:
    """The values as `repr` writes them right; raises SampleError where one is no number."""
    kinds = set(map(type, values))
    if not kinds <= _NUMBERS:
        raise SampleError(f"a value is {', '.join(sorted(kind.__name__ for kind in kinds - _NUMBERS))}")
    if float in kinds and not all(map(isfinite, values)):
        return tuple(value if isfinite(value) else _NotFinite(value) for value in values)
    return values


def series(metric: Metric, row: Row, wanted: Format) -> str:
    """Name and labels of a series."""
    if not row:
        return metric.name
    name, values = (metric.name + row[0], row[1:]) if metric.kind.suffixes else (metric.name, row)
    pairs = ",".join(
        f'{label}="{escape_label(value)}"'
        for label, value in _labels(metric, values, wanted)
        if value or not metric.is_sparse
    )
    return f"{name}{{{pairs}}}" if pairs or not metric.is_sparse else name


def _labels(metric: Metric, values: Row, wanted: Format) -> Iterator[tuple[str, str]]:
    pairs = zip(metric.labels, values, strict=True)
    if wanted is Format.TEXT or not metric.kind.suffixes:
        return pairs
    return ((name, go_float(value) if value and name in _FLOAT_LABELS else value) for name, value in pairs)
