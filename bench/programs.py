"""Programs under measurement: started, scraped as Prometheus does it, and what they cost while they run."""

import gzip
import http.client
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.measuring import BenchError

START_SECONDS = 60.0
MIB = 1 << 20
PROMETHEUS_FIELDS = {
    "Accept": "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    "Accept-Encoding": "gzip",
    "User-Agent": "Prometheus/3.5.0",
}
PLAIN_FIELDS = {"Accept": "text/plain;version=0.0.4"}
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Scrape:
    """One answer: how long it took, how many bytes came, and its text."""

    seconds: float
    body_bytes: int
    text: bytes

    @property
    def series(self) -> int:
        """How many series the text has."""
        return sum(1 for line in self.text.splitlines() if line and not line.startswith(b"#"))


@dataclass
class Program:
    """A process and one kept connection to it; `path` is where its metrics are."""

    name: str
    process: subprocess.Popen[bytes]
    connection: http.client.HTTPConnection
    path: str

    def scrape(self, fields: Mapping[str, str] = PROMETHEUS_FIELDS) -> Scrape:
        """One scrape. Raises BenchError where the answer is none."""
        begun = time.perf_counter()
        self.connection.request("GET", self.path, headers=fields)
        answer = self.connection.getresponse()
        body = answer.read()
        seconds = time.perf_counter() - begun
        if answer.status != http.client.OK:
            raise BenchError(f"{self.name}: status {answer.status}")
        text = gzip.decompress(body) if answer.headers.get("Content-Encoding") == "gzip" else body
        return Scrape(seconds, len(body), text)

    @property
    def cpu_seconds(self) -> float:
        """Time on a processor until now, of the process and those that it started."""
        return sum(map(cpu_seconds, self._pids()))

    @property
    def rss_bytes(self) -> int:
        """Resident memory of the process and those that it started."""
        return sum(map(rss_bytes, self._pids()))

    def about(self, name: str) -> int:
        """A number of /proc/PID/status."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1])
        raise BenchError(f"no {name} in /proc/PID/status")

    def descriptors(self) -> int:
        """How many files it has open."""
        return sum(1 for _ in Path(f"/proc/{self.process.pid}/fd").iterdir())

    def _pids(self) -> list[int]:
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]


@contextmanager
def running(
    name: str,
    argv: Sequence[str],
    port: int,
    path: str = "/metrics",
    environment: Mapping[str, str] | None = None,
) -> Iterator[Program]:
    """Start a program that serves at this port; end it afterwards. Raises BenchError: it does not start."""
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
    try:
        _wait_for(process, connection)
        yield Program(name, process, connection, path)
    finally:
        connection.close()
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process, by force where it does not end."""
    process.terminate()
    try:
        process.wait(START_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def agent() -> str:
    """The program `steward-agent` of this environment. Raises BenchError."""
    program = Path(sys.executable).with_name("steward-agent")
    if not program.exists():
        raise BenchError("steward-agent is not installed (make setup)")
    return str(program)


def cpu_seconds(pid: int) -> float:
    """Time on a processor of a process with all its threads.

    From /proc/PID/task/*/schedstat in nanoseconds (Documentation/scheduler/sched-stats.rst): utime and stime
    come in hundredths of a second, of which a scrape is a few tenths.
    """
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def rss_bytes(pid: int) -> int:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def percentile(values: Sequence[float], share: float) -> float:
    """By nearest rank: of 100 values p99 is the largest but one."""
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)]


def _wait_for(process: subprocess.Popen[bytes], connection: http.client.HTTPConnection) -> None:
    ends = time.monotonic() + START_SECONDS
    while True:
        try:
            connection.connect()
        except OSError as error:
            if process.poll() is not None or time.monotonic() > ends:
                raise BenchError(f"{process.args!r} does not start") from error
            time.sleep(_POLL_SECONDS)
        else:
            return
