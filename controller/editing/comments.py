"""The comments of a text, found by PyYAML's parser: what `reading` finds with another is held to it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import yaml
from yaml.events import ScalarEvent

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
    loader: Any = (yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader)(text)
    last = 0
    while (event := loader.get_event()) is not None:
        if isinstance(event, ScalarEvent):
            marked: Any = event
            start, end = marked.start_mark.index, marked.end_mark.index
            yield text[last:start]
            if event.style in {"|", ">"}:
                line_end = text.find("\n", start)
                yield text[start : line_end if line_end >= 0 else end]
            last = end
    yield text[last:]
