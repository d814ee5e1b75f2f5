"""Slots of power, each carried out at most once, and how long machines have been idle.

    (none) ──► claimed ──► fired | satisfied | skipped | failed        carried out, or not, by a pass
       │          └──► waiting ──► claimed                             a lock: tried again
       └──► satisfied | skipped | held | unknown                       noted by a pass that sends nothing

A slot is claimed before anything is sent for it, so that a controller that was killed in between finds what
it was about to do. Each end is audited.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, func, insert, select, update

from controller.power_values import IdleRecord, SlotName, SlotRecord, SlotState
from controller.store.leases import fence
from controller.store.schema import power_idle, power_slots

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import ColumnElement, Connection, RowMapping

    from controller.store.database import Database
    from controller.store.entries import Journal

__all__ = ["IdleReadings", "PowerSlots"]

_KEPT_SECONDS = 400 * 86_400
"""Slots older than that are forgotten; the audit log keeps them."""


class PowerSlots:
    """The slots of this store."""

    def __init__(self, database: Database, journal: Journal) -> None:
        self._database = database
        self._journal = journal

    def claim(self, name: SlotName, *, term: int, now: int) -> SlotRecord | None:
        """Take a slot before sending anything for it, and say what was known of it before.

        A slot that ended stays as it is: whoever asked sees its state and sends nothing. Raises LeaseLost.
        """
        with self._database.write() as connection:
            fence(connection, term)
            earlier = _find(connection, name)
            taken = SlotRecord(name, SlotState.CLAIMED, claimed_at=now)
            if earlier is None:
                connection.execute(insert(power_slots).values(**_row(taken)))
            elif earlier.state is SlotState.WAITING:
                connection.execute(update(power_slots).where(_is(name)).values(**_row(taken)))
        return earlier

    def sent(self, name: SlotName, upid: str) -> None:
        """Store which task carries a claimed slot out."""
        with self._database.write() as connection:
            connection.execute(update(power_slots).where(_is(name)).values(upid=upid))

    def settle(self, record: SlotRecord, *, actor: str, term: int, now: int) -> bool:
        """Store how far a slot has come; a final state is audited, and stays. Whether anything was new."""
        with self._database.write() as connection:
            fence(connection, term)
            return self._settle(connection, record, actor, now)

    def settle_all(
        self, records: Iterable[SlotRecord], *, actor: str, term: int, now: int
    ) -> list[SlotRecord]:
        """Store what several slots came to, in one transaction; those that were new. Raises LeaseLost."""
        with self._database.write() as connection:
            fence(connection, term)
            told = [record for record in records if self._settle(connection, record, actor, now)]
            connection.execute(delete(power_slots).where(power_slots.c.due_at < now - _KEPT_SECONDS))
        return told

    def newest(self, *, now: int) -> dict[tuple[str, str], SlotRecord]:
        """The newest slot of each machine that was due by `now`, by system and machine.

        What a clock recorded that ran ahead says nothing of the slots before it.
        """
        mine = power_slots.c
        last = (
            select(mine.system, mine.machine, func.max(mine.due_at).label("due_at"))
            .where(mine.due_at <= now)
            .group_by(mine.system, mine.machine)
            .subquery()
        )
        same = and_(
            mine.system == last.c.system, mine.machine == last.c.machine, mine.due_at == last.c.due_at
        )
        with self._database.read() as connection:
            rows = connection.execute(select(power_slots).join(last, same)).mappings()
            records = [_record(row) for row in rows]
        # Of two slots of one instant (a jump of the clocks) the one that is not over counts.
        records.sort(key=lambda record: record.state.is_open)
        return {(record.name.system, record.name.machine): record for record in records}

    def latest(self, machine: str, limit: int) -> list[SlotRecord]:
        """The newest `limit` slots of a machine, newest first; "" for all machines."""
        query = select(power_slots).order_by(power_slots.c.due_at.desc()).limit(limit)
        if machine:
            query = query.where(power_slots.c.machine == machine)
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(query).mappings()]

    def _settle(self, connection: Connection, record: SlotRecord, actor: str, now: int) -> bool:
        earlier = _find(connection, record.name)
        if earlier is not None and not earlier.state.is_open:
            return False
        is_final = not record.state.is_open
        upid = record.upid or (earlier.upid if earlier else "")
        claimed_at = earlier.claimed_at if earlier else None
        stored = replace(record, upid=upid, claimed_at=claimed_at, ended_at=now if is_final else None)
        if earlier is None:
            connection.execute(insert(power_slots).values(**_row(stored)))
        else:
            connection.execute(update(power_slots).where(_is(record.name)).values(**_row(stored)))
        if is_final:
            self._append(connection, stored, actor, now)
        return True

    def _append(self, connection: Connection, record: SlotRecord, actor: str, now: int) -> None:
        name = record.name
        detail: dict[str, object] = {
            "due_at": name.due_at,
            "kind": name.kind,
            "reason": record.reason,
            "result": str(record.state),
            "task": record.upid,
        }
        subject = f"{name.system} {name.machine}"
        self._journal.append(
            connection, at=now, actor=actor, event="power.slot", subject=subject, detail=detail
        )


class IdleReadings:
    """What the last pass saw of the use of machines with `idle_shutdown`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, readings: Sequence[IdleRecord], *, term: int) -> None:
        """Put these in the place of the earlier readings of the same machines. Raises LeaseLost."""
        mine = power_idle.c
        with self._database.write() as connection:
            fence(connection, term)
            for system in {reading.system for reading in readings}:
                names = [reading.machine for reading in readings if reading.system == system]
                connection.execute(delete(power_idle).where(mine.system == system, mine.machine.in_(names)))
            if readings:
                connection.execute(insert(power_idle), [vars(reading) for reading in readings])

    def all(self) -> dict[tuple[str, str], IdleRecord]:
        """The readings, by system and machine."""
        with self._database.read() as connection:
            rows = [IdleRecord(**row) for row in connection.execute(select(power_idle)).mappings()]
        return {(row.system, row.machine): row for row in rows}


def _is(name: SlotName) -> ColumnElement[bool]:
    mine = power_slots.c
    return and_(
        mine.system == name.system,
        mine.machine == name.machine,
        mine.due_at == name.due_at,
        mine.kind == name.kind,
    )


def _find(connection: Connection, name: SlotName) -> SlotRecord | None:
    row = connection.execute(select(power_slots).where(_is(name))).mappings().first()
    return None if row is None else _record(row)


def _row(record: SlotRecord) -> dict[str, Any]:
    return {
        **vars(record.name),
        "state": str(record.state),
        "reason": record.reason,
        "claimed_at": record.claimed_at,
        "ended_at": record.ended_at,
        "upid": record.upid,
    }


def _record(row: RowMapping) -> SlotRecord:
    return SlotRecord(
        SlotName(row["system"], row["machine"], row["kind"], row["due_at"]),
        SlotState(row["state"]),
        row["reason"],
        row["claimed_at"],
        row["ended_at"],
        row["upid"],
    )
