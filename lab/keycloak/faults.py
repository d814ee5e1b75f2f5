"""What can go wrong with the simulated Keycloak, on demand."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["FaultSwitch", "Faults", "answered", "dropped"]

_HALF = 2


@dataclass(frozen=True)
class Faults:
    """What is wrong with the server at the moment; all but the first two concern the admin calls alone.

    `latency_seconds` before each answer; `is_down`: connections are dropped without an answer.

    So many times: `lost_answers` of writes that were done; `refused_tokens`: good tokens answered with 401;
    `shifts`: a page of users after which a new account takes the first place, so that all others move on.
    `token_uses`: for how many calls an access token is good, 0 for any.

    For the calls that `method` and the pattern `path` name, the next `times` of them, or all for 0: `status`
    instead of doing anything, with `retry_after_seconds`; `late_seconds` after the work is done;
    `is_garbled`: a proxy's page in place of JSON; `is_truncated`: half the JSON; `is_cut`: the connection is
    reset in the middle of the answer; `missing_rows` at the end of each list.
    """

    latency_seconds: float = 0.0
    is_down: bool = False
    lost_answers: int = 0
    refused_tokens: int = 0
    shifts: int = 0
    token_uses: int = 0
    method: str = ""
    path: str = ""
    times: int = 0
    status: int = 0
    retry_after_seconds: int = 0
    late_seconds: float = 0.0
    is_garbled: bool = False
    is_truncated: bool = False
    is_cut: bool = False
    missing_rows: int = 0

    @property
    def spoils(self) -> bool:
        """Whether one of the faults is set that `method`, `path` and `times` bound."""
        flags = (self.status, self.late_seconds, self.is_garbled, self.is_truncated, self.is_cut)
        return any(flags) or self.missing_rows > 0

    def concern(self, request: web.Request) -> bool:
        """Whether they are about this call."""
        is_path = not self.path or fnmatchcase(request.path, self.path)
        return self.spoils and is_path and self.method in {"", request.method}


class FaultSwitch:
    """Holds the current faults; tests and the lab's commands alter them while the server runs."""

    def __init__(self) -> None:
        self.now = Faults()
        self._uses = Counter[str]()

    def alter(self, **changes: Any) -> None:
        """Change some of the faults. Raises `TypeError` for one that does not exist."""
        self.now = replace(self.now, **changes)

    def clear(self) -> None:
        """Nothing is wrong any more."""
        self.now = Faults()

    def takes(self, token: str) -> bool:
        """Whether a token is accepted where it is good; notes that it was used."""
        if self.now.refused_tokens:
            self.alter(refused_tokens=self.now.refused_tokens - 1)
            return False
        if not self.now.token_uses:
            return True
        self._uses[token] += 1
        return self._uses[token] <= self.now.token_uses

    def shifts(self) -> bool:
        """Whether an account comes to the front after this page; each time counts."""
        if not self.now.shifts:
            return False
        self.alter(shifts=self.now.shifts - 1)
        return True

    def taken(self, request: web.Request) -> Faults:
        """What is wrong with this call: it counts as one of the `times`."""
        faults = self.now
        if not faults.concern(request):
            return replace(faults, status=0, late_seconds=0.0, **_UNSPOILT)
        if faults.times == 1:
            self.alter(times=0, status=0, late_seconds=0.0, **_UNSPOILT)
        elif faults.times:
            self.alter(times=faults.times - 1)
        return faults


_UNSPOILT: dict[str, Any] = {
    "is_garbled": False,
    "is_truncated": False,
    "is_cut": False,
    "missing_rows": 0,
}


async def answered(
    request: web.Request,
    switch: FaultSwitch,
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> web.StreamResponse:
    """The answer to an admin call, with what the faults make of it."""
    faults = switch.taken(request)
    if faults.status:
        later = {"Retry-After": str(faults.retry_after_seconds)} if faults.retry_after_seconds else {}
        return web.json_response({"error": "as the lab was told"}, status=faults.status, headers=later)
    answer = await handler(request)
    is_done = request.method != "GET" and answer.status < HTTPStatus.BAD_REQUEST
    if is_done and switch.now.lost_answers:
        switch.alter(lost_answers=switch.now.lost_answers - 1)
        return dropped(request)
    if faults.late_seconds:
        await asyncio.sleep(faults.late_seconds)
    return await _spoilt(request, answer, faults)


def dropped(request: web.Request) -> web.Response:
    """The end of the connection, without a word."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _spoilt(request: web.Request, answer: web.StreamResponse, faults: Faults) -> web.StreamResponse:
    if faults.is_garbled:
        return web.Response(text="<html>Welcome to our proxy</html>", content_type="text/html")
    if not isinstance(answer, web.Response) or not isinstance(answer.body, bytes):
        return answer
    if faults.missing_rows:
        rows = json.loads(answer.body)
        return web.json_response(rows[: -faults.missing_rows]) if isinstance(rows, list) else answer
    half = answer.body[: len(answer.body) // _HALF]
    if faults.is_truncated:
        return web.Response(body=half, content_type="application/json")
    return await _cut(request, half, len(answer.body)) if faults.is_cut else answer


async def _cut(request: web.Request, half: bytes, announced: int) -> web.StreamResponse:
    """Half of what was announced, then the end of the connection."""
    stream = web.StreamResponse(headers={"Content-Type": "application/json"})
    stream.content_length = announced
    await stream.prepare(request)
    await stream.write(half)
    dropped(request)
    return stream
