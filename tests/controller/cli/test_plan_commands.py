"""``steward plan``, ``apply`` and ``drift`` as a person runs them: what they print, and their exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from controller.cli.main import main
from controller.cli.watching import Watch, follow
from controller.reconcile.holding import is_gone
from tests.controller.stage import SMALL, Stage, policy_of, staged

ROOT = Path(__file__).parents[3]
PATHS = {"policies", "plan.json"}


@pytest.fixture
def stage(tmp_path):
    with staged(tmp_path) as one:
        one.clock.now = time.time()
        write(one, SMALL)
        yield one


def write(stage: Stage, text: str, settings: str = "") -> None:
    folder = stage.folder / "policies"
    folder.mkdir(exist_ok=True)
    (folder / "policy.yaml").write_text(f"version: 1\nowner: prod\n{settings}")
    (folder / "all.yaml").write_text(text)


@pytest.fixture
def steward(stage, capsys):
    """Run a command; everything it printed, once its exit code is the one expected."""

    def run(*words: str, code: int) -> str:
        named = [str(stage.folder / word) if word in PATHS else word for word in words]
        config = [] if words[0] == "validate" else ["-c", str(stage.config)]
        with pytest.raises(SystemExit) as ended:
            main([*named, *config])
        captured = capsys.readouterr()
        assert ended.value.code == code, captured
        return captured.out + captured.err

    return run


def test_from_plan_to_apply_to_nothing_to_do(stage, steward):
    assert "6 to create" not in steward("plan", "policies", "--out", "plan.json", code=2)
    reviewed = json.loads((stage.folder / "plan.json").read_text())
    assert reviewed["changes"][0]["source"].endswith("policies/all.yaml:2:9")
    assert "6 applied" in steward("apply", "policies", "--plan", "plan.json", "--yes", code=0)
    assert "nothing to do" in steward("plan", "policies", code=0)
    assert "nothing to do" in steward("apply", "policies", "--yes", code=0)
    assert "nothing to do" in steward("drift", "policies", code=0)


def test_a_hand_made_change_is_drift_and_a_changed_plan_is_refused(stage, steward):
    steward("apply", "policies", "--yes", code=0)
    stage.keycloak.realms["acme"].roles["viewer"].description = "by hand"
    printed = steward("drift", "policies", "--output", "json", code=2)
    seen = json.loads(printed)
    assert [change["key"] for change in seen["changes"]] == ["viewer"]
    stage.keycloak.realms["acme"].roles["viewer"].description = "by another hand"
    refused = steward("apply", "policies", "--digest", seen["digest"], "--yes", code=3)
    assert "not the reviewed" in refused
    assert "1 applied" in steward("apply", "policies", "--yes", code=0)


def test_apply_without_a_terminal_needs_yes(stage, steward):
    assert "--yes" in steward("apply", "policies", code=64)
    assert stage.writes == 0


def test_wrong_usage_is_64(stage, steward):
    steward("plan", "policies", "--no-such-option", code=64)


def test_mistakes_name_their_line_and_nothing_is_asked_of_any_system(stage, steward):
    write(stage, SMALL.replace("[viewer]}\n", "[viever]}\n"))
    printed = steward("apply", "policies", "--yes", code=1)
    assert "policies/all.yaml:8:" in printed
    assert 'did you mean "viewer"' in printed
    assert not stage.requests


def test_a_dead_keycloak_is_said(stage, steward):
    stage.faults.alter(is_down=True)
    for command in (["plan", "policies"], ["apply", "policies", "--yes"]):
        printed = " ".join(steward(*command, code=1).split())
        assert "not observed: keycloak realm, profile," in printed
        assert "teams, users: Keycloak gave no answer: the connection broke" in printed


def test_an_owner_that_is_not_ours_is_refused(stage, steward):
    stage.configure(owners=["test"])
    assert "owned by 'prod'" in steward("plan", "policies", code=3)


def test_the_lease_of_a_live_holder_refuses_and_says_until_when(stage, steward):
    with stage.controller() as controller, controller.lease("steward serve on this machine"):
        printed = steward("apply", "policies", "--yes", code=3)
    assert "steward serve on this machine holds the lease until" in printed


def test_a_brake_refuses_with_3(stage, steward):
    people = "\n".join(f"  user{n}: {{roles: [viewer]}}" for n in range(12))
    write(stage, f"realm: {{name: acme}}\nroles: {{viewer: {{}}}}\nusers:\n{people}")
    steward("apply", "policies", "--yes", code=0)
    write(stage, "realm: {name: acme}\nroles: {viewer: {}}")
    assert "held by the brake max_deletes" in steward("plan", "policies", code=3)
    assert "max_deletes" in steward("drift", "policies", code=2)
    assert "user11" in steward("apply", "policies", "--yes", code=3)


def test_a_process_killed_in_the_middle_is_converged_by_the_next(stage, steward):
    """The server is slow and the process is killed after its first batch; the next one does the rest."""
    people = "\n".join(
        f"  user{n}: {{email: user{n}@example.org, roles: [viewer], mfa: required}}" for n in range(1200)
    )
    write(stage, f"realm: {{name: acme}}\nroles: {{viewer: {{}}}}\nusers:\n{people}")
    program = "from controller.cli.main import main; main()"
    killed = subprocess.Popen(
        [sys.executable, "-c", program, "apply", "policies", "--yes"],
        cwd=stage.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert killed.stderr is not None
    killed.stderr.readline()  # the first word of progress: something was written
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    done = len(list(stage.keycloak.realms["acme"].people()))
    assert 0 < done <= 1200
    steward("apply", "policies", "--yes", code=0)
    assert len(list(stage.keycloak.realms["acme"].people())) == 1200
    assert "nothing to do" in steward("plan", "policies", code=0)


HOLDERS = {
    "a dead process here": ("steward apply by jo@here (process 4194304)", True),
    "we ourselves": (f"steward apply by jo@here (process {os.getpid()})", False),
    "a dead process elsewhere": ("steward apply by jo@there (process 4194304)", False),
    "the service": ("steward serve on here", False),
}


@pytest.mark.parametrize(("holder", "gone"), HOLDERS.values(), ids=HOLDERS)
def test_only_a_dead_process_of_this_host_is_gone(holder, gone):
    assert is_gone(holder, "here") is gone


def test_watching_draws_plans_and_mistakes_at_each_save(stage):
    folder = stage.folder / "policies"
    drawn = []
    over = threading.Event()
    texts = iter([SMALL.replace("jo@", "joanna@"), "users: [", SMALL])

    def draw(drawing):
        drawn.append(drawing)
        following = next(texts, None)
        if following is None:
            over.set()
        else:
            (folder / "all.yaml").write_text(following)

    with stage.controller() as controller:
        follow(Watch(controller, folder, []), draw, over)
    plans = [drawing.plan for drawing in drawn]
    assert [plan is None for plan in plans] == [False, False, True, False]
    assert plans[0].digest == plans[3].digest != plans[1].digest
    assert "all.yaml:2:" in drawn[2].mistakes


def test_watching_sees_folders_that_the_policy_extends(stage):
    folder, common = stage.folder / "policies", stage.folder / "common"
    common.mkdir()
    (common / "roles.yaml").write_text("roles: {viewer: {description: may look}}")
    write(stage, "realm: {name: acme}", "extends: [../common]\n")
    drawn = []
    over = threading.Event()
    texts = iter(["roles: {viewer: {description: may look around}}", "roles: [", "roles: {}"])

    def draw(drawing):
        drawn.append(drawing)
        following = next(texts, None)
        if following is None:
            over.set()
        else:
            (common / "roles.yaml").write_text(following)

    with stage.controller() as controller:
        follow(Watch(controller, folder, []), draw, over)
    counted = [None if one.plan is None else len(one.plan.changes) for one in drawn]
    assert counted == [2, 2, None, 1]


def test_what_no_system_serves_is_said(stage):
    stage.configure(keycloak=None)
    with stage.controller() as controller:
        planned = controller.plan(policy_of(SMALL))
    assert [gap.why for gap in planned.plan.unobserved] == ["controller.yaml names no Keycloak"]


def test_a_file_that_cannot_be_written_is_one_line(stage, steward):
    printed = steward("plan", "policies", "--out", "/no/such/folder/plan.json", code=1)
    assert printed.strip() == "/no/such/folder/plan.json: No such file or directory"


def test_a_file_that_holds_no_plan_is_said(stage, steward):
    (stage.folder / "plan.json").write_text("{}")
    assert "holds no plan" in steward("apply", "policies", "--plan", "plan.json", "--yes", code=1)


def test_errors_are_json_where_json_was_asked_for(stage, steward):
    told = json.loads(steward("plan", "nowhere", "--output", "json", code=1))
    assert told["exit_code"] == 1
    assert told["problems"][0]["file"].endswith("nowhere/policy.yaml")
    stage.configure(owners=["test"])
    told = json.loads(steward("plan", "policies", "--output=json", code=3))
    assert "owned by 'prod'" in told["error"]
    assert told["hint"]


def test_a_target_that_nothing_is_called_is_an_error(stage, steward):
    assert 'did you mean "users/jo"' in steward("plan", "policies", "--target", "users/joo", code=1)
    steward("plan", "policies", "--target", "users/jo", code=2)


def test_apply_of_a_reviewed_plan_does_not_list_it_again(stage, steward):
    steward("plan", "policies", "--out", "plan.json", code=2)
    printed = steward("apply", "policies", "--plan", "plan.json", "--yes", code=0)
    assert "user jo" not in printed
    assert "digest" in printed
    assert "6 applied" in printed


def test_a_ca_file_that_is_none_is_said_by_its_name(stage, steward):
    settings = json.loads(stage.config.read_text())
    for content, said in ((None, "cannot be read: No such file"), ("no PEM", "holds no certificate")):
        if content is not None:
            (stage.folder / "ca.pem").write_text(content)
        settings["keycloak"]["ca_file"] = "ca.pem"
        stage.config.write_text(json.dumps(settings))
        assert said in steward("plan", "policies", code=1)


def test_an_unknown_key_of_the_configuration_is_guessed(stage, steward):
    stage.configure(keycloak={"url": stage.url, "usernam": "admin", "password_file": "password"})
    assert 'unknown key "usernam"; did you mean "username"?' in steward("plan", "policies", code=1)


def test_an_output_that_is_closed_early_is_no_traceback(stage):
    people = "".join(f"  user{n}: {{email: u{n}@example.org, roles: [viewer]}}\n" for n in range(2000))
    write(stage, f"realm: {{name: acme}}\nroles: {{viewer: {{}}}}\nusers:\n{people}")
    program = "from controller.cli.main import main; main()"
    for words in (["plan", "policies"], ["plan", "policies", "--output", "json"], ["schema"]):
        run = subprocess.Popen(
            [sys.executable, "-c", program, *words],
            cwd=stage.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert run.stdout is not None
        run.stdout.read(10)
        run.stdout.close()
        assert run.stderr is not None
        assert run.stderr.read() == b""
        run.wait()
        run.stderr.close()


def test_ctrl_c_in_the_middle_says_how_far_it_came(stage, steward):
    """Each role needs the one before, and the server is slow: much is left when the first word comes."""
    chain = "".join(f"  role{n}: {{includes: [role{n - 1}]}}\n" for n in range(1, 25))
    write(stage, f"realm: {{name: acme}}\nroles:\n  role0: {{}}\n{chain}")
    stage.faults.alter(latency_seconds=0.05)
    program = "from controller.cli.main import main; main()"
    run = subprocess.Popen(
        [sys.executable, "-c", program, "apply", "policies", "--yes"],
        cwd=stage.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert run.stderr is not None
    run.stderr.readline()  # the first word of progress
    run.send_signal(signal.SIGINT)
    _, said = run.communicate()
    assert run.returncode == 1
    assert "Traceback" not in said
    assert "stopping after the changes under way" in said
    stage.faults.alter(latency_seconds=0.0)
    assert "of 26 changes had ended" in said
    steward("apply", "policies", "--yes", code=0)
    assert "nothing to do" in steward("plan", "policies", code=0)


def test_a_folder_of_environments_is_no_environment(stage, steward):
    printed = steward("plan", str(stage.folder), code=1)
    assert "there are environments below" in printed
    assert printed.count("policy.yaml:1:1") == 1
