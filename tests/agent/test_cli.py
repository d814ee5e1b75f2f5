"""steward-agent as it is typed: help that teaches, exit statuses, and a small start."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.agent.house import Authority, ExecutorProcess, House

COMMANDS = ("enroll", "run", "executor", "export", "deliver", "status", "trust", "verify")


def agent(*words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        (sys.executable, "-m", "agent.cli", *words), input=stdin, capture_output=True, check=False
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_there(command: str) -> None:
    done = agent(command, "--help")
    assert done.returncode == 0
    assert b"usage: steward-agent" in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("bogus",),
        ("enroll",),
        ("export", "--no-such-flag"),
        ("export", "--web.max-requests=x"),
        ("export", "--collector.filesystem.mount-points-exclude=("),
        ("export", "--path.procfs=/nonexistent"),
        ("run", "--web.telemetry-path=/m?x"),
        ("top", "--path.sysfs=/dev/null"),
        ("trust",),
        ("run", "--poll-seconds", "51"),
        ("run", "--poll-seconds", "soon"),
        ("verify", "--no-such-flag"),
        ("verify",),
        ("verify", "--vector"),
        ("verify", "x", "--trust", "t", "--limits", "l", "--host", "h", "--now", "noon"),
        ("deliver",),
        ("deliver", "x", "--wait", "nan"),
        ("deliver", "x", "--wait", "-1"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_64(words: tuple[str, ...]) -> None:
    done = agent(*words)
    assert done.returncode == 64
    assert b"usage:" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["run", "executor", "status"])
def test_a_host_that_is_not_enrolled_is_told_what_to_do(command: str, tmp_path: Path) -> None:
    house = House(tmp_path)
    done = agent(command, "--config", str(house.config))
    assert done.returncode == 1
    assert b"enroll" in done.stderr
    assert b"Traceback" not in done.stderr


def test_trust_is_shown_and_installed_with_and_without_an_executor(tmp_path: Path) -> None:
    house = House(tmp_path)
    first = house.authority.trust(1)
    house.enroll(house.authority.bundle(first))
    config = ("--config", str(house.config))
    assert json.loads(agent("trust", "show", *config).stdout)["version"] == 1
    second, third = house.authority.trust(2), house.authority.trust(3)
    done = agent("trust", "install", *config, "-", stdin=second.encode())
    assert (done.returncode, json.loads(done.stdout)["version"]) == (0, 2)
    with ExecutorProcess(house):
        bundle = house.authority.bundle(first, second, third)
        done = agent("trust", "install", *config, "-", stdin=bundle.encode())
        assert (done.returncode, json.loads(done.stdout)["version"]) == (0, 3)


@pytest.mark.parametrize("running", [True, False], ids=["through the executor", "alone"])
def test_trust_by_strangers_is_refused(running: bool, tmp_path: Path) -> None:
    house = House(tmp_path).enroll()
    words = ("trust", "install", "--config", str(house.config), "-")
    forged = Authority().trust(2).encode()
    if running:
        with ExecutorProcess(house):
            done = agent(*words, stdin=forged)
    else:
        done = agent(*words, stdin=forged)
    assert done.returncode == 3
    assert b"trust_broken_chain" in done.stderr
    assert json.loads(agent("trust", "show", *words[2:4]).stdout)["version"] == 1


def test_the_verifier_runs_alone(tmp_path: Path) -> None:
    house = House(tmp_path)
    trust, limits, delivery = tmp_path / "trust.json", tmp_path / "limits.json", tmp_path / "delivery"
    trust.write_bytes(house.authority.bundle().encode())
    limits.write_text('{"kinds":{"host.ping":{}}}')
    delivery.write_bytes(house.delivery())
    words = ("--trust", str(trust), "--limits", str(limits))
    done = agent("verify", str(delivery), *words, "--host", house.host_id)
    assert (done.returncode, done.stdout) == (0, b"accepted\n")
    done = agent("verify", str(delivery), *words, "--host", "0" * 26)
    assert (done.returncode, done.stdout) == (3, b"refused: wrong_host\n")


PROGRAM = """
import sys
before = set(sys.modules)
import agent.cli, agent.network, agent.processes
agent.command_line.build(False)
print(*sorted({name.split(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)))
"""
NOT_WANTED = {
    "alembic",
    "apscheduler",
    "controller",
    "jinja2",
    "joserfc",
    "keycloak",
    "lab",
    "prometheus_client",
    "proxmoxer",
    "pydantic",
    "requests",
    "rich",
    "sqlalchemy",
    "structlog",
    "typer",
}


def test_the_network_process_starts_small() -> None:
    done = subprocess.run((sys.executable, "-c", PROGRAM), capture_output=True, check=True, text=True)
    assert NOT_WANTED.isdisjoint(done.stdout.split())


def test_commands_without_a_network_do_not_load_one() -> None:
    program = "import sys, agent.cli; print(*({'aiohttp', 'cryptography', 'asyncio'} & set(sys.modules)))"
    done = subprocess.run((sys.executable, "-c", program), capture_output=True, check=True, text=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    ("flag", "meant"),
    [
        ("--collector.netdv", "--collector.netdev"),
        ("--no-collector.filesytem", "--collector.filesystem"),
        ("--collector.netdev.device-exlude=x", "--collector.netdev.device-exclude"),
        ("--web.listen-adress=:1", "--web.listen-address"),
        ("--path.procf=/proc", "--path.procfs"),
    ],
)
def test_a_flag_that_is_nearly_right_is_told(flag: str, meant: str) -> None:
    done = agent("export", flag)
    assert done.returncode == 64
    assert f"did you mean {meant}?".encode() in done.stderr


def test_collectors_that_only_node_exporter_has_may_be_switched_off(tmp_path: Path) -> None:
    file = configured(tmp_path, "  listen: 127.0.0.1:9100\n")
    assert agent("check", "--config", file, "--no-collector.wifi", "--no-collector.ntp").returncode == 0
    done = agent("export", "--collector.wifi")
    assert done.returncode == 64
    assert b"node_exporter has this collector, Steward has not" in done.stderr


@pytest.mark.parametrize("command", ["export", "run", "check"])
def test_help_has_every_collector_and_fits_a_terminal(command: str) -> None:
    from exporters.table import TABLE

    text = agent(command, "--help").stdout.decode()
    assert {row.name for row in TABLE} <= {line.split()[0] for line in text.splitlines() if line.strip()}
    assert max(map(len, text.splitlines())) <= 100
    assert "--web.config.file" in text


def configured(tmp_path: Path, metrics: str) -> str:
    path = tmp_path / "agent.yaml"
    path.write_text(f"state: {tmp_path}\nmetrics:\n{metrics}")
    path.chmod(0o600)
    return str(path)


def test_check_says_what_would_run(tmp_path: Path) -> None:
    file = configured(tmp_path, "  listen: 127.0.0.1:9100\n  flags: {collector.interrupts: true}\n")
    done = agent("check", "--config", file, "--no-collector.cpu")
    assert done.returncode == 0, done.stderr
    on = next(line for line in done.stdout.decode().splitlines() if line.startswith("on")).split()
    assert "interrupts" in on
    assert "cpu" not in on
    assert b"127.0.0.1:9100/metrics, plain HTTP, no users" in done.stdout


WRONG = {
    "a flag": (
        "  flags: {collector.netdv: true}\n",
        "metrics.flags.collector.netdv: no such flag; did you mean",
    ),
    "a value": (
        "  flags: {collector.netdev.device-exclude: '('}\n",
        "metrics.flags.collector.netdev.device-exclude: '(' is not a regular expression",
    ),
    "two": ("  flags: {collector.x: true, web.max-requests: many}\n", "metrics.flags.web.max-requests:"),
    "the address": ("  listen: 0.0.0.0:9100\n", "0.0.0.0:9100: not a loopback address"),
    "the web configuration": (
        "  flags: {web.config.file: /nowhere/web.yml}\n",
        "/nowhere/web.yml: No such file",
    ),
}


@pytest.mark.parametrize(("metrics", "why"), WRONG.values(), ids=WRONG.keys())
def test_check_says_what_is_wrong(metrics: str, why: str, tmp_path: Path) -> None:
    done = agent("check", "--config", configured(tmp_path, metrics))
    assert done.returncode == 1
    assert why.encode() in done.stderr
    assert b"Traceback" not in done.stderr
    assert done.stdout == b""


def test_run_names_the_key_of_a_wrong_flag(tmp_path: Path) -> None:
    house = House(tmp_path).enroll()
    written = json.loads(house.config.read_text())  # JSON is YAML
    written["metrics"]["flags"] = {"collector.netdv": True}
    house.config.write_text(json.dumps(written))
    done = agent("run", "--config", str(house.config))
    assert done.returncode == 1
    assert b"metrics.flags.collector.netdv: no such flag" in done.stderr
