"""The fields of a JSON answer, each checked."""

import json
from collections.abc import Mapping
from math import isfinite

from exporters.errors import SourceError

_LONGEST_TEXT = 256
_MOST_ITEMS = 10_000
_MOST = 1 << 62


def parse(body: bytes) -> Mapping[str, object]:
    """The object in an answer; raises SourceError where it is none."""
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise SourceError("answer", "no JSON") from error
    return fields(raw)


def fields(raw: object) -> Mapping[str, object]:
    """An object; raises SourceError."""
    if not isinstance(raw, dict):
        raise SourceError("answer", "no object")
    return raw


def items(raw: Mapping[str, object], name: str) -> list[Mapping[str, object]]:
    """A list of objects, which may be null; raises SourceError."""
    value = raw.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > _MOST_ITEMS:
        raise SourceError("answer", f"{name} is no list")
    return list(map(fields, value))


def text(raw: Mapping[str, object], name: str) -> str:
    """A text that fits a label; raises SourceError."""
    value = raw.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_TEXT:
        raise SourceError("answer", f"{name} is no text")
    return value.encode("utf-8", "replace").decode()


def number(raw: Mapping[str, object], name: str) -> float | None:
    """A number of something, or None where it is not told; raises SourceError."""
    value = raw.get(name)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise SourceError("answer", f"{name} is no number")
    if not isfinite(value) or not 0 <= value <= _MOST:
        raise SourceError("answer", f"{name} is out of its range")
    return value
