"""`make demo` as a user runs it, whole; and a demo whose systems die in the middle."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.end_to_end.playing import assert_whole, left_running, play, steps


def test_the_demo_plays_whole_stays_up_until_ctrl_c_and_leaves_nothing_running(tmp_path: Path):
    said: list[str] = []
    with play(tmp_path, ONCE="") as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            said.append(line)
            if "Ctrl-C ends everything" in line:
                demo.send_signal(signal.SIGINT)
    assert_whole(demo, "".join(said), tmp_path)
    assert left_running(tmp_path) == []


def test_a_demo_that_is_interrupted_ends_its_lab_and_says_so_in_its_exit_status(tmp_path: Path):
    with play(tmp_path) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "steward look" in line:
                demo.send_signal(signal.SIGINT)
    assert demo.returncode == 130
    assert not (tmp_path / ".demo/lab/lab.json").exists()


def test_the_demo_needs_nothing_but_python(tmp_path: Path):
    """Without git, restic and Prometheus it plays what it can, and says what is missing."""
    demo = play(tmp_path, PATH=str(Path(sys.executable).parent))
    output, _ = demo.communicate()
    assert_whole(demo, output, tmp_path)
    for absent in ("git", "restic", "Prometheus", "Alertmanager"):
        assert f"{absent} is not installed here" in output


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
