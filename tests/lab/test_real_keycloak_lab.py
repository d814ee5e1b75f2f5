"""`steward-lab up --real-keycloak`: the same description, plain words about faults, nothing left running."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest
import requests

from lab.errors import LabError
from lab.keycloak.real_distribution import (
    INSTALL,
    VERSION,
    built_keycloak,
    clean_environment,
    needed_keycloak,
)
from tests.end_to_end.playing import left_running
from tests.real.servers import real_server

COMMAND = (sys.executable, "-c", "from lab.cli import main; main()")
KC = """#!/bin/sh
cd "$(dirname "$0")/.." && { echo "$@"; env | grep ^KC_; } >> asked
echo "cannot: no disk left"
exit $(cat code)
"""


def lab(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | environment,
    )


def answers(url: str, ca_file: str) -> bool:
    try:
        return requests.get(f"{url}/realms/acme", verify=ca_file, timeout=2).ok
    except requests.Timeout:
        return False


def test_a_real_keycloak_in_place_of_the_simulated_one_ends_even_with_a_killed_lab(tmp_path: Path) -> None:
    """How it ends with a lab that is asked to end, the demo's test looks at."""
    real_server("keycloak")
    folder = ("--directory", str(tmp_path))
    argv = [*COMMAND, "up", *folder, "--users", "30", "--guests", "20", "--real-keycloak"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = [*takewhile_not("described", process.stdout)]
            assert f"starting Keycloak {VERSION} (about 15 s)" in said[0]
            described = json.loads((tmp_path / "lab.json").read_text("utf-8"))
            check_the_running_lab(described, folder, tmp_path)
        finally:
            process.kill()
    assert nothing_left(tmp_path)


def takewhile_not(start: str, lines) -> list[str]:
    found = []
    for line in lines:
        if line.startswith(start):
            break
        found.append(line.strip())
    return found


def check_the_running_lab(described: dict, folder: tuple[str, str], path: Path) -> None:
    keycloak, ca_file = described["keycloak"], described["ca_file"]
    assert answers(keycloak["url"], ca_file)
    password = Path(keycloak["admin"]["password_file"])
    assert stat.S_IMODE(password.stat().st_mode) == 0o600
    assert password.read_text().strip() not in {"", "admin"}
    shown = json.loads(lab("status", "--json", *folder).stdout)
    assert shown["keycloak"] == {"real": True, "down": False}
    assert lab("fault", "keycloak-down", *folder).returncode == 0
    assert not answers(keycloak["url"], ca_file)
    assert json.loads(lab("status", "--json", *folder).stdout)["keycloak"]["down"] is True
    refused = lab("fault", "latency", "2", *folder)
    assert (refused.returncode, "Keycloak is real" in refused.stderr) == (1, True)
    assert json.loads(lab("status", "--json", *folder).stdout)["proxmox"]["latency_seconds"] == 0
    assert lab("fault", "clear", *folder).returncode == 0
    assert answers(keycloak["url"], ca_file)
    assert listening_beyond_loopback(path) == []


def listening_beyond_loopback(path: Path) -> list[str]:
    """Sockets of the server (found by its certificate's path) that others than this machine could reach."""
    marker = str(path).encode()
    inodes: set[str] = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if marker in (process / "cmdline").read_bytes():
                inodes |= {str(link.readlink()) for link in (process / "fd").iterdir()}
        except OSError:
            continue
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text("ascii").splitlines()[1:]:
            fields = line.split()
            address, state, inode = fields[1].partition(":")[0], fields[3], f"socket:[{fields[9]}]"
            is_loopback = address.endswith("0100007F") or address == "0" * 24 + "01000000"
            if state == "0A" and inode in inodes and not is_loopback:
                found.append(fields[1])
    return found


def nothing_left(path: Path, within_seconds: float = 30) -> bool:
    """A killed lab cannot wait for its server; its keeper ends it."""
    deadline, never = time.monotonic() + within_seconds, threading.Event()
    while left_running(path) and time.monotonic() < deadline:
        never.wait(0.05)
    return left_running(path) == []


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"PATH": "/nonexistent", "JAVA_HOME": ""}, "needs Java"),
        ({"HOME": "/nonexistent", "STEWARD_KEYCLOAK_HOME": "", "JAVA_HOME": "/java"}, INSTALL),
        ({"STEWARD_KEYCLOAK_HOME": "/nonexistent", "JAVA_HOME": "/java"}, "no bin/kc.sh"),
    ],
)
def test_what_is_missing_is_said_with_what_to_do(tmp_path: Path, environment, says: str) -> None:
    ended = lab("up", "--real-keycloak", "--directory", str(tmp_path), **environment)
    assert (ended.returncode, says in ended.stderr) == (1, True), ended.stderr
    assert "Traceback" not in ended.stderr
    with pytest.raises(LabError):
        needed_keycloak(os.environ | environment)


