"""A table of people as spreadsheets write it (CSV): read within limits, every cell with its line and column.

Comma, semicolon or tab between cells; a byte order mark; UTF-8, or UTF-16 where the mark says so. Any other
encoding has to be named.
"""

from __future__ import annotations

import codecs
import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from controller.errors import ControllerError
from controller.policy.position import SourcePosition
from controller.policy.problems import PolicyErrors, Problem, did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["COLUMNS", "Row", "Table", "read_table"]

COLUMNS: Final = ("username", "email", "first_name", "last_name", "roles", "teams", "mfa", "expires", "state")
MAX_BYTES: Final = 20_000_000
MAX_ROWS: Final = 100_000

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class Row:
    """A line of the table: the cells that hold something, by column, each with its number from 1."""

    line: int
    cells: Mapping[str, str]
    numbers: Mapping[str, int]


@dataclass(frozen=True)
class Table:
    """A table by the name of its file."""

    file: str
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...] = ()


def read_table(path: Path, *, encoding: str = "utf-8") -> Table:
    """Read a table; mistakes that leave rows readable stand in its `problems`.

    Raises PolicyErrors where nothing can be read, ControllerError for an unknown encoding.
    """
    with path.open("rb") as stream:
        data = stream.read(MAX_BYTES + 1)
    file = str(path)
    if len(data) > MAX_BYTES:
        raise ControllerError(f"{file} is longer than {MAX_BYTES // 1_000_000} MB")
    text = _decoded(data, file, encoding)
    lines = _lines(text, file)
    header = next(lines, None)
    if header is None:
        raise PolicyErrors([Problem(SourcePosition(file, 1, 1), f"the table is empty: {_FIRST_LINE}")])
    problems: list[Problem] = []
    columns = _columns(header[1], file, problems)
    rows: list[Row] = []
    for number, cells in lines:
        if len(rows) == MAX_ROWS:
            problems.append(Problem(SourcePosition(file, number, 1), f"more than {MAX_ROWS} people"))
            break
        rows.append(_row(number, cells, columns, file, problems))
    return Table(file, tuple(row for row in rows if "username" in row.cells), tuple(problems))


_FIRST_LINE: Final = "the first line names the columns, as " + ",".join(COLUMNS)


def _decoded(data: bytes, file: str, encoding: str) -> str:
    marked = next((name for mark, name in _MARKS if data.startswith(mark)), "")
    try:
        return data.decode(marked or encoding)
    except LookupError:
        raise ControllerError(
            f"unknown encoding {quoted(encoding)}", hint="as utf-8, cp1252, latin-1"
        ) from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f'not {marked or encoding} here: save it as "CSV UTF-8", or say --encoding cp1252'
        raise PolicyErrors([Problem(SourcePosition(file, line, 1), message)]) from None


def _lines(text: str, file: str) -> Iterator[tuple[int, list[str]]]:
    """Each line's number and cells; empty lines are passed over. Raises PolicyErrors for what is no CSV."""
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    number = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield number, [cell.strip() for cell in cells]
            number = reader.line_num + 1
    except csv.Error as error:
        raise PolicyErrors([Problem(SourcePosition(file, number, 1), f"not CSV: {error}")]) from error


def _columns(header: list[str], file: str, problems: list[Problem]) -> list[str]:
    names = [name.lower().replace(" ", "_") for name in header]
    if not set(names) & set(COLUMNS):
        raise PolicyErrors([Problem(SourcePosition(file, 1, 1), f"no column is known: {_FIRST_LINE}")])
    for number, name in enumerate(names, 1):
        where = SourcePosition(file, 1, number)
        if name not in COLUMNS:
            what = f"unknown column {quoted(header[number - 1])}; known are {', '.join(COLUMNS)}"
            problems.append(Problem(where, what, did_you_mean(name, COLUMNS)))
        elif name in names[: number - 1]:
            problems.append(Problem(where, f"the column {name} is there already"))
    if "username" not in names:
        raise PolicyErrors([*problems, Problem(SourcePosition(file, 1, 1), "the column username is missing")])
    return names


def _row(number: int, cells: list[str], columns: list[str], file: str, problems: list[Problem]) -> Row:
    if len(cells) > len(columns) and any(cells[len(columns) :]):
        message = f"{len(cells)} cells under {len(columns)} columns"
        problems.append(Problem(SourcePosition(file, number, len(columns) + 1), message))
    named = {
        name: (text, column)
        for column, (name, text) in enumerate(zip(columns, cells, strict=False), 1)
        if text and name in COLUMNS
    }
    if "username" not in named:
        problems.append(Problem(SourcePosition(file, number, 1), "no username"))
    return Row(
        number,
        {name: text for name, (text, _) in named.items()},
        {name: at for name, (_, at) in named.items()},
    )
