"""How long `steward apply` and `steward plan` take on a real Keycloak, process start included.

1,000 people with a role each. Cold is the first command after the server's start, warm the best of
several. A realm of its own for each apply. `BENCH_PEOPLE` sets the number. No peer is measured here: none
is at hand.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from controller.app import Controller
from controller.cli.watching import Watch
from controller.config import Configuration
from lab.keycloak.real import RunningKeycloak, running_keycloak
from lab.keycloak.real_distribution import find_keycloak

PEOPLE = 1000
WARM_RUNS = 3
APPLY_BUDGET_SECONDS = 8.0
PLAN_BUDGET_SECONDS = 2.0
WATCH_BUDGET_SECONDS = 0.3
NO_CHANGES, CHANGES = 0, 2


class BenchError(Exception):
    """A command ended otherwise than it must."""


def run() -> None:
    """Measure and print; raises BenchError where a command fails.

    Says so and ends where no Keycloak is here.
    """
    source = find_keycloak()
    if source is None:
        print("skipped: no real Keycloak on this machine")
        return
    people = int(os.environ.get("BENCH_PEOPLE", PEOPLE))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "server").mkdir()
        with running_keycloak(source, folder / "server", java_options="") as server:
            _measure(server, folder, people)


def _measure(server: RunningKeycloak, folder: Path, people: int) -> None:
    _configure(server, folder)
    realms = [f"bench{number}" for number in range(WARM_RUNS + 1)]
    for realm in realms:
        _write_policy(folder / realm, realm, people)
    applies = [_timed(folder, "apply", realm, "--yes", code=NO_CHANGES) for realm in realms]
    plans = [_timed(folder, "plan", realms[0], code=NO_CHANGES) for _ in range(WARM_RUNS + 1)]
    seconds = [_watched(folder, realms[0]) for _ in range(WARM_RUNS)]
    print(f"{people} people, a role each; whole commands, seconds")
    print(f"{'':28}{'cold':>8}{'warm':>8}{'budget':>8}{'of it':>8}")
    _line("steward apply", applies[0], min(applies[1:]), APPLY_BUDGET_SECONDS)
    _line("steward plan, nothing to do", plans[0], min(plans[1:]), PLAN_BUDGET_SECONDS)
    _line("plan --watch, one save", seconds[0], min(seconds[1:]), WATCH_BUDGET_SECONDS)


def _line(what: str, cold: float, warm: float, budget: float) -> None:
    print(f"{what:28}{cold:8.2f}{warm:8.2f}{budget:8.1f}{warm / budget:8.0%}")


def _timed(folder: Path, *words: str, code: int) -> float:
    """Seconds of wall clock from the start of the process to its end."""
    steward = Path(sys.executable).with_name("steward")
    began = time.perf_counter()
    done = subprocess.run([steward, *words], cwd=folder, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode != code:
        raise BenchError(f"steward {' '.join(words)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return seconds


def _watched(folder: Path, realm: str) -> float:
    """Seconds of our own work at a save: the world was observed before."""
    with Controller(Configuration.load(folder / "controller.yaml", {})) as controller:
        watch = Watch(controller, folder / realm, [])
        watch.look()
        return watch.look().work_seconds


def _configure(server: RunningKeycloak, folder: Path) -> None:
    (folder / "password").write_text(server.password)
    keycloak = {"url": server.plain_url, "username": server.username, "password_file": "password"}
    settings = {"owners": ["bench"], "data": "state", "keycloak": keycloak}
    (folder / "controller.yaml").write_text(json.dumps(settings))


def _write_policy(folder: Path, realm: str, people: int) -> None:
    folder.mkdir()
    roles = [f"role-{number}" for number in range(4)]
    users = {
        f"user-{number:05}": {
            "email": f"user-{number:05}@example.org",
            "first_name": "User",
            "last_name": f"Number {number}",
            "roles": [roles[number % len(roles)]],
        }
        for number in range(people)
    }
    lines = [f"  {name}: {json.dumps(user)}" for name, user in users.items()]
    (folder / "policy.yaml").write_text("version: 1\nowner: bench\n")
    (folder / "realm.yaml").write_text(f"realm: {{name: {realm}}}\n")
    (folder / "roles.yaml").write_text("roles:\n" + "".join(f"  {role}: {{}}\n" for role in roles))
    (folder / "users.yaml").write_text("\n".join(["users:", *lines]) + "\n")
