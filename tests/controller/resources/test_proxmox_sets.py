"""What machines and sets say of one guest: matching, expectations, precedence, disagreement."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.policy import PolicyErrors, parse
from controller.proxmox_values import ProxmoxGuest
from controller.resources.proxmox_machines import Fleet, machines_with_sets
from controller.resources.resource import Context

CONTEXT = Context("proxmox:par1", "prod", "keycloak", datetime(2026, 11, 20, tzinfo=UTC))
HEAD = """\
version: 1
owner: prod
roles: {viewer: {proxmox: [VM.Audit]}, power: {proxmox: [VM.PowerMgmt]}}
users: {ada: {}, bo: {}}
teams: {ops: {}}
backups: {nightly: {repository: r, paths: [/etc]}, weekly: {repository: r, paths: [/etc]}}
repositories: {r: {url: "s3:https://s3.example.org/b", password: {host_file: /run/restic}}}
schedules:
  office: {time_zone: Europe/Paris, stop: {days: mon-fri, at: "20:00"}}
  night: {time_zone: Europe/Paris, stop: {days: mon-fri, at: "23:00"}}
"""
LAB = tuple(
    ProxmoxGuest(
        vmid, "qemu", "pve1", "running", f"lab-{vmid}", tags=("lab", "gpu") if vmid == 201 else ("lab",)
    )
    for vmid in (200, 201, 202)
)
WEB = ProxmoxGuest(101, "qemu", "pve1", "running", "web-01", tags=("prod",))
IMAGE = ProxmoxGuest(900, "qemu", "pve1", "stopped", "lab-image", tags=("lab",), is_template=True)
GUESTS = (WEB, *LAB, IMAGE)


def fleet(text: str, guests: tuple[ProxmoxGuest, ...] = GUESTS) -> Fleet:
    return machines_with_sets(parse({"policy.yaml": (HEAD + text).encode()}, ""), guests, CONTEXT)


MATCHING = [
    pytest.param("{tags: [lab]}", {200, 201, 202}, id="tag"),
    pytest.param("{tags: [lab, gpu]}", {201}, id="all tags"),
    pytest.param("{tags: [LAB]}", {200, 201, 202}, id="tags are lower case on Proxmox"),
    pytest.param('{name: "lab-*"}', {200, 201, 202}, id="name, and no template"),
    pytest.param('{name: "lab-20[01]", tags: [gpu]}', {201}, id="both"),
    pytest.param('{name: "LAB-*"}', set(), id="names keep their case"),
    pytest.param("{cluster: par1}", {101, 200, 201, 202}, id="cluster"),
    pytest.param("{cluster: lon1}", set(), id="another cluster"),
    pytest.param("{tags: [absent]}", set(), id="nothing"),
]


@pytest.mark.parametrize(("match", "vmids"), MATCHING)
def test_a_set_holds_the_guests_that_meet_every_condition(match, vmids):
    found = fleet(f"machine_sets: {{s: {{match: {match}, assigned: {{users: {{ada: viewer}}}}}}}}\n")
    assert set(found.machines) == vmids
    assert all(one.sets == ("s",) for one in found.machines.values())


def test_what_a_machine_says_itself_wins_and_the_rest_unites():
    found = fleet("""\
machines:
  box: {vmid: 200, assigned: {users: {ada: power}}, power: {state: running}, backup: weekly}
machine_sets:
  lab:
    match: {tags: [lab]}
    assigned: {users: {ada: viewer, bo: viewer}, teams: {ops: viewer}}
    power: {schedule: office, idle_shutdown: 2h, stop: {timeout: 5m}}
    backup: nightly
