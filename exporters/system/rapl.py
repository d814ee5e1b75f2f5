"""The `rapl` collector: node_rapl_*_joules_total, the energy that the processor's zones have used.

/sys/class/powercap, https://docs.kernel.org/power/powercap/powercap.html. The counters wrap at the zone's
max_energy_range_uj, after about an hour at 70 W; to Prometheus that is a counter's reset. Only root may read
them since Linux 5.10.
"""

import re
from collections.abc import Iterator, Sequence
from errno import EACCES, EPERM

from exporters.collector import Collector, Host
from exporters.errors import NoDataError
from exporters.samples import Family, Kind, Metric
from exporters.settings import switch
from exporters.system.devices import Cell, Sensors, text, whole
from exporters.system.tree import Tree

ZONE_LABEL = switch(
    "collector.rapl.enable-zone-label", default=False, help_text="The zone as a label, not in the name."
)
SETTINGS = (ZONE_LABEL,)

_FOLDER = "class/powercap"
_JOULES = Metric(
    "node_rapl_joules_total", Kind.COUNTER, "Energy that the zone has used.", ("index", "path", "rapl_zone")
)
_UNFIT = re.compile("_*[^0-9A-Za-z_]+_*")


def _joules(raw: bytes) -> float:
    return whole(raw) / 1e6


class Zones:
    """The zones of the processors; `zone_label` has one metric for all."""

    def __init__(self, tree: Tree, *, zone_label: bool = False) -> None:
        self._tree = tree
        self._zone_label = zone_label
        self._sensors = Sensors(tree, _FOLDER, self._find)

    def collect(self) -> Sequence[Family]:
        """Read and collect.

        Raises:
            NoDataError: there are no zones, or they are hidden from this user.
        """
        families = self._sensors.collect()
        if not any(family.rows for family in families) and self._is_hidden():
            raise NoDataError("energy_uj: only root may read it")
        return families

    def _find(self) -> Iterator[Cell]:
        taken: dict[str, int] = {}
        for node in self._tree.sys_list(_FOLDER):
            folder = f"{_FOLDER}/{node}"
            spoken = text(self._tree, f"{folder}/name")
            if not spoken:
                continue
            name, index = indexed(spoken, taken)
            taken[name] = index + 1
            path = self._tree.sys_path(folder)
            if self._zone_label:
                yield Cell(_JOULES, (str(index), path, name), f"{folder}/energy_uj", _joules)
            else:
                yield Cell(_metric(name), (str(index), path), f"{folder}/energy_uj", _joules)

    def _is_hidden(self) -> bool:
        for node in self._tree.sys_list(_FOLDER):
            try:
                self._tree.attribute(f"{_FOLDER}/{node}/energy_uj")
            except OSError as error:
                if error.errno in (EACCES, EPERM):
                    return True
        return False


def indexed(spoken: str, taken: dict[str, int]) -> tuple[str, int]:
    """Name and number of a zone: package-1 has it in its name, the second dram counts those before it."""
    name, dash, number = spoken.partition("-")
    if dash and number.isascii() and number.isdigit():
        return name, int(number)
    return spoken, taken.get(spoken, 0)


def _metric(name: str) -> Metric:
    fit = _UNFIT.sub("_", name)
    return Metric(
        f"node_rapl_{fit}_joules_total",
        Kind.COUNTER,
        f"Energy that the zone {fit} has used.",
        ("index", "path"),
    )


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Zones(host.tree, zone_label=host.settings[ZONE_LABEL]).collect)
