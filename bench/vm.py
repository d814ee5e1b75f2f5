"""What the guests of a large Proxmox cluster cost, beside prometheus-pve-exporter over the same lab.

1,000 guests on 20 nodes. Both are scraped in turn with Prometheus' own header fields; what the API was asked
is counted by the simulator, which runs in this process and answers both. Ours reads in the background every
few seconds here instead of every 15, so that a short run sees enough readings. `BENCH_SCRAPES` sets the
number of our scrapes, `BENCH_GUESTS` and `BENCH_NODES` the large cluster. The budgets hold
on both clusters; 40,000 series of the large one are 2 MB of text.
"""

import itertools
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.measuring import BenchError, print_head, print_line
from bench.programs import MIB, Scrape, agent, percentile, running
from lab.processes import free_port
from lab.proxmox.accounts import Entry, Token, User
from lab.proxmox.datacenter import Datacenter
from lab.proxmox.server import application_for, new_datacenter
from lab.serving import serve_in_thread
from lab.tls import Authority

if TYPE_CHECKING:
    from lab.proxmox.api import Request

GUESTS, NODES = 1_000, 20
SMALL = 30, 3
SCRAPES, THEIR_SCRAPES = 100, 20
INTERVAL_SECONDS = 5
PAUSE_SECONDS = 1.1
WARM_UP_SCRAPES = 2
MOST_REQUESTS = 3
P99_SECONDS = 0.05
MOST_RSS_MIB = 45.0
TOKEN_ID, TOKEN_SECRET = "steward@pve!look", "3f6c3f2e-0000-4000-8000-000000000002"


@dataclass
class Seen:
    """What was seen of one program."""

    seconds: list[float] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    requests: float = 0.0
    cpu_seconds: float = 0.0
    rss_bytes: int = 0
    series: int = 0


def run() -> None:
    """Measure and print. Raises BenchError, and LabError where a program does not start."""
    large = int(os.environ.get("BENCH_GUESTS", GUESTS)), int(os.environ.get("BENCH_NODES", NODES))
    peer = _peer()
    if peer is None:
        raise BenchError("no prometheus-pve-exporter to compare with (make pve-exporter)")
    print_head(f"Proxmox read every {INTERVAL_SECONDS} s, all collectors of the agent")
    many = int(os.environ.get("BENCH_SCRAPES", SCRAPES))
    for (guests, nodes), scrapes in ((SMALL, THEIR_SCRAPES), (large, many)):
        with cluster(guests, nodes) as lab:
            ours, theirs = _ours(lab, scrapes), _theirs(lab, peer)
        where = f"{guests} guests on {nodes} nodes: "
        print_line(f"{where}scrape, p99", _p99(ours), P99_SECONDS, "s")
        print_line(f"{where}requests an interval, most", ours.requests, MOST_REQUESTS, "")
        print_line(f"{where}RSS", ours.rss_bytes / MIB, MOST_RSS_MIB, "MiB")
        _print_beside(ours, theirs)


@dataclass(frozen=True)
class Cluster:
    """A simulated cluster that runs, and a folder for what its clients need."""

    folder: Path
    url: str
    ca_file: Path
    center: Datacenter


@contextmanager
def cluster(guests: int, nodes: int) -> Iterator[Cluster]:
    """Run one with that many guests and nodes, and a token that may look."""
    center = _center(guests, nodes)
    with tempfile.TemporaryDirectory() as name:
        authority = Authority.create(Path(name))
        application = application_for(center, delays=False)
        with serve_in_thread(application, tls=authority.server_context()) as url:
            yield Cluster(Path(name), url, authority.ca_file, center)


def _center(guests: int, nodes: int) -> Datacenter:
    rows = [
        {
            "vmid": 100 + n,
            "type": "lxc" if n % 5 == 0 else "qemu",
            "node": f"pve{n % nodes + 1}",
            "config": f"name: guest-{n:04d}\nmemory: 2048\nonboot: 1\ntags: prod;owner-{n % 9}\n",
            "running": "running",
        }
        for n in range(guests)
    ]
    center = new_datacenter(
        {
            "nodes": [{"node": f"pve{n}", "id": n, "online": 1} for n in range(1, nodes + 1)],
            "guests": rows,
            "storages": ["local"],
            "live_statistics": True,
            "cluster_name": "bench",
        }
    )
    user, _, token = TOKEN_ID.partition("!")
    center.accounts.users[user] = User(tokens={token: Token(privsep=0)})
    center.accounts.acl[Entry("/", "user", user, "PVEAuditor")] = 1
    center.token_values[TOKEN_ID] = TOKEN_SECRET
    center.accounts.settle()
    return center


