"""Playing `make demo` for a test, and what a whole play must have proved."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REFUSALS = ("kind_not_allowed", "args_not_allowed", "wrong_host", "bad_window", "replayed")
PROOFS = (
    "a role that nobody knows is refused where it stands",
    "what was reviewed was applied",
    "the second plan is empty",
    "what a commit means, field by field and for people",
    "what one person would see and may do",
    "the suspension is carried out, and the plan names it",
    "a change by hand is reported",
    "what was changed by hand was repaired",
    "its receipt was verified by the controller",
    "the audit log verifies",
)


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
    """The record of a play, a step each."""
    return [json.loads(line) for line in (folder / "demo.jsonl").read_text().splitlines()]


def assert_whole(demo: subprocess.Popen[str], output: str, folder: Path) -> None:
    """A play that has ended proved everything that it is to prove."""
    assert demo.returncode == 0, output
    played = steps(folder)
    assert [step for step in played if "problem" in step] == []
    proofs = " | ".join(str(step["proved"]) for step in played)
    for reason in REFUSALS:
        assert f"refused, {reason}" in proofs
    for proof in PROOFS:
        assert proof in proofs
    assert "Every step was what it should be" in output
    assert "Status page" in output


def left_running(folder: Path) -> list[bytes]:
    """Command lines of processes that name the folder."""
    marker = str(folder).encode()
    left = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if marker in command:
            left.append(command)
    return left
