"""A published case: what a verifier is given, and what it must answer."""

from collections.abc import Mapping
from typing import Any, Self

from msgspec import Struct

from protocol.documents import Limits, TrustBundle, VerifierState
from protocol.errors import BadDocument, NotStrictJson
from protocol.verify import Refused, verify
from protocol.wire import decode_typed

__all__ = ["ACCEPTED", "Vector", "VectorState"]

ACCEPTED = "accepted"


class VectorState(Struct, frozen=True, forbid_unknown_fields=True):
    """The host's memory in a vector; what is absent is what a new host has."""

    high_water: int = 0
    floor: int = 0
    trust_version: int = 0
    seen: tuple[str, ...] = ()
    last_seq: Mapping[str, int] = {}
    requests_run: tuple[str, ...] = ()

    def as_state(self) -> VerifierState:
        """The state as the verifier takes it."""
        return VerifierState(
            high_water=self.high_water,
            floor=self.floor,
            trust_version=self.trust_version,
            seen=frozenset(self.seen),
            last_seq=self.last_seq,
            requests_run=frozenset(self.requests_run),
        )


class Vector(Struct, frozen=True, forbid_unknown_fields=True):
    """One case; `delivery` is text so that broken JSON fits, `expect` is `accepted` or a reason."""

    name: str
    delivery: str
    trust: Mapping[str, Any]
    limits: Mapping[str, Any]
    host_id: str
    now: int
    state: VectorState
    expect: str

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The vector of JSON text. Raises BadDocument."""
        try:
            vector = decode_typed(data, cls)
        except NotStrictJson as error:
            raise BadDocument(f"not a vector: {error}") from error
        if not vector.name.isprintable():
            raise BadDocument("not a vector: its name is no printable text")
        return vector

    def run(self) -> str:
        """What our verifier answers: `accepted` or a reason. Raises BadDocument for a shapeless bundle."""
        result = verify(
            self.delivery.encode("utf-8"),
            bundle=TrustBundle.parse(self.trust),
            limits=Limits.parse(self.limits),
            host_id=self.host_id,
            now=self.now,
            state=self.state.as_state(),
        )
        return result.reason.value if isinstance(result, Refused) else ACCEPTED
