"""The controller's unit file: what it starts is a command, and systemd has nothing against it."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNIT = Path(__file__).resolve().parents[2] / "deploy" / "systemd" / "steward-controller.service"
EXPOSURE = 20
"""Tenths of systemd's exposure level, of 100; see systemd-analyze(1), `security`."""


def test_what_it_starts_is_a_command(tmp_path: Path):
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.read(UNIT)
    program, *words = parser["Service"]["ExecStart"].split()
    assert program == "/usr/bin/steward"
    words[words.index("-c") + 1] = str(tmp_path / "controller.yaml")
    start = "import sys; from controller.cli.main import main; sys.exit(main())"
    done = subprocess.run((sys.executable, "-c", start, *words), capture_output=True, check=False, text=True)
    assert done.returncode == 1, "usage would be 64"
    assert "controller.yaml cannot be read" in done.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_finds_nothing_wrong_and_little_exposed(tmp_path: Path):
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/usr/bin/steward", "/bin/true"))
    verified = subprocess.run(
        ("systemd-analyze", "verify", "--man=no", str(unit)), capture_output=True, check=False, text=True
    )
    assert [line for line in verified.stderr.splitlines() if "steward" in line] == []
    exposed = subprocess.run(
        ("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager", str(unit)),
        capture_output=True,
        check=False,
        text=True,
    )
    assert exposed.returncode == 0, exposed.stdout
