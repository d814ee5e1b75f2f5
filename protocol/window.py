"""When an action may run: the signed window, the allowed skew, and what the host remembers of time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.errors import Refusal
from protocol.reasons import Reason

if TYPE_CHECKING:
    from protocol.documents import Action, VerifierState

__all__ = ["MAX_ACTION_SECONDS", "MAX_STANDING_ORDER_SECONDS", "SKEW_SECONDS", "check_window"]

SKEW_SECONDS: Final = 90
MAX_ACTION_SECONDS: Final = 3600
MAX_STANDING_ORDER_SECONDS: Final = 8 * 86_400


def check_window(action: Action, *, now: int, state: VerifierState) -> None:
    """Raises Refusal: clock_went_back, bad_window, not_yet_valid or expired, looked at in this order."""
    if state.high_water - now > SKEW_SECONDS:
        raise Refusal(Reason.CLOCK_WENT_BACK, f"clock at {now}, an action was issued at {state.high_water}")
    longest = MAX_ACTION_SECONDS if action.recurrence is None else MAX_STANDING_ORDER_SECONDS
    if action.issued_at > action.not_before:
        raise Refusal(Reason.BAD_WINDOW, "issued after its window begins")
    if not 0 < action.expires_at - action.not_before <= longest:
        raise Refusal(Reason.BAD_WINDOW, f"a window that is empty or longer than {longest} s")
    if now + SKEW_SECONDS < max(action.issued_at, action.not_before):
        raise Refusal(Reason.NOT_YET_VALID, f"not before {action.not_before}, now {now}")
    if now > action.expires_at + SKEW_SECONDS:
        raise Refusal(Reason.EXPIRED, f"expired at {action.expires_at}, now {now}")
    if action.expires_at + SKEW_SECONDS <= state.floor:
        raise Refusal(
            Reason.EXPIRED, f"expired at {action.expires_at}, nonces are forgotten up to {state.floor}"
        )
