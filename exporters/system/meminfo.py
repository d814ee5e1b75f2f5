"""node_memory_* from /proc/meminfo (proc(5)): fields in kB become bytes, counts of huge pages stay counts.

The fields are those that node_exporter 1.12 knows; a newer kernel's others are left out, as it leaves them
out.
"""

from dataclasses import dataclass

from exporters.collector import Collector, Host
from exporters.errors import SourceError
from exporters.samples import SINGLE, Block, Kind, Metric, Shape
from exporters.system.tree import Tree

_BYTES = [
    "Active",
    "Active(anon)",
    "Active(file)",
    "AnonHugePages",
    "AnonPages",
    "Bounce",
    "Buffers",
    "Cached",
    "CmaFree",
    "CmaTotal",
    "CommitLimit",
    "Committed_AS",
    "DirectMap1G",
    "DirectMap2M",
    "DirectMap4k",
    "Dirty",
    "HardwareCorrupted",
    "Hugepagesize",
    "Inactive",
    "Inactive(anon)",
    "Inactive(file)",
    "KernelStack",
    "Mapped",
    "MemAvailable",
    "MemFree",
    "MemTotal",
    "Mlocked",
    "NFS_Unstable",
    "PageTables",
    "Percpu",
    "SReclaimable",
    "SUnreclaim",
    "Shmem",
    "ShmemHugePages",
    "ShmemPmdMapped",
    "Slab",
    "SwapCached",
    "SwapFree",
    "SwapTotal",
    "Unevictable",
    "VmallocChunk",
    "VmallocTotal",
    "VmallocUsed",
    "Writeback",
    "WritebackTmp",
    "Zswap",
    "Zswapped",
]
_COUNTS = ["HugePages_Free", "HugePages_Rsvd", "HugePages_Surp", "HugePages_Total"]
_BYTES_PER_KIB = 1024
_NUMBERS = b"0123456789 "
_UNITS = {b"": 1, b"kB": _BYTES_PER_KIB}


def _metric(name: str) -> Metric:
    return Metric(f"node_memory_{name}", Kind.GAUGE, f"Memory information field {name}.")


_METRICS = {name.encode(): _metric(name) for name in _COUNTS} | {
    name.encode(): _metric(name.replace("(", "_").replace(")", "") + "_bytes") for name in _BYTES
}


def read(tree: Tree) -> bytes:
    """The text of /proc/meminfo."""
    return tree.proc("meminfo")


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which words of a text are values: the place of each, and what one of its unit is.

    `frame` is the text without its numbers, and `words` how many words it has: both stay the same as long as
    the kernel runs.
    """

    frame: bytes
    words: int
    shape: Shape
    places: tuple[tuple[int, int], ...]


class Memory:
    """Keeps where the values stand, so that a scrape need not look for them."""

    def __init__(self) -> None:
        self._plan = _Plan(b"", 0, Shape(()), ())

    def collect(self, raw: bytes) -> Block:
        """A family for each known field; lines that are not as proc_meminfo(5) says are left out.

        Raises:
            SourceError: there is none, or a number is too long.
        """
        plan = self._plan
        frame = raw.translate(None, _NUMBERS)
        words = raw.split()
        if frame != plan.frame or len(words) != plan.words or not frame:
            self._plan = plan = _plan(frame, raw)
        try:
            return Block(plan.shape, [int(words[place]) * unit for place, unit in plan.places])
        except (IndexError, ValueError) as error:
            raise SourceError("/proc/meminfo", str(error)) from error


def collect(raw: bytes) -> Block:
    """One reading by itself; raises what `Memory.collect` raises."""
    return Memory().collect(raw)


def _plan(frame: bytes, raw: bytes) -> _Plan:
    fields: dict[bytes, tuple[Metric, int, int]] = {}
    place = 0
    for line in raw.split(b"\n"):
        words = line.split()
        unit = _UNITS.get(b"".join(words[2:]))
        if len(words) > 1 and unit is not None and words[0][-1:] == b":" and words[1].isdigit():
            metric = _METRICS.get(words[0][:-1])
            if metric is not None:
                fields[words[0]] = (metric, place + 1, unit)
        place += len(words)
    if not fields:
        raise SourceError("/proc/meminfo", "no known field in it")
    shape = Shape((metric, SINGLE) for metric, _, _ in fields.values())
    return _Plan(frame, place, shape, tuple((value, unit) for _, value, unit in fields.values()))


def build(host: Host) -> Collector:
    """The collector on this host."""
    memory = Memory()
    return Collector(lambda: memory.collect(read(host.tree)))
