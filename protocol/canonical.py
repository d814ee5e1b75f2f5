"""Canonical JSON: one value, one encoding.

ASCII throughout; object keys sorted by code point; no white space; integers only, at most 2**53 - 1 away
from zero, no leading zero and no minus zero; in strings the short escapes for quote, backslash and b f n r
t, and four lower-case hex digits after backslash-u for everything else outside space..tilde (pairs beyond
the BMP); no lone surrogate. Containers nest at most 32 deep. It resembles RFC 8785, but numbers, escapes
and order differ.
"""

from __future__ import annotations

import json
import re
from typing import Final, NoReturn

from protocol.errors import BadDocument, NotCanonical

__all__ = ["MAX_DEPTH", "MAX_INTEGER", "decode", "encode", "nesting_exceeds"]

MAX_INTEGER: Final = 2**53 - 1
"""Largest distance of an integer from zero: what every JSON library holds exactly."""
MAX_DEPTH: Final = 32
"""Levels of containers, the outermost included."""

_MAX_DIGITS: Final = len(str(MAX_INTEGER)) + 1
_STRINGS: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)  # possessive: linear on hostile text
_ENCODER: Final = json.JSONEncoder(
    ensure_ascii=True, allow_nan=False, sort_keys=True, separators=(",", ":"), check_circular=False
)


def encode(value: object) -> bytes:
    """The canonical bytes of a value made of dict, list, tuple, str, int, bool and None.

    Raises NotCanonical for anything else: floats, other types, keys that are no text, integers out of range,
    lone surrogates, nesting beyond MAX_DEPTH.
    """
    _check_encodable(value, 0)
    return _ENCODER.encode(value).encode("ascii")


def decode(data: bytes) -> object:
    """The value of canonical bytes.

    Raises NotCanonical where `data` is not the canonical encoding of what it says (not JSON, a key twice,
    white space, another escape, a number that is no integer, a lone surrogate), and BadDocument where it
    nests too deep or holds an integer out of range.
    """
    if nesting_exceeds(data, MAX_DEPTH):
        raise BadDocument(f"nested deeper than {MAX_DEPTH} levels")
    try:
        value = _DECODER.decode(data.decode("ascii"))
    except ValueError as error:
        raise NotCanonical("not ASCII JSON text") from error
    if _ENCODER.encode(value).encode("ascii") != data:
        raise NotCanonical("re-encoding gives other bytes")
    if rb"\ud" in data:
        _refuse_lone_surrogates(value)
    return value


def nesting_exceeds(data: bytes, depth: int) -> bool:
    """Whether JSON text opens more than `depth` containers at once; told before any parser."""
    if data.count(b"[") + data.count(b"{") <= depth:
        return False
    level = 0
    for byte in _STRINGS.sub(b"", data):
        if byte in b"[{":
            level += 1
            if level > depth:
                return True
        elif byte in b"]}":
            level -= 1
    return False


def _integer(text: str) -> int:
    if len(text) > _MAX_DIGITS or not -MAX_INTEGER <= (number := int(text)) <= MAX_INTEGER:
        raise BadDocument("integer out of range")
    return number


def _refuse_number(text: str) -> NoReturn:
    raise NotCanonical(f"number that is no integer: {text[:20]}")


def _check_encodable(value: object, depth: int) -> None:
    if depth == MAX_DEPTH and isinstance(value, dict | list | tuple):
        raise NotCanonical(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise NotCanonical("object key that is no text")
            _check_text(key)
            _check_encodable(item, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_encodable(item, depth + 1)
    elif isinstance(value, int):
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise NotCanonical("integer out of range")
    elif value is not None:
        raise NotCanonical(f"a {type(value).__name__} has no canonical form")


def _check_text(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise NotCanonical("lone surrogate") from error


def _refuse_lone_surrogates(value: object) -> None:
    _check_encodable(value, 0)


_DECODER: Final = json.JSONDecoder(
    parse_int=_integer, parse_float=_refuse_number, parse_constant=_refuse_number, strict=True
)
