"""Hosts on which exporters break: hung and odd and very large ones. Every scrape is answered, and how fast.

Trees are made in a temporary folder. p50 and p99 are of the whole scrape as Prometheus does it (OpenMetrics,
gzip, one kept connection) without the first few, in which the exporter learns what is slow on this host;
those are shown beside. `BENCH_SCRAPES` sets how often each is scraped, `BENCH_FLAT` how often for memory.
"""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.measuring import BenchError
from bench.programs import Program, Scrape, percentile, running
from lab.processes import free_port

SCRAPES = 40
FLAT_SCRAPES = 10_000
LEARNING = 5
PAUSE_SECONDS = 1.1
BUDGET_SECONDS = 0.25
CPUS, MOUNTS, INTERFACES = 4096, 10_000, 5000
_INTERFACE = """
address=02:00:00:00:00:01 addr_assign_type=0 addr_len=6 broadcast=ff:ff:ff:ff:ff:ff carrier=1
carrier_changes=2
carrier_up_count=1 carrier_down_count=1 dev_id=0x0 dormant=0 duplex=full flags=0x1003 ifalias= ifindex=7
iflink=7
link_mode=0 mtu=1500 name_assign_type=1 netdev_group=0 operstate=up proto_down=0 speed=10000 tx_queue_len=1000
type=1
"""
SAVED = Path(__file__).resolve().parents[1] / "tests" / "fixtures" / "system" / "server"


@dataclass(frozen=True)
class Case:
    """A host: what is done to a copy of a saved tree, flags of the server, collectors that may fail on it."""

    name: str
    spoil: Callable[[Path], None]
    flags: tuple[str, ...] = ()
    may_fail: frozenset[str] = frozenset()


def run() -> None:
    """Measure and print."""
    scrapes = int(os.environ.get("BENCH_SCRAPES", SCRAPES))
    titles = ("p50 ms", "p99 ms", "first ms", "series", "MB", "threads", "fds", "RSS MB")
    print(f"{'':36}" + "".join(f"{title:>9}" for title in titles))
    failed = []
    with tempfile.TemporaryDirectory(prefix="steward-faults-") as folder:
        for number, case in enumerate(_CASES):
            tree = Path(folder, str(number))
            shutil.copytree(SAVED, tree, symlinks=True)
            case.spoil(tree)
            with _serving("--tree", str(tree), *case.flags) as server:
                if not _measure(case, server, scrapes):
                    failed.append(case.name)
            shutil.rmtree(tree)
    _flat(int(os.environ.get("BENCH_FLAT", FLAT_SCRAPES)))
    if failed:
        raise BenchError(f"p99 over {BUDGET_SECONDS * 1e3:.0f} ms: {', '.join(failed)}")


def _measure(case: Case, server: Program, scrapes: int) -> bool:
    scrape = _whole(server)
    first, taken = [scrape.seconds], list[float]()
    for turn in range(LEARNING - 1 + scrapes):
        time.sleep(PAUSE_SECONDS)
        scrape = _whole(server)
        (first if turn < LEARNING - 1 else taken).append(scrape.seconds)
    broken = _broken(scrape.text) - case.may_fail
    if broken:
        raise BenchError(f"{case.name}: {', '.join(sorted(broken))} failed")
    p50, p99 = percentile(taken, 0.5), percentile(taken, 0.99)
    cells = (
        f"{p50 * 1e3:.1f}",
        f"{p99 * 1e3:.1f}",
        f"{max(first) * 1e3:.0f}",
        f"{scrape.series}",
        f"{len(scrape.text) / 1e6:.1f}",
        f"{server.about('Threads')}",
        f"{server.descriptors()}",
        f"{server.about('VmRSS') / 1024:.1f}",
    )
    over = "" if p99 <= BUDGET_SECONDS else "  OVER"
    print(f"{case.name:36}" + "".join(f"{cell:>9}" for cell in cells) + over, flush=True)
    return p99 <= BUDGET_SECONDS


