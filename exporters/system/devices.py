"""Devices of /sys: which file is which series is found once, the numbers are read at each scrape.

Most collectors of hardware are alike: folders of devices, and in them attributes of one number each. A
collector finds its cells; here they are read and put in families. A cell whose file cannot be read (EIO,
EAGAIN, ENODATA, gone) or has no number in it is absent, and costs no other.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from exporters.errors import NoDataError
from exporters.samples import Family, Metric, Number, Row, Rows, label
from exporters.system.tree import Tree
from exporters.system.unchanged import Unchanged

_MOST_DIGITS = 24
_READINGS_PER_SEARCH = 30
"""A driver may add attributes to a device that is there already: look again now and then."""


class Cell(NamedTuple):
    """One series: the metric, its label values, the file below /sys, and what makes a number of its text.

    `otherwise` is there where node_exporter sends a number although the file told none.
    """

    metric: Metric
    row: Row
    file: str
    parse: Callable[[bytes], Number]
    otherwise: Number | None = None


class Column(NamedTuple):
    """The cells of one metric, each beside its one of the `rows`."""

    metric: Metric
    rows: Rows
    cells: tuple[Cell, ...]


Raw = tuple[tuple[Column, Sequence[Number | None]], ...]
"""What was read: a number for each cell of each column, None where there was none."""


class Sensors:
    """The cells that `find` names, found anew when a node of the `folder` below /sys comes, goes or is
    replaced.

    `is_usual` says that a machine without such a folder is no matter: node_exporter counts it as read, and so
    the reading is empty rather than a `NoDataError`.
    """

    def __init__(
        self, tree: Tree, folder: str, find: Callable[[], Iterable[Cell]], *, is_usual: bool = False
    ) -> None:
        self._tree = tree
        self._folder = folder
        self._find = find
        self._is_usual = is_usual
        self._nodes: tuple[tuple[str, int], ...] = ()
        self._columns: tuple[Column, ...] = ()
        self._readings_left = 0
        self.collect = Unchanged(self.read, collect)
        """Reads and collects."""

    def read(self) -> Raw:
        """Read all cells.

        Raises:
            NoDataError: the kernel has no such class of devices.
        """
        self._look()
        if not self._nodes and not self._is_usual and not self._tree.sys_has(self._folder):
            raise NoDataError(f"no /sys/{self._folder}")
        attribute = self._tree.attribute
        raw = []
        for column in self._columns:
            values: list[Number | None] = []
            for _, _, file, parse, otherwise in column.cells:
                try:
                    values.append(parse(attribute(file)))
                except FileNotFoundError:
                    values.append(otherwise)
                    self._readings_left = 0
                except (OSError, ValueError, OverflowError):
                    values.append(otherwise)
            raw.append((column, values))
        return tuple(raw)

    def _look(self) -> None:
        nodes = self._tree.sys_nodes(self._folder)
        if nodes != self._nodes or not self._readings_left:
            self._columns = columns(self._find())
            self._nodes = nodes
            self._readings_left = _READINGS_PER_SEARCH
        self._readings_left -= 1


def columns(cells: Iterable[Cell]) -> tuple[Column, ...]:
    """The cells by metric, in the order of their first; of cells for the same series the first holds."""
    found: dict[Metric, dict[Row, Cell]] = {}
    for cell in cells:
        found.setdefault(cell.metric, {}).setdefault(cell.row, cell)
    return tuple(Column(metric, tuple(rows), tuple(rows.values())) for metric, rows in found.items())


def collect(raw: Raw) -> list[Family]:
    """A family for each column, of the cells that told a number."""
    families = []
    for column, values in raw:
        rows = column.rows
        if None in values:
            rows = tuple(row for row, value in zip(rows, values, strict=True) if value is not None)
        families.append(Family(column.metric, rows, [value for value in values if value is not None]))
    return families


def text(tree: Tree, file: str) -> str:
    """An attribute that holds words; empty where it cannot be read."""
    try:
        return label(tree.attribute(file))
    except OSError:
        return ""


def count(raw: bytes) -> int | None:
    """A number without a sign; None where it is none."""
    return int(raw) if raw.isdigit() and len(raw) <= _MOST_DIGITS else None


def whole(raw: bytes) -> int:
    """A number in decimal.

    Raises:
        ValueError: it is none, or longer than any that the kernel has.
    """
    if len(raw) > _MOST_DIGITS:
        raise ValueError(f"{len(raw)} digits")
    return int(raw)


def prefixed(raw: bytes) -> int:
    """A number whose prefix says its base: 0x, 0b, and 0 or 0o for octal.

    Raises:
        ValueError: it is none.
    """
    digits = raw.lstrip(b"+-")
    if digits[:1] != b"0" or digits == b"0":
        return whole(raw)
    return int(raw, 8 if digits.isdigit() else 0)


def real(raw: bytes) -> Number:
    """A number with or without a fraction.

    Raises:
        ValueError: it is none.
    """
    try:
        return whole(raw)
    except ValueError:
        if len(raw) > _MOST_DIGITS:
            raise
        return float(raw)
