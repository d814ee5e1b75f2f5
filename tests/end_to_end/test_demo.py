"""`make demo` as a user runs it, whole; and a demo whose systems die in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def play(folder: Path, **environment: str) -> subprocess.Popen[str]:
    """Start the demo in a folder of its own, as `make demo ONCE=1` does in the checkout."""
    (folder / "policies").symlink_to(ROOT / "policies")
    bin_folder = str(Path(sys.executable).parent)
    return subprocess.Popen(
        [sys.executable, "-m", "lab.demo"],
        cwd=folder,
        env=os.environ
        | {"PATH": f"{bin_folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "ONCE": "1", "REAL": ""}
        | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def steps(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "demo.jsonl").read_text().splitlines()]


def test_the_demo_plays_whole(tmp_path: Path):
    demo = play(tmp_path)
    output, _ = demo.communicate()
    assert demo.returncode == 0, output
    played = steps(tmp_path)
    assert [step for step in played if "problem" in step] == []
    proofs = " | ".join(str(step["proved"]) for step in played)
    for reason in ("kind_not_allowed", "args_not_allowed", "wrong_host", "bad_window", "replayed"):
        assert f"refused, {reason}" in proofs
    for proof in (
        "a role that nobody knows is refused where it stands",
        "what was reviewed was applied",
        "the second plan is empty",
        "a change by hand is reported",
        "what was changed by hand was repaired",
        "its receipt was verified by the controller",
        "the audit log verifies",
    ):
        assert proof in proofs
    assert "Every step was what it should be" in output
    assert "Status page" in output


def test_nothing_of_the_demo_runs_on(tmp_path: Path):
    demo = play(tmp_path)
    demo.communicate()
    assert demo.returncode == 0
    marker = str(tmp_path).encode()
    left = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if marker in command:
            left.append(command)
    assert left == []


@pytest.mark.parametrize("after", ["what was reviewed was applied", "the second plan is empty"])
def test_a_lab_that_dies_in_the_middle_is_said_and_nothing_is_taken_for_empty(tmp_path: Path, after: str):
    said: list[str] = []
    killed = False
    with play(tmp_path) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            said.append(line)
            record = tmp_path / "demo.jsonl"
            if not killed and record.exists() and after in record.read_text():
                os.kill(json.loads((tmp_path / ".demo/lab/lab.json").read_text())["pid"], signal.SIGKILL)
                killed = True
    assert killed
    assert demo.returncode == 1, "".join(said)
    output = "".join(said)
    assert "The demo failed" in output
    last = steps(tmp_path)[-1]
    assert last["problem"]
    assert "delete" not in output.split("The demo failed")[1]
