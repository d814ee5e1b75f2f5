"""node_memory_* from /proc/meminfo (proc(5)): fields in kB become bytes, counts of huge pages stay counts.

The fields are those that node_exporter 1.12 knows; a newer kernel's others are left out, as it leaves them
out.
"""

import re

from exporters.collector import Collector, Host
from exporters.errors import SourceError
from exporters.samples import Family, Kind, Metric
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
_FIELD = re.compile(rb"^(\S+): +(\d+)( kB)?$", re.MULTILINE)
_BYTES_PER_KIB = 1024


def _metric(name: str) -> Metric:
    return Metric(f"node_memory_{name}", Kind.GAUGE, f"Memory information field {name}.")


_METRICS = {name.encode(): _metric(name) for name in _COUNTS} | {
    name.encode(): _metric(name.replace("(", "_").replace(")", "") + "_bytes") for name in _BYTES
}


def read(tree: Tree) -> bytes:
    """The text of /proc/meminfo."""
    return tree.proc("meminfo")


def collect(raw: bytes) -> list[Family]:
    """A family for each known field.

    Raises:
        SourceError: there is none.
    """
    families = [
        metric.one(int(value) * _BYTES_PER_KIB if unit else int(value))
        for name, value, unit in _FIELD.findall(raw)
        if (metric := _METRICS.get(name)) is not None
    ]
    if not families:
        raise SourceError("/proc/meminfo", "no known field in it")
    return families


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(lambda: collect(read(host.tree)))
