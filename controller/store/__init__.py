"""What the controller remembers: the lease, passes, hosts, actions, receipts, overrides, power, the audit.

Synchronous and safe to call from several threads; a service on an event loop calls it through a thread.
Every change to it and the audit entry that tells of it are one transaction. No decision is made here.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from controller.store.actions import Actions, SignedAction, StoredAction
from controller.store.commits import Commits
from controller.store.database import Database, StoreError
from controller.store.entries import AuditLog, Journal
from controller.store.hosts import EnrolmentRefused, Host, Hosts, NewHost, NoSuchHost, Poll
from controller.store.leases import Lease, LeaseHeld, LeaseLost, Leases
from controller.store.overrides import Overrides, StoredOverride
from controller.store.power import IdleReadings, PowerSlots
from controller.store.receipts import Filed, ReceiptForked, Receipts, StoredReceipt, VerifiedReceipt
from controller.store.runs import Outcomes, Run, Runs, StoredOutcome

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "EnrolmentRefused",
    "Filed",
    "Host",
    "Lease",
    "LeaseHeld",
    "LeaseLost",
    "NewHost",
    "NoSuchHost",
    "Poll",
    "ReceiptForked",
    "Run",
    "SignedAction",
    "Store",
    "StoreError",
    "StoredAction",
    "StoredOutcome",
    "StoredOverride",
    "StoredReceipt",
    "VerifiedReceipt",
]


class Store:
    """One database, seen part by part; each part is one table or two."""

    def __init__(self, database: Database, *, chain: str, clock: Callable[[], float]) -> None:
        def now() -> int:
            return int(clock())

        journal = Journal(chain)
        self._database = database
        self.lease = Leases(database)
        self.runs = Runs(database, journal, now)
        self.outcomes = Outcomes(database, journal, now)
        self.audit = AuditLog(database, journal)
        self.hosts = Hosts(database, journal)
        self.actions = Actions(database, journal)
        self.receipts = Receipts(database, journal)
        self.commits = Commits(database, journal)
        self.overrides = Overrides(database, journal)
        self.power_slots = PowerSlots(database, journal)
        self.idle_readings = IdleReadings(database)

    @classmethod
    def open(cls, url: str, *, chain: str = "steward", clock: Callable[[], float] = time.time) -> Store:
        """Open the store at an SQLAlchemy URL, building or upgrading its schema only where it is older.

        `chain` names the audit chain that this controller writes (its instance name). Raises StoreError.
        """
        return cls(Database.open(url), chain=chain, clock=clock)

    def close(self) -> None:
        """Close every connection."""
        self._database.close()
