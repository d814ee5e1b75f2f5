"""How lists of allowed names are written: a name, or a prefix that ends in `*`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["is_listed"]


def is_listed(name: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns is the name itself, or ends in `*` after a prefix of it."""
    return any(
        name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern for pattern in patterns
    )
