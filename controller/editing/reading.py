"""Text → tree, by the events of the parser that policies are read with: they say where each value stands, and
the text between two values can hold nothing but punctuation, blanks and comments. So none is overlooked.

Whose a comment is: behind something, of that; on lines of its own, of what follows, unless it is indented
deeper than that, then of what ends there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import yaml
from yaml.events import (
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from controller.editing.tree import BLANK, Collection, Entry, Node, Remark, Scalar, Span, Tree
from controller.policy.collecting import without_garbage_collection
from controller.policy.document import fastest_parser
from controller.policy.position import SourcePosition
from controller.policy.problems import PolicyErrors, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["read_tree"]

_LINE_END: Final = re.compile(r"\r\n?")
_HEADER: Final = re.compile(r"[|>][-+0-9]*")
_LONGEST_KEY: Final = 1000
_FORCED: Final = -1
"""Column of a comment that stands behind punctuation: whatever follows, it belongs there."""


class _Line(NamedTuple):
    """A comment (`text` from `#` on) or a blank line between two values."""

    text: str
    column: int


@dataclass
class _NotReadableError(Exception):
    """Something that a tree cannot hold, at a place counted from 0."""

    line: int
    column: int
    message: str


def read_tree(text: str, file: str) -> Tree:
    """The file as it is spelt; `text` is one that `policy.document` reads without a problem.

    Raises PolicyErrors for what is no map, and for spellings that cannot be kept (keys over several lines).
    """
    try:
        with without_garbage_collection():
            return _Reader(_LINE_END.sub("\n", text.removeprefix("\ufeff"))).read()
    except _NotReadableError as error:
        where = SourcePosition(file, error.line + 1, error.column + 1)
        raise PolicyErrors([Problem(where, error.message)]) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = SourcePosition(file, mark.line + 1 if mark else 1, mark.column + 1 if mark else 1)
        raise PolicyErrors([Problem(where, f"not YAML 1.2: {error.problem or error.context}")]) from error
    except yaml.YAMLError as error:
        raise PolicyErrors([Problem(SourcePosition(file, 1, 1), f"not YAML 1.2: {error}")]) from error


class _Reader:
    """Builds the tree; `_last` is where the last value ended, `_beside` takes the comments behind it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._events: Iterator[Any] = iter(fastest_parser(text).get_event, None)
        self._last = 0
        self._beside: list[Remark] = []
        self._closed: list[Collection | Entry] = []

    def read(self) -> Tree:
        tree = Tree(text=self._text)
        for event in self._events:
            if isinstance(event, StreamStartEvent | DocumentStartEvent | DocumentEndEvent):
                continue
            if isinstance(event, StreamEndEvent):
                break
            self._read_root(event, tree)
        self._end(tree)
        return tree

    def _read_root(self, event: Any, tree: Tree) -> None:
        if _kind(event) is ScalarEvent and not event.value and not event.style:
            return
        if _kind(event) is not MappingStartEvent:
            raise _not_readable(event, "a file of a policy is a map of sections")
        lines = _trimmed(self._consume(event.start_mark.index))
        blanks = [number for number, line in enumerate(lines) if line == BLANK]
        cut = blanks[-1] if blanks else len(lines)
        tree.header, above, tree.is_apart = lines[:cut], lines[cut + 1 :], bool(blanks)
        root = self._collection(event, [])
        root.is_flow = not root.entries
        if root.entries:
            first = root.entries[0]
            first.above[:0] = above
            if first.span is not None:
                first.span = replace(first.span, above=first.span.above + len(above))
        else:
            tree.header += above
        tree.root = root

    def _end(self, tree: Tree) -> None:
        """What stands behind the last value."""
        if not tree.root.entries and not tree.header:
            tree.header = _trimmed(self._consume(len(self._text)))
            return
        if tree.root.is_flow:
            self._closed.append(tree.root)
        tree.root.foot += filter(None, self._consume(len(self._text), under=_FORCED))

    def _consume(self, end: int, under: int | None = None) -> list[str]:
        """The comment lines up to `end`, those aside that belong to what stands before.

        `under` is the column of an entry that begins there: deeper comments belong to what was closed.
        """
        lines = list(self._gap(end))
        self._last = max(self._last, end)
        count = _deeper(lines, under) if under is not None and self._closed else 0
        owner = self._closed[-1] if self._closed else None
        feet: list[tuple[Collection | Entry | None, str]] = []
        for line in reversed(lines[:count]):  # a blank line goes with the comment below it
            if line.text:
                fitting = (one for one in self._closed if one.column <= line.column)
                owner = next(fitting, self._closed[-1])
            feet.append((owner, line.text))
        for owner, text in reversed(feet):
            if owner is not None:
                owner.foot.append(text)
        self._closed.clear()
        return [line.text for line in lines[count:]]

    def _gap(self, end: int) -> Iterator[_Line]:
        pieces = self._text[self._last : end].split("\n")
        starts_file = self._last == 0
        was_blank = False
        for number, piece in enumerate(pieces):
            at = piece.find("#")
            is_behind = number == 0 and not starts_file
            if at >= 0 and is_behind:
                before = piece[:at]
                self._beside.append(Remark(piece[at:].rstrip(), len(before) - len(before.rstrip(" "))))
            elif at >= 0:
                yield _Line(piece[at:].rstrip(), _FORCED if piece[:at].strip() else at)
            elif not piece.strip() and not is_behind and number < len(pieces) - 1 and not was_blank:
                yield _Line(BLANK, 0)
            was_blank = not piece.strip() and not is_behind

    def _node(self, event: Any, beside: list[Remark], column: int) -> Node:
        """The value that begins with `event`; comments before it were consumed."""
        if _kind(event) is ScalarEvent:
            return self._scalar(event, beside, column)
        if not isinstance(event, MappingStartEvent) and not hasattr(event, "flow_style"):
            raise _not_readable(event, "aliases cannot be kept")
        return self._collection(event, beside)

    def _scalar(self, event: Any, beside: list[Remark], column: int) -> Scalar:
        start, end = event.start_mark.index, event.end_mark.index
        if event.style in {"|", ">"}:
            scalar, self._last = self._block_scalar(event, beside, column)
        else:
            first, *rest = self._text[start:end].split("\n")
            lines = (first, *(line.lstrip(" ") for line in rest))
            if event.style is None:
                lines = tuple(line.rstrip(" ") for line in lines)
            scalar = Scalar(lines, event.value)
            if start == end:
                return scalar
            self._last = end
        self._beside = beside
        return scalar

    def _block_scalar(self, event: Any, beside: list[Remark], column: int) -> tuple[Scalar, int]:
        """The scalar, and where it ends; what a block scalar holds is found by its indentation alone."""
        start = event.start_mark.index
        header = _HEADER.match(self._text, start)
        line_end = self._text.find("\n", start)
        if header is None or line_end < 0:
            raise _not_readable(event, "an empty block scalar cannot be kept")
        self._last, self._beside = header.end(), beside
        list(self._gap(line_end))  # a comment behind the header
        spelt = header[0]
        given = int("".join(filter(str.isdigit, spelt)) or 0)
        indent, body = self._body(line_end + 1, column, given, keeps="+" in spelt)
        end = line_end + sum(len(line) + 1 for line in body)
        if end >= len(self._text) and "-" not in spelt:
            spelt = spelt.replace("+", "") + "-"  # no line end stands behind the last line
        lines = (spelt, *(line[indent:] for line in body))
        return Scalar(lines, event.value, is_block=True, indent=given), end

    def _body(self, start: int, column: int, given: int, *, keeps: bool) -> tuple[int, list[str]]:
        """The indentation of a block scalar's lines, and the lines; blank ones at its end if they count."""
        indent, body, ended = (column + given if given else 0), list[str](), False
        for line in self._lines(start):
            if line.strip(" "):
                depth = _depth(line)
                indent = indent or depth
                if depth < max(indent, column + 1):
                    ended = True
                    break
            body.append(line)
        # Blanks beyond the indentation are part of the text, even where nothing follows them.
        if not ended and body and len(body[-1]) <= indent:
            body.pop()  # what follows the last line end is no line
        while body and len(body[-1]) <= indent and not keeps:
            body.pop()
        return indent, body

    def _lines(self, start: int) -> Iterator[str]:
        """The lines from `start` on, one at a time: a file may hold many block scalars."""
        while start <= len(self._text):
            end = self._text.find("\n", start)
            end = len(self._text) if end < 0 else end
            yield self._text[start:end]
            start = end + 1

    def _collection(self, event: Any, beside: list[Remark]) -> Collection:
        is_map = isinstance(event, MappingStartEvent)
        is_flow = bool(event.flow_style)
        made = Collection(is_map, is_flow, column=event.start_mark.column)
        start = event.start_mark.index
        has_brackets = is_flow and self._text[start] in "{["  # the map in [a: 1] has none
        if has_brackets:
            self._last, self._beside = start + 1, beside
        for inner in self._events:
            if isinstance(inner, MappingEndEvent | SequenceEndEvent):
                if has_brackets:
                    self._close(made, inner, beside)
                elif not is_flow:
                    self._closed.append(made)
                made.stood = tuple(made.entries)
                return made
            made.entries.append(self._field(inner, made) if is_map else self._item(inner, made))
        raise _not_readable(event, "the collection has no end")

    def _close(self, made: Collection, event: Any, beside: list[Remark]) -> None:
        end = event.end_mark.index
        made.foot += filter(None, self._consume(end - 1))
        self._last, self._beside = end, beside

    def _field(self, event: Any, parent: Collection) -> Entry:
        if _kind(event) is not ScalarEvent:
            raise _not_readable(event, "a key must be a text")
        above = self._consume(event.start_mark.index, None if parent.is_flow else parent.column)
        entry = Entry(Scalar.plain(""), Scalar.plain(""), above, column=parent.column + 1)
        key = self._scalar(event, entry.beside, parent.column)
        if len(key.lines) > 1 or len(key.lines[0]) > _LONGEST_KEY:
            raise _not_readable(event, "a key over several lines cannot be kept")
        entry.key = key
        outside = len(above)
        self._value(next(self._events), entry, parent)
        entry.span = Span(event.start_mark.index, self._last, entry.value, outside)
        return entry

    def _item(self, event: Any, parent: Collection) -> Entry:
        entry = Entry(None, Scalar.plain(""), column=parent.column + 1)
        under = None if parent.is_flow else parent.column
        entry.above = self._consume(event.start_mark.index, under)
        if _is_nothing(event):  # its place is behind the dash
            self._beside = entry.beside
        self._value(event, entry, parent)
        return entry

    def _value(self, event: Any, entry: Entry, parent: Collection) -> None:
        is_block = _kind(event) is not ScalarEvent and not event.flow_style
        if not is_block and not _is_nothing(event):
            entry.above += filter(None, self._consume(event.start_mark.index))
        entry.value = self._node(event, entry.beside, parent.column)
        if parent.is_flow:
            entry.above[:] = filter(None, entry.above)
        elif not is_block:
            self._closed.append(entry)


def _kind(event: Any) -> object:
    return type(event)


def _is_nothing(event: Any) -> bool:
    """A value that is not written."""
    return _kind(event) is ScalarEvent and event.start_mark.index == event.end_mark.index


def _not_readable(event: Any, message: str) -> _NotReadableError:
    return _NotReadableError(event.start_mark.line, event.start_mark.column, message)


def _deeper(lines: list[_Line], under: int) -> int:
    """How many of the lines, from the first on, belong to what ends before them."""
    count = 0
    for number, line in enumerate(lines):
        if not line.text:
            continue
        if line.column <= under:
            break
        count = number + 1
    return count


def _depth(line: str) -> int:
    """How far a line is indented."""
    return len(line) - len(line.lstrip(" "))


def _trimmed(lines: list[str]) -> list[str]:
    """Without the blank lines at the beginning."""
    start = next((number for number, line in enumerate(lines) if line), len(lines))
    return lines[start:]