def pve_flags(lab: Cluster, interval_seconds: float) -> dict[str, str]:
    """The flags with which the agent reads this cluster; writes its token's file."""
    token = lab.folder / "token"
    token.touch(0o600)
    token.write_text(f"{TOKEN_ID}={TOKEN_SECRET}\n")
    values = {
        "url": lab.url,
        "ca-file": str(lab.ca_file),
        "token-file": str(token),
        "interval": f"{interval_seconds:g}s",
    }
    return {f"collector.pve.{name}": value for name, value in values.items()}


def _ours(lab: Cluster, scrapes: int) -> Seen:
    port = free_port()
    flags = pve_flags(lab, INTERVAL_SECONDS)
    argv = [agent(), "export", "--listen", f"127.0.0.1:{port}"]
    argv += [f"--{name}={value}" for name, value in flags.items()]
    seen = _measure(argv, (port, "/metrics"), lab.center, os.environ, scrapes)
    seen.requests = _most_of_a_reading(seen.paths)
    return seen


def _theirs(lab: Cluster, program: Path) -> Seen:
    user, _, token = TOKEN_ID.partition("!")
    settings = lab.folder / "pve.yml"
    settings.touch(0o600)
    settings.write_text(
        f"default: {{user: {user}, token_name: {token}, token_value: {TOKEN_SECRET}, verify_ssl: true}}\n"
    )
    port = free_port()
    argv = [str(program), f"--config.file={settings}", f"--web.listen-address=127.0.0.1:{port}"]
    path = f"/pve?target={lab.url.removeprefix('https://')}&cluster=1&node=1"
    environment = {**os.environ, "REQUESTS_CA_BUNDLE": str(lab.ca_file)}
    seen = _measure(argv, (port, path), lab.center, environment, THEIR_SCRAPES)
    seen.requests = len(seen.paths) / THEIR_SCRAPES
    return seen


def _peer() -> Path | None:
    named = os.environ.get("STEWARD_PVE_EXPORTER") or shutil.which("pve_exporter")
    beside = Path(__file__).parents[1] / ".peers" / "pve-exporter" / "bin" / "pve_exporter"
    return Path(named) if named else beside if beside.exists() else None


def _measure(
    argv: Sequence[str],
    address: tuple[int, str],
    center: Datacenter,
    environment: Mapping[str, str],
    scrapes: int,
) -> Seen:
    """Scrape a program at `address`: its port and path."""
    seen = Seen()
    with running(Path(argv[0]).name, argv, *address, environment) as program:
        for _ in range(WARM_UP_SCRAPES):
            seen.series = _series(program.scrape())
            program.connection.close()  # theirs lets a silent connection go after 2 s
            time.sleep(INTERVAL_SECONDS)
        began = program.cpu_seconds
        journal: list[Request] = []
        center.journal = journal
        for _ in range(scrapes):
            begun = time.perf_counter()
            seen.seconds.append(program.scrape().seconds)
            time.sleep(max(0.0, PAUSE_SECONDS - (time.perf_counter() - begun)))
        seen.paths = [request.path for request in journal]
        seen.cpu_seconds = (program.cpu_seconds - began) / scrapes
        seen.rss_bytes = program.rss_bytes
    return seen


def _series(scrape: Scrape) -> int:
    """Of guests; the agent tells of much beside."""
    return sum(1 for line in scrape.text.splitlines() if line.startswith((b"pve_", b"steward_pve_")))


def _most_of_a_reading(paths: list[str]) -> int:
    """The most requests from the beginning of one of our readings, which asks this once, to the next."""
    begins = [place for place, path in enumerate(paths) if path == "/cluster/resources"]
    if len(begins) < 2:
        raise BenchError("too few readings to count requests")
    return max(after - before for before, after in itertools.pairwise(begins))


def _p99(seen: Seen) -> float:
    return percentile(seen.seconds, 0.99)


def _print_beside(ours: Seen, theirs: Seen) -> None:
    head = ("series", "p50 ms", "p99 ms", "requests", "CPU ms/scrape", "RSS MiB")
    print(f"\n{'':<34}" + "".join(f"{title:>14}" for title in head))
    for name, seen in (("steward-agent export, all it has", ours), ("prometheus-pve-exporter", theirs)):
        cells = (
            f"{seen.series}",
            f"{statistics.median(seen.seconds) * 1e3:.1f}",
            f"{_p99(seen) * 1e3:.1f}",
            f"{seen.requests:.0f}",
            f"{seen.cpu_seconds * 1e3:.1f}",
            f"{seen.rss_bytes / MIB:.1f}",
        )
        print(f"{name:<34}" + "".join(f"{cell:>14}" for cell in cells))
    requests = ours.requests / theirs.requests
    print(
        f"ratio: p99 {_p99(ours) / _p99(theirs):.3f}, requests {requests:.3f}, "
        f"CPU {ours.cpu_seconds / theirs.cpu_seconds:.3f}, RSS {ours.rss_bytes / theirs.rss_bytes:.2f}"
    )
    print("requests: of ours the most in an interval, of theirs in a scrape")