""")
    box, other = found.machines[200], found.machines[201]
    assert box.name == "box"
    assert {(one.kind, one.name, one.role, one.by) for one in box.grants} == {
        ("user", "ada", "power", ""),
        ("user", "bo", "viewer", "lab"),
        ("group", "ops", "viewer", "lab"),
    }
    assert (box.power.state, box.power.schedule) == ("running", None)
    assert box.power.idle_shutdown == timedelta(hours=2)
    assert box.power.stop.timeout == timedelta(minutes=5)
    assert (box.backup, other.backup) == ("weekly", "nightly")
    assert (other.power.state, other.power.schedule) == (None, "office")
    assert str(box.places["power", "when"].source) == "policy.yaml:12:68"
    assert box.places["power", "idle_shutdown"].by == "lab"


DISAGREEMENTS = [
    pytest.param("assigned: {users: {ada: viewer}}", "assigned: {users: {ada: power}}", id="role"),
    pytest.param("assigned: {teams: {ops: viewer}}", "assigned: {teams: {ops: power}}", id="team's role"),
    pytest.param("backup: nightly", "backup: weekly", id="backup"),
    pytest.param("power: {schedule: office}", "power: {state: running}", id="when"),
    pytest.param("power: {schedule: office}", "power: {schedule: night}", id="schedule"),
    pytest.param("power: {idle_shutdown: 1h}", "power: {idle_shutdown: 2h}", id="idle"),
    pytest.param("power: {stop: {how: stop}}", "power: {stop: {how: shutdown}}", id="how"),
]


@pytest.mark.parametrize(("one", "other"), DISAGREEMENTS)
def test_two_sets_that_differ_are_a_mistake_that_names_both(one, other):
    text = (
        f"machine_sets:\n  a: {{match: {{tags: [lab]}}, {one}}}\n  b: {{match: {{tags: [gpu]}}, {other}}}\n"
    )
    with pytest.raises(PolicyErrors) as caught:
        fleet(text)
    assert len(caught.value.problems) == 1
    assert '"lab-201" is in the sets "b" and "a" (at policy.yaml:12:' in str(caught.value)
    assert str(caught.value).startswith("policy.yaml:13:")
    assert set(fleet(text.replace(other, one)).machines) == {200, 201, 202}


def test_a_machine_settles_what_two_sets_differ_in():
    found = fleet("""\
machines: {lab-201: {assigned: {users: {ada: power}}}}
machine_sets:
  a: {match: {tags: [lab]}, assigned: {users: {ada: viewer}}}
  b: {match: {tags: [gpu]}, assigned: {users: {ada: power}}}
""")
    assert [one.role for one in found.machines[201].grants] == ["power"]


EXPECTED = [
    pytest.param("{min: 3}", "", id="as many as expected"),
    pytest.param("{min: 4}", "holds 3 guests, not 4 or more as expected", id="too few"),
    pytest.param("{max: 2}", "holds 3 guests, not 0 to 2 as expected", id="too many"),
    pytest.param("{min: 1, max: 3}", "", id="within"),
]


@pytest.mark.parametrize(("expect", "why"), EXPECTED)
def test_a_set_of_unexpected_size_is_held_whole(expect, why):
    found = fleet(f"machine_sets: {{s: {{match: {{tags: [lab]}}, expect: {expect}, backup: nightly}}}}\n")
    assert [one.why for one in found.held] == ([why] if why else [])
    assert set(found.machines) == (set() if why else {200, 201, 202})


def test_a_guest_without_a_name_is_in_no_set_by_name_and_in_none_too_few():
    nameless = ProxmoxGuest(202, "qemu", "pve9", "unknown", tags=("lab",))
    text = 'machine_sets: {s: {match: {name: "lab-*", tags: [lab]}, expect: {min: 3}, backup: nightly}}\n'
    found = fleet(text, (WEB, *LAB[:2], nameless))
    assert set(found.machines) == {200, 201}
    assert [(one.name, one.unsure, one.why) for one in found.held] == [("s", {202}, "")]
    by_tag = fleet("machine_sets: {s: {match: {tags: [lab]}, backup: nightly}}\n", (WEB, *LAB[:2], nameless))
    assert set(by_tag.machines) == {200, 201, 202}


def test_one_machine_for_each_person_holds_over_sets_too():
    text = """\
rules: {one_machine_per_user: true}
machines: {web-01: {assigned: {users: {ada: viewer}}}}
machine_sets: {lab: {match: {tags: [gpu]}, assigned: {users: {ada: viewer}, teams: {ops: viewer}}}}
"""
    with pytest.raises(PolicyErrors) as caught:
        fleet(text)
    assert str(caught.value) == (
        'policy.yaml:13:68: "ada" has "web-01" already, at policy.yaml:12:45, and would have "lab-201" too '
        "(rules.one_machine_per_user)"
    )
    assert fleet(text.replace("ada: viewer}, t", "bo: viewer}, t")).machines.keys() == {101, 201}


@given(
    st.lists(st.sets(st.sampled_from(["a", "b", "c"]), max_size=3), min_size=1, max_size=8),
    st.sets(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=2),
)
def test_membership_is_exactly_having_all_tags(tags, wanted):
    guests = tuple(
        ProxmoxGuest(100 + n, "qemu", "pve1", "running", f"g{n}", tags=tuple(sorted(one)))
        for n, one in enumerate(tags)
    )
    found = fleet(
        f"machine_sets: {{s: {{match: {{tags: [{', '.join(sorted(wanted))}]}}, backup: nightly}}}}\n", guests
    )
    assert set(found.machines) == {100 + n for n, one in enumerate(tags) if wanted <= one}
