"""Writes protocol/vectors: `python -m tests.protocol.make_vectors`. Same cases, same files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tests.protocol import cases_action, cases_envelope, cases_request, cases_trust

if TYPE_CHECKING:
    from tests.protocol.scene import Case

FOLDER = Path(__file__).parents[2] / "protocol" / "vectors"


def all_cases() -> list[Case]:
    """Every published case, in the order of the checks."""
    return [
        case
        for module in (cases_envelope, cases_trust, cases_action, cases_request)
        for case in module.cases()
    ]


def render(case: Case) -> str:
    """The file of one case."""
    return json.dumps(case.as_json(), indent=1, sort_keys=True) + "\n"


def main() -> None:
    """Write every file, and remove those of cases that are no more."""
    files = {f"{case.name}.json": render(case) for case in all_cases()}
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.json"):
        if path.name not in files:
            path.unlink()
    for name, text in files.items():
        (FOLDER / name).write_text(text, "ascii")


if __name__ == "__main__":
    main()
