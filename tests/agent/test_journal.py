"""The journal: what it remembers survives, what was altered is noticed, what is pruned stays refused."""

import shutil
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import JournalError
from agent.journal import Journal, Started

HOST = "01HOST"


def started(number: int, *, issued_at: int = 1000, expires_at: int = 1600, resource: str = "host") -> Started:
    return Started(
        id=f"id{number}",
        action_sha256=f"{number:064x}",
        kind="host.ping",
        resource=resource,
        seq=number,
        issued_at=issued_at,
        expires_at=expires_at,
        started_at=issued_at,
        trust_version=1,
        limits_sha256="0" * 64,
    )


def receipt(journal: Journal, number: int) -> int:
    return journal.receipt(
        action_sha256=f"{number:064x}", reason="", envelope=b"{}%d" % number, payload_sha256=f"{number:064x}"
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def test_what_was_started_is_unfinished_until_its_receipt(path: Path) -> None:
    journal = Journal.create(path, HOST)
    journal.start(started(1))
    journal.close()
    journal = Journal.open(path, HOST)
    assert [one.id for one in journal.memory.unfinished.values()] == ["id1"]
    assert receipt(journal, 1) == 1
    journal.close()
    journal = Journal.open(path, HOST)
    assert journal.memory.unfinished == {}
    assert journal.memory.seen == {"id1": 1600}
    assert journal.receipt_seq == 1
    journal.close()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("start"), st.integers(1, 40), st.integers(1000, 5000)),
        st.tuples(st.just("receipt"), st.integers(1, 40), st.just(0)),
        st.tuples(st.just("trust"), st.integers(1, 9), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=15, deadline=None)
@given(STEPS)
def test_reading_it_again_gives_the_same_state(steps: list[tuple[str, int, int]]) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        journal = Journal.create(folder / "j", HOST)
        for verb, number, issued_at in steps:
            match verb:
                case "start":
                    journal.start(started(number, issued_at=issued_at, expires_at=issued_at + 600))
                case "receipt":
                    receipt(journal, number)
                case _:
                    journal.trusted(trust_version=number, approvers_version=0)
        memory, head = msgspec.json.encode(journal.memory, order="sorted"), journal.head
        journal.close()
        again = Journal.open(folder / "j", HOST)
        assert (msgspec.json.encode(again.memory, order="sorted"), again.head) == (memory, head)
        again.close()
    finally:
        shutil.rmtree(folder)


def test_any_altered_entry_is_noticed(path: Path) -> None:
    journal = Journal.create(path, HOST)
    for number in range(1, 6):
        journal.start(started(number))
        receipt(journal, number)
    journal.close()
    content = path.read_bytes()
    places = [index for index in range(len(content)) if content.startswith((b"started_at", b"{}3"), index)]
    assert places
    for place in places:
        path.write_bytes(content[:place] + b"X" + content[place + 1 :])
        with pytest.raises(JournalError, match="damaged"):
            Journal.open(path, HOST)


def test_the_journal_of_another_host_is_refused(path: Path) -> None:
    Journal.create(path, HOST).close()
    with pytest.raises(JournalError, match="belongs to host"):
        Journal.open(path, "01OTHER")


def test_a_journal_is_never_made_twice(path: Path) -> None:
    Journal.create(path, HOST).close()
    with pytest.raises(JournalError):
        Journal.create(path, HOST)


def test_a_nonce_is_pruned_only_behind_the_high_water_mark_and_the_floor_rises(path: Path) -> None:
    journal = Journal.create(path, HOST)
    for number in range(1, 81):
        journal.start(started(number, issued_at=1000, expires_at=1600))
    journal.start(started(81, issued_at=1690, expires_at=2290))
    assert len(journal.memory.seen) == 81, "1600 + 90 is not behind 1690"
    journal.start(started(82, issued_at=1691, expires_at=2291))
    assert sorted(journal.memory.seen) == ["id81", "id82"]
    assert journal.memory.floor == 1690
    assert journal.memory.last_seq == {"host": 82}
    journal.close()
    journal = Journal.open(path, HOST)
    assert journal.memory.floor == 1690
    journal.close()


def test_old_entries_become_a_snapshot_and_the_chain_goes_on(path: Path) -> None:
    Journal.create(path, HOST).close()
    journal = Journal.open(path, HOST, compact_after=10)
    for number in range(1, 31):
        journal.start(started(number))
        receipt(journal, number)
    memory, head = msgspec.json.encode(journal.memory, order="sorted"), journal.head
    journal.close()
    again = Journal.open(path, HOST)
    assert (msgspec.json.encode(again.memory, order="sorted"), again.head) == (memory, head)
    assert again.head.seq > 60
    assert len(again.receipts(0, 1 << 20)) == 30
    again.close()


def test_receipts_come_in_order_and_in_portions(path: Path) -> None:
    journal = Journal.create(path, HOST)
    for number in range(1, 8):
        receipt(journal, number)
    assert [one.seq for one in journal.receipts(2, 1 << 20)] == [3, 4, 5, 6, 7]
    assert [one.seq for one in journal.receipts(2, 1)] == [3]
    assert journal.receipts(7, 1) == []
    assert journal.find(f"{3:064x}", "") == journal.last_of(f"{3:064x}")
    journal.close()
