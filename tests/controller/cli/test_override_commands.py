"""Overrides and slots on the command line, in a real process's words; and how an end is typed."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime

import pytest
import typer

from controller.cli.instants import told, until
from controller.cli.main import main
from controller.datafolder import DataFolder
from controller.power_values import SlotName, SlotRecord, SlotState
from controller.store import Store
from tests.controller.gitops.repository import Source

NOW = datetime.fromisoformat("2026-11-20T12:00+00:00")


@pytest.fixture
def desk(tmp_path, capsys):
    """A folder with a controller.yaml and nothing else; the store is made by the first command."""
    config = tmp_path / "controller.yaml"
    config.write_text(json.dumps({"instance": "desk", "owners": [], "data": "state"}))

    def run(*words, code=0):
        with pytest.raises(SystemExit) as ended:
            main([*words, "--config", str(config)])
        printed = capsys.readouterr()
        assert ended.value.code == code, printed
        return printed.out + printed.err

    return run


def listed(desk, *words):
    return json.loads(desk("override", "list", *words, "--output", "json"))


def test_a_person_is_suspended_and_resumed(desk):
    said = desk("user", "suspend", "jo", "--until", "3d", "--reason", "laptop lost")
    assert "jo is suspended until " in said
    assert "the next pass or apply sees to it" in said
    [one] = listed(desk)
    assert (one["kind"], one["name"], one["what"], one["reason"]) == (
        "user",
        "jo",
        "suspended",
        "laptop lost",
    )
    assert desk("user", "resume", "jo").startswith("jo is no longer suspended")
    assert listed(desk) == []
    assert [one["state"] for one in listed(desk, "--all")] == ["ended"]
    assert "no override of the user 'jo' is in force" in desk("user", "resume", "jo", code=1)


POLICY = """\
version: 1
owner: prod
limits: {protected_users: [ann]}
users: {jo: {email: jo@example.org}, ann: {email: ann@example.org}}
machines: {web-01: {vmid: 101}}
machine_sets: {lab: {match: {name: "lab-*"}}}
"""


@pytest.fixture
def folder(tmp_path):
    policy = tmp_path / "prod" / "policy.yaml"
    policy.parent.mkdir()
    policy.write_text(POLICY)
    return str(policy.parent)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["user", "suspend", "jo"], 0, "jo is suspended until "),
        (["user", "suspend", "joe"], 1, 'the policy names no user "joe"; did you mean "jo"?'),
        (["user", "suspend", "ann"], 3, "ann is in limits.protected_users"),
        (["machine", "hold", "web-01"], 0, "web-01 is held as-is until "),
        (["machine", "hold", "web-1"], 1, 'the policy names no machine "web-1"; did you mean "web-01"?'),
        (["machine", "hold", "lab-7"], 0, 'only a guest of the set "lab" can be meant'),
    ],
)
def test_a_name_is_looked_up_in_the_policy(desk, folder, words, code, said):
    printed = desk(*words, "--until", "1h", "--policy", folder, code=code)
    assert said in printed
    assert "not checked" not in printed
    assert len(listed(desk, "--all")) == (code == 0)


def test_without_a_policy_it_is_said_that_the_name_was_not_checked(desk):
    printed = desk("user", "suspend", "jo", "--until", "1h")
    assert "whether a policy has a user jo was not checked: no policy is at hand" in printed


def test_the_policy_in_force_is_looked_at(desk, tmp_path):
    """What the controller has obeyed last, out of its own mirror."""
    commit = Source(tmp_path / "policies").commit({"prod/policy.yaml": POLICY})
    config = tmp_path / "controller.yaml"
    git = {"git": str(tmp_path / "policies"), "folder": "prod"}
    config.write_text(json.dumps({"instance": "desk", "owners": [], "data": "state", "policy": git}))
    assert "not checked" in desk("user", "suspend", "joe", "--until", "1h")  # nothing was obeyed yet
    desk("gitops", "accept", commit)
    store = Store.open(f"sqlite:///{tmp_path}/state/steward.db", chain="desk")
    store.commits.record(commit, kind="applied", actor="controller", now=1)
    store.close()
    assert 'did you mean "jo"?' in desk("user", "suspend", "joe", "--until", "1h", code=1)
    shutil.rmtree(DataFolder(tmp_path / "state").mirror)
    printed = desk("user", "suspend", "jo", "--until", "1h")  # a lost mirror keeps nobody from it
    assert "jo is suspended until " in printed
    assert "was not checked: " in printed


def test_a_machine_is_held_and_released(desk):
    said = desk("machine", "hold", "web-01", "--until", "2h", "--state", "running")
    assert said.startswith("web-01 is held running until ")
    assert [one["what"] for one in listed(desk)] == ["held running"]
    desk("machine", "release", "web-01")
    assert listed(desk) == []


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["user", "suspend", "jo"], 64, "Missing parameter: until"),
        (["user", "suspend", "jo", "--until", "soon"], 64, "no instant"),
        (["user", "suspend", "jo", "--until", "2020-01-01"], 3, "in the future"),
        (["user", "suspend", "jo", "--until", "31d"], 3, "thirty days"),
        (["user", "suspend", "a\nb", "--until", "1h"], 3, "names a person"),
        (["machine", "hold", "web-01", "--until", "1h", "--state", "paused"], 64, "paused"),
        (["machine", "release", "web-01"], 1, "no override of the machine 'web-01'"),
    ],
)
def test_what_may_not_be_is_refused(desk, words, code, why):
    assert why in desk(*words, code=code)
    assert listed(desk, "--all") == []


def test_slots_are_listed_with_their_reasons(desk, tmp_path):
    desk("machine", "list")
    store = Store.open(f"sqlite:///{tmp_path}/state/steward.db", chain="desk")
    slot = SlotRecord(SlotName("proxmox:par1", "web-01", "stop", 1_795_201_200), SlotState.SKIPPED, "a lock")
    store.power_slots.settle(slot, actor="controller", term=0, now=1_795_201_300)
    store.close()
    [one] = json.loads(desk("machine", "list", "web-01", "--output", "json"))
    assert (one["slot"], one["result"], one["reason"]) == ("stop", "skipped", "a lock")
    assert "a lock" in desk("machine", "list")
    assert json.loads(desk("machine", "list", "db-01", "--output", "json")) == []


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2h", "2026-11-20T14:00"),
        ("90m", "2026-11-20T13:30"),
        ("1w", "2026-11-27T12:00"),
        ("2026-11-21T08:00+01:00", "2026-11-21T07:00"),
        ("2026-11-21T08:00Z", "2026-11-21T08:00"),
    ],
)
def test_how_an_end_is_typed(text, instant):
    assert until(text, NOW) == int(datetime.fromisoformat(instant).replace(tzinfo=UTC).timestamp())


def test_a_day_alone_is_its_end():
    first, last = until("2026-11-21T00:00", NOW), until("2026-11-21", NOW)
    assert last - first == 86_400
    assert "UTC" in told(last)


@pytest.mark.parametrize("text", ["", "2", "2y", "tomorrow", "-2h", "2026-13-01", "999999d"])
def test_what_is_no_end(text):
    with pytest.raises(typer.BadParameter):
        until(text, NOW)
