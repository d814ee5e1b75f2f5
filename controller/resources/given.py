"""Which fields of an entry stand in the policy: the others are left as the server has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from controller.policy.section import Section

__all__ = ["given_fields"]


def given_fields(entry: Section, *, without: Collection[str] = ()) -> dict[str, object]:
    """The fields that are given and not null, by name."""
    return {
        name: getattr(entry, name)
        for name in type(entry).model_fields
        if name in entry.model_fields_set and name not in without and getattr(entry, name) is not None
    }
