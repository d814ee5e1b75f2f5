"""Entries that give some fields of an object: the others are left as the server has them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from controller.policy.position import SourcePosition
    from controller.policy.section import Section

__all__ = ["Given", "given_fields"]


@dataclass(frozen=True)
class Given:
    """What an entry of the policy says of an object; all of it is empty for one that was only seen.

    `given` holds the fields that the policy gives, `adopt` whether an object without a mark may be taken,
    `source` where the entry stands.
    """

    given: Mapping[str, object] = field(default_factory=dict, compare=False, kw_only=True)
    adopt: bool = field(default=False, compare=False, kw_only=True)
    source: SourcePosition | None = field(default=None, compare=False, kw_only=True)


def given_fields(entry: Section, *, without: Collection[str] = ()) -> dict[str, object]:
    """The fields that are given and not null, by name."""
    return {
        name: getattr(entry, name)
        for name in type(entry).model_fields
        if name in entry.model_fields_set and name not in without and getattr(entry, name) is not None
    }
