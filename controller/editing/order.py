"""The language's order: sections, and the fields of each entry, as the types of the language have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.editing.tree import Collection
from controller.policy.language import fields_at, is_named_map

if TYPE_CHECKING:
    from controller.editing.tree import Entry, Tree
    from controller.policy.places import Token

__all__ = ["insert_in_order", "put_in_order"]


def put_in_order(tree: Tree, *, sort: bool = False) -> None:
    """Order sections and fields. Entries (people, machines, …) keep their order, unless `sort`: by name."""
    _order(tree.root, (), sort=sort)


def insert_in_order(node: Collection, entry: Entry, path: tuple[Token, ...]) -> None:
    """Put a new field behind those that come before it in the map at `path`; a new person or machine last."""
    inner = path[1:] if path[:1] == ("override",) else path
    known = {name: number for number, name in enumerate(fields_at(inner))}
    rank = known.get(_name(entry), len(known))
    before = (number for number, one in enumerate(node.entries) if known.get(_name(one), len(known)) <= rank)
    node.entries.insert(max(before, default=-1) + 1, entry)


def _order(node: Collection, path: tuple[Token, ...], *, sort: bool) -> None:
    if node.is_map:
        known = {name: number for number, name in enumerate(fields_at(path))}
        if known:
            node.entries.sort(key=lambda entry: known.get(_name(entry), len(known)))
        elif sort and is_named_map(path):
            node.entries.sort(key=_name)
    for number, entry in enumerate(node.entries):
        if isinstance(entry.value, Collection):
            token: Token = number if entry.key is None else entry.key.value
            # What an override changes has the fields of the section that it changes.
            inner = () if (*path, token) == ("override",) else (*path, token)
            _order(entry.value, inner, sort=sort)


def _name(entry: Entry) -> str:
    return "" if entry.key is None else entry.key.value
