"""How long `steward apply` and `steward plan` take on a real Keycloak, process start included.

1,000 people, with `--large` (or `BENCH_LARGE=1`) 10,000 as well, each with a role and in a nested team. The
server has just started for the first of these commands; warm is the best of several. Each apply has a realm
of its own. No peer is measured here: none is at hand.
"""

import logging
import os
import tempfile
from pathlib import Path

from bench.measuring import NO_CHANGES, best, print_head, print_line, steward
from bench.policies import configure, write_people
from controller.app import Controller
from controller.cli.watching import Watch
from controller.config import Configuration
from controller.policy.folder import load
from lab.keycloak.real import RunningKeycloak, running_keycloak
from lab.keycloak.real_distribution import find_keycloak

SMALL, LARGE = 1_000, 10_000
APPLY_SECONDS = {SMALL: 7.0, LARGE: 60.0}
PLAN_SECONDS = {SMALL: 1.5, LARGE: 7.0}
PLANS = 3
WATCH_SECONDS = 0.3
PEAK_MEGABYTES = 300.0
PAGE = 1_000


def run() -> None:
    """Measure and print; says so and ends where no Keycloak is here. Raises BenchError."""
    source = find_keycloak()
    if source is None:
        print("skipped: no real Keycloak on this machine")
        return
    sizes = [SMALL, LARGE] if os.environ.get("BENCH_LARGE") else [SMALL]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "server").mkdir()
        with running_keycloak(source, folder / "server", java_options="-Xmx2g") as server:
            _configure(server, folder)
            for people in sizes:
                _measure(folder, people)


def _configure(server: RunningKeycloak, folder: Path) -> None:
    (folder / "password").write_text(server.password)
    configure(
        folder,
        keycloak={"url": server.plain_url, "username": server.username, "password_file": "password"},
    )


def _measure(folder: Path, people: int) -> None:
    realms = [f"bench{people}-{number}" for number in range(2 if people == LARGE else 3)]
    for realm in realms:
        write_people(folder / realm, realm, people)
    applies = [steward(folder, "apply", realm, "--yes", code=NO_CHANGES) for realm in realms]
    plans = [steward(folder, "plan", realms[0], code=NO_CHANGES) for _ in range(PLANS + 1)]
    requests, made, redraw = _inside(folder, realms[0])
    print_head(f"{people} people with roles and nested teams, whole commands on a real Keycloak")
    print_line("steward apply, first", applies[0].seconds, APPLY_SECONDS[people], "s")
    print_line("steward apply, warm", best(applies[1:]).seconds, APPLY_SECONDS[people], "s")
    print_line("steward plan, nothing to do, warm", best(plans[1:]).seconds, PLAN_SECONDS[people], "s")
    print_line("peak memory, apply", best(applies).peak_bytes / 1e6, PEAK_MEGABYTES, "MB")
    print_line("peak memory, plan", best(plans).peak_bytes / 1e6, PEAK_MEGABYTES, "MB")
    print_line("requests of an empty plan", requests, made, "")
    if people == SMALL:
        print_line("plan --watch, one save", redraw, WATCH_SECONDS, "s")
    print(f"our own processor time: apply {best(applies).cpu_seconds:.2f} s", end=", ")
    print(f"plan {best(plans).cpu_seconds:.2f} s")


class _Counter(logging.Handler):
    """Counts the lines that urllib3 writes: one a request."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += '"' in record.getMessage()


def _inside(folder: Path, realm: str) -> tuple[int, int, float]:
    """Requests of an empty plan, their bound by pages, and seconds of our work at a save under --watch."""
    counter, logger = _Counter(), logging.getLogger("urllib3.connectionpool")
    logger.addHandler(counter)
    level, logger.propagate = logger.level, False
    logger.setLevel(logging.DEBUG)
    try:
        with Controller(Configuration.load(folder / "controller.yaml", {})) as controller:
            policy = load(folder / realm)
            controller.plan(policy)
            requests = counter.count
            watch = Watch(controller, folder / realm, [])
            watch.look()
            redraw = min(watch.look().work_seconds for _ in range(PLANS))
    finally:
        logger.removeHandler(counter)
        logger.setLevel(level)
        logger.propagate = True
    pages = len(policy.users) // PAGE + 2
    # A page of people, one of each role's and of each team's holders, and a score for the realm itself.
    bound = 3 * pages + 2 * (len(policy.roles) + len(policy.teams)) + 20
    return requests, bound, redraw
