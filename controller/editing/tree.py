"""A YAML file as it is spelt: scalars with their quotes, comments with what they speak of, blank lines."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TypeAlias

__all__ = ["BLANK", "Collection", "Entry", "Node", "Remark", "Scalar", "Span", "Tree"]

BLANK = ""
"""A blank line among comment lines."""


@dataclass(frozen=True)
class Remark:
    """A comment behind a value: its text from `#` on, and the blanks before it."""

    text: str
    gap: int = 2


@dataclass(frozen=True)
class Scalar:
    """A single value as it is spelt.

    One line: `lines[0]` with its quotes. Several: the lines without what they are indented by; of a block
    scalar the first is its header (`|`, `>-`, `|2`), where `indent` is the number in it.
    """

    lines: tuple[str, ...]
    value: str
    is_block: bool = False
    indent: int = 0

    @property
    def is_null(self) -> bool:
        """Nothing stands here at all."""
        return self.lines == ("",)

    @classmethod
    def plain(cls, text: str) -> Scalar:
        """A scalar written as it is."""
        return cls((text,), text)

    @classmethod
    def quoted(cls, text: str) -> Scalar:
        """A scalar in double quotes: JSON's escapes are YAML's."""
        return cls((json.dumps(text, ensure_ascii=False),), text)


@dataclass(frozen=True)
class Span:
    """Where a field was read: the offsets of its key's beginning and its value's end, and what it held.

    `above` of its comment and blank lines stand before the key, the others between key and value.
    """

    start: int
    end: int
    value: Node
    above: int


@dataclass
class Entry:
    """A field of a map or an item of a list (then `key` is None).

    `above` holds comment lines (from `#` on) and blank lines, `beside` what stands behind key or value,
    `foot` comment lines below a value of one line, indented deeper than the key. What is new has no `span`.
    """

    key: Scalar | None
    value: Node
    above: list[str] = field(default_factory=list)
    beside: list[Remark] = field(default_factory=list)
    foot: list[str] = field(default_factory=list)
    column: int = 0
    span: Span | None = None


@dataclass
class Collection:
    """A map or a list; `is_flow`: written in brackets. `foot` are comments after the last entry.

    `stood` are the entries as they were read.
    """

    is_map: bool
    is_flow: bool
    entries: list[Entry] = field(default_factory=list)
    foot: list[str] = field(default_factory=list)
    column: int = 0
    stood: tuple[Entry, ...] = ()

    def get(self, name: str) -> Entry | None:
        """The field with this name."""
        for entry in self.entries:
            if entry.key is not None and entry.key.value == name:
                return entry
        return None


@dataclass
class Tree:
    """A file: comments that are about all of it, then its sections.

    `is_apart`: a blank line stands between the two. `text` is what was read, its lines ended by `\\n`.
    """

    header: list[str] = field(default_factory=list)
    root: Collection = field(default_factory=lambda: Collection(is_map=True, is_flow=False))
    is_apart: bool = False
    text: str = ""


Node: TypeAlias = Scalar | Collection
