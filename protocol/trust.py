"""The chain of trust: from the pinned trust document, step by step, to the keys that count now.

Each step is signed by the thresholds of both its own and the previous document's root keys, so a host that
was off for a year recovers from the chain alone, and a stolen old root key cannot fork it. Only the last
document's expiry counts. Keys are counted, never key ids.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from protocol import dsse
from protocol.documents import ApproversDocument, RoleKeys, TrustBundle, TrustDocument
from protocol.errors import BadKey, ProtocolError, Refusal
from protocol.keys import PublicKey
from protocol.reasons import Reason
from protocol.sshsig import SshKey, parse_public_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "MAX_CHAIN",
    "MAX_TRUST_SECONDS",
    "Approver",
    "Approvers",
    "Role",
    "TrustSet",
    "advance",
    "check_current",
    "walk",
    "walk_chain",
]

MAX_CHAIN: Final = 4096
"""Documents in one chain: eleven years of daily renewal."""
MAX_TRUST_SECONDS: Final = 30 * 86_400
"""For how long people may sign a trust document; for those who make them, since it has no time of issue."""


@dataclass(frozen=True, slots=True)
class Role:
    """A role's distinct keys, and how many of them must sign."""

    keys: tuple[PublicKey, ...]
    threshold: int

    @classmethod
    def of(cls, role: RoleKeys) -> Self:
        """The role of a document. Raises BadKey for a key twice or a threshold out of reach."""
        keys = tuple(PublicKey.from_base64(key.public) for key in role.keys)
        if len({key.raw for key in keys}) != len(keys):
            raise BadKey("a key twice in one role")
        if role.threshold > len(keys):
            raise BadKey("a threshold above the number of keys")
        return cls(keys, role.threshold)

    def names_any(self, envelope: dsse.Envelope) -> bool:
        """Whether any signature claims to be by one of the keys."""
        return not {key.keyid for key in self.keys}.isdisjoint(s.keyid for s in envelope.signatures)

    def signed(self, envelope: dsse.Envelope) -> bool:
        """Whether enough distinct keys of the role signed the envelope."""
        return len(dsse.signers_of(envelope, self.keys)) >= self.threshold


@dataclass(frozen=True, slots=True)
class Approver:
    """A person, and the kinds (or prefixes ending in *) that the person may approve."""

    name: str
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Approvers:
    """Who signs requests and approvals, by key."""

    version: int
    expires_at: int
    by_key: Mapping[SshKey, Approver]


@dataclass(frozen=True, slots=True)
class TrustSet:
    """What a host believes once its chain has been walked. Expiry and rollback are checked at each use."""

    version: int
    expires_at: int
    controller: Role
    ca_pins: tuple[str, ...]
    approvers: Approvers | None


def walk(bundle: TrustBundle, *, now: int, known_version: int) -> TrustSet:
    """The trust set at the end of a valid, current chain. Raises Refusal with one of the trust_… reasons."""
    trust = walk_chain(bundle)
    check_current(trust, now=now, known_version=known_version)
    return trust


def walk_chain(bundle: TrustBundle) -> TrustSet:
    """The trust set at the end of the chain, whatever the time; what a host keeps between uses.

    Raises Refusal: trust_unknown_root or trust_broken_chain.
    """
    if not bundle.trust:
        raise Refusal(Reason.TRUST_UNKNOWN_ROOT, "no trust document")
    if len(bundle.trust) > MAX_CHAIN:
        raise Refusal(Reason.TRUST_BROKEN_CHAIN, f"more than {MAX_CHAIN} trust documents")
    try:
        return _walk_steps(bundle)
    except Refusal:
        raise
    except ProtocolError as error:
        raise Refusal(Reason.TRUST_BROKEN_CHAIN, str(error)) from error