def _flat(scrapes: int) -> None:
    """Memory, threads and descriptors before and after very many scrapes of this very host."""
    with _serving() as server:
        for _ in range(max(200, scrapes // 50)):
            _whole(server)
        before = server.about("VmRSS"), server.about("Threads"), server.descriptors()
        taken = [_whole(server).seconds for _ in range(scrapes)]
        after = server.about("VmRSS"), server.about("Threads"), server.descriptors()
    print(
        f"\nthis host, {scrapes} scrapes, each read anew: p50 {percentile(taken, 0.5) * 1e3:.1f} ms, "
        f"p99 {percentile(taken, 0.99) * 1e3:.1f} ms"
    )
    for what, one, other in zip(("RSS KiB", "threads", "descriptors"), before, after, strict=True):
        print(f"  {what:12} {one:8} -> {other:8}  ({other - one:+})")


@contextmanager
def _serving(*flags: str) -> Iterator[Program]:
    port = free_port()
    argv = [sys.executable, "-m", "bench.fault_server", "--port", str(port), *flags]
    with running("the server", argv, port) as program:
        yield program


def _whole(program: Program) -> Scrape:
    """A scrape whose text has its end. Raises BenchError."""
    scrape = program.scrape()
    if not scrape.text.endswith(b"# EOF\n"):
        raise BenchError("half an answer")
    return scrape


def _broken(text: bytes) -> set[str]:
    """Collectors that failed, by their own series."""
    head = b'steward_scrape_collector_success{collector="'
    return {
        line[len(head) :].partition(b'"')[0].decode()
        for line in text.splitlines()
        if line.startswith(head) and line.endswith(b" 0")
    }


def _nothing(tree: Path) -> None:
    """Leave it as it is."""


def _many_cpus(tree: Path) -> None:
    lines = [f"cpu{n} 1{n} 20 300 40000 50 6 70 8 9 0" for n in range(CPUS)]
    stat = (tree / "proc/stat").read_text().splitlines()
    rest = [line for line in stat if not line.startswith("cpu")]
    total = next(line for line in stat if line.startswith("cpu "))
    (tree / "proc/stat").write_text("\n".join([total, *lines, *rest]) + "\n")
    (tree / "proc/softnet_stat").unlink(missing_ok=True)
    softnet = [f"{n:08x} 00000000 00000001 " + "00000000 " * 9 + f"{n:08x}" for n in range(CPUS)]
    (tree / "proc/net/softnet_stat").write_text("\n".join(softnet) + "\n")
    for n in range(CPUS):
        topology = tree / f"sys/devices/system/cpu/cpu{n}/topology"
        topology.mkdir(parents=True, exist_ok=True)
        (topology / "core_id").write_text(f"{n // 2}\n")
        (topology / "physical_package_id").write_text(f"{n // 512}\n")


def _many_mounts(tree: Path) -> None:
    lines = []
    for n in range(MOUNTS):
        (tree / f"root/mnt/{n}").mkdir(parents=True)
        lines.append(f"{n + 100} 1 8:{n} / /mnt/{n} rw,relatime shared:1 - ext4 /dev/sd{n} rw")
    _add_lines(tree / "proc/1/mountinfo", lines)


def _many_interfaces(tree: Path) -> None:
    files = dict(pair.split("=") for pair in _INTERFACE.split())
    lines = []
    for n in range(INTERFACES):
        folder = tree / f"sys/class/net/tap{n}i0"
        folder.mkdir(parents=True)
        for name, value in files.items():
            (folder / name).write_text(value + "\n")
        lines.append(f"tap{n}i0: {n}00 {n} 0 0 0 0 0 0 {n}00 {n} 0 0 0 0 0 0")
    _add_lines(tree / "proc/net/dev", lines)


def _all_large(tree: Path) -> None:
    _many_cpus(tree)
    _many_mounts(tree)
    _many_interfaces(tree)


def _dead_mount(tree: Path) -> None:
    (tree / "root/dead").mkdir(parents=True, exist_ok=True)
    _add_lines(tree / "proc/1/mountinfo", ["999 1 0:99 / /dead rw shared:1 - nfs4 filer:/dead rw"])


def _vanished(tree: Path) -> None:
    for name in ("meminfo", "loadavg", "diskstats", "net/dev"):
        (tree / "proc" / name).unlink()


def _long_line(tree: Path) -> None:
    for name in ("meminfo", "diskstats", "net/dev", "vmstat"):
        path = tree / "proc" / name
        path.write_bytes(b"x" * (1 << 20) + b"\n" + path.read_bytes())


def _odd_names(tree: Path) -> None:
    odd = (b"\xff\xfe", b'q"q', b"b\\134b", b"n\\012n", b"s\\040s", "ü".encode())
    lines = [
        b"%d 1 8:%d / /odd%s rw shared:1 - ext4 /dev/%s rw" % (500 + n, n, one, one)
        for n, one in enumerate(odd)
    ]
    path = tree / "proc/1/mountinfo"
    path.write_bytes(path.read_bytes() + b"\n".join(lines) + b"\n")
    path = tree / "proc/net/dev"
    names = [b"\xff\xfe0", b'q"0', b"b\\0", "ü0".encode()]
    path.write_bytes(
        path.read_bytes() + b"".join(b"%s: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n" % one for one in names)
    )


def _no_sys(tree: Path) -> None:
    shutil.rmtree(tree / "sys")


def _add_lines(path: Path, lines: Sequence[str]) -> None:
    path.write_bytes(path.read_bytes().rstrip(b"\n") + b"\n" + "\n".join(lines).encode() + b"\n")


_CASES = (
    Case("an ordinary server", _nothing),
    Case("statfs of a mount never returns", _dead_mount, ("--hang", "/dead")),
    Case("the GPU driver hangs", _nothing, ("--hang-gpu",), frozenset({"gpu"})),
    Case("files have vanished", _vanished, may_fail=frozenset({"meminfo", "loadavg", "diskstats", "netdev"})),
    Case(
        "lines of 1 MB",
        _long_line,
        may_fail=frozenset({"meminfo", "diskstats", "netdev", "vmstat"}),
    ),
    Case("names that are no text", _odd_names),
    Case("no /sys", _no_sys),
    Case(f"{CPUS} CPUs", _many_cpus),
    Case(f"{MOUNTS} mounts", _many_mounts),
    Case(f"{INTERFACES} interfaces", _many_interfaces),
    Case("all three of these", _all_large),
)


if __name__ == "__main__":
    run()
