"""The house rules that no linter knows: sizes, and names that would hide what a room is for."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("agent", "alerting", "bench", "controller", "exporters", "grafana", "lab", "policies", "protocol")
LONGEST_MODULE, LONGEST_FUNCTION = 400, 60


def modules() -> list[Path]:
    return sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_and_functions_stay_readable(path: Path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= LONGEST_MODULE
    functions = (
        node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    sizes = {node.name: (node.end_lineno or node.lineno) - node.lineno + 1 for node in functions}
    assert {name: size for name, size in sizes.items() if size > LONGEST_FUNCTION} == {}


def test_no_room_is_named_after_nothing():
    vague = {"utils", "util", "helpers", "helper", "common", "misc"}
    assert [
        str(path) for path in modules() if {part.removesuffix(".py") for part in path.parts} & vague
    ] == []


def test_the_locks_hold_hashes_and_no_addresses():
    for lock in (ROOT / "requirements").glob("*.txt"):
        text = lock.read_text(encoding="utf-8")
        assert "://" not in text
        assert text.count("==") <= text.count("--hash=sha256:")


def test_git_holds_no_build_output_and_no_secret():
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    assert [name for name in tracked if name.endswith((".pyc", ".whl", ".db", ".zip"))] == []
    assert [name for name in tracked if name.endswith((".key", ".token"))] == []
