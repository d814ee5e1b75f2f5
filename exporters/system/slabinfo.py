"""node_slabinfo_*: caches of kernel objects, from /proc/slabinfo of version 2.1 (slabinfo(5)); only root may
read it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from exporters.collector import Collector, Host
from exporters.errors import SourceError
from exporters.samples import Family, Kind, Metric, label
from exporters.settings import expression
from exporters.system.filters import accepts
from exporters.system.tree import Tree

INCLUDE = expression("collector.slabinfo.slabs-include", ".*", "Slabs to report.")
EXCLUDE = expression("collector.slabinfo.slabs-exclude", "", "Slabs not to report, of those.")
SETTINGS = (INCLUDE, EXCLUDE)

_METRICS = tuple(
    Metric(f"node_slabinfo_{name}", Kind.GAUGE, text, ("slab",))
    for name, text in (
        ("active_objects", "Objects of the slab in use."),
        ("objects", "Objects of the slab, in use or not."),
        ("object_size_bytes", "Size of an object of the slab in bytes."),
        ("objects_per_slab", "Objects in each slab."),
        ("pages_per_slab", "Pages of each slab."),
    )
)
"""In the order of the columns after the name."""
_COLUMNS = 16


@dataclass(frozen=True, slots=True)
class Slab:
    """A line: the cache's name and its five numbers."""

    name: str
    numbers: tuple[int, ...]


def read(tree: Tree) -> bytes:
    """The text of /proc/slabinfo; raises PermissionError for others than root."""
    return tree.proc("slabinfo")


def parse(text: bytes) -> list[Slab]:
    """The caches, each name once.

    Raises:
        SourceError: a line has not the columns of version 2.1.
    """
    slabs: dict[str, Slab] = {}
    for line in text.split(b"\n"):
        if not line or line.startswith((b"#", b"slabinfo -")):
            continue
        words = line.split()
        try:
            if len(words) != _COLUMNS:
                raise ValueError(f"{len(words)} columns")
            slab = Slab(label(words[0]), tuple(map(int, words[1 : len(_METRICS) + 1])))
        except ValueError as error:
            raise SourceError("/proc/slabinfo", str(error)) from error
        slabs[slab.name] = slab
    return list(slabs.values())


def collect(raw: Sequence[Slab], accept: Callable[[str], bool]) -> list[Family]:
    """A family for each column, over the accepted caches."""
    chosen = [slab for slab in raw if accept(slab.name)]
    rows = tuple((slab.name,) for slab in chosen)
    return [
        Family(metric, rows, [slab.numbers[place] for slab in chosen])
        for place, metric in enumerate(_METRICS)
    ]


def build(host: Host) -> Collector:
    """The collector on this host."""
    included = accepts(include=host.settings[INCLUDE])
    not_excluded = accepts(exclude=host.settings[EXCLUDE])
    return Collector(
        lambda: collect(parse(read(host.tree)), lambda name: included(name) and not_excluded(name))
    )
