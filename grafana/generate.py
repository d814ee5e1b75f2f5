"""Write ``dashboards/*.json`` from their Python, or with ``--check`` fail where the two differ."""

from __future__ import annotations

import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana.fleet import fleet_overview
from grafana.host import host_overview

FOLDER = Path(__file__).parent / "dashboards"


def rendered() -> dict[str, str]:
    """File name → JSON text of every dashboard, keys sorted so that a change shows as a small difference."""
    boards = {"fleet.json": fleet_overview(), "host.json": host_overview()}
    encoder = JSONEncoder(sort_keys=True, indent=2)
    return {name: encoder.encode(board.build()) + "\n" for name, board in boards.items()}


def main(arguments: list[str]) -> int:
    """0 when written or equal; 1 with the stale names when ``--check`` finds a difference."""
    wanted = rendered()
    if "--check" not in arguments:
        for name, text in wanted.items():
            (FOLDER / name).write_text(text, encoding="utf-8")
        return 0
    present = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    stale = sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))
    for name in stale:
        sys.stderr.write(
            f"grafana/dashboards/{name} is not what grafana/ generates; run `python -m grafana.generate`\n"
        )
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
