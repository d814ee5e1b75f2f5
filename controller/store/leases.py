"""The right to write, held by one at a time.

A row with a holder, an end, and a term that grows with each holder.

Whoever holds it sends its term with each write to the store (`fence`), so that a holder that was asleep
past its end cannot write over its successor. Times are integer seconds since 1970-01-01 UTC and come in as
arguments.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update

from controller.errors import Refused
from controller.store.schema import lease as table

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from controller.store.database import Database

__all__ = ["Lease", "LeaseHeld", "LeaseLost", "Leases", "fence"]

_NAME = "writer"


@dataclass(frozen=True)
class Lease:
    """The right to write until `until`, under `term`."""

    term: int
    holder: str
    until: int


class LeaseHeld(Refused):
    """Somebody else may write just now: `holder`, until `until`."""

    def __init__(self, holder: str, until: int) -> None:
        ends = datetime.fromtimestamp(until, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        super().__init__(
            f"{holder} holds the lease until {ends}",
            hint="one controller writes at a time: stop it, or let it do the work",
        )
        self.holder = holder
        self.until = until


class LeaseLost(Refused):
    """The lease ended or went to somebody else: nothing more may be written under its term."""


class Leases:
    """The lease row of the store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def acquire(self, holder: str, ttl_seconds: int, now: int) -> Lease:
        """Take the lease under a new term.

        Raises LeaseHeld while it is somebody's, the same holder's included.
        """
        with self._database.write() as connection:
            current = _read(connection)
            if current is not None and current.until > now:
                raise LeaseHeld(current.holder, current.until)
            taken = Lease(1 if current is None else current.term + 1, holder, now + ttl_seconds)
            if current is None:
                connection.execute(insert(table).values(name=_NAME, **_values(taken)))
            else:
                _compare_and_set(connection, current, taken)
        return taken

    def renew(self, lease: Lease, ttl_seconds: int, now: int) -> Lease:
        """Push the end out to `now + ttl_seconds`, never back; raises LeaseLost once it has ended or gone."""
        with self._database.write() as connection:
            current = _read(connection)
            if current is None or current.term != lease.term or current.until <= now:
                raise LeaseLost(f"the lease of term {lease.term} has ended")
            renewed = replace(lease, until=max(current.until, now + ttl_seconds))
            _compare_and_set(connection, lease, renewed)
        return renewed

    def release(self, lease: Lease, now: int) -> None:
        """Give the lease back, nothing of the holder's being under way; `until` 0 says so to the next one.

        Nothing happens where it has ended already or is somebody else's.
        """
        mine = (table.c.name == _NAME, table.c.term == lease.term, table.c.until > now)
        with self._database.write() as connection:
            connection.execute(update(table).where(*mine).values(until=0))

    def current(self) -> Lease | None:
        """The row as it stands, ended or not; None where nobody ever held it."""
        with self._database.read() as connection:
            return _read(connection)


def fence(connection: Connection, term: int) -> None:
    """Raise LeaseLost unless `term` is the newest.

    0 marks what needs no lease (a plan that writes nothing).
    """
    if term == 0:
        return
    current = _read(connection)
    if current is None or current.term != term:
        raise LeaseLost(f"term {term} is not the newest: another controller writes now")


def _read(connection: Connection) -> Lease | None:
    query = select(table.c.term, table.c.holder, table.c.until).where(table.c.name == _NAME)
    found = connection.execute(query).first()
    return None if found is None else Lease(*found)


def _compare_and_set(connection: Connection, seen: Lease, wanted: Lease) -> None:
    same = (table.c.name == _NAME, table.c.term == seen.term, table.c.holder == seen.holder)
    if connection.execute(update(table).where(*same).values(**_values(wanted))).rowcount != 1:
        raise LeaseLost(f"the lease of term {seen.term} went to somebody else")


def _values(lease: Lease) -> dict[str, object]:
    return {"holder": lease.holder, "term": lease.term, "until": lease.until}
