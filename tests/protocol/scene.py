"""A small deterministic world: people, keys, a trust chain, a host, and actions for it.

Keys come from the hash of a name, times from a constant: the same scene gives the same bytes everywhere.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import settings

from protocol import canonical, dsse
from protocol.keys import SigningKey
from protocol.wire import encode_base64

NOW = 1_800_000_000
DAY = 86_400
SHA256_OF_NOTHING = hashlib.sha256(b"").hexdigest()
RECORDED = json.loads((Path(__file__).parent / "ssh_recorded.json").read_text("ascii"))
PROPERTY = settings(deadline=None, derandomize=True, max_examples=150)
"""Of every property here: the same examples each time, and no wall clock."""
ABSENT = object()
"""Given for a field: leave it out."""


def ulid(number: int) -> str:
    """A ULID that is easily told from another."""
    digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    text = ""
    for _ in range(18):
        number, digit = divmod(number, 32)
        text = digits[digit] + text
    return "01KTEST0" + text


HOST, OTHER_HOST, ACTION_ID, REQUEST_ID = ulid(1), ulid(2), ulid(100), ulid(200)


def key(name: str) -> SigningKey:
    """The Ed25519 key of that name."""
    return SigningKey.generate(hashlib.sha256(name.encode()).digest())


def role(*names: str, threshold: int = 1) -> dict[str, Any]:
    """A role of a trust document, as JSON."""
    return {"keys": [key(name).public.as_json() for name in names], "threshold": threshold}


def trust_fields(version: int = 1, **changes: Any) -> dict[str, Any]:
    """A trust document as JSON; one root key, one controller key, one approver-admin key."""
    fields = {
        "approver_admin": role("admin"),
        "ca_pins": [hashlib.sha256(b"ca").hexdigest()],
        "controller": role("controller"),
        "expires_at": NOW + 10 * DAY,
        "root": role("root"),
        "version": version,
    }
    return with_changes(fields, changes)


def with_changes(fields: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Fields with some replaced, added or left out."""
    return {name: value for name, value in (fields | changes).items() if value is not ABSENT}


def envelope(fields: Any, payload_type: str, *signers: str) -> dict[str, Any]:
    """A signed envelope as JSON, over the canonical bytes of the fields or over bytes as they are."""
    payload = fields if isinstance(fields, bytes) else canonical.encode(fields)
    return dsse.sign(payload, payload_type, [key(name) for name in signers]).as_json()


def trust_step(version: int = 1, *, signers: tuple[str, ...] = ("root",), **changes: Any) -> dict[str, Any]:
    """A signed trust document."""
    return envelope(trust_fields(version, **changes), dsse.TRUST, *signers)


def payload_of(step: dict[str, Any]) -> bytes:
    """The payload bytes of an envelope in JSON."""
    return dsse.parse_envelope(step).payload


def chain(*steps: dict[str, Any], approvers: dict[str, Any] | None = None) -> dict[str, Any]:
    """A trust bundle pinned at its first step."""
    bundle: dict[str, Any] = {
        "root_sha256": hashlib.sha256(payload_of(steps[0])).hexdigest(),
        "trust": list(steps),
    }
    if approvers is not None:
        bundle["approvers"] = approvers
    return bundle


def action_fields(**changes: Any) -> dict[str, Any]:
    """A host.ping for HOST that is valid at NOW, as JSON."""
    fields = {
        "args": {},
        "expires_at": NOW + 300,
        "host_id": HOST,
        "id": ACTION_ID,
        "issued_at": NOW - 5,
        "kind": "host.ping",
        "not_before": NOW - 5,
        "policy_commit": "5f" * 20,
        "seq": 7,
        "trust_version": 1,
    }
    return with_changes(fields, changes)


def deliver(action: dict[str, Any], request: dict[str, Any] | None = None) -> str:
    """A delivery's text."""
    return json.dumps({"action": action} | ({} if request is None else {"request": request}))


def action(*signers: str, **changes: Any) -> str:
    """The delivery of an action without request, by the controller unless somebody else is named."""
    return deliver(envelope(action_fields(**changes), dsse.ACTION, *(signers or ("controller",))))


def state(**changes: Any) -> dict[str, Any]:
    """A host's memory in a vector; nothing seen yet."""
    fields = {
        "high_water": NOW - 600,
        "floor": NOW - 30 * DAY,
        "trust_version": 1,
        "seen": [],
        "last_seq": {},
        "requests_run": [],
    }
    return with_changes(fields, changes)


PING = {"kinds": {"host.ping": {}}}
RESTART = {"kinds": {"host.ping": {}, "service.restart": {"units": ["web", "db-*"], "approvals": 1}}}


@dataclass(frozen=True)
class Case:
    """One published case, before it is written."""

    name: str
    expect: str
    delivery: str = field(default_factory=action)
    trust: dict[str, Any] = field(default_factory=lambda: chain(trust_step()))
    limits: dict[str, Any] = field(default_factory=lambda: PING)
    host_id: str = HOST
    now: int = NOW
    state: dict[str, Any] = field(default_factory=state)

    def as_json(self) -> dict[str, Any]:
        """The vector."""
        return dict(vars(self))

    def but(self, name: str, expect: str, **changes: Any) -> Case:
        """The same case with another name and outcome, and some parts replaced."""
        return replace(self, name=name, expect=expect, **changes)


