"""node_vmstat_* from /proc/vmstat, by default the fields that node_exporter 1.12 takes."""

import re
from functools import lru_cache

from exporters.collector import Collector, Host
from exporters.errors import SourceError
from exporters.samples import SINGLE, Block, Kind, Metric, Shape
from exporters.settings import expression
from exporters.system.tree import Tree

FIELDS = expression(
    "collector.vmstat.fields", "^(oom_kill|pgpg|pswp|pg.*fault).*", "Fields of /proc/vmstat to report."
)
SETTINGS = (FIELDS,)


def read(tree: Tree) -> bytes:
    """The text of /proc/vmstat."""
    return tree.proc("vmstat")


def collect(raw: bytes, fields: str = FIELDS.default) -> Block:
    """A family for each field whose name the expression finds.

    Raises:
        SourceError: the text is not pairs of name and number.
    """
    words = raw.split()
    places, shape = _chosen(tuple(words[::2]), fields)
    try:
        return Block(shape, [int(words[place]) for place in places])
    except (IndexError, ValueError) as error:
        raise SourceError("/proc/vmstat", "not pairs of name and number") from error


@lru_cache(maxsize=2)
def _chosen(names: tuple[bytes, ...], fields: str) -> tuple[tuple[int, ...], Shape]:
    """Places of the chosen fields' values; a running kernel's list of names does not change."""
    pattern = re.compile(fields)
    chosen = {
        2 * place + 1: Metric(f"node_vmstat_{name}", Kind.UNTYPED, f"/proc/vmstat information field {name}.")
        for place, name in enumerate(name.decode("ascii", "replace") for name in names)
        if pattern.search(name)
    }
    return tuple(chosen), Shape((metric, SINGLE) for metric in chosen.values())


def build(host: Host) -> Collector:
    """The collector on this host."""
    fields = host.settings[FIELDS]
    return Collector(lambda: collect(read(host.tree), fields))
