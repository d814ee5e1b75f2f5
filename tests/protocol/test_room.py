"""The room as a whole: it touches nothing outside, and each module says what it offers."""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path

import pytest

import protocol

FOLDER = Path(protocol.__file__).parent
MODULES = sorted(path for path in FOLDER.rglob("*.py") if path.name != "__init__.py")
STANDARD = {"base64", "binascii", "collections", "dataclasses", "enum", "hashlib", "itertools", "json", "re"}
ALLOWED = STANDARD | {"__future__", "cryptography", "msgspec", "protocol", "types", "typing"}
FORBIDDEN_CALLS = {"open", "print", "input", "eval", "exec", "__import__", "breakpoint"}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(FOLDER.parent).with_suffix("").parts)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_is_imported_that_could_read_a_clock_a_disk_or_a_network(path: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in FORBIDDEN_CALLS
    assert {name.split(".")[0] for name in imported} <= ALLOWED


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_exports_what_it_defines_in_public(path: Path) -> None:
    module = importlib.import_module(name_of(path))
    defined = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
    }
    assert defined <= set(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)
