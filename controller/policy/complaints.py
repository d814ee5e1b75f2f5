"""pydantic's errors in our words, each at its place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, get_args, get_origin

from pydantic import BaseModel

from controller.policy.model import Sections
from controller.policy.places import Place, Token, key_position, value_position
from controller.policy.problems import Problem, did_you_mean, quoted
from controller.policy.scalars import PATTERNS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import ErrorDetails, ValidationError

    from controller.policy.position import SourcePosition

__all__ = ["complaints"]

_CHOICE = re.compile(r"'([^']*)'")
_MESSAGES: Final = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "dict_type": "must be a map",
    "model_type": "must be a map",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "string_too_long": "is longer than {max_length} characters",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
}


def complaints(error: ValidationError, place: Place, secrets: frozenset[SourcePosition]) -> list[Problem]:
    """A problem for each of pydantic's errors; `place` is that of the whole policy.

    An unknown key whose value stands in `secrets` is not named again: `password: …` is one mistake.
    """
    return [
        _complaint(details, place)
        for details in error.errors(include_url=False)
        if value_position(place, details["loc"]) not in secrets
    ]


def _complaint(details: ErrorDetails, place: Place) -> Problem:
    path = details["loc"]
    kind = details["type"]
    if kind == "extra_forbidden":
        name = str(path[-1])
        known = _fields(path[:-1])
        return Problem(key_position(place, path), f"unknown key {quoted(name)}", did_you_mean(name, known))
    if kind == "missing":
        return Problem(value_position(place, path), f"{quoted(path[-1])} is missing")
    is_key = path[-1:] == ("[key]",)
    where = key_position(place, path[:-1]) if is_key else value_position(place, path)
    return Problem(where, *_words(kind, details))


def _words(kind: str, details: ErrorDetails) -> tuple[str, str]:
    """Message and suggestion."""
    value = details["input"]
    context: Mapping[str, object] = details.get("ctx", {})
    if kind == "literal_error":
        choices = _CHOICE.findall(str(context["expected"])) or [str(context["expected"])]
        return f"{_shown(value)} is none of {', '.join(choices)}", did_you_mean(str(value), choices)
    if kind == "string_pattern_mismatch":
        words = PATTERNS.get(str(context["pattern"]), "does not fit")
        meant = str(value).lower() if re.search(str(context["pattern"]), str(value).lower()) else ""
        return f"{_shown(value)} {words}", meant
    if kind == "string_type":
        quotes = f': write "{_shown(value)}" in quotes' if isinstance(value, int | float) else ""
        return f"must be a text{quotes}", ""
    if kind in _MESSAGES:
        return f"{_shown(value)} {_MESSAGES[kind].format(**context)}", ""
    return f"{_shown(value)} {details['msg']}", ""


def _shown(value: object) -> str:
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, dict):
        return "a map here"
    if isinstance(value, tuple):
        return "a list here"
    return "nothing here" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _fields(path: tuple[Token, ...]) -> list[str]:
    """The keys that the language knows at `path`."""
    kind: object = Sections
    for token in path:
        kind = _inner(kind, token)
    found = _model(kind)
    return list(found.model_fields) if found else []


def _inner(kind: object, token: Token) -> object:
    """The type of what stands at `token` in a value of type `kind`."""
    found = _model(kind)
    if found is not None:
        member = found.model_fields.get(str(token))
        return member.annotation if member else None
    for choice in (kind, *get_args(kind)):
        if get_origin(choice) in {dict, tuple}:
            arguments = get_args(choice)
            return arguments[1] if get_origin(choice) is dict else arguments[0]
    return None


def _model(kind: object) -> type[BaseModel] | None:
    """The model in a type like `Model` or `Model | None`."""
    for choice in (kind, *get_args(kind)):
        if (
            get_origin(kind) not in {dict, tuple}
            and isinstance(choice, type)
            and issubclass(choice, BaseModel)
        ):
            return choice
    return None
