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
    """The texts of entropy_avail and poolsize; the second is empty where there is none."""

    available: bytes
    size: bytes


class Pool:
    """Keeps the size of a running kernel's pool, which is fixed when the kernel is built."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._size = b""

    def read(self) -> Raw:
        """Read both files; raises OSError where the first is not there."""
        available = self._tree.proc("sys/kernel/random/entropy_avail")
        if not self._size or not self._tree.proc_is_live:
            self._size = self._tree.proc_or("sys/kernel/random/poolsize", b"")
        return Raw(available, self._size)


def collect(raw: Raw) -> list[Family]:
    """Both numbers, or the first alone.

    Raises:
        SourceError: one is no number.
    """
    try:
        families = [_AVAILABLE.one(int(raw.available))]
        return [*families, _SIZE.one(int(raw.size))] if raw.size else families
    except ValueError as error:
        raise SourceError("/proc/sys/kernel/random", str(error)) from error


def build(host: Host) -> Collector:
    """The collector on this host."""
    pool = Pool(host.tree)
    return Collector(lambda: collect(pool.read()))
