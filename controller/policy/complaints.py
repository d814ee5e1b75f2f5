"""pydantic's errors in our words, each at its place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from controller.policy.language import fields_at
from controller.policy.places import Place, key_position, value_position
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
        known = fields_at(path[:-1])
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
