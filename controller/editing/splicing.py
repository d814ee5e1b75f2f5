"""Edited tree → text, with nothing but the edited fields written anew: every other byte stays as it was.

Each field of a map in lines of its own is written by itself: a new one is put in, one that is gone is taken
out with the comments that speak of it, one that holds something else is written in form where it stands.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import TYPE_CHECKING, Final, NamedTuple

from controller.editing.tree import BLANK, Collection, Entry, Scalar, Span, Tree
from controller.editing.writing import field_lines, keeps_blanks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["spliced"]

_LINE_END: Final = re.compile(r"\r\n?|\n")


class _Patch(NamedTuple):
    """Text in the place of other text; offsets count `\\n` for each line end."""

    start: int
    end: int
    text: str


def spliced(original: str, tree: Tree) -> str | None:
    """The text that `tree` was read from with the edits made to it since.

    None where the file has no lines to splice: it says nothing yet, all of it stands in brackets, or it ends
    in the midst of a line that a line end would alter.
    """
    if not _can_take_patches(tree.root, tree.text) or _ends_in_block(tree):
        return None
    patches = sorted(_patches(tree.root, tree.text), key=lambda patch: (patch.start, patch.end))
    return _applied(original, patches)


def _ends_in_block(tree: Tree) -> bool:
    """Whether the last line is one of a block text and has no end: with one, the text would say more."""
    value: Collection | Scalar = tree.root
    while isinstance(value, Collection) and value.stood:
        value = value.stood[-1].value
    return isinstance(value, Scalar) and value.is_block and not tree.text.endswith("\n")


def _can_take_patches(node: Collection, text: str) -> bool:
    """Whether it is a map of which each field begins a line, and some of them stay."""
    if node.is_flow or not node.is_map or not any(entry.span for entry in node.entries):
        return False
    spans = (entry.span for entry in node.stood)
    return all(span is not None and _indentation(text, span.start) == node.column for span in spans)


def _indentation(text: str, at: int) -> int | None:
    """The blanks before `at`, where nothing else stands in its line before it."""
    before = text[_line_start(text, at) : at]
    return None if before.strip(" ") else len(before)


def _patches(node: Collection, text: str) -> Iterator[_Patch]:
    here = {id(entry) for entry in node.entries}
    for before, entry in zip((None, *node.stood), node.stood, strict=False):
        if id(entry) not in here:
            yield _taken_out(entry, before, node, text)
    last: Entry | None = None
    new: list[Entry] = []
    for entry in node.entries:
        if entry.span is None:
            new.append(entry)
            continue
        if new:
            yield _put_in(new, last, entry, node, text)
            new = []
        yield from _changes(entry, entry.span, node, text)
        last = entry
    if new and last is not None:
        yield _put_in(new, last, last, node, text)


def _changes(entry: Entry, span: Span, node: Collection, text: str) -> Iterator[_Patch]:
    """The patches inside a field, or one for the whole of it."""
    value = entry.value
    if not _is_changed(entry):
        return
    if value is span.value and isinstance(value, Collection) and _can_take_patches(value, text):
        yield from _patches(value, text)
        return
    _forget_what_follows(entry, span)
    entry.above = entry.above[span.above :]
    lines = field_lines(entry, " " * node.column)
    yield _Patch(span.start, _line_end(text, span.end), "\n".join(lines)[node.column :])


def _is_changed(entry: Entry) -> bool:
    value = entry.value
    if entry.span is not None and entry.span.value is not value:
        return True
    if isinstance(value, Scalar):
        return False
    same = len(value.entries) == len(value.stood) and all(map(_is, value.entries, value.stood))
    return not same or any(map(_is_changed, value.entries))


def _is(one: Entry, other: Entry) -> bool:
    return one is other


def _forget_what_follows(entry: Entry, span: Span) -> None:
    """Comments on lines behind the value are no part of what is written anew: they stay where they are."""
    entry.foot = []
    value = span.value
    while isinstance(value, Collection) and not value.is_flow:
        value.foot = []
        if not value.stood:
            return
        value.stood[-1].foot = []
        value = value.stood[-1].value


def _put_in(
    new: Iterable[Entry], last: Entry | None, following: Entry, node: Collection, text: str
) -> _Patch:
    """New fields behind `last`, and behind the comments that belong to it; else before `following`."""
    indent = " " * node.column
    before = [BLANK] if _are_apart(node) else []
    lines = [line for entry in new for line in (*before, *field_lines(entry, indent))]
    if last is None or last.span is None:
        at = _above(following, text)
        return _Patch(at, at, "".join(f"{line}\n" for line in _without_blanks(lines)))
    if keeps_blanks(last.span.value):
        lines = [line for line in lines if line]
    at = _behind(last.span, node, text)
    if at == len(text):
        return _Patch(at, at, "".join(f"\n{line}" for line in lines))
    return _Patch(at + 1, at + 1, "".join(f"{line}\n" for line in lines))


def _are_apart(node: Collection) -> bool:
    """Whether blank lines stand between all fields: then one stands before what is new as well."""
    return len(node.stood) > 1 and all(entry.above[:1] == [BLANK] for entry in node.stood[1:])


def _without_blanks(lines: list[str]) -> list[str]:
    """The lines with their first blank one, if any, at the end: before what they are put before."""
    return [*lines[1:], BLANK] if lines[0] == BLANK else lines


def _taken_out(entry: Entry, before: Entry | None, node: Collection, text: str) -> _Patch:
    assert entry.span is not None  # noqa: S101 - what stood was read
    end = _behind(entry.span, node, text)
    if before is None or keeps_blanks(before.value):  # blank lines would be out of form, or part of that text
        while end + 1 < len(text) and not text[end + 1 : _line_end(text, end + 1)].strip():
            end = _line_end(text, end + 1)
    return _Patch(_above(entry, text), min(end + 1, len(text)), "")


def _above(entry: Entry, text: str) -> int:
    """Where the first line begins that belongs to a field: its comments stand above it."""
    assert entry.span is not None  # noqa: S101 - asked of what was read
    at = _line_start(text, entry.span.start)
    for line in reversed(entry.above[: entry.span.above]):
        at = _line_start(text, at - 1)
        while not line and at > 0 and not _line_before(text, at).strip():  # several stand as one in a tree
            at = _line_start(text, at - 1)
    return at


def _behind(span: Span, node: Collection, text: str) -> int:
    """The end of the last line that belongs to a field: comments that are deeper than its key are its own."""
    at = _line_end(text, span.end)
    while at < len(text):
        end = _line_end(text, at + 1)
        line = text[at + 1 : end]
        if not line.lstrip(" ").startswith("#") or len(line) - len(line.lstrip(" ")) <= node.column:
            break
        at = end
    return at


def _line_start(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def _line_before(text: str, at: int) -> str:
    return text[_line_start(text, at - 1) : at]


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _applied(original: str, patches: Iterable[_Patch]) -> str:
    """The original with the patches; its line ends, a byte order mark and all else stay as they are."""
    mark = len(original) - len(original.removeprefix("\ufeff"))
    ends = [at.start() - number - mark for number, at in enumerate(re.finditer("\r\n", original))]
    first = _LINE_END.search(original)
    line_end = first[0] if first else "\n"
    parts: list[str] = []
    last = 0
    for patch in patches:
        start, end = (at + mark + bisect_left(ends, at) for at in (patch.start, patch.end))
        parts += original[last:start], patch.text.replace("\n", line_end)
        last = end
    return "".join((*parts, original[last:]))
