"""The documents of the specification's appendix as frozen values, and the bytes that stand for them.

Signed documents have `to_payload()` (canonical bytes) and `from_payload(bytes)`, which raises NotCanonical or
BadDocument. A field that may be absent is None here and never null on the wire. Times are seconds since 1970.
"""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal, Self, cast

import msgspec
from msgspec import Meta, Struct

from protocol import canonical
from protocol.dsse import MAX_SIGNATURES, Envelope, parse_envelope
from protocol.errors import BadDocument, MalformedEnvelope, NotStrictJson, TooLarge
from protocol.scalars import (
    Count,
    Hex,
    Natural,
    Person,
    Sha256Hex,
    ShortText,
    Time,
    Ulid,
    Version,
)
from protocol.wire import decode_base64, decode_json, decoded_size, encode_base64

__all__ = [
    "MAX_DELIVERY_BYTES",
    "MAX_REQUEST_BYTES",
    "Action",
    "ApproversDocument",
    "Delivery",
    "Key",
    "KindLimits",
    "Limits",
    "PersonKeys",
    "Receipt",
    "Recurrence",
    "Request",
    "RequestItem",
    "RoleKeys",
    "SignedRequest",
    "TrustBundle",
    "TrustDocument",
    "VerifierState",
]

MAX_DELIVERY_BYTES: Final = 512 * 1024
MAX_REQUEST_BYTES: Final = 256 * 1024
_SECONDS_A_DAY: Final = 86_400


class _Document(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A canonical payload with a fixed shape."""

    def to_payload(self) -> bytes:
        """The canonical bytes.

        Raises BadDocument where no reader would take them, NotCanonical where a value has no such form.
        """
        value = msgspec.to_builtins(self)
        if _holds_null(value):
            raise BadDocument("null where a field should be absent")
        self.from_value(value)
        return canonical.encode(value)

    @classmethod
    def from_payload(cls, payload: bytes) -> Self:
        """The document of canonical bytes. Raises NotCanonical, BadDocument."""
        value = canonical.decode(payload)
        if b"null" in payload and _holds_null(value):
            raise BadDocument("null where a field should be absent")
        return cls.from_value(value)

    @classmethod
    def from_value(cls, value: object) -> Self:
        """The document of already decoded JSON. Raises BadDocument."""
        try:
            return msgspec.convert(value, cls)
        except msgspec.ValidationError as error:
            raise BadDocument(str(error)) from error


class Key(Struct, frozen=True, forbid_unknown_fields=True):
    """A public key in a trust document."""

    public: str
    scheme: Literal["ed25519"]


class RoleKeys(Struct, frozen=True, forbid_unknown_fields=True):
    """The keys of one role and how many of them must sign."""

    keys: Annotated[tuple[Key, ...], Meta(min_length=1, max_length=MAX_SIGNATURES)]
    threshold: Annotated[int, Meta(ge=1, le=MAX_SIGNATURES)]


class TrustDocument(_Document, frozen=True, kw_only=True):
    """Who may sign what; signed by the root keys of this and of the previous version."""

    approver_admin: RoleKeys
    ca_pins: Annotated[tuple[Sha256Hex, ...], Meta(max_length=16)]
    controller: RoleKeys
    expires_at: Time
    root: RoleKeys
    version: Version


class PersonKeys(Struct, frozen=True, forbid_unknown_fields=True):
    """A person's SSH keys, and the kinds (or prefixes ending in *) that the person may approve."""

    keys: Annotated[tuple[Annotated[str, Meta(max_length=4096)], ...], Meta(max_length=32)]
    kinds: Annotated[tuple[Annotated[str, Meta(max_length=64)], ...], Meta(max_length=256)]
    name: Person


class ApproversDocument(_Document, frozen=True, kw_only=True):
    """People and their keys; signed by approver-admin."""

    expires_at: Time
    people: Annotated[tuple[PersonKeys, ...], Meta(max_length=1000)]
    version: Version


class RequestItem(Struct, frozen=True, forbid_unknown_fields=True):
    """One thing to be done on one host."""

    args: dict[str, Any]
    host_id: Ulid
    kind: str


class Request(_Document, frozen=True, kw_only=True, rename={"window_from": "from"}):
    """What people sign: one or many items, and the window (`from` and `until` on the wire) to run them in."""

    window_from: Time
    id: Ulid
    items: Annotated[tuple[RequestItem, ...], Meta(min_length=1, max_length=1000)]
    reason: ShortText
    requester: Person
    until: Time


class Recurrence(Struct, frozen=True, forbid_unknown_fields=True):
    """When a standing order fires: at each time of day on each of the days, plus up to `jitter` seconds.

    The time zone's name is checked for its form alone; whether it exists the database tells.
    """

    at: Annotated[
        tuple[Annotated[str, Meta(pattern=r"\A([01][0-9]|2[0-3]):[0-5][0-9]\Z")], ...], Meta(min_length=1)
    ]
    days: Annotated[tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...], Meta(min_length=1)]
    jitter: Annotated[int, Meta(ge=0, lt=_SECONDS_A_DAY)]
    time_zone: Annotated[
        str, Meta(pattern=r"\A[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9][A-Za-z0-9_+-]*){0,2}\Z", max_length=64)
    ]

    def __post_init__(self) -> None:
        if len(set(self.at)) != len(self.at) or len(set(self.days)) != len(self.days):
            raise ValueError("a time of day or a day twice")


