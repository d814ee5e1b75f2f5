"""The ways in which a Proxmox VE API call ends without a result.

`ApiError` carries a JSON body, `UnansweredError` has none: then the reason phrase is the only text.
Messages end in a newline where upstream's do (PVE::Exception).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["ApiError", "UnansweredError", "not_permitted", "while_locked", "wrong_parameters"]


class ApiError(Exception):
    """An API answer other than 200. Plain failures of a method are status 500, as upstream's `die`."""

    def __init__(self, message: str, *, status: int = 500, errors: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.errors = dict(errors or {})
        self.is_plain = status == 500 and not self.errors

    def as_text(self) -> str:
        """The text that upstream gets when it prints the error into another one."""
        prefix = "" if self.is_plain else f"{self.status} "
        return prefix + self.message + "".join(f"{name}: {text}\n" for name, text in self.errors.items())


class UnansweredError(Exception):
    """An answer without a body: refused credentials (401) and proxies that reach nobody (595)."""

    def __init__(self, reason: str, *, status: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


def wrong_parameters(errors: Mapping[str, str]) -> ApiError:
    """The 400 of a failed parameter check; `errors` says what is wrong with which parameter."""
    return ApiError("Parameter verification failed.\n", status=400, errors=errors)


def not_permitted(what: str = "") -> ApiError:
    """The 403 of a failed permission check; `what` names path and privileges where upstream does."""
    return ApiError(
        f"Permission check failed ({what})\n" if what else "Permission check failed\n", status=403
    )


@contextmanager
def while_locked(failure: str) -> Iterator[None]:
    """A section that upstream runs under a file lock: its errors come out as 500 and start with `failure`."""
    try:
        yield
    except ApiError as error:
        raise ApiError(f"{failure}: {error.as_text()}") from error
