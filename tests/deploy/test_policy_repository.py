"""A repository of policies: the hooks in a real Git repository, and the shell lines of the CI examples."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.lab_servers import TOKEN_ID, TOKEN_SECRET, proxmox_lab

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "deploy/policy-repository"
COMMANDS = Path(sys.executable).parent
GOOD = """\
roles:
  viewer: {proxmox: [VM.Audit]}
users:
  jo: {email: jo@example.org, roles: [viewer]}  # first
"""
MACHINES = "machines:\n  web-01: {vmid: 101, assigned: {users: {jo: viewer}}}\n"
ENVIRONMENT = {
    "PATH": f"{COMMANDS}:{os.environ['PATH']}",
    "HOME": "/nonexistent",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "Jo",
    "GIT_AUTHOR_EMAIL": "jo@example.org",
    "GIT_COMMITTER_NAME": "Jo",
    "GIT_COMMITTER_EMAIL": "jo@example.org",
}


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "policies-repository"
    prod = folder / "policies/prod"
    prod.mkdir(parents=True)
    (prod / "policy.yaml").write_text("version: 1\nowner: prod\n")
    (prod / "people.yaml").write_text(GOOD)
    (prod / "machines.yaml").write_text(MACHINES)
    (folder / "ci").mkdir()
    (folder / "ci/check.sh").symlink_to(EXAMPLES / "check.sh")
    assert run(folder, "git", "init", "--quiet").returncode == 0
    return folder


COMMITS = {
    "in form and valid": (GOOD, 0, ""),
    "not in form": (GOOD.replace("  jo: {", "  jo:   {"), 1, "not in form: policies/prod/people.yaml"),
    "not valid": (GOOD.replace("roles: [viewer]", "roles: [viewr]"), 1, 'did you mean "viewer"?'),
    "not YAML": ("users: [\n", 1, "policies/prod/people.yaml:2:1: not YAML"),
}


@pytest.mark.parametrize("name", COMMITS)
def test_the_git_hook_looks_at_what_is_committed(repository: Path, name: str) -> None:
    text, code, told = COMMITS[name]
    hook = repository / ".git/hooks/pre-commit"
    hook.write_bytes((EXAMPLES / "pre-commit").read_bytes())
    hook.chmod(0o755)
    people = repository / "policies/prod/people.yaml"
    people.write_text(text)
    run(repository, "git", "add", "policies")
    people.write_text("users: [broken in the working tree\n")
    done = run(repository, "git", "commit", "--message", "people")
    assert done.returncode == code, done
    assert told in done.stdout + done.stderr


def test_the_hooks_of_the_framework_are_commands_that_there_are(repository: Path) -> None:
    hooks = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    example = yaml.safe_load((EXAMPLES / "pre-commit-config.yaml").read_text())
    used = example["repos"][0]["hooks"]
    assert [hook["id"] for hook in used] == ["steward-fmt", "steward-validate"] == list(hooks)
    for hook in used:
        words = [*hooks[hook["id"]]["entry"].split(), *hook.get("args", [])]
        if hooks[hook["id"]].get("pass_filenames", True):
            words += ["policies/prod/people.yaml", "policies/prod/machines.yaml"]
        done = run(repository, *words)
        assert done.returncode == 0, done


@pytest.fixture
def planning(repository: Path, tmp_path: Path) -> Iterator[Path]:
    with proxmox_lab(tmp_path) as lab:
        cluster: dict[str, Any] = {
            "url": lab.url,
            "ca_file": str(lab.ca_file),
            "token_id": TOKEN_ID,
            "token_secret_file": str(tmp_path / "token"),
        }
        (tmp_path / "token").write_text(TOKEN_SECRET)
        settings = {"owners": ["prod"], "data": str(tmp_path / "state"), "proxmox": {"par1": cluster}}
        (repository / "ci/controller.yaml").write_text(json.dumps(settings))
        yield repository


def shell_lines(name: str) -> list[str]:
    """The lines of an example that check and plan."""
    example = yaml.safe_load((EXAMPLES / name).read_text())
    jobs = example.get("jobs", example)
    lines = [
        line
        for job in jobs.values()
        if isinstance(job, dict)
        for line in [*job.get("script", []), *(step.get("run", "") for step in job.get("steps", []))]
    ]
    return [line for line in lines if "check.sh" in line]


@pytest.mark.parametrize("name", ["github-actions.yaml", "gitlab-ci.yaml"])
def test_the_shell_lines_of_the_examples_validate_plan_and_leave_markdown(planning: Path, name: str) -> None:
    (line,) = shell_lines(name)
    done = run(planning, "sh", "-c", line)
    assert done.returncode == 0, done
    assert "web-01 ← jo: viewer" in (planning / "plan.md").read_text()
    assert json.loads((planning / "plan.json").read_text())["changes"]


def test_a_policy_that_is_wrong_is_not_planned(planning: Path) -> None:
    (planning / "policies/prod/people.yaml").write_text(GOOD.replace("[viewer]", "[viewr]"))
    done = run(planning, "ci/check.sh", "policies/prod", "ci/controller.yaml")
    assert (done.returncode, (planning / "plan.md").exists()) == (1, False)


def test_systems_that_are_not_seen_fail_the_check_and_the_plan_says_so(planning: Path) -> None:
    config = planning / "ci/controller.yaml"
    settings = json.loads(config.read_text())
    settings["proxmox"]["par1"]["url"] = "https://127.0.0.1:1"
    config.write_text(json.dumps(settings))
    done = run(planning, "ci/check.sh", "policies/prod", "ci/controller.yaml")
    assert done.returncode == 1
    assert "proxmox:par1" in (planning / "plan.md").read_text()
