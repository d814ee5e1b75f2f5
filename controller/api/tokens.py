"""The agents' short-lived JWTs: EdDSA by the transport key that enrolment registered, and by nothing else.

Checked: the type, the signature under the key on file (never one from the header), issuer and subject,
audience, a life of at most 60 s, the hash of the body, and that the same token was not seen before. See
actions.md section 9.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

from joserfc import jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry

from protocol.enrolment import JWT_TYPE, MAX_JWT_SECONDS

if TYPE_CHECKING:
    from joserfc._rfc7515.model import JWSAlgModel

__all__ = ["AgentTokens", "TokenRefusedError", "claimed_host"]

SKEW_SECONDS = 30
_MAX_TOKEN = 4096
_MAX_REMEMBERED = 10_000


class TokenRefusedError(Exception):
    """The token is no good. `reason` is one word of a fixed set, fit for a metric label."""

    REASONS = (
        "no_token",
        "malformed",
        "unknown_host",
        "bad_signature",
        "wrong_audience",
        "bad_claims",
        "expired",
        "replayed",
        "body_mismatch",
    )

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _EdDsaOnly(JWSRegistry):
    """Knows one algorithm. joserfc warns of the name EdDSA (RFC 9864), which our wire format fixes.

    Keys here are
    Ed25519 by construction, so the ambiguity that it warns of cannot arise.
    """

    def get_alg(self, name: str) -> JWSAlgModel:
        if name != "EdDSA":
            raise UnsupportedAlgorithmError(f"Algorithm of '{name}' is not allowed")
        return self.algorithms["EdDSA"]


_REGISTRY = _EdDsaOnly()


class AgentTokens:
    """Checks tokens and remembers which were used. One event loop's, so not locked.

    A token issued before `started_at` is refused: what a controller saw before it was restarted is forgotten.
    Where the clock was set back since (a machine that started with a wrong one), that instant goes with it:
    else every host with the right time would be locked out until the wrong one has come.
    """

    def __init__(self, audience: str, *, started_at: int) -> None:
        self._audience = audience
        self._started_at = started_at
        self._used: dict[str, dict[str, int]] = {}

    def check(self, token: str, body: bytes, *, host_id: str, key: bytes, now: int) -> None:
        """Raise TokenRefusedError unless `token` is one fresh token of that host for that body."""
        claims = _verified(token, key)
        if claims.get("iss") != host_id or claims.get("sub") != host_id:
            raise TokenRefusedError("bad_claims")
        if claims.get("aud") != self._audience:
            raise TokenRefusedError("wrong_audience")
        expires_at = self._check_times(claims, now)
        digest = claims.get("body_sha256")
        if not isinstance(digest, str) or not digest.isascii():
            raise TokenRefusedError("bad_claims")
        if not hmac.compare_digest(digest, hashlib.sha256(body).hexdigest()):
            raise TokenRefusedError("body_mismatch")
        self._remember(host_id, claims.get("jti"), expires_at, now)

    def _check_times(self, claims: dict[str, Any], now: int) -> int:
        issued_at, expires_at = claims.get("iat"), claims.get("exp")
        if type(issued_at) is not int or type(expires_at) is not int:
            raise TokenRefusedError("bad_claims")
        if not 0 < expires_at - issued_at <= MAX_JWT_SECONDS or issued_at > now + SKEW_SECONDS:
            raise TokenRefusedError("bad_claims")
        self._started_at = min(self._started_at, now)
        if now > expires_at + SKEW_SECONDS or issued_at < self._started_at:
            raise TokenRefusedError("expired")
        return expires_at

    def _remember(self, host_id: str, jti: object, expires_at: int, now: int) -> None:
        if not isinstance(jti, str) or not 8 <= len(jti) <= 128:
            raise TokenRefusedError("bad_claims")
        used = self._used.setdefault(host_id, {})
        if jti in used:
            raise TokenRefusedError("replayed")
        if len(used) >= 128:
            used = {seen: until for seen, until in used.items() if until + SKEW_SECONDS >= now}
            self._used[host_id] = used
        if len(used) >= _MAX_REMEMBERED:  # forgetting one would let it be used again
            raise TokenRefusedError("replayed")
        used[jti] = expires_at


def claimed_host(header: str) -> tuple[str, str]:
    """The token of an Authorization header and the host that it claims, unverified.

    Raises TokenRefusedError.
    """
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise TokenRefusedError("no_token")
    parts = token.split(".")
    if len(token) > _MAX_TOKEN or len(parts) != 3:
        raise TokenRefusedError("malformed")
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError) as error:
        raise TokenRefusedError("malformed") from error
    host_id = claims.get("iss") if isinstance(claims, dict) else None
    if not isinstance(host_id, str):
        raise TokenRefusedError("malformed")
    return token, host_id


def _verified(token: str, key: bytes) -> dict[str, Any]:
    public = base64.urlsafe_b64encode(key).decode("ascii").rstrip("=")
    known = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": public})
    try:
        decoded = jwt.decode(token, known, registry=_REGISTRY)
    except (JoseError, ValueError, RecursionError) as error:
        raise TokenRefusedError("bad_signature") from error
    if decoded.header.get("typ") != JWT_TYPE:
        raise TokenRefusedError("bad_claims")
    return decoded.claims
