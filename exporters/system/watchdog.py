"""The `watchdog` collector: node_watchdog_* of /sys/class/watchdog.

https://docs.kernel.org/watchdog/index.html; Documentation/ABI/testing/sysfs-class-watchdog has the files.
"""

from collections.abc import Iterator

from exporters.collector import Collector, Host
from exporters.samples import Family, Kind, Metric, Row
from exporters.system.devices import Cell, Sensors, prefixed, text
from exporters.system.tree import Tree

_FOLDER = "class/watchdog"


def _gauge(name: str, words: str) -> Metric:
    return Metric(f"node_watchdog_{name}", Kind.GAUGE, words, ("name",))


_NUMBERS = {
    "bootstatus": _gauge("bootstatus", "Status bits of the last boot; not 0 where the watchdog caused it."),
    "fw_version": _gauge("fw_version", "Version of the watchdog's firmware."),
    "nowayout": _gauge("nowayout", "Whether the watchdog cannot be stopped once it runs."),
    "timeleft": _gauge("timeleft_seconds", "Time until the watchdog resets the machine."),
    "timeout": _gauge("timeout_seconds", "Time without a sign of life after which it resets the machine."),
    "pretimeout": _gauge("pretimeout_seconds", "How long before that it warns."),
    "access_cs0": _gauge("access_cs0", "Whether the machine booted from its second flash memory."),
}
_WORDS = ("identity", "options", "pretimeout_governor", "state", "status")
_INFO = Metric("node_watchdog_info", Kind.GAUGE, "What the watchdog is, and its state.", ("name", *_WORDS))


class Watchdogs:
    """The watchdogs of the machine."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._sensors = Sensors(tree, _FOLDER, self._find)
        self._names: list[str] = []

    def collect(self) -> list[Family]:
        """Read and collect.

        Raises:
            NoDataError: there is no watchdog.
        """
        numbers = self._sensors.collect()
        rows = tuple(self._row(name) for name in self._names)
        return [*numbers, Family(_INFO, rows, (1,) * len(rows))]

    def _find(self) -> Iterator[Cell]:
        self._names = self._tree.sys_list(_FOLDER)
        for name in self._names:
            files = self._tree.sys_list(f"{_FOLDER}/{name}")
            for file, metric in _NUMBERS.items():
                if file in files:
                    yield Cell(metric, (name,), f"{_FOLDER}/{name}/{file}", prefixed)

    def _row(self, name: str) -> Row:
        return (name, *(text(self._tree, f"{_FOLDER}/{name}/{file}") for file in _WORDS))


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Watchdogs(host.tree).collect)
