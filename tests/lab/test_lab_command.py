"""`steward-lab` as a person runs it."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from controller.clients.proxmox import ProxmoxLogin, ProxmoxReader
from controller.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = (sys.executable, "-c", "from lab.cli import main; main()")
RECORDINGS = Path(__file__).parents[1] / "fixtures" / "proxmox"


@contextmanager
def running(*arguments: str, ready: str) -> Iterator[list[str]]:
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines: list[str] = []
            for line in process.stdout:
                lines.append(line.strip())
                if line.startswith(ready):
                    break
            yield lines
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 0


def lab(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=30, check=False)


def test_whole_lab_with_a_node_that_goes_down_and_comes_back(tmp_path):
    folder = ("--directory", str(tmp_path))
    with running("up", *folder, "--guests", "20", "--users", "30", ready="described"):
        described = json.loads((tmp_path / "lab.json").read_text("utf-8"))
        access = described["proxmox"]
        login = ProxmoxLogin(
            access["url"],
            access["token_id"],
            Path(access["token_secret_file"]).read_text("ascii").strip(),
            Path(described["ca_file"]),
        )
        with ProxmoxReader(login) as reader:
            assert len(reader.resources().guests) == 20
            assert "tom.leaver@keycloak" in reader.access().users
            assert lab("fault", "node-down", "pve3", *folder).returncode == 0
            assert [node.status for node in reader.resources().nodes] == ["online", "online", "offline"]
            assert lab("fault", "proxmox-down", *folder).returncode == 0
            with pytest.raises(TransientError):
                reader.resources()
            assert lab("fault", "clear", *folder).returncode == 0
            assert [node.status for node in reader.resources().nodes] == ["online"] * 3
        shown = json.loads(lab("status", "--json", *folder).stdout)
        assert shown["proxmox"]["nodes"] == {"pve1": "up", "pve2": "up", "pve3": "up"}
        assert shown["proxmox"]["requests"] > 0
        assert "pve1 up" in lab("status", *folder).stdout
        assert lab("fault", "node-down", "pve9", *folder).returncode == 1
        assert "no node 'pve9'" in lab("fault", "node-down", "pve9", *folder).stderr
        for name in ("lab.json", "proxmox-token", "control-token", "keycloak-secret", "proxmox.pem"):
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600, name
        refused = requests.post(described["control"]["url"] + "/faults/proxmox-down", json=[], timeout=5)
        assert refused.status_code == 401
    assert not (tmp_path / "lab.json").exists()
    ended = lab("status", *folder)
    assert (ended.returncode, "lab.json" in ended.stderr) == (1, True)


def test_proxmox_alone_with_an_environment_in_plain_http(tmp_path):
    environment = json.loads((RECORDINGS / "power-transcript.json").read_text("utf-8"))["environment"]
    file = tmp_path / "environment.json"
    file.write_text(json.dumps(environment), "utf-8")
    arguments = ("proxmox", "--listen", "127.0.0.1:0", "--environment", str(file), "--no-delays", "--plain")
    with running(*arguments, ready="listening") as lines:
        url = lines[-1].removeprefix("listening on ") + "/api2/json"
        root = {"X-Lab-User": "root@pam"}
        users = requests.get(f"{url}/access/users", headers=root, timeout=5).json()["data"]
        assert users == [{"enable": 1, "realm-type": "pam", "userid": "root@pam"}]
        assert requests.get(f"{url}/access/users", timeout=5).status_code == 401
        dead = requests.get(f"{url}/nodes/pve2/qemu/108/status/current", headers=root, timeout=5)
        assert (dead.status_code, dead.reason, dead.content) == (595, "Connection refused", b"")


def test_proxmox_alone_over_tls_ignores_the_plain_header():
    with running("proxmox", "--listen", "127.0.0.1:0", "--no-delays", ready="trust") as lines:
        url, authority = lines[0].removeprefix("listening on "), lines[1].removeprefix("trust ")
        answer = requests.get(
            f"{url}/api2/json/version", headers={"X-Lab-User": "root@pam"}, verify=authority, timeout=5
        )
        assert answer.status_code == 401


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("fault",), 64),
        (("nosuch",), 64),
        (("proxmox", "--listen", "nowhere"), 64),
        (("proxmox", "--listen", "127.0.0.1:99999"), 64),
        (("proxmox", "--environment", "/nonexistent.json"), 1),
        (("up", "--guests", "1", "--directory", "{folder}"), 1),
    ],
)
def test_wrong_usage_is_told_from_what_cannot_be_done(arguments, code, tmp_path):
    ended = lab(*(argument.format(folder=tmp_path) for argument in arguments))
    assert ended.returncode == code
    assert ended.stderr
    assert "Traceback" not in ended.stderr
