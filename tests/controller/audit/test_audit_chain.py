"""The audit log: any change, removal or reordering made by hand in the database is found, and placed."""

from __future__ import annotations

import shutil
import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller import audit
from controller.audit import Checkpoint
from controller.cli.audit import _sound
from controller.errors import Refused
from controller.signing import checkpoint_envelope, opened_checkpoint
from controller.store import Store
from protocol import canonical, dsse
from protocol.keys import SigningKey

COUNT = 12
COLUMNS = ("at", "actor", "event", "subject", "detail", "previous_sha256", "sha256")


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("audit") / "s.db"
    store = Store.open(f"sqlite:///{path}", chain="demo")
    for number in range(COUNT):
        detail = {"n": number, "text": "é\n"}
        store.audit.append(at=1000 + number, actor="jo", event="test", subject=f"s{number}", detail=detail)
    store.close()
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()
    return path


def proof(path, points=()):
    store = Store.open(f"sqlite:///{path}", chain="demo")
    found = audit.verify("demo", store.audit.walk("demo"), points)
    store.close()
    return found


def tampered(original, tmp_path_factory, *statements):
    path = tmp_path_factory.mktemp("tampered") / "s.db"
    shutil.copy(original, path)
    with sqlite3.connect(path) as raw:
        for statement, values in statements:
            raw.execute(statement, values)
    raw.close()
    return path


def head_of(original):
    store = Store.open(f"sqlite:///{original}", chain="demo")
    head = store.audit.head()
    store.close()
    return head


def test_an_untouched_log_is_whole(original):
    found = proof(original, [head_of(original)])
    assert (found.count, found.finding, found.proven_to) == (COUNT, None, COUNT)
    assert proof(original).proven_to == 0


@settings(max_examples=40, deadline=None)
@given(
    seq=st.integers(1, COUNT),
    column=st.sampled_from(COLUMNS),
    value=st.one_of(st.text(max_size=8).filter(lambda text: "\x00" not in text), st.integers(0, 10**6)),
)
def test_any_changed_value_is_found_at_its_entry(original, tmp_path_factory, seq, column, value):
    with sqlite3.connect(original) as raw:
        before = raw.execute(f"SELECT {column} FROM audit_entries WHERE seq = ?", (seq,)).fetchone()[0]
    raw.close()
    changed = value if column == "at" and isinstance(value, int) else f"{value}"
    if column == "at" and not isinstance(value, int):
        changed = before + 1
    statement = (f"UPDATE audit_entries SET {column} = ? WHERE seq = ?", (changed, seq))
    found = proof(tampered(original, tmp_path_factory, statement))
    if changed == before:
        assert found.finding is None
    else:
        assert found.finding.seq == seq


@settings(max_examples=15, deadline=None)
@given(seq=st.integers(1, COUNT - 1))
def test_a_removed_entry_is_found_where_it_was(original, tmp_path_factory, seq):
    found = proof(tampered(original, tmp_path_factory, ("DELETE FROM audit_entries WHERE seq = ?", (seq,))))
    assert (found.finding.seq, found.count) == (seq, seq - 1)


@settings(max_examples=15, deadline=None)
@given(pair=st.lists(st.integers(1, COUNT), min_size=2, max_size=2, unique=True))
def test_two_entries_that_changed_places_are_found(original, tmp_path_factory, pair):
    first, second = sorted(pair)
    swap = "UPDATE audit_entries SET seq = ? WHERE seq = ?"
    path = tampered(
        original, tmp_path_factory, (swap, (0, first)), (swap, (first, second)), (swap, (second, 0))
    )
    assert proof(path).finding.seq == first


@settings(max_examples=10, deadline=None)
@given(kept=st.integers(0, COUNT - 1))
def test_a_cut_tail_shows_by_a_checkpoint_alone(original, tmp_path_factory, kept):
    path = tampered(original, tmp_path_factory, ("DELETE FROM audit_entries WHERE seq > ?", (kept,)))
    assert proof(path).finding is None
    found = proof(path, [head_of(original)])
    assert found.finding.seq == kept + 1
    assert str(COUNT) in found.finding.what


