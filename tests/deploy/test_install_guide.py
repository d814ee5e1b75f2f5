"""docs/install.md, followed literally: its own commands, in an empty folder, until a signed action ran.

Only what installs packages is left out (the commands are already here; test_ansible.py installs them), and
the two fixed ports are free ones.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "install.md"
REAL_HOUSE = "KEYCLOAK=https://sso.example.org"
"""The block that the simulated data centre's stands for."""


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def commands() -> str:
    """The shell blocks of parts 2 to 5, each followed by its exit status."""
    parts = GUIDE.read_text().partition("## 2.")[2].partition("## 6.")[0]
    blocks = [one for one in re.findall(r"^```sh\n(.*?)^```", parts, re.M | re.S) if REAL_HOUSE not in one]
    text = "".join(f"{block}echo STATUS $?\n" for block in blocks)
    kept = [line for line in text.splitlines() if "pip install" not in line and "-m venv" not in line]
    script = "\n".join(kept).replace("venv-lab/bin/", "")
    return script.replace("8443", free_port()).replace("9095", free_port())


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Everything that was printed; what the guide starts in the background is ended afterwards."""
    folder = tmp_path_factory.mktemp("guide")
    (folder / "home").mkdir()
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder / "home"),
        "USER": "somebody",
        "LC_ALL": "C.UTF-8",
    }
    empty = folder / "empty"
    empty.mkdir()
    output = folder / "output"
    with output.open("w") as said:
        shell = subprocess.Popen(
            ("bash", "-c", commands()),
            cwd=empty,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            shell.wait(timeout=120)
            yield output.read_text()
        finally:
            os.killpg(shell.pid, signal.SIGTERM)


def test_every_block_of_the_guide_does_what_it_says(followed: str):
    statuses = re.findall(r"^STATUS (\d+)$", followed, re.MULTILINE)
    assert len(statuses) == commands().count("echo STATUS"), followed
    assert [status for status in statuses if status != "0"] == ["2"], followed


def test_the_plan_is_applied_and_empty_afterwards(followed: str):
    assert "5 to create" in followed
    assert "nothing to do" in followed


def test_a_signed_action_ran_on_the_enrolled_host(followed: str):
    assert re.search(r"^enrolled web-01 as ", followed, re.MULTILINE), followed
    assert re.search(r"^state +done$", followed, re.MULTILINE), followed
    assert re.search(r"^acme: \d+ entries, whole", followed, re.MULTILINE), followed
    assert re.search(r"^node_load1 ", followed, re.MULTILINE), followed
