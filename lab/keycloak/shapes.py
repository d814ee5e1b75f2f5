"""Which fields a representation has, of which types, and how Keycloak refuses others.

Numbers and truth values are taken as text too, numbers as text, as the server's JSON reader (Jackson) does.
Source: the representations of https://www.keycloak.org/docs-api/latest/rest-api/ ; texts of 26.7.3.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.keycloak.answers import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Shape", "not_json", "server_error", "shaped"]

Json = dict[str, Any]
_NUMBER = re.compile(r"-?\d+")
_TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


@dataclass(frozen=True)
class Shape:
    """The name of a representation, and its fields: for each a word of `_READERS`."""

    name: str
    fields: Mapping[str, str]


def shaped(shape: Shape, body: Any, text: str) -> Json:
    """The body with each field in its type; fields that are null are left out.

    `text` is the body as it came. Raises `Refusal` 400 for an unknown field or a wrong type.
    """
    if body is None:
        raise server_error()
    if not isinstance(body, dict):
        raise not_json()
    for name in body:
        if name not in shape.fields:
            column = _column_after(name, text)
            raise Refusal(
                400,
                error=f"Invalid json representation for {shape.name}. "
                f'Unrecognized field "{name}" at line 1 column {column}.',
            )
    return {name: _READERS[shape.fields[name]](value) for name, value in body.items() if value is not None}


def not_json() -> Refusal:
    """The server's answer to JSON that is not of the type it expects."""
    return Refusal(400, error="unknown_error", error_description="Cannot parse the JSON")


def server_error() -> Refusal:
    """The server's answer where it did not expect what it got."""
    return Refusal(
        500, error="unknown_error", error_description="For more on this error consult the server log."
    )


def _column_after(name: str, text: str) -> int:
    """Where the reader stands when it meets the field: behind its value."""
    found = re.search(re.escape(json.dumps(name)) + r"\s*:\s*", text)
    if found is None:
        return 1
    value = text[found.end() :]
    _, length = json.JSONDecoder().raw_decode(value)
    return found.end() + (1 if value[0] in "[{" else length) + 1


def _truth(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value != 0
    if isinstance(value, str) and value in _TRUTH:
        return _TRUTH[value]
    raise not_json()


def _number(value: object) -> int:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return int(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return int(value)
    raise not_json()


def _text(value: object) -> str:
    if isinstance(value, (dict, list)):
        raise not_json()
    return value if isinstance(value, str) else json.dumps(value)


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise not_json()
    return value


def _texts(value: object) -> list[str]:
    return [_text(one) for one in _list(value)]


def _map(value: object) -> Json:
    if not isinstance(value, dict):
        raise not_json()
    return value


def _map_of_text(value: object) -> dict[str, str]:
    return {name: _text(one) for name, one in _map(value).items() if one is not None}


def _lists_of_text(value: object) -> dict[str, list[str]]:
    """Attributes of users: a single text stands for a list of one."""
    return {
        name: _texts(one) if isinstance(one, list) else [_text(one)]
        for name, one in _map(value).items()
        if one is not None
    }


def _strict_lists_of_text(value: object) -> dict[str, list[str]]:
    return {name: _texts(one) for name, one in _map(value).items() if one is not None}


_READERS: Mapping[str, Callable[[object], Any]] = {
    "truth": _truth,
    "number": _number,
    "text": _text,
    "list": _list,
    "texts": _texts,
    "map": _map,
    "map of text": _map_of_text,
    "attributes": _lists_of_text,
    "lists of text": _strict_lists_of_text,
}
