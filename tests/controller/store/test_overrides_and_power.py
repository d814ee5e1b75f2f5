"""Overrides that end, slots that are carried out at most once, and the audit entries that tell of both."""

from __future__ import annotations

import json
import sqlite3

import pytest

from controller.errors import NotThere, Refused
from controller.power_values import IdleRecord, SlotName, SlotRecord, SlotState
from controller.store import LeaseLost, Store
from controller.store.overrides import MAX_SECONDS

NOW = 1_000_000
SLOT = SlotName("proxmox:par1", "web-01", "stop", NOW)
LATER = SlotName("proxmox:par1", "web-01", "start", NOW + 3600)


@pytest.fixture
def store(tmp_path):
    opened = Store.open(f"sqlite:///{tmp_path}/steward.db", chain="test", clock=lambda: float(NOW))
    yield opened
    opened.close()


def suspend(store, name="jo", *, until=NOW + 60, now=NOW, reason="lost laptop"):
    return store.overrides.begin(
        "user", name, state="", until=until, actor="local:ann", reason=reason, now=now
    )


def audited(store, event):
    return [
        (one.actor, one.subject, json.loads(one.detail))
        for one in store.audit.latest(50)
        if one.event == event
    ]


def test_an_override_is_in_force_until_its_end_and_history_afterwards(store):
    suspend(store)
    assert [one.name for one in store.overrides.in_force(NOW + 59)] == ["jo"]
    assert store.overrides.in_force(NOW + 60) == []
    assert [one.name for one in store.overrides.latest(5)] == ["jo"]
    assert audited(store, "override.begun") == [
        ("local:ann", "user jo", {"reason": "lost laptop", "state": "", "until": NOW + 60})
    ]


def test_a_new_override_takes_the_place_of_the_one_in_force(store):
    suspend(store)
    suspend(store, until=NOW + 600)
    assert [one.until for one in store.overrides.in_force(NOW)] == [NOW + 600]
    assert [one.ended_by for one in store.overrides.latest(5)] == ["", "local:ann"]


def test_an_override_is_ended_once(store):
    suspend(store)
    assert store.overrides.end("user", "jo", actor="local:bo", now=NOW + 1).name == "jo"
    assert store.overrides.in_force(NOW + 1) == []
    with pytest.raises(NotThere, match="no override of the user 'jo' is in force"):
        store.overrides.end("user", "jo", actor="local:bo", now=NOW + 2)
    with pytest.raises(NotThere):
        store.overrides.end("machine", "jo", actor="local:bo", now=NOW + 2)
    assert [actor for actor, _, _ in audited(store, "override.ended")] == ["local:bo"]


@pytest.mark.parametrize(
    ("details", "why"),
    [
        ({"until": NOW}, "in the future"),
        ({"until": NOW - 1}, "in the future"),
        ({"until": NOW + MAX_SECONDS + 1}, "thirty days"),
        ({"reason": "x" * 501}, "one line"),
        ({"reason": "a\nb"}, "one line"),
    ],
)
def test_an_override_that_may_not_be_is_refused_and_nothing_is_stored(store, details, why):
    with pytest.raises(Refused, match=why):
        suspend(store, **details)
    assert store.overrides.latest(5) == []
    assert audited(store, "override.begun") == []


def claim(store, slot=SLOT, *, term=0, now=NOW):
    return store.power_slots.claim(slot, term=term, now=now)


def settle(store, state, slot=SLOT, *, term=0, reason="because"):
    record = SlotRecord(slot, state, reason)
    return store.power_slots.settle(record, actor="controller", term=term, now=NOW + 5)


def test_a_slot_is_claimed_sent_and_ended_once(store):
    assert claim(store) is None
    store.power_slots.sent(SLOT, "UPID:pve1:1:")
    assert settle(store, SlotState.FIRED)
    assert not settle(store, SlotState.FAILED)
    again = claim(store, now=NOW + 9)
    assert again == SlotRecord(SLOT, SlotState.FIRED, "because", NOW, NOW + 5, "UPID:pve1:1:")
    assert [detail["result"] for _, _, detail in audited(store, "power.slot")] == ["fired"]


