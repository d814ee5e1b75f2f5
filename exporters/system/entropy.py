"""node_entropy_*: the kernel's pool of random bits, from /proc/sys/kernel/random (random(4))."""

from dataclasses import dataclass

from exporters.collector import Collector, Host
from exporters.errors import SourceError
from exporters.samples import Family, Kind, Metric
from exporters.system.tree import Tree

_AVAILABLE = Metric("node_entropy_available_bits", Kind.GAUGE, "Bits of entropy that are available.")
_SIZE = Metric("node_entropy_pool_size_bits", Kind.GAUGE, "Size of the pool of entropy in bits.")


@dataclass(frozen=True, slots=True)
class Raw:
    """The texts of entropy_avail and poolsize."""

    available: bytes
    size: bytes


def read(tree: Tree) -> Raw:
    """Read both files; raises OSError where one is not there."""
    return Raw(tree.proc("sys/kernel/random/entropy_avail"), tree.proc("sys/kernel/random/poolsize"))


def collect(raw: Raw) -> list[Family]:
    """Both numbers.

    Raises:
        SourceError: one is no number.
    """
    try:
        return [_AVAILABLE.one(int(raw.available)), _SIZE.one(int(raw.size))]
    except ValueError as error:
        raise SourceError("/proc/sys/kernel/random", str(error)) from error


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(lambda: collect(read(host.tree)))