def test_a_log_that_was_written_anew_shows_by_a_checkpoint_alone(original, tmp_path):
    store = Store.open(f"sqlite:///{tmp_path}/s.db", chain="demo")
    for number in range(COUNT):
        store.audit.append(at=1, actor="jo", event="test", subject=f"other{number}")
    store.close()
    assert proof(tmp_path / "s.db").finding is None
    found = proof(tmp_path / "s.db", [head_of(original)])
    assert found.finding.seq == COUNT
    assert "rewritten" in found.finding.what


def test_two_checkpoints_that_contradict_each_other_are_found_in_any_order(original):
    """Whoever took the audit key signed a log of their own; an agent still keeps the honest checkpoint."""
    forged = head_of(original)
    honest = Checkpoint("demo", forged.seq, "ab" * 32)
    for points in ([honest, forged], [forged, honest]):
        found = proof(original, points)
        assert (found.finding.seq, "rewritten" in found.finding.what) == (COUNT, True)


@pytest.mark.parametrize("value", [1.5, 2**60, None, b"\x00\xff"])
def test_a_value_of_another_type_is_a_change_and_no_crash(original, tmp_path_factory, value):
    path = tmp_path_factory.mktemp("loose") / "s.db"
    shutil.copy(original, path)
    with sqlite3.connect(path) as raw:
        raw.execute("CREATE TABLE loose AS SELECT * FROM audit_entries")
        raw.execute("DROP TABLE audit_entries")
        raw.execute("ALTER TABLE loose RENAME TO audit_entries")
        raw.execute("UPDATE audit_entries SET at = ? WHERE seq = 3", (value,))
    raw.close()
    found = proof(path)
    assert (found.finding.seq, found.count) == (3, 2)


def test_a_log_that_was_emptied_is_no_sound_log(original, tmp_path_factory):
    path = tampered(original, tmp_path_factory, ("DELETE FROM audit_entries WHERE seq > ?", (0,)))
    found = proof(path)
    assert (found.count, found.finding) == (0, None)
    assert "no entries" in _sound(found)
    assert proof(path, [head_of(original)]).finding.seq == 1


@pytest.mark.parametrize(
    ("count", "proven", "said"),
    [
        pytest.param(5, 0, "none is signed yet", id="unsigned"),
        pytest.param(5, 3, "signed up to entry 3", id="signed-in-part"),
        pytest.param(5, 5, "signed to the last", id="signed"),
    ],
)
def test_people_are_told_what_is_proven(count, proven, said):
    assert said in _sound(audit.Verified(count, "ab" * 32, None, proven))


def test_another_chains_checkpoint_proves_nothing_here(original):
    assert proof(original, [Checkpoint("other", 99, "00" * 32)]).finding is None


KEY = SigningKey.generate(bytes(range(32)))
OTHER = SigningKey.generate(bytes(32))
POINT = Checkpoint("demo", 7, "ab" * 32)


def test_a_checkpoint_is_read_back_under_the_audit_key():
    assert opened_checkpoint(checkpoint_envelope(POINT, KEY, at=5).encode(), KEY.public) == [POINT]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(checkpoint_envelope(POINT, OTHER, at=5), id="another-key"),
        pytest.param(
            dsse.sign(canonical.encode({"at": 5, "chains": []}), dsse.ACTION, [KEY]).encode().decode(),
            id="another-type",
        ),
        pytest.param(
            dsse.sign(canonical.encode({"at": 5}), dsse.CHECKPOINT, [KEY]).encode().decode(),
            id="a-field-lacks",
        ),
        pytest.param(checkpoint_envelope(POINT, KEY, at=5)[:-9], id="truncated"),
        pytest.param("", id="empty"),
    ],
)
def test_what_is_no_checkpoint_of_ours_is_refused(text):
    with pytest.raises(Refused):
        opened_checkpoint(text.encode(), KEY.public)