def test_whoever_claims_a_claimed_slot_hears_when_and_with_which_task(store):
    claim(store)
    store.power_slots.sent(SLOT, "UPID:pve1:1:")
    again = claim(store, now=NOW + 70)
    assert again == SlotRecord(SLOT, SlotState.CLAIMED, claimed_at=NOW, upid="UPID:pve1:1:")
    assert claim(store, now=NOW + 80).claimed_at == NOW


def test_a_waiting_slot_is_taken_anew_and_waiting_is_not_audited(store):
    claim(store)
    assert settle(store, SlotState.WAITING, reason="VM is locked (backup)")
    assert claim(store, now=NOW + 60).state is SlotState.WAITING
    assert claim(store, now=NOW + 61).claimed_at == NOW + 60
    assert audited(store, "power.slot") == []


def test_the_newest_slot_of_each_machine_is_known(store):
    settle(store, SlotState.FIRED)
    settle(store, SlotState.SKIPPED, LATER)
    other = SlotName("proxmox:lyon", "web-01", "stop", NOW)
    told = store.power_slots.settle_all(
        [SlotRecord(other, SlotState.HELD), SlotRecord(LATER, SlotState.FIRED)], actor="c", term=0, now=NOW
    )
    assert [record.name for record in told] == [other]
    newest = store.power_slots.newest(now=LATER.due_at)
    assert {key: (one.name.kind, one.state) for key, one in newest.items()} == {
        ("proxmox:par1", "web-01"): ("start", SlotState.SKIPPED),
        ("proxmox:lyon", "web-01"): ("stop", SlotState.HELD),
    }
    assert [one.name.kind for one in store.power_slots.latest("web-01", 5)] == ["start", "stop", "stop"]


def test_an_overtaken_controller_claims_and_settles_nothing(store):
    lease = store.lease.acquire("one", 15, NOW)
    store.lease.acquire("two", 15, NOW + 20)
    with pytest.raises(LeaseLost):
        claim(store, term=lease.term)
    with pytest.raises(LeaseLost):
        settle(store, SlotState.FIRED, term=lease.term)
    assert store.power_slots.newest(now=LATER.due_at) == {}


def test_readings_take_the_place_of_earlier_ones_of_the_same_machine(store):
    def reading(machine, **details):
        values = {"vmid": 101, "seen_at": NOW, "uptime_seconds": 9, "net_bytes": 2**40, "idle_since": None}
        return IdleRecord("proxmox:par1", machine, **{**values, **details})

    store.idle_readings.keep([reading("a"), reading("b")], term=0)
    store.idle_readings.keep([reading("a", idle_since=NOW)], term=0)
    store.idle_readings.keep([], term=0)
    kept = store.idle_readings.all()
    assert [(name, one.idle_since) for (_, name), one in sorted(kept.items())] == [("a", NOW), ("b", None)]
    assert kept["proxmox:par1", "b"].net_bytes == 2**40


def test_a_store_of_the_first_schema_is_brought_up_to_date(tmp_path):
    path = tmp_path / "old.db"
    Store.open(f"sqlite:///{path}").close()
    with sqlite3.connect(path) as raw:
        for table in ("overrides", "power_slots", "power_idle"):
            raw.execute(f"DROP TABLE {table}")
        raw.execute("ALTER TABLE runs DROP COLUMN owner")
        raw.execute("UPDATE alembic_version SET version_num = '0001'")
    raw.close()
    upgraded = Store.open(f"sqlite:///{path}")
    assert upgraded.overrides.latest(1) == []
    assert upgraded.power_slots.newest(now=LATER.due_at) == {}
    upgraded.close()
