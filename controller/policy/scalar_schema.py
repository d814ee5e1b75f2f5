"""The YAML 1.2 core schema: what a plain scalar means before its field says more.

`on`, `NO`, `20:00`, `1_000` and dates are texts; numbers, booleans and null are written in exactly these
ways. Source: YAML 1.2.2, section 10.3.2 "Tag Resolution".
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["resolve"]

_WORDS: Final[dict[str, bool | None]] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NOT_A_NUMBER = re.compile(r"\.(nan|NaN|NAN)")
_NUMERIC_START: Final = frozenset("0123456789+-.")
_MAX_DIGITS: Final = 40
"""A longer number is no number that a policy could mean; it stays text, and its field refuses it."""


def resolve(text: str) -> str | int | float | bool | None:
    """The value of a plain scalar."""
    if text[:1] in _NUMERIC_START and len(text) <= _MAX_DIGITS:
        return _number(text)
    return _WORDS.get(text, text)


def _number(text: str) -> str | int | float | None:
    if not text:
        return None
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _OCTAL.fullmatch(text):
        return int(text[2:], 8)
    if _HEXADECIMAL.fullmatch(text):
        return int(text[2:], 16)
    if _INFINITE.fullmatch(text):
        return float(text.replace(".", ""))
    return float("nan") if _NOT_A_NUMBER.fullmatch(text) else text
