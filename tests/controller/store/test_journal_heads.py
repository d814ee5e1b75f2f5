"""Which journal heads mean a rolled-back disk: never an honest host's, however its messages overtake."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.store import NewHost, Poll, Store, VerifiedReceipt

HOST = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


def sha256(seq, disk=""):
    return hashlib.sha256(f"{disk}{seq}".encode()).hexdigest() if seq else ""


@dataclass
class Line:
    """A host, its polls one after the other, and receipts on a connection of their own."""

    store: Store
    seq: int = 0
    sent: int = 0
    polls: list[int] = field(default_factory=list)
    disk: str = ""

    def grow(self):
        self.seq += 1

    def send(self):
        if self.sent < self.seq:
            self.sent += 1
            self.file(self.sent)

    def file(self, seq):
        digest, before = sha256(seq, self.disk), sha256(seq - 1, self.disk)
        receipt = VerifiedReceipt(HOST, seq, HOST, "00" * 32, digest, before, "done", "", "{}")
        self.store.receipts.file(receipt, now=1)

    def ask(self):
        if not self.polls:  # the next is made when the one before was answered
            self.polls.append(self.seq)

    def arrive(self):
        return self.poll(self.polls.pop()) if self.polls else None

    def poll(self, seq):
        poll = Poll("1", 1, 0, seq, sha256(seq, self.disk), "")
        return self.store.hosts.saw_poll(HOST, poll, now=1)

    @property
    def reason(self):
        return self.store.hosts.get(HOST).quarantine_reason


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """A new host in one store, again and again: making a store is what takes time."""
    store = Store.open(f"sqlite:///{tmp_path_factory.mktemp('heads')}/s.db")

    def renewed():
        for table in ("receipts", "hosts"):
            with store._database.write() as connection:
                connection.exec_driver_sql(f"DELETE FROM {table}")
        with store._database.write() as connection:
            store.hosts._register(connection, NewHost(HOST, "web-01", b"t", b"r", "1"), 1)
        return Line(store)

    yield renewed
    store.close()


MESSAGES = st.lists(st.sampled_from(["grow", "send", "ask", "arrive"]), max_size=30)


@settings(max_examples=150, deadline=None)
@given(messages=MESSAGES)
def test_no_order_of_arrival_makes_an_honest_host_suspect(stores, messages):
    line = stores()
    for message in messages:
        getattr(line, message)()
        assert line.reason == ""


@settings(max_examples=100, deadline=None)
@given(messages=MESSAGES, lost=st.integers(1, 5), is_rewritten=st.booleans())
def test_a_disk_that_was_rolled_back_shows_at_its_second_poll(stores, messages, lost, is_rewritten):
    line = stores()
    for message in [*messages, "grow", "send", "arrive"]:
        getattr(line, message)()
    known = line.sent  # the controller holds at least these receipts
    if is_rewritten:
        line.disk = "another"
        assert line.poll(known).quarantined_at is not None
        return
    back = max(0, known - lost)
    line.poll(back)
    assert line.poll(back).quarantined_at is not None
    assert "rolled back" in line.reason


def test_a_receipt_that_overtakes_a_poll_counts_from_the_next_one_on(stores):
    line = stores()
    line.ask()
    line.grow()
    line.send()
    assert line.arrive().quarantined_at is None
    assert line.store.hosts.get(HOST).journal_seq == 1
    assert line.poll(1).quarantined_at is None
    assert line.poll(0).quarantined_at is not None


def test_a_release_does_not_hide_that_receipts_are_ahead_of_the_journal(stores):
    line = stores()
    line.grow()
    line.send()
    line.poll(1)
    assert line.poll(0).quarantined_at is not None
    line.store.hosts.release("web-01", actor="jo", now=2)
    line.poll(0)
    assert line.poll(0).quarantined_at is not None
