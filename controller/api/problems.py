"""What every answer has in common.

A request id, problem+json for errors (RFC 9457), and no surprise left unlogged.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from typing import TYPE_CHECKING, Any

import structlog
from aiohttp import web

from controller.errors import ControllerError, NotThere, Refused, TransientError
from controller.signing import BadOrderError
from protocol.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["MAX_BODY_BYTES", "REQUEST_ID", "Problem", "answer_errors", "read_body"]

MAX_BODY_BYTES = 1024 * 1024
MAX_BODY_SECONDS = 30
REQUEST_ID = web.RequestKey("request_id", str)
_UNREAD = frozenset({408, 413, 415})
"""Answers before the body has come: what still comes would be taken for the next request."""
_ACCEPTED_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_log = structlog.get_logger("steward.api")


class Problem(Exception):  # noqa: N818 - the word of RFC 9457
    """An answer that is an error: status, a short word for programs, a sentence for people."""

    def __init__(self, status: int, word: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.word = word
        self.detail = detail


@web.middleware
async def answer_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Give each request an id, turn errors into problem+json, and tell the id in the answer.

    A caller's own X-Request-ID is kept where it is harmless in a log line.
    """
    given = request.headers.get("X-Request-ID", "")
    request_id = given if _ACCEPTED_ID.fullmatch(given) else secrets.token_hex(8)
    request[REQUEST_ID] = request_id
    with structlog.contextvars.bound_contextvars(request_id=request_id):
        try:
            response = await handler(request)
        except Problem as problem:
            _log.info("request refused", path=request.path, status=problem.status, reason=problem.word)
            response = _answer(problem.status, problem.word, problem.detail)
            if problem.status in _UNREAD:
                response.force_close()
        except web.HTTPException as error:
            response = _answer(error.status, _word(error.reason), error.reason, _kept(error))
        except (ProtocolError, ControllerError) as error:
            response = _of_error(request, error)
        except ConnectionError:  # who asked has gone: aiohttp expects this one
            raise
        except Exception:  # noqa: BLE001 - one broken request must not end the others
            _log.exception("request failed", path=request.path)
            response = _answer(500, "internal", "the controller could not answer; its log says why")
    if not response.prepared:
        response.headers["X-Request-ID"] = request_id
    return response


async def read_body(request: web.Request, *, seconds: float = MAX_BODY_SECONDS) -> bytes:
    """The body, at most 1 MiB within 30 s.

    Raises Problem 413 beyond the one and 408 beyond the other, 400 for a body that breaks off, and 415 for
    one that is compressed: no agent of ours does that, and it could unfold without end.
    """
    if "Content-Encoding" in request.headers:
        raise Problem(415, "compressed", "the body must not be compressed")
    if request.content_length is not None and request.content_length > MAX_BODY_BYTES:
        raise Problem(413, "too_large", "the body is over 1 MiB")
    parts, size = [], 0
    try:
        async with asyncio.timeout(seconds):
            async for part in request.content.iter_chunked(64 * 1024):
                size += len(part)
                if size > MAX_BODY_BYTES:
                    raise Problem(413, "too_large", "the body is over 1 MiB")
                parts.append(part)
    except TimeoutError as error:
        raise Problem(408, "too_slow", f"the body did not come within {seconds:g} s") from error
    except (web.PayloadAccessError, web.RequestPayloadError) as error:
        raise Problem(400, "truncated", "the body breaks off") from error
    return b"".join(parts)


def _of_error(request: web.Request, error: Exception) -> web.Response:
    if isinstance(error, ProtocolError):
        return _answer(400, "malformed", str(error))
    status = 500
    for kind, meant in ((NotThere, 404), (BadOrderError, 400), (Refused, 409), (TransientError, 503)):
        if isinstance(error, kind):
            status = meant
    _log.warning("request failed", path=request.path, status=status, error=str(error))
    detail, hint = (error.message, error.hint) if isinstance(error, ControllerError) else (str(error), "")
    return _answer(status, _word(type(error).__name__), detail, hint=hint)


def _answer(
    status: int, word: str, detail: str, headers: dict[str, str] | None = None, *, hint: str = ""
) -> web.Response:
    """RFC 9457, section 3.2: `hint` is a member of ours, what to do next."""
    body: dict[str, Any] = {"type": "about:blank", "title": word, "status": status, "detail": detail}
    if hint:
        body["hint"] = hint
    text = json.dumps(body, ensure_ascii=True)
    return web.Response(status=status, text=text, content_type="application/problem+json", headers=headers)


def _kept(error: web.HTTPException) -> dict[str, str]:
    return {name: error.headers[name] for name in ("Allow", "Location") if name in error.headers}


def _word(text: str) -> str:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text)
    return re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_")
