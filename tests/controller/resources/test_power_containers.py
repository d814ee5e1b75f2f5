"""Containers are started and stopped as machines are; what is other about them is said by Proxmox VE."""

from __future__ import annotations

import pytest

from controller.resources.power_answers import Verdict, is_disobeyed, verdict
from tests.controller.resources.power_stage import APPLIED, FRIDAY_EVENING, staged
from tests.lab_servers import SMALL

STATE = "machines: {{ct-01: {{vmid: 200, power: {{state: {0}{1}}}}}}}\n"


def contained(tmp_path, state, stop="", environment=SMALL):
    rule = f", stop: {{{stop}}}" if stop else ""
    return staged(tmp_path, FRIDAY_EVENING, text=STATE.format(state, rule), environment=environment)


def test_a_container_is_started_and_shut_down(tmp_path):
    with contained(tmp_path, "running") as stage:
        [change] = stage.plan().changes
        assert change.object_id == "lxc/200"
        assert stage.results() == APPLIED
        assert stage.guest(200).is_running
        assert stage.results() == []
        stage.text = STATE.format("stopped", "")
        assert stage.results() == APPLIED
        assert not stage.guest(200).is_running
        assert stage.tasks() == ["start 200", "shutdown 200"]
        kinds = [task.type for task in stage.lab.center.tasks.archive("pve3", stage.clock() + 100)]
        assert sorted(kinds) == ["vzshutdown", "vzstart"]


@pytest.mark.parametrize(
    ("stop", "tasks", "is_left"),
    [
        ("timeout: 30s", ["shutdown 200"], True),
        ("timeout: 30s, on_timeout: stop", ["shutdown 200"], False),
        ("how: stop", ["stop 200"], False),
    ],
)
def test_a_container_that_does_not_end_is_stopped_only_where_the_policy_says_so(
    tmp_path, stop, tasks, is_left
):
    with contained(tmp_path, "stopped", stop) as stage:
        stage.guest(200).state, stage.guest(200).hangs = "running", True
        [(result, reason)] = stage.results()
        assert stage.guest(200).is_running is is_left
        assert stage.tasks() == tasks
        assert result == ("failed" if is_left else "applied")
        assert reason.startswith("did not shut down in 30 s and is left running: ") is is_left


def test_a_locked_container_is_tried_again(tmp_path):
    with contained(tmp_path, "stopped") as stage:
        stage.guest(200).state = "running"
        stage.lock("backup", 200)
        stage.clock.at[stage.clock() + 30] = lambda: stage.unlock(200)
        assert stage.results() == APPLIED
        assert not stage.guest(200).is_running


def test_a_container_that_came_to_be_so_meanwhile_is_no_failure(tmp_path):
    """Other than a machine, a container that runs refuses its start at once, with a 500."""
    with contained(tmp_path, "running") as stage:
        plan = stage.plan()
        stage.guest(200).state = "running"
        [outcome] = stage.carry_out(plan)
        assert (str(outcome.result), outcome.reason) == ("applied", "it was running already")


def test_a_container_that_cannot_start_fails_with_its_own_words(tmp_path):
    with contained(tmp_path, "running") as stage:
        stage.guest(200).fails_to_start = True
        assert stage.results() == [("failed", "startup for container '200' failed")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("CT 200 already running", Verdict.REACHED),
        ("CT 200 not running", Verdict.REACHED),
        ("CT is locked (snapshot-delete)", Verdict.AGAIN),
        ("can't lock file '/run/lock/lxc/pve-config-200.lock' - got timeout", Verdict.AGAIN),
        ("container did not stop", Verdict.FAILED),
        ("startup for container '200' failed", Verdict.FAILED),
    ],
)
def test_what_the_words_about_a_container_mean(text, said):
    assert verdict(text) is said
    assert is_disobeyed(text) is (text == "container did not stop")
