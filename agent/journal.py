"""What the executor remembers: which actions began and ended, and the chain of its receipts.

An append-only list of entries, each canonical JSON hashed together with the hash of the entry before it,
in one SQLite file (rollback journal, synchronous=EXTRA: a commit is on the disk, its directory entry too).
State is rebuilt from the entries at each start and every hash is checked. A file that is missing, damaged or
of another host raises JournalError, and then nothing may run: a host that forgot cannot promise "at most
once".

Old entries are replaced by one `snapshot` entry that holds what they amount to; it stays in the chain, so the
head (sequence number and hash) that polls report only ever moves forward. Nonces are pruned by the rule of
actions.md section 6: only when `expires_at + 90 < high_water`, and then the floor rises.
"""

import hashlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from agent.errors import JournalError, NoSpaceError

__all__ = ["Head", "Journal", "Memory", "Started", "StoredReceipt"]

_SKEW_SECONDS = 90
_COMPACT_AFTER = 4_000
_KEEP_RECEIPTS = 10_000
_PRUNE_TOGETHER = 64
_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}


class Started(msgspec.Struct, frozen=True, omit_defaults=True):
    """An accepted action, as it is remembered before anything of it runs. Times are Unix seconds."""

    id: str
    action_sha256: str
    kind: str
    resource: str
    seq: int
    issued_at: int
    expires_at: int
    started_at: int
    trust_version: int
    limits_sha256: str
    approvers: list[str] = []
    request: str = ""
    """`<request id>/<SHA-256 of the item>` where the action came from a request, else empty."""
    request_until: int = 0


class Memory(msgspec.Struct, omit_defaults=True):
    """What all entries amount to; the verifier's state comes from here."""

    host_id: str = ""
    high_water: int = 0
    floor: int = 0
    trust_version: int = 0
    approvers_version: int = 0
    seen: dict[str, int] = {}
    """Nonce → expires_at."""
    last_seq: dict[str, int] = {}
    requests: dict[str, int] = {}
    """`<request id>/<item>` → end of the request's window."""
    unfinished: dict[str, Started] = {}
    """SHA-256 of the action → what began and has no receipt yet."""
    receipt_seq: int = 0
    receipt_sha256: str = ""


@dataclass(frozen=True)
class Head:
    """Position and hash of the last entry; (0, "") where there is no usable journal."""

    seq: int
    sha256: str


@dataclass(frozen=True)
class StoredReceipt:
    """A signed receipt and its place in the chain."""

    seq: int
    action_sha256: str
    reason: str
    envelope: bytes


