"""From what Keycloak answered to a value, or to the error that says what can be done about it."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

import msgspec

from controller.errors import (
    Conflict,
    ControllerError,
    NotAllowed,
    NotThere,
    OutcomeUnknown,
    TerminalError,
    TransientError,
    Unreachable,
)

if TYPE_CHECKING:
    import requests

__all__ = ["MALFORMED", "checked", "decoded"]

T = TypeVar("T")

MALFORMED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are not the JSON that was expected."""

_LONGEST_REASON = 300
_GATEWAY = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT})
_LATER = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_TERMINAL: dict[int, type[TerminalError]] = {
    HTTPStatus.UNAUTHORIZED: NotAllowed,
    HTTPStatus.FORBIDDEN: NotAllowed,
    HTTPStatus.NOT_FOUND: NotThere,
    HTTPStatus.CONFLICT: Conflict,
}


class _Failure(msgspec.Struct, rename="camel"):
    """The three ways in which Keycloak words a failure."""

    error_message: str = ""
    error: str = ""
    field: str = ""


_RIGHTS = "our account lacks a role of realm-management; docs/rights.md names them"


def checked(answer: requests.Response) -> requests.Response:
    """The answer, where it is a success.

    Raises `NotAllowed`, `NotThere`, `Conflict` or `TerminalError` for 4xx; `Unreachable` for 429 and 503;
    `OutcomeUnknown` for a write that a gateway lost; `TransientError` for other failures of the server.
    """
    if answer.ok:
        return answer
    status, method = answer.status_code, answer.request.method or ""
    message = f"{method} {_path(answer)} answered {status}{_reason(answer)}"
    if status in _LATER:
        raise Unreachable(message)
    if status in _GATEWAY:
        raise Unreachable(message) if method == "GET" else OutcomeUnknown(message)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise TransientError(message)
    hint = _RIGHTS if status == HTTPStatus.FORBIDDEN else ""
    raise _TERMINAL.get(status, TerminalError)(message, hint=hint)


def decoded(answer: requests.Response, kind: type[T]) -> T:
    """The body as `kind`. Raises `ControllerError` where it is something else, such as a proxy's page."""
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except MALFORMED as error:
        raise ControllerError(f"{_path(answer)} answered something that Keycloak does not say") from error


def _path(answer: requests.Response) -> str:
    return (answer.request.path_url or "").partition("?")[0]


def _reason(answer: requests.Response) -> str:
    try:
        failure = msgspec.json.decode(answer.content, type=_Failure)
    except MALFORMED:
        return ""
    words = ": ".join(part for part in (failure.field, failure.error_message or failure.error) if part)
    return f": {words[:_LONGEST_REASON]}" if words else ""