class TestBuilding:
    """With a stand-in for kc.sh that writes down what it is asked: a real build takes 20 s."""

    @pytest.fixture
    def home(self, tmp_path: Path) -> Path:
        home = tmp_path / "mine" / "keycloak"
        for name in ("bin", "conf", "data"):
            (home / name).mkdir(parents=True)
        (home / "bin" / "kc.sh").write_text(KC)
        (home / "code").write_text("0")
        (home / "version.txt").write_text("26")
        (home / "conf" / "keycloak.conf").write_text("db=postgres\ndb-password=production\n")
        (home / "data" / "h2").write_text("mine")
        return home

    def test_a_copy_is_built_once_and_the_original_is_left_alone(self, home: Path, tmp_path: Path) -> None:
        before = {path: path.stat().st_mtime_ns for path in home.rglob("*")}
        said: list[str] = []
        built = built_keycloak(home, cache=tmp_path / "cache", say=said.append)
        assert built == built_keycloak(home, cache=tmp_path / "cache", say=said.append)
        assert len(said) == 1
        assert (built / "asked").read_text().startswith("build --db=dev-mem ")
        assert len((built / "asked").read_text().splitlines()) == 1
        assert not (built / "conf" / "keycloak.conf").exists()
        assert not (built / "data").exists()
        assert {path: path.stat().st_mtime_ns for path in home.rglob("*")} == before

    def test_another_version_in_its_place_is_built_anew(self, home: Path, tmp_path: Path) -> None:
        built_keycloak(home, cache=tmp_path / "cache")
        os.utime(home / "version.txt", (1, 1))
        said: list[str] = []
        built_keycloak(home, cache=tmp_path / "cache", say=said.append)
        assert len(said) == 1

    def test_an_archive_is_unpacked(self, home: Path, tmp_path: Path) -> None:
        archive = Path(shutil.make_archive(str(tmp_path / "keycloak-1"), "zip", home.parent, "keycloak"))
        built = built_keycloak(archive, cache=tmp_path / "cache")
        assert built == tmp_path / "cache" / "keycloak-1"
        assert (built / "version.txt").read_text() == "26"
        assert zipfile.is_zipfile(archive)

    def test_a_build_that_fails_shows_why_and_is_tried_again(self, home: Path, tmp_path: Path) -> None:
        (home / "code").write_text("7")
        for _ in range(2):
            with pytest.raises(LabError, match=r"ended with 7(?s:.*)no disk left"):
                built_keycloak(home, cache=tmp_path / "cache")
        (home / "code").write_text("0")
        assert built_keycloak(home, cache=tmp_path / "cache").is_dir()

    def test_settings_of_another_keycloak_do_not_reach_it(self) -> None:
        given = {"KC_DB_URL": "jdbc:postgresql://production", "PATH": "/bin"}
        assert clean_environment(given) == {"PATH": "/bin"}
