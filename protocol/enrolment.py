"""How a host joins and talks: the enrolment token, and the bodies of the agent API.

Whatever is signed travels in these bodies as raw JSON (msgspec.Raw), so that the strict parsers see the very
text that arrived and not a re-reading of it.
"""

import base64
import binascii
from typing import Annotated, Final, Self, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from protocol import canonical
from protocol.errors import BadDocument, BadToken, NotCanonical, NotStrictJson
from protocol.scalars import Natural, Sha256Hex, Ulid
from protocol.wire import decode_typed

__all__ = [
    "JWT_TYPE",
    "MAX_BODY_BYTES",
    "MAX_JWT_SECONDS",
    "MAX_WAIT_SECONDS",
    "EnrolAnswer",
    "EnrolBody",
    "EnrolmentToken",
    "JournalHead",
    "PollAnswer",
    "PollBody",
    "ReceiptsAnswer",
    "ReceiptsBody",
    "decode_body",
    "encode_body",
]

JWT_TYPE: Final = "steward-agent+jwt"
MAX_JWT_SECONDS: Final = 60
MAX_BODY_BYTES: Final = 1024 * 1024
MAX_WAIT_SECONDS: Final = 50
_PREFIX: Final = "steward-enrol-1."
_MAX_TOKEN: Final = 2048
_Body = TypeVar("_Body", bound=Struct)

HostName = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]*\Z", max_length=253)]
_KeyText = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9+/]{43}=\Z")]
_Address = Annotated[str, Meta(pattern=r"\Ahttps://[^\s/]+(/[^\s]*)?\Z", max_length=1024)]
_Listen = Annotated[str, Meta(pattern=r"\Ahttps?://[^\s/]+(/[^\s]*)?\Z", max_length=1024)]


class EnrolmentToken(Struct, frozen=True, forbid_unknown_fields=True):
    """What one host needs to join once: where, whom to believe, under which name, and the secret.

    `ca_sha256` is over the CA's SubjectPublicKeyInfo, `root_sha256` over the pinned trust document's payload.
    """

    address: _Address
    ca_sha256: Sha256Hex
    host_name: HostName
    root_sha256: Sha256Hex
    secret: Sha256Hex

    def encode(self) -> str:
        """The token as one line of text."""
        data = canonical.encode(msgspec.to_builtins(self))
        return _PREFIX + base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")

    @classmethod
    def parse(cls, text: str) -> Self:
        """The token of one line of text, white space around it dropped. Raises BadToken, never quoting it."""
        text = text.strip()
        if len(text) > _MAX_TOKEN or not text.startswith(_PREFIX):
            raise BadToken(f"an enrolment token starts with {_PREFIX}")
        body = text.removeprefix(_PREFIX)
        try:
            data = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
            if base64.urlsafe_b64encode(data).decode("ascii").rstrip("=") != body:
                raise BadToken("the enrolment token is damaged")
            return msgspec.convert(canonical.decode(data), cls)
        except (ValueError, binascii.Error, NotCanonical, BadDocument) as error:
            raise BadToken("the enrolment token is damaged") from error

    def __repr__(self) -> str:
        return f"EnrolmentToken(address={self.address!r}, host_name={self.host_name!r})"


class EnrolBody(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /agent/v1/enroll; both keys are raw Ed25519 public keys in base64."""

    secret: Sha256Hex
    host_name: HostName
    transport_key: _KeyText
    receipt_key: _KeyText
    agent_version: Annotated[str, Meta(max_length=64)]

    def __repr__(self) -> str:
        return f"EnrolBody(host_name={self.host_name!r})"


class EnrolAnswer(Struct, frozen=True, forbid_unknown_fields=True):
    """The new host's identity; `trust` is the text of a trust bundle (documents.TrustBundle.parse)."""

    host_id: Ulid
    audience: Annotated[str, Meta(min_length=1, max_length=256)]
    trust: Raw


class JournalHead(Struct, frozen=True, forbid_unknown_fields=True):
    """Number and SHA-256 of the last receipt's payload; 0 and empty before the first."""

    seq: Natural
    sha256: Annotated[str, Meta(pattern=r"\A([0-9a-f]{64})?\Z")]


class PollBody(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """POST /agent/v1/poll; versions are 0 where the host has none."""

    agent_version: Annotated[str, Meta(max_length=64)]
    trust_version: Natural
    approvers_version: Natural
    journal: JournalHead
    wait_seconds: Annotated[int, Meta(ge=0, le=MAX_WAIT_SECONDS)]
    metrics_address: _Listen | None = None


class PollAnswer(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Deliveries, and the envelopes of newer trust, approvers and checkpoint, each as its own text."""

    deliveries: tuple[Raw, ...]
    trust: tuple[Raw, ...]
    approvers: Raw = Raw()  # empty where absent: msgspec reads no Raw in a union with None
    checkpoint: Raw = Raw()


class ReceiptsBody(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /agent/v1/receipts: envelopes, oldest first."""

    receipts: Annotated[tuple[Raw, ...], Meta(max_length=256)]


class ReceiptsAnswer(Struct, frozen=True, forbid_unknown_fields=True):
    """The ids of the actions whose receipts are stored now."""

    stored: tuple[Ulid, ...]


def encode_body(body: Struct) -> bytes:
    """A body as JSON text."""
    return msgspec.json.encode(body)


def decode_body(data: bytes, kind: type[_Body]) -> _Body:
    """The body of JSON text. Raises BadDocument where it is too long or not of that kind."""
    if len(data) > MAX_BODY_BYTES:
        raise BadDocument("body over 1 MiB")
    try:
        return decode_typed(data, kind)
    except NotStrictJson as error:
        raise BadDocument(f"{kind.__name__}: {error}") from error
