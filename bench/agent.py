"""What the agent costs a host: its memory, and its share of a core at the pace of Prometheus.

Three programs run at once and are scraped every 15 s: `export` with its default collectors; `export` with
GPUs and a cluster of Proxmox VE as well; and `run` of an enrolled host with the same, beside its executor and
with a controller that holds its polls. GPUs are scripted, cluster and controller are simulated, none of which
counts. Processor time is that of whole intervals: what is read in the background between scrapes is in it.
`BENCH_SCRAPES` sets the number of intervals.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from agent.configuration import load
from agent.enrolment import enroll
from bench.measuring import print_head, print_line
from bench.programs import MIB, Program, agent, rss_bytes, running
from bench.vm import SMALL, cluster, pve_flags
from lab.nvidia import Stub, environment
from lab.nvidia.script import example
from lab.processes import free_port
from tests.agent.fake_controller import FakeController
from tests.agent.house import Authority, ExecutorProcess, House

INTERVAL_SECONDS = 15.0
INTERVALS = 4
MOST_EXPORT_MIB = 45.0
MOST_RUN_MIB = 60.0
MOST_PERCENT = 0.2
DEFAULTS, EXPORT, RUN = (
    "export, default collectors",
    "export with GPUs and guests",
    "run with GPUs and guests",
)


def run() -> None:
    """Measure and print. Raises BenchError, and LabError where there is no compiler for the GPUs' driver."""
    intervals = min(INTERVALS, int(os.environ.get("BENCH_SCRAPES", INTERVALS)))
    with tempfile.TemporaryDirectory(prefix="steward-bench-") as name, cluster(*SMALL) as lab:
        folder = Path(name)
        Stub(folder).play(example())
        flags = pve_flags(lab, INTERVAL_SECONDS)
        asyncio.run(_beside_a_controller(folder, flags, intervals))


async def _beside_a_controller(folder: Path, flags: Mapping[str, str], intervals: int) -> None:
    for part in ("host", "controller"):
        (folder / part).mkdir()
    port = free_port()
    metrics: dict[str, Any] = {"listen": f"127.0.0.1:{port}", "flags": dict(flags)}
    house = House(folder / "host", settings={"metrics": metrics})
    async with FakeController(folder / "controller", Authority()) as controller:
        await enroll(load(house.config), controller.token(), replace=False, now=int(time.time()))
        await asyncio.to_thread(_measure, folder, house, port, flags, intervals)


def _measure(folder: Path, house: House, port: int, flags: Mapping[str, str], intervals: int) -> None:
    words = [f"--{name}={value}" for name, value in flags.items()]
    seeing = {**os.environ, **environment(folder)}
    export_ports = free_port(), free_port()
    exports = [[agent(), "export", "--listen", f"127.0.0.1:{one}"] for one in export_ports]
    with ExecutorProcess(house) as executor, ExitStack() as stack:
        programs = [
            stack.enter_context(running(name, argv, at, environment=around))
            for name, argv, at, around in (
                (DEFAULTS, exports[0], export_ports[0], os.environ),
                (EXPORT, [*exports[1], *words], export_ports[1], seeing),
                (RUN, [agent(), "run", "--config", str(house.config)], port, seeing),
            )
        ]
        _interval(programs)  # learns what is slow here, reads all for the first time
        began = [program.cpu_seconds for program in programs]
        for _ in range(intervals):
            _interval(programs)
        shares = [
            (program.cpu_seconds - begun) / (intervals * INTERVAL_SECONDS) * 100
            for program, begun in zip(programs, began, strict=True)
        ]
        _print(programs, shares)
        print(f"the executor beside `run`: {rss_bytes(executor.process.pid) / MIB:.1f} MiB")


def _interval(programs: Sequence[Program]) -> None:
    """One scrape of each, and the rest of the interval."""
    ends = time.monotonic() + INTERVAL_SECONDS
    for program in programs:
        program.scrape()
    time.sleep(max(0.0, ends - time.monotonic()))


def _print(programs: Sequence[Program], shares: Sequence[float]) -> None:
    for program in programs:
        scrape = program.scrape()
        gpus, guests = (scrape.text.count(name) for name in (b"\nsteward_gpu_info", b"\npve_guest_info"))
        print(f"{program.name}: {scrape.series} series, {gpus} GPUs, {guests} guests")
    print_head(f"scraped every {INTERVAL_SECONDS:g} s")
    budgets = {EXPORT: MOST_EXPORT_MIB, RUN: MOST_RUN_MIB, DEFAULTS: MOST_EXPORT_MIB}
    for program in programs:
        print_line(f"{program.name}: RSS", program.rss_bytes / MIB, budgets[program.name], "MiB")
    for program, share in zip(programs, shares, strict=True):
        print_line(f"{program.name}: of a core", share, MOST_PERCENT, "%")


if __name__ == "__main__":
    run()
