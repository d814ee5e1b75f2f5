"""Tree → text: two blanks a level, one value a line, brackets where they stood and fit.

A collection in brackets that is wider than `WIDTH`, or holds a comment, is written in lines of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from controller.editing.tree import BLANK, Collection, Entry, Node, Remark, Scalar, Tree

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["WIDTH", "field_lines", "keeps_blanks", "write_tree"]

WIDTH: Final = 120
"""Characters of a line, comments aside."""

_STEP: Final = "  "


def write_tree(tree: Tree) -> str:
    """The text of a file; its last line has an end."""
    lines = _remarks(tree.header, "")
    while lines and not lines[-1]:
        lines.pop()
    body = ["{}"] if tree.root.is_flow else []
    body += _collection(tree.root, "")
    if lines and body and (tree.is_apart or body[0].startswith("#")):
        lines.append(BLANK)
    lines += body
    return "".join(f"{line}\n" for line in lines)


def _collection(node: Collection, indent: str) -> list[str]:
    """The lines of a collection in lines of its own."""
    lines: list[str] = []
    needs_none = True  # before the first entry
    for entry in node.entries:
        written = field_lines(entry, indent) if node.is_map else _item(entry, indent)
        lines += _from_first(written) if needs_none else written
        needs_none = keeps_blanks(entry.value)
    return lines + _remarks(node.foot, indent)


def field_lines(entry: Entry, indent: str) -> list[str]:
    """The lines of a field of a map, indented by `indent`."""
    spelt = entry.key.lines[0] if entry.key is not None else ""
    above = [*_remarks(entry.above, indent), *(indent + one.text for one in entry.beside[:-1])]
    value = entry.value
    if _is_in_lines(value, len(indent) + len(spelt) + 2) and isinstance(value, Collection):
        lines = [*_collection(value, indent + _STEP), *_remarks(entry.foot, indent + _STEP)]
        return [*above, f"{indent}{spelt}:{_behind(entry)}", *lines]
    return [*above, *_beginning(f"{indent}{spelt}:", entry, indent)]


def _item(entry: Entry, indent: str) -> list[str]:
    above = _remarks(entry.above, indent)
    value = entry.value
    if _is_in_lines(value, len(indent) + 2) and isinstance(value, Collection):
        above += [indent + one.text for one in entry.beside]
        lines = _collection(value, indent + _STEP)
        while not lines[0] or lines[0].lstrip(" ").startswith("#"):
            line = lines.pop(0).lstrip(" ")  # nothing can stand between the dash and what it begins
            above += [indent + line] if line else []
        lines += _remarks(entry.foot, indent + _STEP)
        return [*above, f"{indent}- {lines[0].lstrip(' ')}", *lines[1:]]
    above += [indent + one.text for one in entry.beside[:-1]]
    return [*above, *_beginning(f"{indent}-", entry, indent)]


def _beginning(start: str, entry: Entry, indent: str) -> list[str]:
    """The lines of an entry whose value begins on its first line, behind `start`."""
    first, *rest = _inline(entry.value, indent)
    lines = [f"{start} {first}" if first else start, *rest]
    is_block = isinstance(entry.value, Scalar) and entry.value.is_block
    lines[0 if is_block else -1] += _behind(entry)
    foot = [*entry.foot, *(entry.value.foot if isinstance(entry.value, Collection) else ())]
    # Indented deeper, a comment below a block scalar would be a part of it.
    return lines + _remarks(foot, indent if is_block else indent + _STEP)


def _is_in_lines(node: Node, before: int) -> bool:
    if isinstance(node, Scalar) or not node.entries:
        return False
    flow = _flow(node)
    return not node.is_flow or flow is None or before + len(flow) > WIDTH


def _inline(node: Node, indent: str) -> list[str]:
    """A value behind its key: the rest of that line, and the lines that follow."""
    if isinstance(node, Collection):
        return [_flow(node) or ("{}" if node.is_map else "[]")]
    first, *rest = node.lines
    inner = indent + (" " * node.indent if node.indent else _STEP)
    return [first, *(inner + line if line else line for line in rest)]


def _flow(node: Node) -> str | None:
    """A value on one line; None where it cannot be written so."""
    if isinstance(node, Scalar):
        return None if node.is_block or len(node.lines) > 1 else node.lines[0] or "null"
    if node.foot or (node.entries and not node.is_flow):
        return None
    parts: list[str] = []
    for entry in node.entries:
        value = _flow(entry.value)
        if value is None or entry.above or entry.beside or entry.foot:
            return None
        parts.append(value if entry.key is None else f"{entry.key.lines[0]}: {value}")
    inner = ", ".join(parts)
    return f"{{{inner}}}" if node.is_map else f"[{inner}]"


def _behind(entry: Entry) -> str:
    if not entry.beside:
        return ""
    remark: Remark = entry.beside[-1]
    return " " * max(remark.gap, 2) + remark.text


def keeps_blanks(node: Node) -> bool:
    """Blank lines behind this value would be part of it: a block scalar that keeps them (`|+`)."""
    if isinstance(node, Scalar):
        return node.is_block and "+" in node.lines[0]
    return bool(node.entries) and not node.foot and keeps_blanks(node.entries[-1].value)


def _remarks(lines: Iterable[str], indent: str) -> list[str]:
    """Comment lines, and one blank line where several stood."""
    written: list[str] = []
    for line in lines:
        if line or not written or written[-1]:
            written.append(indent + line if line else BLANK)
    return written


def _from_first(lines: list[str]) -> list[str]:
    """Without the blank lines at the beginning."""
    start = next((number for number, line in enumerate(lines) if line), len(lines))
    return lines[start:]
