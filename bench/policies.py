"""Policies of any size for benchmarks: people with roles in nested teams; guests with entries."""

import json
from pathlib import Path

ROLES = 20
TEAMS_OF_A_TEAM = 10


def write_people(folder: Path, realm: str, people: int) -> None:
    """Everybody has a role of their own choice and is in a team three levels down, which gives two more."""
    folder.mkdir()
    departments = max(1, people // 500)
    teams: dict[str, dict[str, object]] = {"everybody": {"roles": ["role-0"]}}
    for department in range(departments):
        teams[f"department-{department:02}"] = {
            "parent": "everybody",
            "roles": [f"role-{department % ROLES}"],
        }
        for number in range(TEAMS_OF_A_TEAM):
            teams[f"team-{department:02}-{number}"] = {"parent": f"department-{department:02}"}
    users = {
        f"user-{number:05}": {
            "email": f"user-{number:05}@example.org",
            "first_name": "User",
            "last_name": f"Number {number}",
            "roles": [f"role-{number % ROLES}"],
            "teams": [f"team-{number // TEAMS_OF_A_TEAM % departments:02}-{number % TEAMS_OF_A_TEAM}"],
        }
        for number in range(people)
    }
    roles = {f"role-{number}": {"includes": ["role-0"]} if number else {} for number in range(ROLES)}
    (folder / "policy.yaml").write_text("version: 1\nowner: bench\n")
    (folder / "realm.yaml").write_text(f"realm: {{name: {realm}}}\n")
    for section, entries in (("roles", roles), ("teams", teams), ("users", users)):
        lines = [f"  {name}: {json.dumps(entry)}" for name, entry in entries.items()]
        (folder / f"{section}.yaml").write_text("\n".join([f"{section}:", *lines]) + "\n")


def configure(folder: Path, **systems: object) -> None:
    """A controller.yaml that acts for `bench`."""
    settings = {"owners": ["bench"], "data": "state", **systems}
    (folder / "controller.yaml").write_text(json.dumps(settings))
