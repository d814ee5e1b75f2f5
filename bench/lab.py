"""What a plan of 10,000 people costs us on the lab's Keycloak: our own processor time, the server's aside."""

import os
import sys
import tempfile
from pathlib import Path

from bench.measuring import CHANGES, NO_CHANGES, best, print_head, print_line, steward
from bench.policies import configure, write_people
from lab.processes import free_port, started

PEOPLE = 10_000
PLAN_CPU_SECONDS = 4.0
PLANS = 3


def run() -> None:
    """Measure and print. Raises `BenchError`, and `LabError` where the lab does not start."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        url = f"http://127.0.0.1:{free_port()}"
        program = Path(sys.executable).with_name("steward-lab")
        argv = [str(program), "keycloak", "--listen", url.removeprefix("http://"), "--plain"]
        with started(argv, log=folder / "lab.log", ready=f"{url}/health/ready"):
            _measure(folder, url)


def _measure(folder: Path, url: str) -> None:
    (folder / "password").write_text("admin")
    configure(folder, keycloak={"url": url, "username": "admin", "password_file": "password"})
    write_people(folder / "people", "bench", int(os.environ.get("BENCH_PEOPLE", PEOPLE)))
    creating = [steward(folder, "plan", "people", code=CHANGES) for _ in range(PLANS)]
    steward(folder, "apply", "people", "--yes", code=NO_CHANGES)
    empty = [steward(folder, "plan", "people", code=NO_CHANGES) for _ in range(PLANS)]
    print_head(f"{PEOPLE} people in the lab, our own processor time")
    print_line("steward plan, all to create", best(creating).cpu_seconds, PLAN_CPU_SECONDS, "s")
    print_line("steward plan, nothing to do", best(empty).cpu_seconds, PLAN_CPU_SECONDS, "s")
    print_line("peak memory, all to create", best(creating).peak_bytes / 1e6, 300.0, "MB")
