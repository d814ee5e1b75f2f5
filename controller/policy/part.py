"""A part of a policy that comes from elsewhere, as a table of people: checked before it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from controller.policy.complaints import complaints
from controller.policy.merge import Merged
from controller.policy.model import Sections
from controller.policy.references import check_references

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from controller.policy.places import Place, Value
    from controller.policy.problems import Problem

__all__ = ["problems_of"]


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
