"""From what Proxmox VE answered to the error that says what can be done about it.

Proxmox VE has no 404 and no 409: whatever a method cannot do is a 500, so the message decides
(pve-http-server:src/PVE/APIServer/AnyEvent.pm, pve-common:src/PVE/Exception.pm). 595 to 599 come from the
proxy between nodes (https://metacpan.org/pod/AnyEvent::HTTP).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

import requests

from controller.clients.silence import CERTIFICATE_HINT, is_about_trust, why_silent
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
    from collections.abc import Mapping

__all__ = ["Failure", "failure_of", "transport_failure"]

_LONGEST_MESSAGE = 300
_PROXY_NEVER_CONNECTED = 595
_PROXY_LOST = frozenset({596, 597, 598, 599, HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT})
_NOT_NOW = frozenset({HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS, _PROXY_NEVER_CONNECTED})
_NOTHING_SENT = (
    requests.exceptions.ConnectTimeout,
    requests.exceptions.SSLError,
    requests.exceptions.InvalidURL,
)

# The first that fits decides: a lost right inside a lock also speaks of a failed parameter check.
_BY_MESSAGE: tuple[tuple[re.Pattern[str], type[ControllerError]], ...] = (
    (re.compile(r"403 Permission check failed|requires 'Permissions\.Modify'"), NotAllowed),
    (
        re.compile(r"got lock request timeout|can't lock file|got timeout|no quorum|VM is locked"),
        TransientError,
    ),
    (re.compile(r"detected modified configuration|checksum mismatch"), Conflict),
    (re.compile(r"already exists|already a pool member|belongs already to pool"), Conflict),
    (
        re.compile(
            r"does not exist|unable to find configuration file|is not a pool member"
            r"|no such (?:user|token|group|role|job|vzdump)"
        ),
        NotThere,
    ),
    (
        re.compile(r"400 Parameter verification failed|cannot be (?:modified|deleted)|can't set password"),
        TerminalError,
    ),
)


@dataclass(frozen=True)
class Failure:
    """The body of a failure: the whole message, and what is wrong with which parameter."""

    message: str = ""
    errors: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_body(cls, body: bytes) -> Failure:
        """Read it; empty where the body is absent or is not what Proxmox VE says."""
        try:
            decoded = json.loads(body)
        except ValueError:
            return cls()
        if not isinstance(decoded, dict):
            return cls()
        errors = decoded.get("errors")
        shown = {str(k): str(v).strip() for k, v in errors.items()} if isinstance(errors, dict) else {}
        return cls(str(decoded.get("message") or "").strip(), shown)


def failure_of(call: str, status: int, reason: str, failure: Failure) -> ControllerError:
    """The error for an answer of 400 or above."""
    text = " ".join((failure.message or reason).split())
    details = "; ".join(f"{name}: {fault}" for name, fault in sorted(failure.errors.items()))
    message = f"{call} answered {status}: {'; '.join(filter(None, (text, details)))[:_LONGEST_MESSAGE]}"
    if status in _NOT_NOW:
        return Unreachable(message)
    if status in _PROXY_LOST:
        return Unreachable(message) if call.startswith("GET ") else OutcomeUnknown(message)
    if status == HTTPStatus.UNAUTHORIZED:
        return NotAllowed(
            f"Proxmox VE refused our token: {status} {text}",
            hint="check token_id and the token's secret file; has it or its user expired?",
        )
    if status == HTTPStatus.FORBIDDEN:
        return NotAllowed(message, hint="give our token this privilege on this path")
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return _by_message(message, text)
    return TerminalError(message)


def _by_message(message: str, text: str) -> ControllerError:
    for pattern, kind in _BY_MESSAGE:
        if pattern.search(text):
            return kind(message)
    return TransientError(message)


def transport_failure(call: str, error: requests.RequestException, *, writes: bool) -> ControllerError:
    """The error for a request that got no answer; a write that may have arrived is `OutcomeUnknown`."""
    reason = why_silent(error)
    if not writes or _nothing_was_sent(error):
        hint = CERTIFICATE_HINT if is_about_trust(error) else ""
        return Unreachable(f"Proxmox VE gave no answer: {reason}", hint=hint)
    return OutcomeUnknown(f"{call}: Proxmox VE took a write and gave no answer: {reason}")


def _nothing_was_sent(error: requests.RequestException) -> bool:
    inner = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, _NOTHING_SENT) or type(inner).__name__ in {
        "NewConnectionError",
        "NameResolutionError",
    }
