"""The roles, played by the real Ansible into a folder of the test's own: no root, no systemd."""

from __future__ import annotations

import getpass
import grp
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.real.servers import real_server

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
ANSIBLE = ROOT / "deploy" / "ansible"
HASH = "$2b$04$abcdefghijklmnopqrstuua.3R.XuKf05mz.zqW7/BDQH00EPr62G"
UNITS = ("steward-agent.service", "steward-executor.service", "steward-executor.socket")


@dataclass(frozen=True)
class Played:
    """What a run of the playbook said, and how much it changed on each host."""

    status: int
    said: str

    def counted(self, word: str) -> dict[str, int]:
        """`changed`, `failed`, … of each host."""
        lines = re.findall(rf"^(\S+) +: ok=.*\b{word}=(\d+)", self.said, re.MULTILINE)
        return {host: int(number) for host, number in lines}


@dataclass(frozen=True)
class Place:
    """A folder that stands for two machines, and the inventory of both."""

    folder: Path
    program: Path

    @property
    def controller(self) -> tuple[str, ...]:
        """The installed `steward`."""
        return (str(self.folder / "bin" / "steward"),)

    @property
    def configured(self) -> tuple[str, str]:
        """The option that names the installed controller.yaml."""
        return ("-c", str(self.folder / "controller" / "controller.yaml"))

    def play(self, *options: str) -> Played:
        """Run site.yml with the inventory of this place."""
        inventory = str(self.folder / "inventory.json")
        done = run(str(self.program), "-i", inventory, *options, str(ANSIBLE / "site.yml"), cwd=self.folder)
        return Played(done.returncode, done.stdout + done.stderr)


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    ours = {
        name: value for name, value in os.environ.items() if not name.startswith(("STEWARD_", "ANSIBLE_"))
    }
    ansible = {
        "ANSIBLE_HOME": str(cwd / "ansible"),
        "ANSIBLE_LOCAL_TEMP": str(cwd / "ansible"),
        "ANSIBLE_REMOTE_TEMP": str(cwd / "ansible"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_PIPELINING": "1",
        "LC_ALL": "C.UTF-8",
    }
    return subprocess.run(command, cwd=cwd, env=ours | ansible, capture_output=True, text=True, check=False)


def variables(folder: Path, wheel: Path, port: int) -> dict[str, object]:
    """Every path of the roles below one folder, every user the one who runs the test."""
    user, group = getpass.getuser(), grp.getgrgid(os.getgid()).gr_name
    both: dict[str, object] = {
        "user": user,
        "group": group,
        "create_user": False,
        "manage_service": False,
        "units": str(folder / "units"),
        "wheel": str(wheel),
        "python": os.path.realpath(sys.executable),
        "pip_arguments": ["--no-compile"],
    }
    controller: dict[str, object] = {
        "prefix": str(folder / "opt" / "controller"),
        "command": str(folder / "bin" / "steward"),
        "home": str(folder / "controller"),
        "address": f"https://127.0.0.1:{port}",
        "listen": f"127.0.0.1:{port}",
        "install_unit": True,
        "settings": {"owners": ["prod"], "limits": {"max_deletes": {"count": 2, "share": "5%"}}},
        "secrets": {"keycloak.secret": "hidden-from-the-output"},
    }
    agent: dict[str, object] = {
        "prefix": str(folder / "opt" / "agent"),
        "command": str(folder / "bin" / "steward-agent"),
        "owner": user,
        "config": str(folder / "etc" / "agent.yaml"),
        "state": str(folder / "agent"),
        "socket": str(folder / "run" / "executor.sock"),
        "install_units": True,
        "secrets": {
            "web.yml": f"basic_auth_users: {{prometheus: {HASH}}}\n",
            "pve.token": "kept-from-the-log",
        },
        "textfile_folders": [str(folder / "textfile")],
        "settings": {
            "limits": {"kinds": {"host.ping": {}}},
            "path_sets": {"etc": ["/etc"]},
            "metrics": {
                "flags": {
                    "web.config.file": str(folder / "etc" / "web.yml"),
                    "collector.textfile.directory": str(folder / "textfile"),
                }
            },
        },
    }
    return {
        f"steward_{role}_{name}": value
        for role, its in (("controller", both | controller), ("agent", both | agent))
        for name, value in its.items()
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built beside it."""
    place = tmp_path_factory.mktemp("wheel")
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            target = place / "source" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target)
    build = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(place))
    built = run(*build, cwd=place / "source")
    assert built.returncode == 0, built.stdout + built.stderr
    return next(place.glob("*.whl"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Place:
    """Both roles played once: a controller that nobody trusts yet, an agent that is not enrolled."""
    program = real_server("ansible-playbook")
    folder = tmp_path_factory.mktemp("deploy")
    (folder / "bin").mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    inventory = {
        "all": {
            "vars": {
                "ansible_connection": "local",
                "ansible_python_interpreter": os.path.realpath(sys.executable),
                "steward_become": False,
                **variables(folder, wheel, port),
            },
            "children": {
                "steward_controller": {"hosts": {"controller.test": {}}},
                "steward_agents": {"hosts": {"web-01": {}}},
            },
        }
    }
    (folder / "inventory.json").write_text(json.dumps(inventory))
    made = Place(folder, program)
    played = made.play()
    assert played.status == 0, played.said
    assert all(played.counted("changed").values())
    assert "web-01 is not enrolled" in played.said
    assert "No trust document yet" in played.said
    assert "hidden-from-the-output" not in played.said
    assert "kept-from-the-log" not in played.said
    assert HASH not in played.said
    return made


@pytest.fixture(scope="module")
def enrolled(place: Place) -> Iterator[Played]:
    """The installed controller serves, and the host has spent its token in a second run."""
    root_key = str(place.folder / "root.pem")
    trusted = run(
        *place.controller, "trust", "init", *place.configured, "--root-key", root_key, cwd=place.folder
    )
    assert trusted.returncode == 0, trusted.stderr
    serving = subprocess.Popen(
        (*place.controller, "serve", *place.configured), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert serving.stdout is not None
    try:
        assert serving.stdout.readline().startswith(b"serving https://")
        token = run(*place.controller, "host", "enroll", "web-01", *place.configured, cwd=place.folder).stdout
        assert token.startswith("steward-enrol-1.")
        (place.folder / "token").write_text(token)
        played = place.play("-v", "-e", "steward_agent_token_file=token")
        assert token.strip() not in played.said
        yield played
    finally:
        serving.terminate()
        serving.wait(timeout=30)
        serving.stdout.close()


def test_the_installed_commands_run_from_environments_of_their_own(place: Place):
    for name, prefix in (("steward-agent", "agent"), ("steward", "controller")):
        command = place.folder / "bin" / name
        assert command.resolve().is_relative_to(place.folder / "opt" / prefix / "releases")
        assert run(str(command), "--help", cwd=place.folder).returncode == 0
    shown = run(str(place.folder / "bin" / "steward-agent"), "--version", cwd=place.folder)
    assert re.fullmatch(r"steward-agent \d+\.\d+\.\d+", shown.stdout.strip())


def test_metrics_are_served_by_the_flags_and_files_that_the_role_brought(place: Place):
    etc = place.folder / "etc"
    for name in ("web.yml", "pve.token"):
        assert (etc / name).stat().st_mode & 0o777 == 0o640
    assert (place.folder / "textfile").is_dir()
    checked = run(
        str(place.folder / "bin" / "steward-agent"),
        "check",
        "--config",
        str(etc / "agent.yaml"),
        cwd=place.folder,
    )
    assert checked.returncode == 0, checked.stderr
    assert "users: prometheus" in checked.stdout


def test_a_host_is_enrolled_once_and_then_nothing_is_left_to_change(place: Place, enrolled: Played):
    assert enrolled.status == 0, enrolled.said
    assert enrolled.counted("changed") == {"controller.test": 0, "web-01": 1}
    configuration = str(place.folder / "etc" / "agent.yaml")
    agent = str(place.folder / "bin" / "steward-agent")
    status = run(agent, "status", "--config", configuration, cwd=place.folder)
    assert json.loads(status.stdout)["trust"]["version"] == 1, status.stderr
    again = place.play("-l", "web-01", "-e", "steward_agent_token_file=token")
    assert again.status == 0, again.said
    assert again.counted("changed") == {"web-01": 0}


@pytest.mark.parametrize(
    ("task", "settings", "complaint"),
    [
        pytest.param(
            "Put agent.yaml in place, once the installed agent takes it",
            {"steward_agent_settings": {"limits": {"kinds": {"host.ping": {"aproval": 1}}}}},
            "aproval",
            id="a limit that does not exist",
        ),
        pytest.param(
            "Put controller.yaml in place, once the installed controller takes it",
            {"steward_controller_settings": {"polcy": {}}},
            "polcy",
            id="a key that does not exist",
        ),
    ],
)
def test_a_wrong_configuration_never_gets_into_place(
    place: Place, task: str, settings: dict[str, object], complaint: str
):
    files = [place.folder / "etc" / "agent.yaml", place.folder / "controller" / "controller.yaml"]
    before = [file.read_bytes() for file in files]
    played = place.play("-e", json.dumps(settings), "--start-at-task", task)
    assert played.status != 0
    assert "failed to validate" in played.said
    assert complaint in played.said
    assert [file.read_bytes() for file in files] == before


def test_secrets_and_configuration_are_for_their_readers_alone(place: Place):
    modes = {
        "controller": 0o700,
        "controller/controller.yaml": 0o600,
        "controller/secrets/keycloak.secret": 0o600,
        "controller/state": 0o700,
        "etc/agent.yaml": 0o640,
    }
    assert {name: (place.folder / name).stat().st_mode & 0o777 for name in modes} == modes


def test_systemd_finds_nothing_wrong_with_what_was_installed(place: Place):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    units = place.folder / "units"
    names = [str(units / name) for name in (*UNITS, "steward-controller.service")]
    done = run("systemd-analyze", "verify", "--man=no", *names, cwd=place.folder)
    assert [line for line in done.stderr.splitlines() if "steward" in line] == []
    for name in UNITS[:2]:
        said = (units / f"{name}.d" / "50-host.conf").read_text()
        assert f"ExecStart={place.folder}/opt/agent/current/bin/steward-agent " in said
