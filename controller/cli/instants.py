"""Instants as people type them: an end in so long, a day, a day and a time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

import typer

__all__ = ["told", "until"]

_LENGTH = re.compile(r"([0-9]{1,5})(m|h|d|w)")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def until(text: str, now: datetime) -> int:
    """The instant that `text` names, in seconds since the epoch: 2h, 3d, 2027-01-31, 2027-01-31T08:00+01:00.

    Without an offset it is in this machine's own time; a day alone is its end. Raises typer.BadParameter.
    """
    length = _LENGTH.fullmatch(text.strip())
    if length is not None:
        return int((now + timedelta(**{_UNITS[length[2]]: int(length[1])})).timestamp())
    try:
        read = datetime.fromisoformat(text.strip())
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no instant: 2h, 3d, 2027-01-31 or 2027-01-31T08:00") from None
    if len(text.strip()) <= len("2027-01-31"):
        read += timedelta(days=1)
    return int(read.timestamp())  # without an offset Python takes this machine's zone


def told(instant: int) -> str:
    """An instant in this machine's time and in UTC, where they differ."""
    utc = datetime.fromtimestamp(instant, UTC)
    here = utc.astimezone()
    in_utc = f"{utc:%Y-%m-%d %H:%M} UTC"
    return in_utc if not here.utcoffset() else f"{here:%Y-%m-%d %H:%M %Z} ({in_utc})"
