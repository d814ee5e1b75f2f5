"""What a scrape costs: `steward-agent export` and node_exporter, side by side in one run.

All programs run at once and are scraped in turn over one kept connection each, with Prometheus' own header
fields (gzip wanted), 1.1 s apart, so that neither answers from a cache. Start-up is not counted. Each side
runs twice: with its default collectors, and with the very same ones. Then the texts are read and compared.
`BENCH_SCRAPES` sets the number.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median

from bench.measuring import BenchError, print_head, print_line
from bench.programs import (
    MIB,
    PLAIN_FIELDS,
    START_SECONDS,
    Program,
    Scrape,
    agent,
    percentile,
    running,
)
from exporters.table import TABLE
from lab.processes import free_port
from tests.exporters.exposition import Exposition, parse

SCRAPES = 100
PAUSE_SECONDS = 1.1
WARM_UP_SCRAPES = 3
CPU_BUDGET_RATIO = 1 / 3
OF_ITS_OWN = ("go_", "promhttp_", "process_", "node_exporter_build_info")
"""What node_exporter tells of itself."""
_MOST_NAMES = 10


@dataclass
class Contender:
    """A program under measurement and what was seen of it."""

    program: Program
    cpu_seconds: float = 0.0
    rss_bytes: int = 0
    scrapes: list[Scrape] = field(default_factory=list)

    @property
    def p99_seconds(self) -> float:
        return percentile([scrape.seconds for scrape in self.scrapes], 0.99)

    @property
    def cpu_of_one(self) -> float:
        """Processor seconds of one scrape."""
        return self.cpu_seconds / len(self.scrapes)

    def text(self) -> Exposition:
        """What it says, read strictly. Raises ValueError where that is no text format 0.0.4."""
        return parse(self.program.scrape(PLAIN_FIELDS).text.decode())


def run() -> None:
    """Measure and print. Raises BenchError."""
    scrapes = int(os.environ.get("BENCH_SCRAPES", SCRAPES))
    with ExitStack() as stack:
        pairs = [
            (title, _contender(stack, *ours), _contender(stack, *theirs)) for title, ours, theirs in _pairs()
        ]
        contenders = [one for _, ours, theirs in pairs for one in (ours, theirs)]
        for _ in range(WARM_UP_SCRAPES):
            _round(contenders)
        began = [one.program.cpu_seconds for one in contenders]
        for one in contenders:
            one.scrapes.clear()
        for turn in range(scrapes):
            first = turn % len(contenders)  # none is always the one that wakes a sleeping processor
            _round(contenders[first:] + contenders[:first])
        for one, begun in zip(contenders, began, strict=True):
            one.cpu_seconds = one.program.cpu_seconds - begun
            one.rss_bytes = one.program.rss_bytes
        print(f"{scrapes} scrapes of each, {PAUSE_SECONDS} s apart, gzip")
        _print_table(contenders)
        for title, ours, theirs in pairs:
            _print_pair(title, ours, theirs)


def _pairs() -> list[tuple[str, tuple[str, list[str]], tuple[str, list[str]]]]:
    """For each comparison: its title, ours and theirs, each by name and command line but for its address."""
    binaries = [path for path in map(shutil.which, ("node_exporter", "prometheus-node-exporter")) if path]
    if not binaries:
        raise BenchError("no node_exporter to compare with (apt install prometheus-node-exporter)")
    pairs = []
    for binary in dict.fromkeys(map(os.path.realpath, binaries)):
        name = f"node_exporter {_version(binary)}"
        known = _answer(binary, "--help")
        same = [row.name for row in TABLE if row.in_node_exporter and f"collector.{row.name} " in known]
        only = ["--collector.disable-defaults", *(f"--collector.{one}" for one in same)]
        for title, flags in (("default collectors", []), (f"the same {len(same)} collectors", only)):
            ours = (f"steward-agent export, {title}", [agent(), "export", *flags])
            theirs = (f"{name}, {title}", [binary, "--log.level=error", *flags])
            pairs.append((f"{name}, {title}", ours, theirs))
    return pairs


def _answer(binary: str, flag: str) -> str:
    done = subprocess.run([binary, flag], capture_output=True, text=True, check=True, timeout=START_SECONDS)
    return done.stdout + done.stderr


def _version(binary: str) -> str:
    number = _answer(binary, "--version").split()[2]
    return number if number[:1].isdigit() else "(built from source)"


def _contender(stack: ExitStack, name: str, argv: Sequence[str]) -> Contender:
    port = free_port()
    address = f"--web.listen-address=127.0.0.1:{port}"
    return Contender(stack.enter_context(running(name, [*argv, address], port)))


def _round(contenders: Sequence[Contender]) -> None:
    """Each once, then a pause, so that each is scraped every 1.1 s and a little."""
    for one in contenders:
        one.scrapes.append(one.program.scrape())
    time.sleep(PAUSE_SECONDS)


def _print_table(contenders: Sequence[Contender]) -> None:
    head = ("CPU ms/scrape", "series", "µs/series", "RSS MiB", "bytes", "p50 ms", "p99 ms")
    print(f"\n{'':<56}" + "".join(f"{title:>14}" for title in head))
    for one in contenders:
        last = one.scrapes[-1]
        cells = (
            f"{one.cpu_of_one * 1e3:.2f}",
            f"{last.series}",
            f"{one.cpu_of_one / last.series * 1e6:.1f}",
            f"{one.rss_bytes / MIB:.1f}",
            f"{last.body_bytes}",
            f"{median(scrape.seconds for scrape in one.scrapes) * 1e3:.1f}",
            f"{one.p99_seconds * 1e3:.1f}",
        )
        print(f"{one.program.name:<56}" + "".join(f"{cell:>14}" for cell in cells))


def _print_pair(title: str, ours: Contender, theirs: Contender) -> None:
    """The budgets against this peer, and which of its series are ours too."""
    said, reference = ours.text(), theirs.text()
    wanted = {series for series in reference.values if not series[0].startswith(OF_ITS_OWN)}
    missing = wanted - said.values.keys()
    print_head(f"beside {title}")
    print_line("processor time, ours to theirs", ours.cpu_of_one / theirs.cpu_of_one, CPU_BUDGET_RATIO, "")
    print_line("scrape, p99: ours, and theirs", ours.p99_seconds * 1e3, theirs.p99_seconds * 1e3, "ms")
    print_line("series of theirs that are not ours", len(missing), 0, "")
    equal = sum(1 for series in wanted - missing if said.values[series] == reference.values[series])
    both = reference.kinds.keys() & said.kinds
    kinds = [name for name in both if reference.kinds[name] != said.kinds[name]]
    print(
        f"{len(wanted) - len(missing)} of its {len(wanted)} series are ours too, {equal} with its number "
        f"a moment later; {len(said.values) - len(wanted) + len(missing)} more are ours alone; "
        f"{len(kinds)} metrics are of another type"
    )
    names = sorted({name for name, _ in missing})
    if names:
        print(f"missing: {', '.join(names[:_MOST_NAMES])}{' …' if len(names) > _MOST_NAMES else ''}")


if __name__ == "__main__":
    run()