class Journal:
    """The executor's memory; safe to use from several threads. Close it when done."""

    def __init__(
        self, connection: sqlite3.Connection, memory: Memory, head: Head, compact_after: int = _COMPACT_AFTER
    ) -> None:
        """Use `create` or `open`."""
        self._compact_after = compact_after
        self._connection = connection
        self._memory = memory
        self._head = head
        self._lock = threading.RLock()

    @classmethod
    def create(cls, path: Path, host_id: str) -> "Journal":
        """Make the journal of a new identity; raises JournalError where the file is there already."""
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except OSError as error:
            raise JournalError(f"{path}: {error.strerror}") from error
        os.close(descriptor)
        connection = _connect(path)
        with connection:
            connection.executescript(_SCHEMA)
        journal = cls(connection, Memory(), Head(0, ""))
        journal._append({"entry": "created", "host_id": host_id})
        _sync_directory(path.parent)
        return journal

    @classmethod
    def open(cls, path: Path, host_id: str, *, compact_after: int = _COMPACT_AFTER) -> "Journal":
        """Read and prove a journal; raises JournalError where it is not whole and of this host.

        With more than `compact_after` entries the old ones become a snapshot.
        """
        if not path.is_file():
            raise JournalError(f"{path}: missing", hint="a host that forgot must be enrolled anew")
        try:
            connection = _connect(path)
            try:
                memory, head, signed = _replay(connection)
                _check_receipts(connection, memory, signed)
            except BaseException:
                connection.close()
                raise
        except (sqlite3.Error, msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
            raise JournalError(f"{path}: damaged: {error}", hint="enrol this host anew") from error
        if memory.host_id != host_id:
            connection.close()
            raise JournalError(f"{path}: belongs to host {memory.host_id}, not {host_id}")
        return cls(connection, memory, head, compact_after)

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    @property
    def head(self) -> Head:
        """The last entry's position and hash."""
        return self._head

    @property
    def memory(self) -> Memory:
        """What the entries amount to, live; to be read only, and while nobody writes the journal."""
        return self._memory

    @property
    def receipt_seq(self) -> int:
        """Number of the last receipt, 0 before the first."""
        return self._memory.receipt_seq

    @property
    def receipt_sha256(self) -> str:
        """SHA-256 of the last receipt's payload, empty before the first."""
        return self._memory.receipt_sha256

    def start(self, started: Started) -> None:
        """Remember, durably, that an action is about to run; raises NoSpaceError and then it must not."""
        with self._lock:
            self._prune(max(self._memory.high_water, started.issued_at))
            self._append({"entry": "started", "started": msgspec.to_builtins(started)})

    def receipt(self, *, action_sha256: str, reason: str, envelope: bytes, payload_sha256: str) -> int:
        """Store the next receipt of the chain and end the action it is for; return its number.

        `payload_sha256` is what the next receipt names as its predecessor.
        """
        with self._lock:
            seq = self._memory.receipt_seq + 1
            entry = {
                "action_sha256": action_sha256,
                "entry": "receipt",
                "envelope_sha256": hashlib.sha256(envelope).hexdigest(),
                "payload_sha256": payload_sha256,
                "seq": seq,
            }
            row = (seq, action_sha256, reason, envelope)
            self._append(entry, ("INSERT INTO receipts VALUES (?, ?, ?, ?)", row))
            return seq

    def trusted(self, *, trust_version: int, approvers_version: int) -> None:
        """Remember the versions of the trust that is installed; they never fall."""
        with self._lock:
            if (trust_version, approvers_version) == (
                self._memory.trust_version,
                self._memory.approvers_version,
            ):
                return
            self._append({"approvers": approvers_version, "entry": "trust", "trust": trust_version})

    def find(self, action_sha256: str, reason: str) -> StoredReceipt | None:
        """Return the receipt that an action got for one reason, or None."""
        with self._lock:
            row = self._connection.execute(
                "SELECT * FROM receipts WHERE action_sha256 = ? AND reason = ? ORDER BY seq LIMIT 1",
                (action_sha256, reason),
            ).fetchone()
        return StoredReceipt(*row) if row else None

    def last_of(self, action_sha256: str) -> StoredReceipt | None:
        """Return the last receipt of an action, or None."""
        with self._lock:
            row = self._connection.execute(
                "SELECT * FROM receipts WHERE action_sha256 = ? ORDER BY seq DESC LIMIT 1", (action_sha256,)
            ).fetchone()
        return StoredReceipt(*row) if row else None

    def receipts(self, since: int, limit_bytes: int) -> list[StoredReceipt]:
        """Return the receipts after number `since`, oldest first, at least one, until `limit_bytes`."""
        found: list[StoredReceipt] = []
        size = 0
        with self._lock:
            cursor = self._connection.execute("SELECT * FROM receipts WHERE seq > ? ORDER BY seq", (since,))
            for row in cursor:
                size += len(row[3])
                if found and size > limit_bytes:
                    break
                found.append(StoredReceipt(*row))
            cursor.close()
        return found

    def _prune(self, high_water: int) -> None:
        """Forget nonces and requests that can no longer be accepted; part of the next entry's state."""
        memory = self._memory
        gone = [nonce for nonce, expiry in memory.seen.items() if expiry + _SKEW_SECONDS < high_water]
        # The clock may stand 90 s behind the mark, and a request's window reaches 90 s beyond its end.
        over = [text for text, until in memory.requests.items() if until + 2 * _SKEW_SECONDS < high_water]
        if len(gone) + len(over) >= _PRUNE_TOGETHER:
            self._append({"entry": "pruned", "nonces": sorted(gone), "requests": sorted(over)})

    def _append(self, entry: dict[str, Any], also: tuple[str, tuple[Any, ...]] | None = None) -> None:
        """Add one entry, and `also` what belongs to it, in one durable transaction."""
        body = _encode(entry)
        head = Head(self._head.seq + 1, _chain(self._head.sha256, body))
        with _transaction(self._connection):
            self._connection.execute("INSERT INTO entries VALUES (?, ?, ?)", (head.seq, body, head.sha256))
            if also:
                self._connection.execute(*also)
        _fold(self._memory, entry)
        self._head = head
        self._compact()

    def _compact(self) -> None:
        (count,) = self._connection.execute("SELECT count(*) FROM entries").fetchone()
        if count <= self._compact_after:
            return
        previous = self._head
        body = _encode({"entry": "snapshot", "memory": msgspec.to_builtins(self._memory)})
        head = Head(previous.seq + 1, _chain(previous.sha256, body))
        with _transaction(self._connection):
            self._connection.execute("DELETE FROM entries")
            self._connection.execute("INSERT INTO entries VALUES (?, ?, ?)", (head.seq, body, head.sha256))
            self._connection.execute("UPDATE anchor SET sha256 = ?", (previous.sha256,))
            oldest = self._memory.receipt_seq - _KEEP_RECEIPTS
            self._connection.execute("DELETE FROM receipts WHERE seq <= ?", (oldest,))
        self._head = head


_SCHEMA = """
CREATE TABLE entries (seq INTEGER PRIMARY KEY, body BLOB NOT NULL, sha256 TEXT NOT NULL) STRICT;
CREATE TABLE receipts (seq INTEGER PRIMARY KEY, action_sha256 TEXT NOT NULL, reason TEXT NOT NULL,
                       envelope BLOB NOT NULL) STRICT;
CREATE INDEX receipts_by_action ON receipts (action_sha256, reason);
CREATE TABLE anchor (sha256 TEXT NOT NULL) STRICT;
INSERT INTO anchor VALUES ('');
"""


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0)
    # Not WAL: there a lost -wal file silently takes acknowledged commits with it.
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA synchronous = EXTRA")
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    return connection


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit durably or leave no trace; raises NoSpaceError where the disk does not take it."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if error.sqlite_errorcode & 0xFF in _FULL:
            raise NoSpaceError(f"the journal cannot be written: {error}") from error
        raise JournalError(f"the journal cannot be written: {error}") from error