class Action(_Document, frozen=True, kw_only=True):
    """One thing to be done on one host, as the controller signs it."""

    args: dict[str, Any]
    expires_at: Time
    host_id: Ulid
    id: Ulid
    issued_at: Time
    kind: str
    not_before: Time
    policy_commit: Hex
    recurrence: Recurrence | None = None
    request_sha256: Sha256Hex | None = None
    seq: Natural
    trust_version: Version


Outcome = Literal["done", "failed", "refused", "expired", "interrupted"]


class Receipt(_Document, frozen=True, kw_only=True):
    """What became of an action; signed by the host's receipt key, chained by `previous_sha256`.

    `action_sha256` is over the action's payload, `previous_sha256` over the previous receipt's payload
    (absent in receipt 1), `slot` is the planned instant of a standing order's firing.
    """

    action_sha256: Sha256Hex
    agent_version: Annotated[str, Meta(max_length=64)]
    approvers: tuple[Person, ...]
    exit_status: Annotated[int, Meta(ge=-(2**31), lt=2**31)] | None = None
    finished_at: Time
    host_id: Ulid
    id: Ulid
    limits_sha256: Sha256Hex
    outcome: Outcome
    output: Annotated[str, Meta(max_length=16_384)] | None = None
    previous_sha256: Sha256Hex | None = None
    reason: Annotated[str, Meta(max_length=256)] | None = None
    result: dict[str, Any] | None = None
    seq: Version
    slot: Time | None = None
    started_at: Time | None = None
    trust_version: Natural


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request's bytes as they travel, with armored SSHSIGs that nobody has checked yet."""

    payload: bytes
    signatures: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """The request as JSON values."""
        return {"payload": encode_base64(self.payload), "signatures": list(self.signatures)}

    @classmethod
    def parse(cls, value: object) -> Self:
        """The request of parsed JSON. Raises MalformedEnvelope, TooLarge."""
        if not isinstance(value, Mapping) or value.keys() != {"payload", "signatures"}:
            raise MalformedEnvelope("a request is not exactly payload and signatures")
        payload, signatures = value["payload"], value["signatures"]
        if not isinstance(payload, str) or not isinstance(signatures, list):
            raise MalformedEnvelope("a request's payload is text, its signatures a list")
        if not 1 <= len(signatures) <= MAX_SIGNATURES or not all(isinstance(s, str) for s in signatures):
            raise MalformedEnvelope(f"a request has 1 to {MAX_SIGNATURES} signatures, each a text")
        if decoded_size(payload) > MAX_REQUEST_BYTES:
            raise TooLarge("request payload over 256 KiB")
        try:
            return cls(decode_base64(payload), tuple(signatures))
        except NotStrictJson as error:
            raise MalformedEnvelope(str(error)) from error


