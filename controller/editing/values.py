"""Values into trees: new ones spelt as every reader of YAML takes them alike, old ones left as they are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from controller.editing.order import insert_in_order
from controller.editing.tree import Collection, Entry, Node, Scalar
from controller.policy.scalar_schema import resolve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controller.policy.places import Value

__all__ = ["drop", "field", "node", "put", "scalar"]

_PLAIN: Final = re.compile(r"[\w/](?:[\w./@+%-]|(?<=[\w.,])[ ](?=[\w]))*")
_WORDS_OF_YAML_1_1: Final = frozenset({"y", "n", "yes", "no", "on", "off"})


def scalar(value: str | int | float | bool | None) -> Scalar:
    """A value on one line; a text in quotes where it could be taken for something else."""
    if value is None:
        return Scalar.plain("null")
    if isinstance(value, bool):
        return Scalar.plain("true" if value else "false")
    if not isinstance(value, str):
        return Scalar.plain(str(value))
    is_plain = (
        _PLAIN.fullmatch(value) is not None
        and value.lower() not in _WORDS_OF_YAML_1_1
        and isinstance(resolve(value), str)
    )
    return Scalar.plain(value) if is_plain else Scalar.quoted(value)


def node(value: Value) -> Node:
    """A value as a tree, collections in brackets: they stay there where they fit."""
    if isinstance(value, dict):
        entries = [Entry(scalar(name), node(item)) for name, item in value.items()]
        return Collection(is_map=True, is_flow=True, entries=entries)
    if isinstance(value, tuple):
        return Collection(is_map=False, is_flow=True, entries=[Entry(None, node(item)) for item in value])
    return scalar(value)


def put(owner: Entry, at: Sequence[str], path: Sequence[str], value: Value) -> None:
    """Set the field at `path` below `owner`, which stands `at` a place of the policy.

    Maps on the way are made where there are none.
    """
    for depth, name in enumerate(path):
        is_flow = isinstance(owner.value, Collection) and owner.value.is_flow
        owner = field(owner, (*at, *path[:depth]), name)
        if is_flow and depth + 1 < len(path) and not isinstance(owner.value, Collection):
            owner.value = Collection(is_map=True, is_flow=True)  # in brackets as what it stands in
    if isinstance(value, tuple) and isinstance(owner.value, Collection) and not owner.value.is_map:
        _put_items(owner.value, value)
    else:
        owner.value = node(value)


def drop(owner: Entry, path: Sequence[str]) -> None:
    """Take the field at `path` out; one that is not there stays away."""
    *parents, last = path
    for name in parents:
        found = owner.value.get(name) if isinstance(owner.value, Collection) else None
        if found is None:
            return
        owner = found
    if isinstance(owner.value, Collection):
        owner.value.entries = [one for one in owner.value.entries if one.key is None or one.key.value != last]


def field(owner: Entry, at: Sequence[str], name: str) -> Entry:
    """The field of this name in the map that stands `at` a place of the policy, made where it is missing."""
    if not isinstance(owner.value, Collection) or not owner.value.is_map:
        owner.value = Collection(is_map=True, is_flow=False)
    found = owner.value.get(name)
    if found is None:
        found = Entry(scalar(name), Scalar.plain(""))
        insert_in_order(owner.value, found, tuple(at))
    return found


def _is_text(found: Scalar) -> bool:
    """Whether it is read as a text: what stands there without quotes may be a number."""
    is_plain = not found.is_block and found.lines[0][:1] not in {"'", '"'}
    return not is_plain or isinstance(resolve(found.value), str)


def _put_items(items: Collection, wanted: Sequence[Value]) -> None:
    """What stays keeps its spelling and its comments; what is new comes last."""
    kept: dict[str, Entry] = {}
    for entry in items.entries:
        if isinstance(entry.value, Scalar) and _is_text(entry.value):
            kept.setdefault(entry.value.value, entry)
    items.entries = [
        kept[value] if isinstance(value, str) and value in kept else Entry(None, node(value))
        for value in wanted
    ]