def _encode(entry: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(entry, order="sorted")


def _chain(previous: str, body: bytes) -> str:
    return hashlib.sha256(previous.encode("ascii") + b"\n" + body).hexdigest()


def _replay(connection: sqlite3.Connection) -> tuple[Memory, Head, dict[int, str]]:
    """Rebuild the state, checking each hash; raises ValueError where the chain does not hold.

    Returns also the hashes of the receipts' envelopes by their number.
    """
    verdict = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if verdict != "ok":
        raise ValueError(verdict)
    (previous,) = connection.execute("SELECT sha256 FROM anchor").fetchone()
    memory, head = Memory(), Head(0, previous)
    signed: dict[int, str] = {}
    for seq, body, sha256 in connection.execute("SELECT seq, body, sha256 FROM entries ORDER BY seq"):
        if _chain(head.sha256, body) != sha256 or (head.seq and seq != head.seq + 1):
            raise ValueError(f"entry {seq} does not follow from the one before it")
        entry = msgspec.json.decode(body, type=dict[str, Any])
        if not head.seq and entry["entry"] not in {"created", "snapshot"}:
            raise ValueError(f"begins with entry {seq}, which is neither the first nor a snapshot")
        _fold(memory, entry)
        if entry["entry"] == "receipt":
            signed[entry["seq"]] = entry["envelope_sha256"]
        head = Head(seq, sha256)
    if not head.seq:
        raise ValueError("empty")
    return memory, head, signed


def _check_receipts(connection: sqlite3.Connection, memory: Memory, signed: Mapping[int, str]) -> None:
    """The receipts' table has to hold what the entries say it holds; raises ValueError."""
    for seq, sha256 in signed.items():
        row = connection.execute("SELECT envelope FROM receipts WHERE seq = ?", (seq,)).fetchone()
        if row is None or hashlib.sha256(row[0]).hexdigest() != sha256:
            raise ValueError(f"receipt {seq} is not the one that was signed")
    (last,) = connection.execute("SELECT coalesce(max(seq), 0) FROM receipts").fetchone()
    if last != memory.receipt_seq:
        raise ValueError(f"the last receipt is {last}, the entries say {memory.receipt_seq}")


def _fold(memory: Memory, entry: Mapping[str, Any]) -> None:
    """Apply one entry to the state, the same way when it is written and when it is read again."""
    match entry["entry"]:
        case "created":
            memory.host_id = entry["host_id"]
        case "started":
            _fold_started(memory, msgspec.convert(entry["started"], Started))
        case "receipt":
            memory.receipt_seq = entry["seq"]
            memory.receipt_sha256 = entry["payload_sha256"]
            memory.unfinished.pop(entry["action_sha256"], None)
        case "trust":
            memory.trust_version = entry["trust"]
            memory.approvers_version = entry["approvers"]
        case "pruned":
            for nonce in entry["nonces"]:
                memory.floor = max(memory.floor, memory.seen.pop(nonce) + _SKEW_SECONDS)
            for text in entry["requests"]:
                del memory.requests[text]
        case "snapshot":
            kept = msgspec.convert(entry["memory"], Memory)
            for field in msgspec.structs.fields(Memory):
                setattr(memory, field.name, getattr(kept, field.name))
        case other:
            raise ValueError(f"unknown entry {other!r}")


def _fold_started(memory: Memory, started: Started) -> None:
    memory.high_water = max(memory.high_water, started.issued_at)
    memory.seen[started.id] = started.expires_at
    memory.last_seq[started.resource] = max(memory.last_seq.get(started.resource, 0), started.seq)
    if started.request:
        memory.requests[started.request] = started.request_until
    memory.unfinished[started.action_sha256] = started


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
