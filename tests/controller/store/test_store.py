"""The store on a real SQLite file: schema, lease, outcomes, and what one transaction promises."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from dataclasses import dataclass

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from controller import audit
from controller.errors import ControllerError
from controller.store import LeaseHeld, LeaseLost, Store, StoreError
from controller.store.schema import METADATA

RUN = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
TTL = 15


@dataclass(frozen=True)
class Change:
    key: str
    operation: str = "create"
    system: str = "keycloak"
    section: str = "users"


@dataclass(frozen=True)
class Outcome:
    change: Change
    result: str = "applied"
    reason: str = ""


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/steward.db"


@pytest.fixture
def store(url):
    opened = Store.open(url, chain="test", clock=lambda: 1000.0)
    yield opened
    opened.close()


def run_of(store, *, term=0, run_id=RUN):
    return store.runs.start(run_id, kind="apply", actor="jo", term=term)


def test_migrations_build_the_tables_that_the_code_describes(store, url):
    engine = create_engine(url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    engine.dispose()


def test_opening_again_keeps_what_is_there(store, url):
    run_of(store)
    again = Store.open(url, chain="test")
    assert [run.id for run in again.runs.latest(5)] == [RUN]
    again.close()


def test_a_second_opening_in_one_process_leaves_the_first_its_locks(store, url, tmp_path):
    """Else a process that comes and goes takes the journal for its own, and what is written next is lost."""
    run_of(store)
    Store.open(url, chain="test").close()
    journal = tmp_path / "steward.db-wal"
    before = journal.stat().st_ino
    come_and_go = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM runs'); c.close()"
    )
    subprocess.run([sys.executable, "-c", come_and_go, str(tmp_path / "steward.db")], check=True)
    assert journal.stat().st_ino == before


def test_a_newer_schema_is_refused(store, url, tmp_path):
    with sqlite3.connect(tmp_path / "steward.db") as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.close()
    with pytest.raises(StoreError, match="does not know"):
        Store.open(url)


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "x.db").write_bytes(b"not a database" * 100)
    with pytest.raises(StoreError, match="cannot be used"):
        Store.open(f"sqlite:///{tmp_path}/x.db")


def test_every_commit_is_on_disk_before_it_returns(store):
    with store._database.write() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_the_lease_is_refused_with_holder_and_end(store):
    first = store.lease.acquire("serve@a:1", TTL, 1000)
    with pytest.raises(LeaseHeld) as refused:
        store.lease.acquire("apply@b:2", TTL, 1014)
    assert (refused.value.holder, refused.value.until, refused.value.exit_code) == ("serve@a:1", 1015, 3)
    second = store.lease.acquire("apply@b:2", TTL, 1015)
    assert (first.term, second.term) == (1, 2)
    with pytest.raises(LeaseLost):
        store.lease.renew(first, TTL, 1016)


def test_a_lease_that_ended_is_not_renewed_and_its_release_is_no_release(store):
    lease = store.lease.acquire("a", TTL, 1000)
    with pytest.raises(LeaseLost):
        store.lease.renew(lease, TTL, 1015)
    store.lease.release(lease, 1015)
    assert store.lease.current().until == 1015
    held = store.lease.acquire("a", TTL, 1020)
    store.lease.release(held, 1021)
    assert store.lease.current().until == 0


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from("abc"), st.sampled_from(["acquire", "renew", "release"]), st.integers(0, 20)
        ),
        max_size=30,
    )
)
def test_never_two_holders_and_terms_only_grow(steps, tmp_path_factory):
    store = Store.open(f"sqlite:///{tmp_path_factory.mktemp('lease')}/s.db")
    now, believes, terms = 1000, {}, []
    for who, verb, pause in steps:
        now += pause
        try:
            if verb == "acquire":
                believes[who] = store.lease.acquire(who, TTL, now)
                terms.append(believes[who].term)
            elif who in believes and verb == "renew":
                believes[who] = store.lease.renew(believes[who], TTL, now)
            elif who in believes:
                store.lease.release(believes.pop(who), now)
        except (LeaseHeld, LeaseLost):
            pass
        assert sum(lease.until > now for lease in believes.values()) <= 1
    assert terms == sorted(set(terms))
    store.close()


def test_an_overtaken_holder_cannot_write(store):
    old = store.lease.acquire("a", TTL, 1000)
    run = run_of(store, term=old.term)
    store.lease.acquire("b", TTL, 1015)
    with pytest.raises(LeaseLost):
        store.outcomes.record(run, Outcome(Change("jo")))
    assert store.outcomes.of_run(RUN) == []
    with pytest.raises(LeaseLost):
        run_of(store, term=old.term, run_id=RUN[:-1] + "W")


@pytest.mark.parametrize(
    ("ended", "owned"),
    [
        pytest.param([("create", "applied")], True, id="created"),
        pytest.param([("update", "applied")], True, id="adopted-or-updated"),
        pytest.param([("create", "unknown")], True, id="created-without-an-answer"),
        pytest.param([("create", "failed")], False, id="not-created"),
        pytest.param([("create", "conflict")], False, id="was-there-already"),
        pytest.param([("create", "applied"), ("delete", "applied")], False, id="deleted"),
        pytest.param([("create", "applied"), ("delete", "failed")], True, id="not-deleted"),
        pytest.param(
            [("create", "applied"), ("delete", "applied"), ("create", "applied")], True, id="made-again"
        ),
    ],
)
def test_what_is_ours_by_our_own_record(store, ended, owned):
    run = run_of(store)
    for operation, result in ended:
        store.outcomes.record(run, Outcome(Change("jo", operation), result))
    assert ("jo" in store.outcomes.owned_names("keycloak", "users")) is owned
    assert store.outcomes.owned_names("par1", "users") == {}


def test_outcomes_and_their_audit_entries_are_one_transaction(store):
    run = run_of(store)
    store.outcomes.record_all(run, [Outcome(Change("a")), Outcome(Change("b"), "failed", "409")])
    entries = list(store.audit.walk("test"))
    assert [(entry.event, entry.subject) for entry in entries] == [
        ("run.started", RUN),
        ("change", "keycloak users a"),
        ("change", "keycloak users b"),
    ]
    broken = Outcome(Change("c"), reason="\ud800")  # no canonical JSON: the entry cannot be written
    with pytest.raises(Exception, match="surrogate"):
        store.outcomes.record(run, broken)
    assert len(store.outcomes.of_run(RUN)) == 2
    assert audit.verify("test", store.audit.walk("test")).finding is None


def test_a_pass_that_broke_off_is_told_once(store):
    run_of(store)
    store.runs.break_off(RUN, detail="killed")
    store.runs.break_off(RUN, detail="again")
    store.runs.break_off("unknown", detail="never began")
    assert [(run.result, run.detail) for run in store.runs.latest(5)] == [("failed", "killed")]


def test_accepting_a_commit_holds_until_the_next_is_applied(store):
    commits = store.commits
    assert commits.last_applied() == ""
    commits.record("aa", kind="applied", actor="controller", now=1)
    commits.record("bb", kind="accepted", actor="jo", now=2)
    assert commits.last_applied() == "aa"
    assert commits.is_accepted("bb")
    assert not commits.is_accepted("cc")
    commits.record("dd", kind="applied", actor="controller", now=3)
    assert not commits.is_accepted("bb")


def test_a_token_lives_at_most_a_day(store):
    with pytest.raises(ControllerError, match="86400"):
        store.hosts.allow("00" * 32, name="web", created_by="jo", now=0, ttl_seconds=86_401)
