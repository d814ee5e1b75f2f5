"""The comments of a text, found with no regard to whose they are: what is written is held to it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from yaml.events import ScalarEvent

from controller.policy.document import fastest_parser

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["comments_in"]


def comments_in(text: str) -> Counter[str]:
    """Each comment from `#` on, and how often it stands there; `text` must be YAML."""
    found: Counter[str] = Counter()
    for gap in _gaps(text):
        for line in gap.splitlines():
            _, hash_sign, comment = line.partition("#")
            if hash_sign:
                found["#" + comment.rstrip()] += 1
    return found


def _gaps(text: str) -> Iterator[str]:
    """What stands between scalars; there `#` can begin nothing but a comment."""
    last = 0
    events: Iterator[Any] = iter(fastest_parser(text).get_event, None)
    for event in events:
        if _kind(event) is ScalarEvent:
            start, end = event.start_mark.index, event.end_mark.index
            yield text[last:start]
            if event.style in {"|", ">"}:
                line_end = text.find("\n", start)
                yield text[start : line_end if line_end >= 0 else end]
            last = end
    yield text[last:]


def _kind(event: object) -> object:
    return type(event)
