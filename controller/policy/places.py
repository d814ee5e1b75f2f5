"""Where everything stands: a tree beside the values that remembers the place of each key and value.

Values themselves stay plain Python (dict, tuple, str, int, float, bool, None), which keeps reading fast; a
place is only turned into a `SourcePosition` when somebody asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

from controller.policy.position import SourcePosition

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Mark", "Place", "Spot", "Token", "Value", "key_position", "value_position"]

Token: TypeAlias = str | int
Value: TypeAlias = "dict[str, Value] | tuple[Value, ...] | str | int | float | bool | None"


class Mark(Protocol):
    """A place in one file, counted from 0, as PyYAML gives it."""

    @property
    def line(self) -> int:
        """Lines before this one."""

    @property
    def column(self) -> int:
        """Characters before this one."""


class Place:
    """The place of a map, a list, or a value that came from another file than what it stands in.

    `keys` holds the places of the keys (empty for lists), `children` those of the values.
    """

    __slots__ = ("children", "file", "keys", "mark")

    def __init__(
        self,
        file: str,
        mark: Mark,
        keys: dict[Token, Spot] | None = None,
        children: dict[Token, Spot] | None = None,
    ) -> None:
        self.file = file
        self.mark = mark
        self.keys: dict[Token, Spot] = {} if keys is None else keys
        self.children: dict[Token, Spot] = {} if children is None else children

    def moved(self, spot: Spot) -> Place:
        """`spot`, found in this place, as a place that knows its file."""
        return spot if isinstance(spot, Place) else Place(self.file, spot)


Spot: TypeAlias = Place | Mark


def value_position(root: Place, path: Iterable[Token]) -> SourcePosition:
    """The position of the value at `path`; where it is not there, of the key of the last part that is."""
    tokens = tuple(path)
    found, place = _walk(root, tokens)
    if found == len(tokens) or not found:
        return _position(place.file, place.mark)
    return key_position(root, tokens[:found])


def key_position(root: Place, path: Iterable[Token]) -> SourcePosition:
    """The position of the key at the end of `path`; that of the value for items of lists."""
    *parents, last = path
    found, place = _walk(root, tuple(parents))
    if found == len(parents) and last in place.keys:
        key = place.moved(place.keys[last])
        return _position(key.file, key.mark)
    return value_position(root, (*parents, last)) if found == len(parents) else value_position(root, parents)


def _walk(root: Place, path: tuple[Token, ...]) -> tuple[int, Place]:
    """How many parts of `path` are there, and the place of the last of them."""
    place = root
    for count, token in enumerate(path):
        spot = place.children.get(token)
        if spot is None:
            return count, place
        place = place.moved(spot)
    return len(path), place


def _position(file: str, mark: Mark) -> SourcePosition:
    return SourcePosition(file, mark.line + 1, mark.column + 1)
