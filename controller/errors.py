"""What can go wrong in the controller, as types.

    ControllerError                 root of the room; says what the operator can do next
    ├── Refused                     a brake, a digest, a signature or the lease said no (exit 3)
    ├── TransientError              the same call may succeed later: back off with jitter
    │   ├── Unreachable             nothing was done: never reached, or a read without answer
    │   └── OutcomeUnknown          the call was sent and no answer came: observe again before anything else
    ├── TerminalError               the same call will fail again: record, alert, wait for a new commit
    │   ├── NotAllowed              our account lacks a right
    │   ├── NotThere                the object does not exist
    │   └── Conflict                the object exists already, or is not what it was
    └── Unobserved                  a section was not seen whole: nothing of it may be deleted

Errors of libraries end at the clients: each is turned into one of these with ``from``, so the cause is kept.
"""

# The names say what happened, as the contract between the rooms has them; "Error" would add nothing.
# ruff: noqa: N818

from __future__ import annotations

__all__ = [
    "Conflict",
    "ControllerError",
    "NotAllowed",
    "NotThere",
    "OutcomeUnknown",
    "Refused",
    "TerminalError",
    "TransientError",
    "Unobserved",
    "Unreachable",
]


class ControllerError(Exception):
    """Root of the controller's errors: `message` says what happened, `hint` what to do next, if anything."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class Refused(ControllerError):
    """Something that protects the operator said no; nothing was written."""

    exit_code = 3


class TransientError(ControllerError):
    """The same call may succeed later."""


class Unreachable(TransientError):
    """The call never reached the system, or was a read that got no answer: nothing was done there."""


class OutcomeUnknown(TransientError):
    """A write was sent and no answer came: it may have been done. Observe again before repeating it."""


class TerminalError(ControllerError):
    """The same call will fail again until somebody changes something."""


class NotAllowed(TerminalError):
    """Our account lacks a right that the call needs."""


class NotThere(TerminalError):
    """The object of the call does not exist."""


class Conflict(TerminalError):
    """The object exists already, or it is not what it was when the plan was made."""


class Unobserved(ControllerError):
    """A section of `system` was not seen whole, because of `why`: nothing of it may be deleted."""

    def __init__(self, system: str, why: str, *, hint: str = "") -> None:
        super().__init__(f"{system} was not observed whole: {why}", hint=hint)
        self.system = system
        self.why = why
