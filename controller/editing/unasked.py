"""What an edited policy says differently, although nobody asked: there must be nothing. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from controller.policy.section import Section

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from controller.policy.model import Policy

__all__ = ["ALL", "unasked"]

ALL: Final = "*"
"""Asked of an entry: every field of it."""


def unasked(before: Policy, after: Policy, asked: Mapping[tuple[str, str], Collection[str]]) -> Iterator[str]:
    """What differs, as `users/jo`, aside from the fields that were asked for by section and name."""
    for section in type(before).model_fields:
        if section == "override":
            continue  # what it does stands in the sections
        one, other = _parts(getattr(before, section)), _parts(getattr(after, section))
        for name in dict.fromkeys((*one, *other)):
            changed = _differing(one.get(name), other.get(name))
            if not changed <= set(asked.get((section, name), ())):
                yield f"{section}/{name}" if name else section


def _parts(value: object) -> Mapping[str, object]:
    """Entries by name, fields by name; anything else under no name."""
    if isinstance(value, Mapping):
        return value
    return dict(value) if isinstance(value, Section) else {"": value}


def _differing(one: object, other: object) -> set[str]:
    if one == other:
        return set()
    fields, others = _parts(one), _parts(other)
    if "" in fields or "" in others:
        return {ALL}
    return {name for name in fields.keys() | others.keys() if fields.get(name) != others.get(name)}
