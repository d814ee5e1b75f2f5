"""Tickets and the tokens against forged requests (PVE::AccessControl, PVE::Ticket).

A ticket is `PVE:<user>:<time, 8 hex>::<signature>`. Upstream signs with RSA; the lab with a keyed hash,
since nothing but this process ever verifies them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets

__all__ = ["CLOCK_TOLERANCE_SECONDS", "TICKET_LIFE_SECONDS", "Tickets"]

TICKET_LIFE_SECONDS = 7200
CLOCK_TOLERANCE_SECONDS = 300


class Tickets:
    """Issues and verifies; a new instance makes all older tickets invalid."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def issue(self, user: str, *, now: float) -> str:
        """A ticket that starts its life now."""
        plain = f"PVE:{user}:{int(now):08X}"
        return f"{plain}::{self._sign(plain)}"

    def user_of(self, ticket: str, *, now: float) -> str | None:
        """Whose ticket it is, or None for one that is forged or too old."""
        plain, mark, signature = ticket.rpartition("::")
        found = re.fullmatch(r"PVE:(.+):([0-9A-F]{8})", plain)
        if (
            not mark
            or found is None
            or not hmac.compare_digest(signature.encode(), self._sign(plain).encode())
        ):
            return None
        return found[1] if self._is_fresh(found[2], now) else None

    def issue_csrf(self, user: str, *, now: float) -> str:
        """The value of the header CSRFPreventionToken for writes with a ticket."""
        stamp = f"{int(now):08X}"
        return f"{stamp}:{self._sign(f'csrf:{user}:{stamp}')}"

    def verify_csrf(self, user: str, value: str, *, now: float) -> bool:
        """Whether the header's value was issued to this user and is fresh."""
        stamp, _, signature = value.partition(":")
        expected = self._sign(f"csrf:{user}:{stamp}")
        if not hmac.compare_digest(signature.encode(), expected.encode()):
            return False
        return re.fullmatch(r"[0-9A-F]{8}", stamp) is not None and self._is_fresh(stamp, now)

    def _sign(self, plain: str) -> str:
        return base64.b64encode(hmac.new(self._key, plain.encode(), hashlib.sha256).digest()).decode()

    @staticmethod
    def _is_fresh(stamp: str, now: float) -> bool:
        return -CLOCK_TOLERANCE_SECONDS < now - int(stamp, 16) < TICKET_LIFE_SECONDS
