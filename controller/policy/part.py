"""A part of a policy that comes from elsewhere, as a table of people: checked before it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationError

from controller.policy.complaints import complaints
from controller.policy.merge import Merged
from controller.policy.model import Sections
from controller.policy.places import Place
from controller.policy.references import check_references
from controller.policy.secrets import secret_paths

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from controller.policy.places import Token, Value
    from controller.policy.problems import Problem

__all__ = ["problems_of", "refused_paths"]


def problems_of(
    values: Mapping[str, Value], place: Place, known: Mapping[str, Iterable[str]]
) -> list[Problem]:
    """What is wrong with sections at `place`; their names may also point at `known` ones, by section."""
    found: list[Problem] = []
    try:
        Sections.model_validate(values)
    except ValidationError as error:
        found = complaints(error, place, frozenset())
    around: dict[str, Value] = {section: dict.fromkeys(names) for section, names in known.items()}
    merged = Merged(place, values={**around, **values})
    check_references(merged)
    return found + merged.problems


def refused_paths(values: dict[str, Value]) -> list[tuple[tuple[Token, ...], str]]:
    """Where `values` are not of the language, each place with the reason; nothing where they are."""
    try:
        Sections.model_validate(values)
    except ValidationError as error:
        place = Place("", _Nowhere())
        told = complaints(error, place, frozenset())
        paths = [details["loc"] for details in error.errors(include_url=False, include_input=False)]
        return [(path, str(problem.message)) for path, problem in zip(paths, told, strict=True)]
    return [(path, "looks like a secret, which no policy holds") for path in secret_paths(values)]


class _Nowhere(NamedTuple):
    """The place of what does not stand in a file."""

    line: int = 0
    column: int = 0
