"""Receipts.

Stored only after their signature was verified, one chain per host, a gap never passed over in silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update

from controller.errors import Conflict
from controller.store.schema import actions, hosts, receipts

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from controller.store.database import Database
    from controller.store.entries import Journal

__all__ = ["Filed", "ReceiptForked", "Receipts", "StoredReceipt", "VerifiedReceipt"]


@dataclass(frozen=True)
class VerifiedReceipt:
    """A receipt whose signature held.

    Its place in the host's chain, what it tells, and its envelope as JSON text.

    `sha256` is the SHA-256 hex of its payload, which the next receipt names as `previous_sha256`.
    """

    host_id: str
    seq: int
    action_id: str
    action_sha256: str
    sha256: str
    previous_sha256: str
    outcome: str
    reason: str
    envelope: str


@dataclass(frozen=True)
class StoredReceipt:
    """A receipt as stored; `after_gap` where what came before it is not what we had."""

    host_id: str
    seq: int
    action_id: str
    sha256: str
    envelope: str
    outcome: str
    reason: str
    after_gap: bool
    stored_at: int


@dataclass(frozen=True)
class Filed:
    """What storing a receipt showed: seen before, a gap before it, an action that we never signed.

    The kind if known.
    """

    is_new: bool
    after_gap: bool
    is_foreign: bool
    kind: str


class ReceiptForked(Conflict):
    """The host signed two different receipts under one number: its journal was rolled back or copied."""


class Receipts:
    """The receipts of every host."""

    def __init__(self, database: Database, journal: Journal) -> None:
        self._database = database
        self._journal = journal

    def file(self, receipt: VerifiedReceipt, *, now: int) -> Filed:
        """Store a verified receipt and end its action, in one transaction.

        The same one again changes nothing.

        Raises ReceiptForked where another receipt of that number is stored.
        """
        with self._database.write() as connection:
            known = self._known(connection, receipt)
            if known:
                return known
            after_gap = self._advance(connection, receipt)
            row = {
                "host_id": receipt.host_id,
                "seq": receipt.seq,
                "action_id": receipt.action_id,
                "sha256": receipt.sha256,
                "envelope": receipt.envelope,
                "outcome": receipt.outcome,
                "reason": receipt.reason,
                "after_gap": after_gap,
                "stored_at": now,
            }
            connection.execute(insert(receipts).values(**row))
            kind = _end_action(connection, receipt, now)
            detail = {
                "action_sha256": receipt.action_sha256,
                "after_gap": after_gap,
                "host_id": receipt.host_id,
                "is_foreign": kind is None,
                "outcome": receipt.outcome,
                "reason": receipt.reason,
                "receipt_sha256": receipt.sha256,
                "seq": receipt.seq,
            }
            actor = f"host:{receipt.host_id}"
            self._journal.append(
                connection, at=now, actor=actor, event="receipt", subject=receipt.action_id, detail=detail
            )
        return Filed(is_new=True, after_gap=after_gap, is_foreign=kind is None, kind=kind or "unknown")

    def of_action(self, action_id: str) -> list[StoredReceipt]:
        """The receipts that speak of one action, in order."""
        query = select(receipts).where(receipts.c.action_id == action_id)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(receipts.c.stored_at, receipts.c.seq)).mappings()
            return [StoredReceipt(**row) for row in rows]

    def _known(self, connection: Connection, receipt: VerifiedReceipt) -> Filed | None:
        place = (receipts.c.host_id == receipt.host_id, receipts.c.seq == receipt.seq)
        found = connection.execute(select(receipts.c.sha256).where(*place)).first()
        if found is None:
            return None
        if found.sha256 != receipt.sha256:
            raise ReceiptForked(f"host {receipt.host_id} signed two receipts numbered {receipt.seq}")
        return Filed(is_new=False, after_gap=False, is_foreign=False, kind="")

    def _advance(self, connection: Connection, receipt: VerifiedReceipt) -> bool:
        mine = hosts.c.host_id == receipt.host_id
        host = connection.execute(select(hosts).where(mine)).one()
        if receipt.seq <= host.receipt_seq:  # it fills a gap that was reported when it opened
            return True
        is_next = receipt.seq == host.receipt_seq + 1 and receipt.previous_sha256 == host.receipt_sha256
        gaps = host.receipt_gaps + (not is_next)
        head = {"receipt_seq": receipt.seq, "receipt_sha256": receipt.sha256, "receipt_gaps": gaps}
        connection.execute(update(hosts).where(mine).values(**head))
        return not is_next


def _end_action(connection: Connection, receipt: VerifiedReceipt, now: int) -> str | None:
    same = (
        actions.c.id == receipt.action_id,
        actions.c.host_id == receipt.host_id,
        actions.c.action_sha256 == receipt.action_sha256,
    )
    found = connection.execute(select(actions.c.kind, actions.c.state).where(*same)).first()
    if found is None:
        return None
    # a replay is refused under the id of the action that was done: its receipt must not undo what is known
    if found.state in ("queued", "delivered", "unknown", "expired"):
        ended = {"state": receipt.outcome, "reason": receipt.reason, "finished_at": now}
        connection.execute(update(actions).where(*same).values(**ended))
    return str(found.kind)
