"""Checkpoints of the audit log: what a controller's chains had come to, signed by its audit key.

Whoever keeps the highest one sees a log that was cut short (a lower number) or rewritten (another hash under
the same number). The audit key is in no trust document of this version, so a keeper who was not given it by
other means compares only: it notices that a controller contradicts itself, not who does.
"""

from collections.abc import Mapping
from typing import Annotated, Self

import msgspec
from msgspec import Meta, Struct

from protocol import canonical, dsse
from protocol.errors import BadDocument
from protocol.scalars import Natural, Time

__all__ = ["ChainHead", "Checkpoint", "contradictions"]


class ChainHead(Struct, frozen=True, forbid_unknown_fields=True):
    """One chain: the number of its last entry, and that entry's hash (empty before the first)."""

    chain: Annotated[str, Meta(min_length=1, max_length=256)]
    seq: Natural
    head: Annotated[str, Meta(pattern=r"\A([0-9a-f]{64})?\Z")]


class Checkpoint(Struct, frozen=True, forbid_unknown_fields=True):
    """All chains at the instant `at`, in seconds since 1970."""

    at: Time
    chains: Annotated[tuple[ChainHead, ...], Meta(min_length=1, max_length=256)]

    @classmethod
    def of(cls, envelope: dsse.Envelope) -> Self:
        """The checkpoint in an envelope whose signature is not looked at.

        Raises NotCanonical, and BadDocument where it is no checkpoint or names a chain twice.
        """
        if envelope.payload_type != dsse.CHECKPOINT:
            raise BadDocument("not a checkpoint")
        value = canonical.decode(envelope.payload)
        try:
            checkpoint = msgspec.convert(value, cls)
        except msgspec.ValidationError as error:
            raise BadDocument(f"not a checkpoint: {error}") from error
        if len(checkpoint.heads) != len(checkpoint.chains):
            raise BadDocument("a checkpoint names a chain twice")
        return checkpoint

    @property
    def heads(self) -> Mapping[str, ChainHead]:
        """The chains by name."""
        return {head.chain: head for head in self.chains}


def contradictions(kept: Checkpoint, told: Checkpoint) -> tuple[str, ...]:
    """The chains, sorted, of which `told` knows less than `kept` did, or something else; empty: none.

    A checkpoint lists all chains, so one that is gone was cut down to nothing.
    """
    heads = told.heads
    return tuple(
        sorted(
            before.chain
            for before in kept.chains
            if (now := heads.get(before.chain)) is None
            or now.seq < before.seq
            or (now.seq == before.seq and now.head != before.head)
        )
    )
