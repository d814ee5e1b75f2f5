"""Strict JSON and base64 for what is not signed itself: deliveries, envelopes, bundles.

Ambiguity is refused rather than resolved: where two parsers could read two things, neither gets to.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Final, NoReturn, TypeVar

import msgspec

from protocol import canonical
from protocol.errors import NotStrictJson

__all__ = ["decode_base64", "decode_json", "decode_typed", "decoded_size", "encode_base64"]

_Value = TypeVar("_Value")


def decode_json(data: bytes) -> object:
    """The value of JSON text: UTF-8 without mark, no key twice, integers only, at most 32 levels deep.

    Raises NotStrictJson.
    """
    if canonical.nesting_exceeds(data, canonical.MAX_DEPTH):
        raise NotStrictJson("nested too deep")
    try:
        return _DECODER.decode(data.decode("utf-8"))
    except ValueError as error:
        raise NotStrictJson("not JSON in UTF-8") from error


def decode_typed(data: bytes, kind: type[_Value]) -> _Value:
    """The value of JSON text as `kind`, by msgspec: for bodies whose meaning hangs on no single field.

    Of a key that stands twice the last counts. Raises NotStrictJson, also for what msgspec itself lets
    through as UnicodeDecodeError (text that is not UTF-8) and RecursionError (nesting).
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotStrictJson(str(error)) from error


def encode_base64(data: bytes) -> str:
    """Standard base64 with padding (RFC 4648, section 4)."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str) -> bytes:
    """The bytes of strict standard base64: padding present, no other character, no stray trailing bits.

    Raises NotStrictJson.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise NotStrictJson("not base64") from error
    if base64.b64encode(data).decode("ascii") != text:
        raise NotStrictJson("base64 that is not the encoding of its bytes")
    return data


def decoded_size(text: str) -> int:
    """How many bytes base64 text stands for, told from its length alone, before it is decoded."""
    return len(text) // 4 * 3 - len(text[-2:]) + len(text[-2:].rstrip("="))


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise NotStrictJson("a key twice in one object")
    return value


def _integer(text: str) -> int:
    if len(text) > 20:  # before int(), whose cost grows with the square of the length
        raise NotStrictJson("integer out of range")
    return int(text)


def _refuse_number(text: str) -> NoReturn:
    raise NotStrictJson(f"number that is no integer: {text[:20]}")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_refuse_number,
    parse_constant=_refuse_number,
    strict=True,
)
