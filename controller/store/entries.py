"""The audit log in the store.

Appended to inside the transaction of what it tells, read back as it was written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from controller import audit
from controller.store.schema import audit_entries, checkpoints

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Connection, RowMapping

    from controller.store.database import Database

__all__ = ["AuditLog", "Journal"]

_PAGE = 1000


class Journal:
    """Appends to one chain. Given to every part of the store that changes something worth proving."""

    def __init__(self, chain: str) -> None:
        self.chain = chain

    def append(
        self,
        connection: Connection,
        *,
        at: int,
        actor: str,
        event: str,
        subject: str,
        detail: Mapping[str, object] | None = None,
    ) -> audit.Entry:
        """Add one entry in the caller's transaction: what is rolled back was never in the log."""
        last = self.head(connection)
        entry = audit.link(last, at=at, actor=actor, event=event, subject=subject, detail=detail or {})
        connection.execute(insert(audit_entries).values(**_row(entry)))
        return entry

    def append_all(
        self,
        connection: Connection,
        *,
        at: int,
        actor: str,
        event: str,
        items: list[tuple[str, dict[str, object]]],
    ) -> None:
        """Add one entry per (subject, detail), in order, in the caller's transaction."""
        last, rows = self.head(connection), []
        for subject, detail in items:
            entry = audit.link(last, at=at, actor=actor, event=event, subject=subject, detail=detail)
            last = audit.Checkpoint(entry.chain, entry.seq, entry.sha256)
            rows.append(_row(entry))
        if rows:
            connection.execute(insert(audit_entries), rows)

    def head(self, connection: Connection) -> audit.Checkpoint:
        """The last entry's seq and hash; seq 0 where the chain has none."""
        table = audit_entries.c
        found = connection.execute(
            select(table.seq, table.sha256)
            .where(table.chain == self.chain)
            .order_by(table.seq.desc())
            .limit(1)
        ).first()
        return audit.Checkpoint(self.chain, *(found or (0, audit.GENESIS)))


class AuditLog:
    """The chains of this store, to read, prove and carry away."""

    def __init__(self, database: Database, journal: Journal) -> None:
        self._database = database
        self._journal = journal

    def append(
        self, *, at: int, actor: str, event: str, subject: str, detail: Mapping[str, object] | None = None
    ) -> audit.Entry:
        """Add one entry in a transaction of its own."""
        with self._database.write() as connection:
            return self._journal.append(
                connection, at=at, actor=actor, event=event, subject=subject, detail=detail
            )

    def head(self) -> audit.Checkpoint:
        """The last entry of this instance's chain."""
        with self._database.read() as connection:
            return self._journal.head(connection)

    def chains(self) -> list[str]:
        """The names of all chains, sorted."""
        with self._database.read() as connection:
            rows = connection.execute(select(audit_entries.c.chain).distinct())
            return sorted({str(row.chain) for row in rows})

    def walk(self, chain: str, *, after: int = 0) -> Iterator[audit.Entry]:
        """The entries of `chain` in order of seq, read in pages, so that a long log needs little memory."""
        table = audit_entries.c
        while True:
            query = select(audit_entries).where(table.chain == chain, table.seq > after)
            with self._database.read() as connection:
                rows = connection.execute(query.order_by(table.seq).limit(_PAGE)).mappings().all()
            yield from map(_entry, rows)
            if len(rows) < _PAGE:
                return
            after = rows[-1]["seq"]

    def latest(self, limit: int) -> list[audit.Entry]:
        """The newest `limit` entries of this instance's chain, newest first."""
        table = audit_entries.c
        query = select(audit_entries).where(table.chain == self._journal.chain)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(table.seq.desc()).limit(limit)).mappings()
            return [_entry(row) for row in rows]

    def keep_checkpoint(self, point: audit.Checkpoint, *, at: int, envelope: str) -> None:
        """Store a signed checkpoint of this instance's chain."""
        values = {"chain": point.chain, "seq": point.seq, "head": point.head, "at": at, "envelope": envelope}
        with self._database.write() as connection:
            connection.execute(insert(checkpoints).values(**values))

    def last_checkpoint(self) -> tuple[int, str]:
        """The seq and the envelope of the newest stored checkpoint; (0, "") where there is none."""
        query = select(checkpoints.c.seq, checkpoints.c.envelope)
        mine = query.where(checkpoints.c.chain == self._journal.chain).order_by(checkpoints.c.seq.desc())
        with self._database.read() as connection:
            found = connection.execute(mine.limit(1)).first()
        return (0, "") if found is None else (int(found.seq), str(found.envelope))

    def signed_checkpoints(self) -> list[str]:
        """The envelopes of all stored checkpoints, oldest first."""
        with self._database.read() as connection:
            query = select(checkpoints.c.envelope).order_by(checkpoints.c.at, checkpoints.c.seq)
            return [str(row.envelope) for row in connection.execute(query)]


def _row(entry: audit.Entry) -> dict[str, object]:
    return {name: getattr(entry, name) for name in audit.Entry.__dataclass_fields__}


def _entry(row: RowMapping) -> audit.Entry:
    return audit.Entry(**row)
