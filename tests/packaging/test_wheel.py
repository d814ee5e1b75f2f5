"""The wheel as users get it: built, installed with the agent extra alone, and run from an empty place."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

TOP_LEVEL = {
    "agent",
    "alerting",
    "controller",
    "exporters",
    "grafana",
    "lab",
    "policies",
    "protocol",
}
ONLY_IN_OTHER_EXTRAS = (
    "pydantic",
    "sqlalchemy",
    "requests",
    "typer",
    "rich",
    "keycloak",
    "proxmoxer",
    "jinja2",
)


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run without a shell in a clean environment; fail with its output."""
    clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    pip = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("PIP_", "SSL_", "HTTP", "REQUESTS_"))
    }
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=clean | pip | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the files that Git would hand to somebody else."""
    place = tmp_path_factory.mktemp("wheel")
    source = place / "source"
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", place, cwd=source)
    (built,) = place.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an empty environment that got the locked agent extra and the wheel, nothing else."""
    place = tmp_path_factory.mktemp("installed")
    venv.create(place / "venv", with_pip=True)
    python = place / "venv" / "bin" / "python"
    pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*pip, "--require-hashes", "-r", ROOT / "requirements" / "agent.txt", cwd=place)
    run(*pip, "--no-deps", wheel, cwd=place)
    run(python, "-m", "pip", "check", cwd=place)
    return python.parent


def test_the_top_level_names_are_ours_and_no_others(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
    packages = {name.split("/")[0] for name in names}
    assert {name for name in packages if not name.endswith(".dist-info")} == TOP_LEVEL
    assert not [name for name in names if "/tests/" in name or name.startswith("tests/")]


def test_dashboards_rules_policies_and_vectors_travel_in_the_wheel(wheel: Path):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "grafana/dashboards/fleet.json",
        "alerting/rules/steward.yaml",
        "alerting/alertmanager.yaml",
    } <= names
    assert any(name.startswith("policies/prod/") and name.endswith(".yaml") for name in names)
    assert len([name for name in names if name.startswith("protocol/vectors/")]) > 30
    assert any(name.startswith("controller/store/migrations/") for name in names)
    assert any(name.startswith("controller/api/templates/") for name in names)


def test_the_agent_runs_from_the_wheel_alone(installed: Path, tmp_path: Path):
    shown = run(installed / "steward-agent", "--help", cwd=tmp_path).stdout
    assert "executor" in shown
    assert "export" in shown
    scraped = run(
        installed / "python",
        "-c",
        "from importlib.resources import files\n"
        "print(files('grafana').joinpath('dashboards/fleet.json').is_file(),"
        " files('alerting').joinpath('rules/steward.yaml').is_file())",
        cwd=tmp_path,
    ).stdout
    assert scraped.split() == ["True", "True"]


def test_the_agent_verifies_the_published_vectors_from_the_wheel(installed: Path, tmp_path: Path):
    location = run(
        installed / "python", "-c", "import protocol; print(protocol.__path__[0])", cwd=tmp_path
    ).stdout.strip()
    assert str(ROOT) not in location
    vectors = sorted(Path(location, "vectors").glob("*.json"))
    run(installed / "steward-agent", "verify", "--vector", *vectors, cwd=tmp_path)


def test_the_agent_extra_brings_nothing_of_the_controllers(installed: Path, tmp_path: Path):
    listed = run(installed / "python", "-m", "pip", "list", "--format=freeze", cwd=tmp_path).stdout.lower()
    present = {line.split("==")[0] for line in listed.splitlines()}
    assert present.isdisjoint(ONLY_IN_OTHER_EXTRAS)


def test_what_the_agent_imports_at_start_is_pinned(installed: Path, tmp_path: Path):
    """Start-up is memory on every host: a new name is a decision and changes fixtures/agent_imports.txt."""
    program = (
        "import sys\nbefore = set(sys.modules)\nimport agent.cli, agent.network\n"
        "print('\\n'.join(sorted({name.split('.')[0] for name in set(sys.modules) - before}"
        " - set(sys.stdlib_module_names))))"
    )
    imported = run(installed / "python", "-c", program, cwd=tmp_path).stdout
    pinned = (ROOT / "tests" / "fixtures" / "agent_imports.txt").read_text()
    assert [name for name in imported.split() if not name.startswith("_")] == pinned.split()
