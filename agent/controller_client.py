"""Speaking to the controller: HTTPS under the pinned CA, and a fresh JWT for each request.

Every failure becomes ControllerUnavailableError, which means: nothing is lost, ask again.
"""

import base64
import hashlib
import secrets
import ssl
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
import msgspec

from agent import answers, tls
from agent.errors import ControllerUnavailableError, UntrustedControllerError
from agent.identity import Identity
from protocol.enrolment import (
    JWT_TYPE,
    MAX_BODY_BYTES,
    MAX_JWT_SECONDS,
    EnrolAnswer,
    EnrolBody,
    PollAnswer,
    PollBody,
    ReceiptsAnswer,
    ReceiptsBody,
    decode_body,
    encode_body,
)
from protocol.errors import NotStrictJson, ProtocolError
from protocol.keys import SigningKey
from protocol.wire import decode_typed

__all__ = ["ControllerClient", "authorization", "enroll"]

_TIMEOUT_SECONDS = 30.0
T = TypeVar("T", bound=msgspec.Struct)


def authorization(identity: Identity, key: SigningKey, body: bytes, now: int) -> str:
    """Return the Authorization header for one request: a JWT over the body's SHA-256."""
    claims: dict[str, Any] = {
        "iss": identity.host_id,
        "sub": identity.host_id,
        "aud": identity.audience,
        "iat": now,
        "exp": now + MAX_JWT_SECONDS,
        "jti": secrets.token_hex(16),
        "body_sha256": hashlib.sha256(body).hexdigest(),
    }
    # Three lines of RFC 7515 instead of a library: joserfc calls the name EdDSA deprecated (RFC 9864), and
    # signing needs none of the checks that a library is there for.
    parts = (msgspec.json.encode({"alg": "EdDSA", "typ": JWT_TYPE}), msgspec.json.encode(claims))
    signed = b".".join(_base64url(part) for part in parts)
    return "Bearer " + b".".join((signed, _base64url(key.sign(signed)))).decode("ascii")


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class ControllerClient:
    """An enrolled host's connection; an asynchronous context manager."""

    def __init__(self, identity: Identity, key: SigningKey, ca_pem: bytes, clock: Callable[[], int]) -> None:
        self._identity = identity
        self._key = key
        self._clock = clock
        self._tls = tls.context(ca_pem)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = answers.session()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def poll(self, body: PollBody) -> PollAnswer:
        """Ask for work and newer trust, waiting as long as the body says."""
        return await self._post("poll", encode_body(body), PollAnswer, body.wait_seconds)

    async def send_receipts(self, envelopes: Sequence[bytes]) -> tuple[str, ...]:
        """Hand over receipts, oldest first; return the ids of the actions whose receipts are stored now."""
        body = ReceiptsBody(tuple(msgspec.Raw(envelope) for envelope in envelopes))
        answer = await self._post("receipts", encode_body(body), ReceiptsAnswer, 0)
        return answer.stored

    async def _post(self, verb: str, body: bytes, kind: type[T], wait_seconds: int) -> T:
        assert self._session is not None  # noqa: S101 - used as a context manager
        header = authorization(self._identity, self._key, body, self._clock())
        return await _post(
            self._session,
            f"{self._identity.address}/agent/v1/{verb}",
            body,
            kind,
            ssl_context=self._tls,
            headers={"Authorization": header},
            seconds=wait_seconds + _TIMEOUT_SECONDS,
        )


async def enroll(address: str, body: EnrolBody, ca_pem: bytes) -> EnrolAnswer:
    """Spend an enrolment token; raises ControllerUnavailableError with the controller's reason."""
    async with answers.session() as session:
        return await _post(
            session,
            f"{address}/agent/v1/enroll",
            encode_body(body),
            EnrolAnswer,
            ssl_context=tls.context(ca_pem),
            headers={},
            seconds=_TIMEOUT_SECONDS,
        )


async def _post(
    session: aiohttp.ClientSession,
    url: str,
    body: bytes,
    kind: type[T],
    *,
    ssl_context: ssl.SSLContext,
    headers: dict[str, str],
    seconds: float,
) -> T:
    try:
        async with session.post(
            url,
            data=body,
            headers={"Content-Type": "application/json", **headers},
            ssl=ssl_context,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=seconds),
        ) as response:
            answer = await answers.read_bounded(response, MAX_BODY_BYTES)
            if response.status != 200:
                raise ControllerUnavailableError(f"{url} answered {response.status}: {_problem(answer)}")
            return decode_body(answer, kind)
    except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as error:
        raise UntrustedControllerError(f"{url}: {error}") from error
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise ControllerUnavailableError(f"{url}: {error or 'no answer in time'}") from error
    except ProtocolError as error:
        raise ControllerUnavailableError(f"{url}: {error}") from error


def _problem(body: bytes) -> str:
    """Return title and detail of a problem+json body (RFC 9457), bounded, control characters escaped."""
    try:
        told = decode_typed(body, dict[str, Any])
    except NotStrictJson:
        return "no further words"
    text = ": ".join(str(told[key]) for key in ("title", "detail") if told.get(key))
    return text[:300].encode("unicode_escape").decode("ascii")
