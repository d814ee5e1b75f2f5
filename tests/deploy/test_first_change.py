"""docs/first-change.md, followed literally against the lab, in an empty folder."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "first-change.md"
OWN_HOUSE = "KEYCLOAK=https://sso.example.org"
"""The block that the simulated data centre's stands for."""
LAB = "steward-lab up --directory lab > lab.log 2>&1 &\nuntil [ -s lab/lab.json ]; do sleep 0.1; done\n"


def blocks() -> list[str]:
    found = re.findall(r"^```sh\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    return [one for one in found if OWN_HOUSE not in one]


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Everything that was printed; the first command that fails ends it. The lab is ended afterwards."""
    folder = tmp_path_factory.mktemp("first_change")
    script = f"set -e\n{LAB}" + "".join(
        f"{block}echo BLOCK {number}\n" for number, block in enumerate(blocks(), start=1)
    )
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        **{
            f"GIT_{who}_{what}": "jo@example.org"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        },
    }
    with (folder / "said").open("w") as said:
        shell = subprocess.Popen(
            ("bash", "-c", script),
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            shell.wait(timeout=120)
            yield (folder / "said").read_text()
        finally:
            os.killpg(shell.pid, signal.SIGTERM)


def test_every_block_does_what_it_says(followed: str):
    assert re.findall(r"^BLOCK (\d+)$", followed, re.MULTILINE)[-1:] == [str(len(blocks()))], followed


def test_the_import_plans_to_nothing_and_the_change_is_applied(followed: str):
    assert re.search(r"^nothing to do: \d+ differences in report mode$", followed, re.MULTILINE), followed
    assert "200 users adopted, nothing but our mark is set" in followed
    assert re.search(r"\+ web-02 ← alma.abel: web-operator", followed), followed
    assert "second factor is asked for" in followed


def test_explain_agrees_with_proxmox_and_diff_says_who_is_affected(followed: str):
    assert "alma.abel@keycloak has 2 privileges on web-02" in followed
    assert "Proxmox itself says the same" in followed
    assert re.search(r"alma.abel +has VM.Audit VM.PowerMgmt on machine web-02", followed), followed
