"""Text into so many cells of a terminal: filled, folded, shortened; words stay whole. Pure."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["LEAST_ROOM", "fitted", "listed", "packed", "shortened", "wrapped"]

LEAST_ROOM = 24
"""Cells in which a sentence can begin; with fewer it begins on the next line."""

_LEAST_WIDTH = 8


def packed(parts: Sequence[str], first: int, others: int) -> list[str]:
    """Parts joined by dots, filled into a first line of `first` cells (0: none) and further ones.

    A part that fits on no line whole begins where there is room and goes on below.
    """
    lines = [""]
    for part in parts:
        joined = f"{lines[-1]} · {part}" if lines[-1] else part
        room = first if len(lines) == 1 else others
        if len(joined) <= room:
            lines[-1] = joined
            continue
        begun = _filled(joined, room)
        if len(part) <= max(first, LEAST_ROOM) or len(begun) <= len(lines[-1]) + 2:
            lines += _broken(part, others)
        else:
            lines[-1:] = [begun, *_broken(joined[len(begun) :].strip(), others)]
    return lines


def _filled(text: str, room: int) -> str:
    """As many whole words as `room` cells hold."""
    return text if len(text) <= room else text[: room + 1].rpartition(" ")[0]


def _broken(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(width, 1), break_on_hyphens=False, break_long_words=False)


def shortened(place: str, width: int) -> str:
    """A place that would crowd out the words: its last folders alone."""
    parts = place.split("/")
    while len(place) > width and len(parts) > 2:
        parts = parts[1:]
        place = "/".join(["…", *parts])
    return place


def fitted(text: str, names: Sequence[str], width: int) -> str:
    """As many names as one line holds."""
    shown = len(names)
    while shown > 1 and len(listed(text, names, shown)) > width:
        shown -= 1
    return listed(text, names, shown)


def listed(text: str, names: Sequence[str], shown: int) -> str:
    """The first `shown` names after `text`, and how many there are besides."""
    rest = f", and {len(names) - shown} more" if shown < len(names) else ""
    return text + ", ".join(names[:shown]) + rest


def wrapped(text: str, width: int) -> list[str]:
    """Lines of each paragraph; further ones are indented deeper than its own beginning."""
    lines: list[str] = []
    for paragraph in text.splitlines():
        indent = " " * (len(paragraph) - len(paragraph.lstrip()))
        lines += textwrap.wrap(
            paragraph.strip(),
            max(width, _LEAST_WIDTH),
            initial_indent=indent,
            subsequent_indent=f"{indent}    ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return lines
