"""The unit files: systemd finds nothing wrong with them, and what they start is a command that exists."""

import configparser
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from exporters.serving.connection import MOST_CONNECTIONS

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
NAMES = ("steward-agent.service", "steward-executor.service", "steward-executor.socket")


def directives(name: str) -> dict[str, str]:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNITS / name)
    return {key: value for section in parser.sections() for key, value in parser[section].items()}


@pytest.mark.parametrize("name", NAMES[:2])
def test_what_a_unit_starts_is_a_command(name: str) -> None:
    program, *words = directives(name)["ExecStart"].split()
    assert program == "/usr/bin/steward-agent"
    words[words.index("--config") + 1] = "/nonexistent/agent.yaml"
    done = subprocess.run(
        (sys.executable, "-m", "agent.cli", *words), capture_output=True, check=False, text=True
    )
    assert done.returncode == 1, "usage would be 64"
    assert "/nonexistent/agent.yaml: No such file" in done.stderr


def test_the_socket_is_where_the_agent_looks_for_it() -> None:
    from agent.configuration import Settings

    assert directives("steward-executor.socket")["ListenStream"] == Settings(state="/x").socket


def test_the_network_process_has_no_rights_and_the_executor_no_network() -> None:
    network, executor = directives(NAMES[0]), directives(NAMES[1])
    assert network["User"] != "root"
    assert network["CapabilityBoundingSet"] == ""
    assert executor["RestrictAddressFamilies"] == "AF_UNIX"
    assert network["NoNewPrivileges"] == executor["NoNewPrivileges"] == "yes"


def test_the_network_process_may_do_what_its_collectors_do() -> None:
    lines = (UNITS / NAMES[0]).read_text().splitlines()
    filters = [line for line in lines if line.startswith("SystemCallFilter=")]
    assert filters[-1] == "SystemCallFilter=adjtimex clock_adjtime", "what comes last holds"
    assert "DeviceAllow=char-nvidia rw" in lines
    assert {"AF_UNIX", "AF_INET", "AF_NETLINK"} <= set(
        directives(NAMES[0])["RestrictAddressFamilies"].split()
    )
    assert int(directives(NAMES[0])["LimitNOFILE"]) > 2 * MOST_CONNECTIONS
    for hidden in ("ProtectProc", "PrivateDevices", "ProtectClock", "PrivateUsers", "ProtectSystem"):
        assert hidden not in directives(NAMES[0])


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    for name in NAMES:
        text = (UNITS / name).read_text()
        (tmp_path / name).write_text(text.replace("/usr/bin/steward-agent", "/bin/true"))
    done = subprocess.run(
        ("systemd-analyze", "verify", "--man=no", *(str(tmp_path / name) for name in NAMES)),
        capture_output=True,
        check=False,
        text=True,
    )
    mine = [line for line in done.stderr.splitlines() if "steward" in line]
    assert mine == []
