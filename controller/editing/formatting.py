"""One file in the form that everybody's editor, review and merge can rely on; the same bytes every time.

What cannot be formatted without changing what it says, or losing a comment, is refused and stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.editing.comments import comments_in
from controller.editing.order import put_in_order
from controller.editing.reading import read_tree
from controller.editing.writing import write_tree
from controller.policy.collecting import without_garbage_collection
from controller.policy.document import read_document
from controller.policy.position import SourcePosition
from controller.policy.problems import PolicyErrors, Problem

if TYPE_CHECKING:
    from controller.editing.tree import Tree
    from controller.policy.places import Value

__all__ = ["formatted", "same"]


def _opened(data: bytes, file: str) -> tuple[Tree, Value]:
    """The tree of a file that reads without a problem, and what it says. Raises PolicyErrors."""
    document = read_document(data, file)
    if document.problems:
        raise PolicyErrors(document.problems)
    return read_tree(data.decode("utf-8"), file), document.value


def formatted(data: bytes, file: str, *, sort: bool = False) -> str:
    """The text of the file in form; `sort` puts entries in the order of their names.

    Raises PolicyErrors where the file is no policy file, or a spelling of it cannot be kept.
    """
    with without_garbage_collection():
        return _formatted(data, file, sort=sort)


def _formatted(data: bytes, file: str, *, sort: bool) -> str:
    tree, value = _opened(data, file)
    put_in_order(tree, sort=sort)
    text = write_tree(tree)
    if text.encode() == data:
        return text
    _require_same(text, value, file)
    if comments_in(text) != comments_in(data.decode("utf-8").removeprefix("\ufeff")):
        raise PolicyErrors([_problem(file, "a comment of this file would be lost; it was left as it is")])
    return text


def _require_same(text: str, value: Value, file: str) -> None:
    written = read_document(text.encode(), file)
    if written.problems or not same(written.value, value):
        message = "written in form, this file would not say the same; it was left as it is"
        raise PolicyErrors([_problem(file, message)])


def same(one: Value, other: Value) -> bool:
    """Whether two values are the same, types included (1 is not true), whatever the order of their keys."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(item, other[key]) for key, item in one.items())
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other or (one != one and other != other)


def _problem(file: str, message: str) -> Problem:
    return Problem(SourcePosition(file, 1, 1), message)