@dataclass(frozen=True, slots=True)
class Delivery:
    """What travels to a host: an action's envelope, and the request that it names where it names one."""

    action: Envelope
    request: SignedRequest | None = None

    def encode(self) -> bytes:
        """The delivery as JSON text."""
        fields: dict[str, object] = {"action": self.action.as_json()}
        if self.request is not None:
            fields["request"] = self.request.as_json()
        return canonical.encode(fields)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The delivery of JSON text. Raises TooLarge, MalformedEnvelope."""
        if len(data) > MAX_DELIVERY_BYTES:
            raise TooLarge("delivery over 512 KiB")
        try:
            value = decode_json(data)
        except NotStrictJson as error:
            raise MalformedEnvelope(str(error)) from error
        if not isinstance(value, dict) or not {"action"} <= value.keys() <= {"action", "request"}:
            raise MalformedEnvelope("a delivery is action and possibly request")
        request = SignedRequest.parse(value["request"]) if "request" in value else None
        return cls(parse_envelope(_mapping(value["action"])), request)


@dataclass(frozen=True, slots=True)
class TrustBundle:
    """The chain of trust as a host keeps it: the pinned start, each step, and the approvers.

    The envelopes stay as parsed JSON: whether they hold is for protocol.trust to say.
    """

    root_sha256: str
    trust: tuple[Mapping[str, object], ...]
    approvers: Mapping[str, object] | None = None

    @classmethod
    def parse(cls, data: bytes | Mapping[str, object]) -> Self:
        """The bundle of JSON text or parsed JSON. Raises BadDocument."""
        try:
            value: object = decode_json(data) if isinstance(data, bytes) else data
        except NotStrictJson as error:
            raise BadDocument(str(error)) from error
        if not isinstance(value, Mapping) or not {"root_sha256", "trust"} <= value.keys() <= _BUNDLE_FIELDS:
            raise BadDocument("a trust bundle is root_sha256, trust and possibly approvers")
        root, trust, approvers = value["root_sha256"], value["trust"], value.get("approvers")
        if not isinstance(root, str) or not re.fullmatch(r"[0-9a-f]{64}", root):
            raise BadDocument("root_sha256 is not a SHA-256 in hex")
        if not isinstance(trust, list | tuple) or not all(isinstance(item, Mapping) for item in trust):
            raise BadDocument("trust is not a list of envelopes")
        if "approvers" in value and not isinstance(approvers, Mapping):
            raise BadDocument("approvers is not an envelope")
        return cls(root, tuple(trust), approvers)

    def as_json(self) -> dict[str, object]:
        """The bundle as JSON values."""
        fields: dict[str, object] = {
            "root_sha256": self.root_sha256,
            "trust": [dict(item) for item in self.trust],
        }
        if self.approvers is not None:
            fields["approvers"] = dict(self.approvers)
        return fields

    def encode(self) -> bytes:
        """The bundle as JSON text."""
        return canonical.encode(self.as_json())


_BUNDLE_FIELDS: Final = {"root_sha256", "trust", "approvers"}
_Patterns = tuple[Annotated[str, Meta(pattern=r"\A[^*]*\*?\Z", min_length=1, max_length=256)], ...]


class KindLimits(Struct, frozen=True, forbid_unknown_fields=True):
    """What a host allows of one kind: names, or prefixes ending in *, and how many people must approve."""

    approvals: Count = 0
    accounts: _Patterns = ()
    repositories: _Patterns = ()
    sets: _Patterns = ()
    units: _Patterns = ()


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """agent.yaml's `limits`: the kinds a host allows. Without any it allows host.ping alone."""

    kinds: Mapping[str, KindLimits] = msgspec.field(default_factory=lambda: {"host.ping": KindLimits()})

    @classmethod
    def parse(cls, value: object) -> Self:
        """The limits of parsed JSON or YAML. Raises BadDocument."""
        try:
            return msgspec.convert(value, cls)
        except msgspec.ValidationError as error:
            raise BadDocument(str(error)) from error


@dataclass(frozen=True, slots=True)
class VerifierState:
    """What a host remembers: greatest issued_at accepted, floor of pruned nonces, what was seen and run."""

    high_water: int = 0
    floor: int = 0
    trust_version: int = 0
    seen: Container[str] = frozenset()
    last_seq: Mapping[str, int] = field(default_factory=dict)
    requests_run: Container[str] = frozenset()


def _holds_null(value: object) -> bool:
    if isinstance(value, dict):
        return any(_holds_null(item) for item in value.values())
    if isinstance(value, list):
        return any(_holds_null(item) for item in value)
    return value is None


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise MalformedEnvelope("the action is not an envelope")
    return cast("Mapping[str, object]", value)