def check_current(trust: TrustSet, *, now: int, known_version: int) -> None:
    """Raises Refusal where the set is older than one that the host already had, or has expired."""
    if trust.version < known_version:
        raise Refusal(Reason.TRUST_ROLLED_BACK, f"version {trust.version} after {known_version}")
    if trust.expires_at < now:
        raise Refusal(Reason.TRUST_EXPIRED, f"expired at {trust.expires_at}")


def advance(
    bundle: TrustBundle,
    trust: Sequence[Mapping[str, object]],
    approvers: Mapping[str, object] | None,
    *,
    known_approvers: int = 0,
) -> tuple[TrustBundle, TrustSet]:
    """A host's bundle continued by what a controller sent, and its trust set; expiry is not looked at.

    Approvers that no longer hold under the new trust document are dropped, so that a revocation is never
    held up by them. Raises Refusal where a step does not hold, or the new approvers do not or are older
    than `known_approvers`.
    """
    kept = bundle.approvers if approvers is None else approvers
    longer = TrustBundle(bundle.root_sha256, (*bundle.trust, *trust), None)
    walked = walk_chain(longer)
    try:
        continued = TrustBundle(longer.root_sha256, longer.trust, kept)
        walked = walk_chain(continued)
    except Refusal:
        if approvers is not None:
            raise
        return longer, walked
    if walked.approvers is not None and walked.approvers.version < known_approvers:
        raise Refusal(
            Reason.TRUST_ROLLED_BACK, f"approvers {walked.approvers.version} after {known_approvers}"
        )
    return continued, walked


def _walk_steps(bundle: TrustBundle) -> TrustSet:
    first = dsse.parse_envelope(bundle.trust[0])
    if hashlib.sha256(first.payload).hexdigest() != bundle.root_sha256:
        raise Refusal(Reason.TRUST_UNKNOWN_ROOT, "the first trust document is not the pinned one")
    document, root = _read_step(first)
    for value in bundle.trust[1:]:
        envelope = dsse.parse_envelope(value)
        if envelope.payload_type != dsse.TRUST or not root.signed(envelope):
            raise Refusal(Reason.TRUST_BROKEN_CHAIN, f"the step after {document.version} is not by its root")
        following, root = _read_step(envelope)
        if following.version != document.version + 1:
            raise Refusal(Reason.TRUST_BROKEN_CHAIN, f"version {following.version} after {document.version}")
        document = following
    admin, controller = Role.of(document.approver_admin), Role.of(document.controller)
    approvers = None if bundle.approvers is None else _read_approvers(bundle.approvers, admin)
    return TrustSet(document.version, document.expires_at, controller, document.ca_pins, approvers)


def _read_step(envelope: dsse.Envelope) -> tuple[TrustDocument, Role]:
    """A trust document that its own root threshold signed, whole and without a key twice in any role."""
    if envelope.payload_type != dsse.TRUST:
        raise Refusal(Reason.TRUST_BROKEN_CHAIN, "not a trust document")
    document = TrustDocument.from_payload(envelope.payload)
    root = Role.of(document.root)
    Role.of(document.controller)
    Role.of(document.approver_admin)
    if not root.signed(envelope):
        raise Refusal(Reason.TRUST_BROKEN_CHAIN, f"version {document.version} is not signed by its own root")
    return document, root


def _read_approvers(value: Mapping[str, object], admin: Role) -> Approvers:
    envelope = dsse.parse_envelope(value)
    if envelope.payload_type != dsse.APPROVERS or not admin.signed(envelope):
        raise Refusal(Reason.TRUST_BROKEN_CHAIN, "the approvers are not signed by approver-admin")
    document = ApproversDocument.from_payload(envelope.payload)
    if len({person.name for person in document.people}) != len(document.people):
        raise BadKey("a person twice among the approvers")
    by_key: dict[SshKey, Approver] = {}
    for person in document.people:
        for line in person.keys:
            key = parse_public_key(line)
            if key in by_key:
                raise BadKey("a key twice among the approvers")
            by_key[key] = Approver(person.name, person.kinds)
    return Approvers(document.version, document.expires_at, by_key)
