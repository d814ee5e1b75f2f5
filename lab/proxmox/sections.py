"""Files of named sections, as realms and backup jobs are kept in (PVE::SectionConfig).

Writing such a file and reading it again is not the identity: a text keeps no blanks at its ends, and an empty
one is not written at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from lab.proxmox.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["refuse_line_feeds", "settled"]

Value = TypeVar("Value", str | int, object)


def refuse_line_feeds(values: Iterable[object]) -> None:
    """Raise upstream's error where a text has more than one line."""
    if any(isinstance(value, str) and ("\n" in value or "\r" in value) for value in values):
        raise ApiError("property contains a line feed\n")


def settled(section: Mapping[str, Value]) -> dict[str, Value]:
    """The section as it is read after it was written."""
    read: dict[str, Value] = {}
    for name, value in section.items():
        # The ends of a comment are kept where they are no plain blanks: it is written percent-encoded.
        kept = value.strip(" " if name == "comment" else None) if isinstance(value, str) else value
        if kept != "":
            read[name] = kept
    return read
