"""Hold rules and routes against the real ``promtool`` and ``amtool``.

A tool that is absent is named and skipped, unless ``REQUIRE_REAL=1`` makes its absence a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

FOLDER = Path(__file__).parent
ROUTES = FOLDER / "tests" / "routes.yaml"


def commands() -> list[tuple[str, ...]]:
    """Every check as the argv that runs it."""
    rules = sorted(str(path) for path in FOLDER.glob("rules/*.yaml"))
    configuration = str(FOLDER / "alertmanager.yaml")
    return [
        ("promtool", "check", "rules", *rules),
        *(
            ("promtool", "test", "rules", str(path))
            for path in sorted(FOLDER.glob("tests/*.yaml"))
            if path.name != ROUTES.name
        ),
        ("amtool", "check-config", configuration),
        *(_route_test(configuration, case) for case in yaml.safe_load(ROUTES.read_text())),
    ]


def _route_test(configuration: str, case: dict[str, object]) -> tuple[str, ...]:
    labels = case["labels"]
    if not isinstance(labels, dict):
        raise TypeError(f"tests/routes.yaml: labels must be a map, not {labels!r}")
    return (
        "amtool",
        "config",
        "routes",
        "test",
        f"--config.file={configuration}",
        f"--verify.receivers={case['receiver']}",
        *(f"{name}={value}" for name, value in labels.items()),
    )


def main() -> int:
    """0 when every check that could run passed; 1 otherwise."""
    required = os.environ.get("REQUIRE_REAL") == "1"
    failed = False
    for command in commands():
        path = shutil.which(command[0])
        if path is None:
            sys.stdout.write(f"{command[0]} is not installed; not run: {' '.join(command)}\n")
            failed |= required
            continue
        done = subprocess.run((path, *command[1:]), capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            failed = True
            sys.stderr.write(f"{' '.join(command)}\n{done.stdout}{done.stderr}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
