"""The `drm` collector: node_drm_*, use and memory of AMD graphics cards, of /sys/class/drm.

https://docs.kernel.org/gpu/amdgpu/driver-misc.html. Off by default.
"""

import re
from collections.abc import Iterator

from exporters.collector import Collector, Host
from exporters.samples import Family, Kind, Metric, Row
from exporters.system.devices import Cell, Sensors, prefixed, text
from exporters.system.tree import Tree

_FOLDER = "class/drm"
_CARD = re.compile("card[0-9]")
_WORDS = ("mem_info_vram_vendor", "power_dpm_force_performance_level", "unique_id")
_INFO = Metric(
    "node_drm_card_info",
    Kind.GAUGE,
    "What the card is.",
    ("card", "memory_vendor", "power_performance_level", "unique_id", "vendor"),
)
_VENDOR = "amd"


def _gauge(name: str, words: str) -> Metric:
    return Metric(f"node_drm_{name}", Kind.GAUGE, words, ("card",))


_NUMBERS = {
    "gpu_busy_percent": _gauge("gpu_busy_percent", "How busy the card is, in percent."),
    "mem_info_gtt_total": _gauge("memory_gtt_size_bytes", "Host memory that the card may use."),
    "mem_info_gtt_used": _gauge("memory_gtt_used_bytes", "Host memory that the card uses."),
    "mem_info_vis_vram_total": _gauge("memory_vis_vram_size_bytes", "Memory of the card that the host sees."),
    "mem_info_vis_vram_used": _gauge("memory_vis_vram_used_bytes", "What is used of the memory it sees."),
    "mem_info_vram_total": _gauge("memory_vram_size_bytes", "Memory of the card."),
    "mem_info_vram_used": _gauge("memory_vram_used_bytes", "What is used of the card's memory."),
}


class Cards:
    """The cards that the amdgpu driver has."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._sensors = Sensors(tree, _FOLDER, self._find, is_usual=True)
        self._names: list[str] = []

    def collect(self) -> list[Family]:
        """Read and collect.

        Raises:
            NoDataError: there is no such card.
        """
        numbers = self._sensors.collect()
        rows = tuple(self._row(name) for name in self._names)
        return [*numbers, Family(_INFO, rows, (1,) * len(rows))]

    def _find(self) -> Iterator[Cell]:
        cards = filter(_CARD.fullmatch, self._tree.sys_list(_FOLDER))
        self._names = [
            name for name in cards if "DRIVER=amdgpu" in text(self._tree, f"{_FOLDER}/{name}/device/uevent")
        ]
        for name in self._names:
            for file, metric in _NUMBERS.items():
                yield Cell(metric, (name,), f"{_FOLDER}/{name}/device/{file}", prefixed)

    def _row(self, name: str) -> Row:
        words = (text(self._tree, f"{_FOLDER}/{name}/device/{file}") for file in _WORDS)
        return (name, *words, _VENDOR)


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Cards(host.tree).collect)
