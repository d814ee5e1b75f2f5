"""How a write ends when it does not go well: the error's type becomes the outcome's result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.errors import Conflict, ControllerError, NotThere, OutcomeUnknown
from controller.plan.change import Outcome, Result

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.plan.change import Change

__all__ = ["applied", "ended"]


def ended(change: Change, write: Callable[[], Outcome]) -> Outcome:
    """The outcome of `write`, or the one that its error stands for; other exceptions are bugs and pass."""
    try:
        return write()
    except OutcomeUnknown as error:
        return Outcome(change, Result.UNKNOWN, str(error))
    except (Conflict, NotThere) as error:
        return Outcome(change, Result.CONFLICT, str(error))
    except ControllerError as error:
        return Outcome(change, Result.FAILED, str(error))


def applied(change: Change) -> Outcome:
    """The change was written."""
    return Outcome(change, Result.APPLIED)
