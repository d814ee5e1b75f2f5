"""Our marks in a comment of Proxmox VE, which has no attributes. Pure.

They stand behind what people wrote: `night shift steward.owner=prod`. What else is in the comment stays.
"""

from __future__ import annotations

import re

__all__ = ["marked", "marks_of", "owner_of", "text_of"]

_MARK = re.compile(r"\s*\bsteward\.(owner|vanished|unwritten)=([A-Za-z0-9._-]+)")


def marks_of(comment: str) -> dict[str, str]:
    """The marks by name: `owner`, `vanished` (a day), `unwritten` (a token whose secret nobody has)."""
    return dict(_MARK.findall(comment))


def owner_of(comment: str) -> str:
    """Whose the object is; "" where it carries no mark."""
    return marks_of(comment).get("owner", "")


def text_of(comment: str) -> str:
    """What people wrote, without our marks."""
    return _MARK.sub("", comment).strip()


def marked(text: str, **marks: str) -> str:
    """The comment that says `text` and these marks, empty ones left out."""
    return " ".join(
        filter(None, (text_of(text), *(f"steward.{name}={mark}" for name, mark in marks.items() if mark)))
    )
