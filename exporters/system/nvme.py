"""The `nvme` collector: node_nvme_*, controllers of /sys/class/nvme and their namespaces.

Sizes are in blocks of 512 bytes in /sys (Documentation/ABI/stable/sysfs-block); node_exporter multiplies
them by the namespace's own block size, and so does this, to be the same number under the same name.
"""

import re
from collections.abc import Callable, Iterator

from exporters.collector import Collector, Host
from exporters.samples import Family, Kind, Metric, Row
from exporters.system.devices import Cell, Sensors, count, text, whole
from exporters.system.tree import Tree

_FOLDER = "class/nvme"
_WORDS = ("cntlid", "firmware_rev", "model", "serial", "state")
_INFO = Metric(
    "node_nvme_info",
    Kind.GAUGE,
    "What the controller is, and its state.",
    ("device", "cntlid", "firmware_revision", "model", "serial", "state"),
)
_NAMESPACE = ("device", "nsid")
_NAMESPACE_INFO = Metric(
    "node_nvme_namespace_info",
    Kind.GAUGE,
    "The namespace, and its state of asymmetric access.",
    ("device", "nsid", "ana_state"),
)


def _gauge(name: str, words: str) -> Metric:
    return Metric(f"node_nvme_namespace_{name}", Kind.GAUGE, words, _NAMESPACE)


_CAPACITY = _gauge("capacity_bytes", "Size of the namespace, as node_exporter has it.")
_SIZE = _gauge("size_bytes", "Size of the namespace, as node_exporter has it.")
_USED = _gauge("used_bytes", "What of the namespace is allocated.")
_BLOCK = _gauge("logical_block_size_bytes", "Size of a block of the namespace.")
_NODE = re.compile(r"nvme[0-9]+n([0-9]+)")


class Controllers:
    """The NVMe controllers."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._sensors = Sensors(tree, _FOLDER, self._find)
        self._names: list[str] = []
        self._namespaces: list[tuple[str, str, str]] = []

    def collect(self) -> list[Family]:
        """Read and collect.

        Raises:
            NoDataError: there is none.
        """
        numbers = self._sensors.collect()
        rows = tuple(self._row(name) for name in self._names)
        namespaces = tuple(
            (device, nsid, text(self._tree, f"{folder}/ana_state") or "unknown")
            for device, nsid, folder in self._namespaces
        )
        return [
            Family(_INFO, rows, (1,) * len(rows)),
            Family(_NAMESPACE_INFO, namespaces, (1,) * len(namespaces)),
            *numbers,
        ]

    def _find(self) -> Iterator[Cell]:
        self._names = self._tree.sys_list(_FOLDER)
        self._namespaces = []
        for device in self._names:
            for node in self._tree.sys_list(f"{_FOLDER}/{device}"):
                match = _NODE.match(node)
                if match is not None:
                    folder = f"{_FOLDER}/{device}/{node}"
                    self._namespaces.append((device, match[1], folder))
                    yield from self._cells((device, match[1]), folder)

    def _cells(self, row: Row, folder: str) -> Iterator[Cell]:
        block = f"{folder}/queue/logical_block_size"
        blocks = _times(count(text(self._tree, block).encode()) or 0)
        yield Cell(_CAPACITY, row, f"{folder}/size", blocks)
        yield Cell(_SIZE, row, f"{folder}/size", blocks)
        yield Cell(_USED, row, f"{folder}/nuse", blocks)
        yield Cell(_BLOCK, row, block, whole)

    def _row(self, name: str) -> Row:
        return (name, *(text(self._tree, f"{_FOLDER}/{name}/{file}") for file in _WORDS))


def _times(size: int) -> Callable[[bytes], int]:
    def parse(raw: bytes) -> int:
        if not size:
            raise ValueError("the size of a block is not known")
        return whole(raw) * size

    return parse


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Controllers(host.tree).collect)
