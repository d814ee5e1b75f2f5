"""Text format 0.0.4: from families to the bytes of an answer.

https://prometheus.io/docs/instrumenting/exposition_formats/. Escapes: in HELP backslash and line feed, in
label values also the double quote. A `Renderer` belongs to one collector: it keeps the text of the last shape
(metrics and rows) as a template, so that a scrape on an unchanged set of devices is one string operation over
the numbers.
"""

import zlib
from collections.abc import Sequence
from itertools import chain
from math import isfinite, isnan

from exporters.errors import SampleError
from exporters.samples import Family, Metric, Number, Row, Rows, check_rows

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

_HELP_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})
_LABEL_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_NUMBERS = frozenset({int, float})
_GZIP_LEVEL = 1
_GZIP_WINDOW = 31  # 15 bits of window, +16: with gzip header and trailer (zlib manual, deflateInit2)


class _NotFinite:
    """Prints as the text format wants it: NaN, +Inf, -Inf."""

    def __init__(self, value: float) -> None:
        self._value = value

    def __repr__(self) -> str:
        if isnan(self._value):
            return "NaN"
        return "+Inf" if self._value > 0 else "-Inf"


class Renderer:
    """Renders the families of one collector, remembering the shape of its last reading."""

    def __init__(self) -> None:
        self._shape: list[tuple[Metric, Rows]] = []
        self._template = ""
        self._names: frozenset[str] = frozenset()

    @property
    def names(self) -> frozenset[str]:
        """Names of the metrics in the last reading."""
        return self._names

    def render(self, families: Sequence[Family]) -> str:
        """The text of these families.

        Raises:
            SampleError: labels do not fit, a metric or a series occurs twice, a value is no number.
        """
        shape = [(family.metric, family.rows) for family in families]
        if shape != self._shape:
            template = _template(shape)
            self._shape, self._template = shape, template
            self._names = frozenset(metric.name for metric, _ in shape)
        for family in families:
            if len(family.rows) != len(family.values):
                raise SampleError(
                    f"{family.metric.name}: {len(family.values)} values for {len(family.rows)} rows"
                )
        return self._template % _printable(tuple(chain.from_iterable([family.values for family in families])))


def escape_label(value: str) -> str:
    """A label value with its escapes, without the quotes around it."""
    return value.translate(_LABEL_ESCAPES)


def gzip(text: bytes) -> bytes:
    """Compressed fast rather than small: the fastest level already takes nine tenths off."""
    packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    return packer.compress(text) + packer.flush()


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether an Accept-Encoding header (RFC 9110, section 12.5.3) allows gzip."""
    allowed = {}
    for part in accept_encoding.lower().split(","):
        coding, _, parameter = part.partition(";")
        weight = parameter.strip().removeprefix("q=").strip()
        allowed[coding.strip()] = weight.strip("0.") != "" if weight else True
    return allowed.get("gzip", allowed.get("*", False))


def _printable(values: tuple[Number, ...]) -> tuple[object, ...]:
    kinds = set(map(type, values))
    if not kinds <= _NUMBERS:
        raise SampleError(f"a value is {', '.join(sorted(kind.__name__ for kind in kinds - _NUMBERS))}")
    if float in kinds and not all(map(isfinite, values)):
        return tuple(value if isfinite(value) else _NotFinite(value) for value in values)
    return values


def _template(shape: list[tuple[Metric, Rows]]) -> str:
    names = [metric.name for metric, _ in shape]
    if len(set(names)) != len(names):
        raise SampleError("a metric occurs twice in one collector")
    parts = []
    for metric, rows in shape:
        check_rows(metric, rows)
        if not rows:
            continue
        help_text = metric.help.translate(_HELP_ESCAPES)
        head = f"# HELP {metric.name} {help_text}\n# TYPE {metric.name} {metric.kind.value}\n"
        parts.append(head.replace("%", "%%"))
        parts += [f"{_series(metric, row).replace('%', '%%')} %r\n" for row in rows]
    return "".join(parts)


def _series(metric: Metric, row: Row) -> str:
    if not row:
        return metric.name
    name, values = (metric.name + row[0], row[1:]) if metric.kind.suffixes else (metric.name, row)
    pairs = ",".join(
        f'{label}="{escape_label(value)}"'
        for label, value in zip(metric.labels, values, strict=True)
        if value or not metric.is_sparse
    )
    return f"{name}{{{pairs}}}" if pairs or not metric.is_sparse else name
