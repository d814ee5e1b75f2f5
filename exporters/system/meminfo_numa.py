"""node_memory_numa_*: memory of each NUMA node, from /sys/devices/system/node/node*/{meminfo,numastat}
(https://docs.kernel.org/admin-guide/numastat.html); fields in kB become bytes, though no name says so.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial

from exporters.collector import Collector, Host
from exporters.errors import SourceError
from exporters.samples import Family, Kind, Metric, label
from exporters.system.tree import Tree
from exporters.system.unchanged import Unchanged

_FOLDER = "devices/system/node"
_BYTES_PER_KIB = 1024


@dataclass(frozen=True, slots=True)
class Raw:
    """The two texts of each node, by its number."""

    meminfo: Mapping[str, bytes]
    numastat: Mapping[str, bytes]


def read(tree: Tree) -> Raw:
    """Read the files of each node; none where the kernel knows no nodes."""
    nodes = [name for name in tree.sys_list(_FOLDER) if name.startswith("node") and name[4:].isdigit()]
    return Raw(
        {name[4:]: tree.sys(f"{_FOLDER}/{name}/meminfo") for name in nodes},
        {name[4:]: tree.sys(f"{_FOLDER}/{name}/numastat") for name in nodes},
    )


def parse_meminfo(text: bytes) -> Iterator[tuple[str, int]]:
    """Names and values of the lines `Node 0 MemTotal: 100 kB`.

    Raises:
        SourceError: a line is another.
    """
    for line in text.split(b"\n"):
        words = line.split()
        if not words:
            continue
        unit = words[4:]
        try:
            if unit not in ([], [b"kB"]):
                raise ValueError(f"unit {unit!r}")
            yield (
                label(words[2].rstrip(b":")).replace("(", "_").replace(")", ""),
                int(words[3]) * (_BYTES_PER_KIB if unit else 1),
            )
        except (IndexError, ValueError) as error:
            raise SourceError(f"/sys/{_FOLDER}/meminfo", str(error)) from error


def parse_numastat(text: bytes) -> Iterator[tuple[str, int]]:
    """Names, as counters have them, and values.

    Raises:
        SourceError: a line is not a name and a number.
    """
    for line in text.split(b"\n"):
        if not line.strip():
            continue
        try:
            name, value = line.split()
            yield f"{label(name)}_total", int(value)
        except ValueError as error:
            raise SourceError(f"/sys/{_FOLDER}/numastat", str(error)) from error


def collect(raw: Raw) -> list[Family]:
    """A family for each field, over the nodes that have it."""
    found: dict[str, dict[str, int]] = {}
    for texts, parse in ((raw.meminfo, parse_meminfo), (raw.numastat, parse_numastat)):
        for node, text in texts.items():
            for name, value in parse(text):
                found.setdefault(name, {})[node] = value
    return [
        Family(_metric(name), tuple((node,) for node in values), tuple(values.values()))
        for name, values in found.items()
    ]


@lru_cache(maxsize=128)
def _metric(name: str) -> Metric:
    kind = Kind.COUNTER if name.endswith("_total") else Kind.GAUGE
    return Metric(f"node_memory_numa_{name}", kind, f"Field {name} of the node's memory.", ("node",))


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Unchanged(partial(read, host.tree), collect))
