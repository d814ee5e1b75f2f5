"""The audit log as values: one hash chain per controller instance, and what proves it whole.

An entry's hash covers every field of it and the hash of the entry before; so a changed, removed or
reordered entry breaks the chain at a place that can be named. What a chain cannot show by itself is a tail
cut off: a checkpoint, signed by the audit key and kept elsewhere (the agents keep the highest), shows it.
See actions.md section 10. Nothing here touches a database, a clock or a key file.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from protocol import canonical
from protocol.errors import NotCanonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["GENESIS", "Checkpoint", "Entry", "Finding", "Verified", "digest", "link", "verify"]

GENESIS = ""


@dataclass(frozen=True)
class Entry:
    """One thing that happened.

    Who (`actor`) did what (`event`) to what (`subject`), with `detail` as canonical JSON.

    `at` is in seconds since 1970-01-01 UTC; `seq` counts from 1 within `chain`.
    """

    chain: str
    seq: int
    at: int
    actor: str
    event: str
    subject: str
    detail: str
    previous_sha256: str
    sha256: str = ""


@dataclass(frozen=True)
class Checkpoint:
    """What was the last entry of `chain` at some instant: its `seq` and its hash, `head`."""

    chain: str
    seq: int
    head: str


@dataclass(frozen=True)
class Finding:
    """The first place at which a chain is broken."""

    chain: str
    seq: int
    what: str

    def __str__(self) -> str:
        return f"{self.chain} entry {self.seq}: {self.what}"


@dataclass(frozen=True)
class Verified:
    """The answer of `verify`.

    The number of sound entries, the first fault if any, and from where on nothing is proven.

    `proven_to` is the seq of the highest checkpoint that agrees; entries after it could have been cut off
    unseen.
    """

    count: int
    head: str
    finding: Finding | None
    proven_to: int


def digest(entry: Entry) -> str:
    """The hex SHA-256 over the canonical JSON of every field but the hash itself."""
    value = {
        "actor": entry.actor,
        "at": entry.at,
        "chain": entry.chain,
        "detail": entry.detail,
        "event": entry.event,
        "previous_sha256": entry.previous_sha256,
        "seq": entry.seq,
        "subject": entry.subject,
    }
    return hashlib.sha256(canonical.encode(value)).hexdigest()


def link(
    last: Checkpoint, *, at: int, actor: str, event: str, subject: str, detail: Mapping[str, object]
) -> Entry:
    """The entry that follows `last` (seq 0 and `GENESIS` for the first)."""
    text = canonical.encode(detail).decode("ascii")
    entry = Entry(last.chain, last.seq + 1, at, actor, event, subject, text, last.head)
    return replace(entry, sha256=digest(entry))


def verify(chain: str, entries: Iterable[Entry], checkpoints: Iterable[Checkpoint] = ()) -> Verified:
    """Walk the entries of `chain` in the order given and stop at the first that is not what it must be.

    Checkpoints of other chains are ignored; each of this chain must meet its entry with the same hash, so two
    that name different heads for one entry cannot both hold: whoever has the audit key signed a log anew.
    """
    wanted: dict[int, set[str]] = {}
    for point in checkpoints:
        if point.chain == chain:
            wanted.setdefault(point.seq, set()).add(point.head)
    last = Checkpoint(chain, 0, GENESIS)
    proven = 0
    for entry in entries:
        fault = _fault(entry, last, wanted)
        if fault:
            return Verified(last.seq, last.head, Finding(chain, last.seq + 1, fault), proven)
        last = Checkpoint(chain, entry.seq, entry.sha256)
        proven = entry.seq if entry.seq in wanted else proven
    highest = max(wanted, default=0)
    if highest > last.seq:
        what = f"missing: a signed checkpoint has seen entry {highest}, the log ends at {last.seq}"
        return Verified(last.seq, last.head, Finding(chain, last.seq + 1, what), proven)
    return Verified(last.seq, last.head, None, proven)


def _fault(entry: Entry, last: Checkpoint, wanted: Mapping[int, set[str]]) -> str:
    if entry.chain != last.chain or entry.seq != last.seq + 1:
        return f"missing: the next entry is numbered {entry.seq}"
    if entry.previous_sha256 != last.head:
        return "does not follow the entry before it: one of the two was changed or put in"
    try:
        is_same = entry.sha256 == digest(entry)
    except NotCanonical:  # a number where a text stood, or the like: nothing of ours was ever hashed so
        is_same = False
    if not is_same:
        return "its content is not what was hashed: it was changed"
    if wanted.get(entry.seq, {entry.sha256}) != {entry.sha256}:
        return "is not the entry that a signed checkpoint has seen: the log was rewritten"
    return ""
