"""Lengths of time as the policy writes them. Pure."""

from __future__ import annotations

from typing import Final

__all__ = ["duration_text"]

_UNITS: Final = (("d", 86_400), ("h", 3_600), ("m", 60))


def duration_text(seconds: int) -> str:
    """The length exactly, in the largest unit that needs no fraction: `30d`, `90m`, `45s`."""
    for unit, size in _UNITS:
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
