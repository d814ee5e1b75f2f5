"""What a scrape costs: process CPU of `steward-agent export` and of node_exporter, side by side in one run.

All programs run at once and are scraped in turn over one kept connection each, with Prometheus' own header
fields (gzip wanted), 1.1 s apart, so that neither answers from a cache. Start-up is not counted.
`BENCH_SCRAPES` sets the number.
"""

import gzip
import http.client
import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from lab.processes import free_port

SCRAPES = 100
PAUSE_SECONDS = 1.1
WARM_UP_SCRAPES = 3
START_SECONDS = 20.0
STEWARD = "steward-agent export"
SAME_COLLECTORS = (
    "cpu",
    "diskstats",
    "filesystem",
    "loadavg",
    "meminfo",
    "netdev",
    "os",
    "stat",
    "time",
    "uname",
    "vmstat",
)
PROMETHEUS_FIELDS = {
    "Accept": "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    "Accept-Encoding": "gzip",
    "User-Agent": "Prometheus/3.5.0",
}


class BenchError(Exception):
    """A program is missing, does not start or does not answer."""


@dataclass
class Contender:
    """A program under measurement and what was seen of it."""

    name: str
    process: subprocess.Popen[bytes]
    connection: http.client.HTTPConnection
    scrapes: int = 0
    begun_seconds: float = 0.0
    seconds: float = 0.0
    series: int = 0
    body_bytes: int = 0
    rss_bytes: int = 0
    answer_seconds: list[float] = field(default_factory=list)

    def scrape(self) -> None:
        """One scrape, as Prometheus does it."""
        begun = time.perf_counter()
        self.connection.request("GET", "/metrics", headers=PROMETHEUS_FIELDS)
        answer = self.connection.getresponse()
        body = answer.read()
        self.answer_seconds.append(time.perf_counter() - begun)
        if answer.status != http.client.OK:
            raise BenchError(f"{self.name}: status {answer.status}")
        text = gzip.decompress(body) if answer.headers.get("Content-Encoding") == "gzip" else body
        self.body_bytes = len(body)
        self.series = sum(1 for line in text.splitlines() if line and not line.startswith(b"#"))
        self.scrapes += 1

    def begin(self) -> None:
        """Count from here."""
        self.scrapes = 0
        self.answer_seconds.clear()
        self.begun_seconds = cpu_seconds(self.process.pid)

    def end(self) -> None:
        """Count until here."""
        self.seconds = cpu_seconds(self.process.pid) - self.begun_seconds
        self.rss_bytes = rss_bytes(self.process.pid)


def run() -> None:
    """Measure and print the table."""
    scrapes = int(os.environ.get("BENCH_SCRAPES", SCRAPES))
    with ExitStack() as stack:
        contenders = [_start(stack, name, argv, port) for name, argv, port in _programs()]
        for _ in range(WARM_UP_SCRAPES):
            _round(contenders)
        for contender in contenders:
            contender.begin()
        for turn in range(scrapes):
            first = turn % len(contenders)  # none is always the one that wakes a sleeping processor
            _round(contenders[first:] + contenders[:first])
        for contender in contenders:
            contender.end()
    _print(contenders, scrapes)


def cpu_seconds(pid: int) -> float:
    """Time on a processor of a process with all its threads.

    From /proc/PID/task/*/schedstat in nanoseconds (Documentation/scheduler/sched-stats.rst): utime and stime
    come in hundredths of a second, of which a scrape is a few tenths.
    """
    return sum(int((task / "schedstat").read_text().split()[0]) for task in _tasks(pid)) / 1e9


def _tasks(pid: int) -> list[Path]:
    return list(Path(f"/proc/{pid}/task").iterdir())


def rss_bytes(pid: int) -> int:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _programs() -> list[tuple[str, list[str], int]]:
    agent = shutil.which(
        "steward-agent", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )
    if agent is None:
        raise BenchError("steward-agent is not installed (make setup)")
    port = free_port()
    programs = [(STEWARD, [agent, "export", "--listen", f"127.0.0.1:{port}"], port)]
    for binary in ("node_exporter", "prometheus-node-exporter"):
        path = shutil.which(binary)
        if path is None:
            continue
        name = f"node_exporter {_version(path)}"
        only = ["--collector.disable-defaults", *(f"--collector.{one}" for one in SAME_COLLECTORS)]
        for kind, flags in (("default", []), ("same collectors", only)):
            port = free_port()
            argv = [path, f"--web.listen-address=127.0.0.1:{port}", "--log.level=error", *flags]
            programs.append((f"{name}, {kind}", argv, port))
    if len(programs) == 1:
        raise BenchError("no node_exporter to compare with (apt install prometheus-node-exporter)")
    return programs


def _version(path: str) -> str:
    answer = subprocess.run(
        [path, "--version"], capture_output=True, text=True, check=True, timeout=START_SECONDS
    )
    words = (answer.stdout + answer.stderr).split()
    number = words[2].rstrip(",") if len(words) > 2 else ""
    return number if number[:1].isdigit() else "(built from source)"


def _start(stack: ExitStack, name: str, argv: list[str], port: int) -> Contender:
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stack.callback(_stop, process)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
    stack.callback(connection.close)
    ends = time.monotonic() + START_SECONDS
    while True:
        try:
            connection.connect()
        except OSError as error:
            if process.poll() is not None or time.monotonic() > ends:
                raise BenchError(f"{name} does not start: {' '.join(argv)}") from error
            time.sleep(0.1)
        else:
            return Contender(name, process, connection)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(START_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _round(contenders: list[Contender]) -> None:
    """Each once, then a pause, so that each is scraped every 1.1 s and a little."""
    for contender in contenders:
        contender.scrape()
    time.sleep(PAUSE_SECONDS)


def _print(contenders: list[Contender], scrapes: int) -> None:
    ours = contenders[0]
    print(f"{scrapes} scrapes of each, {PAUSE_SECONDS} s apart, gzip; ratios are ours to theirs")
    head = (
        "CPU s",
        "ms/scrape",
        "series",
        "µs/series",
        "RSS MB",
        "bytes",
        "answer ms",
        "ratio",
        "per series",
    )
    print(f"{'':<56}" + "".join(f"{title:>11}" for title in head))
    for one in contenders:
        each = one.seconds / scrapes
        median = sorted(one.answer_seconds)[len(one.answer_seconds) // 2]
        cells = (
            f"{one.seconds:.2f}",
            f"{each * 1e3:.2f}",
            f"{one.series}",
            f"{each / one.series * 1e6:.1f}",
            f"{one.rss_bytes / 1e6:.1f}",
            f"{one.body_bytes}",
            f"{median * 1e3:.1f}",
            _ratio(ours.seconds, one.seconds),
            _ratio(ours.seconds / ours.series, one.seconds / one.series),
        )
        print(f"{one.name:<56}" + "".join(f"{cell:>11}" for cell in cells))


def _ratio(ours: float, theirs: float) -> str:
    return f"{ours / theirs:.2f}" if theirs > 0 else "-"


if __name__ == "__main__":
    run()