def ssh_string(data: bytes) -> bytes:
    """A string of RFC 4251."""
    return len(data).to_bytes(4, "big") + data


def armor(blob: bytes) -> str:
    """SSHSIG armor as ssh-keygen writes it: lines of 70."""
    text = encode_base64(blob)
    lines = [text[i : i + 70] for i in range(0, len(text), 70)]
    return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""])


@dataclass(frozen=True)
class SshPerson:
    """Somebody with an ed25519 SSH key, on disk or (`security_key`) in a token that we play in software."""

    name: str
    security_key: bool = False

    @property
    def private(self) -> Ed25519PrivateKey:
        """The private half."""
        return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"ssh " + self.name.encode()).digest())

    @property
    def kind(self) -> bytes:
        """The key type."""
        return b"sk-ssh-ed25519@openssh.com" if self.security_key else b"ssh-ed25519"

    @property
    def blob(self) -> bytes:
        """The public key's wire form."""
        raw = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return ssh_string(self.kind) + ssh_string(raw) + (ssh_string(b"ssh:") if self.security_key else b"")

    @property
    def line(self) -> str:
        """The public key as in an .pub file, without comment."""
        return f"{self.kind.decode()} {encode_base64(self.blob)}"

    def sign(
        self,
        message: bytes,
        namespace: str,
        *,
        algorithm: str = "sha512",
        reserved: bytes = b"",
        flags: int = 1,
        version: int = 1,
    ) -> str:
        """An armored SSHSIG, with each field open to be wrong."""
        name, hashed = algorithm.encode(), hashlib.new(algorithm, message).digest()
        fields = ssh_string(namespace.encode()) + ssh_string(reserved) + ssh_string(name)
        signed, tail = b"SSHSIG" + fields + ssh_string(hashed), b""
        if self.security_key:
            tail = bytes([flags]) + (7).to_bytes(4, "big")
            signed = hashlib.sha256(b"ssh:").digest() + tail + hashlib.sha256(signed).digest()
        proof = ssh_string(self.kind) + ssh_string(self.private.sign(signed)) + tail
        return armor(
            b"SSHSIG" + version.to_bytes(4, "big") + ssh_string(self.blob) + fields + ssh_string(proof)
        )


ASKS, APPROVES = "steward-request@steward", "steward-approve@steward"
JO, SAM, KIM, EVE = SshPerson("jo"), SshPerson("sam"), SshPerson("kim"), SshPerson("eve")
TOKEN = SshPerson("lee", security_key=True)


def approvers(*, signers: tuple[str, ...] = ("admin",), **changes: Any) -> dict[str, Any]:
    """A signed approvers document: jo asks; sam, lee (a security key) and others approve."""
    people = [person("jo", JO.line), person("sam", SAM.line), person("lee", TOKEN.line)]
    people += [person("kim", KIM.line, kinds=["account.*"])]
    people += [person(name, entry["public"]) for name, entry in sorted(RECORDED["keys"].items())]
    fields = {"expires_at": NOW + 10 * DAY, "people": people, "version": 1}
    return envelope(with_changes(fields, changes), dsse.APPROVERS, *signers)


def person(name: str, *lines: str, kinds: list[str] | None = None) -> dict[str, Any]:
    """One person of an approvers document."""
    return {"keys": list(lines), "kinds": ["service.*"] if kinds is None else kinds, "name": name}


def item(**changes: Any) -> dict[str, Any]:
    """The restart of web on HOST."""
    return with_changes({"args": {"unit": "web"}, "host_id": HOST, "kind": "service.restart"}, changes)


def request_fields(**changes: Any) -> dict[str, Any]:
    """jo's request to restart web on HOST and on another host."""
    fields = {
        "from": NOW - 600,
        "id": REQUEST_ID,
        "items": [item(), item(host_id=OTHER_HOST)],
        "reason": "new certificate",
        "requester": "jo",
        "until": NOW + 3600,
    }
    return with_changes(fields, changes)


def request_payload(**changes: Any) -> bytes:
    """The bytes that people sign."""
    return canonical.encode(request_fields(**changes))


def restart(
    request: bytes | None = None,
    signatures: list[str] | None = None,
    *,
    delivered: bool = True,
    **changes: Any,
) -> str:
    """The delivery of a restart of web that jo requested and, unless said otherwise, sam approved."""
    payload = request_payload() if request is None else request
    if signatures is None:
        signatures = [JO.sign(payload, ASKS), SAM.sign(payload, APPROVES)]
    named = {
        "args": {"unit": "web"},
        "kind": "service.restart",
        "request_sha256": hashlib.sha256(payload).hexdigest(),
    }
    signed = envelope(action_fields(**(named | changes)), dsse.ACTION, "controller")
    body = {"payload": encode_base64(payload), "signatures": signatures}
    return deliver(signed, body if delivered else None)
