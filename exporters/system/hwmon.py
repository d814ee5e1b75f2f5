"""The `hwmon` collector: temperatures, fans, voltages, power and the rest of /sys/class/hwmon.

Attributes: https://docs.kernel.org/hwmon/sysfs-interface.html. The names are node_exporter's, which come from
the names of the attributes, so a driver's own ones are there too, and an alarm of a temperature ends in
`_celsius`.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from exporters.collector import Collector, Host
from exporters.samples import Family, Kind, Metric, Number, Row, label
from exporters.settings import expression
from exporters.system.devices import Cell, Sensors, real, text
from exporters.system.filters import accepts, chosen
from exporters.system.tree import Tree

CHIP_INCLUDE = expression("collector.hwmon.chip-include", "", "Chips to report; not with chip-exclude.")
CHIP_EXCLUDE = expression("collector.hwmon.chip-exclude", "", "Chips not to report.")
SENSOR_INCLUDE = expression(
    "collector.hwmon.sensor-include", "", "Sensors to report, as chip;sensor; not with sensor-exclude."
)
SENSOR_EXCLUDE = expression("collector.hwmon.sensor-exclude", "", "Sensors not to report, as chip;sensor.")
SETTINGS = (CHIP_INCLUDE, CHIP_EXCLUDE, SENSOR_INCLUDE, SENSOR_EXCLUDE)

_FOLDER = "class/hwmon"
_LABELS = ("chip", "sensor")
_CHIP = Metric("node_hwmon_chip_names", Kind.GAUGE, "What the chip calls itself.", ("chip", "chip_name"))
_LABEL = Metric(
    "node_hwmon_sensor_label", Kind.GAUGE, "What the chip calls the sensor.", ("chip", "label", "sensor")
)
_BEEP = Metric("node_hwmon_beep_enabled", Kind.GAUGE, "Whether the chip may beep.", _LABELS)
_REGULATOR = Metric(
    "node_hwmon_voltage_regulator_version", Kind.GAUGE, "Version of the voltage regulator module.", _LABELS
)
_INTERVAL = Metric(
    "node_hwmon_update_interval_seconds", Kind.GAUGE, "Interval at which the chip measures.", _LABELS
)
_FREQUENCY = Metric(
    "node_hwmon_freq_freq_mhz", Kind.GAUGE, "Frequency in MHz; the sensor is its label.", _LABELS
)

_TYPES = frozenset(
    {
        "beep_enable",
        "cpu",
        "curr",
        "energy",
        "fan",
        "freq",
        "humidity",
        "in",
        "intrusion",
        "power",
        "pwm",
        "temp",
        "update_interval",
        "vrm",
    }
)
_FILE = re.compile(r"([^0-9]+)([0-9]*)(?:_(.+))?")
_UNFIT = re.compile("[^a-z0-9:_]")


class Attribute(NamedTuple):
    """A file such as temp1_crit: the sensor's type and number (temp, 1), the element (crit), and where."""

    kind: str
    number: int
    element: str
    file: str

    @property
    def sensor(self) -> str:
        """Name of the sensor, such as temp1; those without a number have 0."""
        return f"{self.kind}{self.number}"


def clean(name: str) -> str:
    """A name as it stands in labels and names of metrics."""
    return _UNFIT.sub("_", name.lower()).strip("_")


def attribute(name: str, folder: str) -> Attribute | None:
    """What a file's name says; None where it is no sensor's."""
    match = _FILE.fullmatch(name)
    if match is None or match[1] not in _TYPES:
        return None
    return Attribute(match[1], int(match[2] or 0), match[3] or "", f"{folder}/{name}")


def _thousandth(raw: bytes) -> float:
    return real(raw) * 0.001  # a product as in node_exporter, whose last digits differ from a quotient's


def _millionth(raw: bytes) -> float:
    return real(raw) / 1e6


def _flag(raw: bytes) -> int:
    return int(raw == b"1")


_WHOLE_SENSORS: Mapping[str, tuple[Metric, Callable[[bytes], Number]]] = {
    "beep_enable": (_BEEP, _flag),
    "vrm": (_REGULATOR, real),
    "update_interval": (_INTERVAL, _thousandth),
}
_THOUSANDTHS = {"in": "volts", "cpu": "volts", "temp": "celsius", "curr": "amps"}
_POWER: Mapping[str, tuple[str, Callable[[bytes], Number]]] = {
    "accuracy": ("", _millionth),
    "average_interval": ("_seconds", _thousandth),
    "average_interval_min": ("_seconds", _thousandth),
    "average_interval_max": ("_seconds", _thousandth),
}
_SPEEDS = frozenset({"input", "min", "max", "target"})


@lru_cache(maxsize=512)
def measure(kind: str, element: str, *, has_value: bool) -> tuple[Metric, Callable[[bytes], Number]]:
    """The metric of an element and what makes its unit of the driver's; `has_value` where the sensor has a
    file without an element (pwm1) beside this one.
    """
    name = f"node_hwmon_{kind}"
    if element and (element != "input" or has_value):
        name += f"_{clean(element)}"
    unit, parse = _unit(kind, element)
    counts = Kind.COUNTER if kind == "energy" and unit else Kind.GAUGE
    return Metric(name + unit, counts, f"Sensors of type {kind}: {element or 'value'}.", _LABELS), parse


def _unit(kind: str, element: str) -> tuple[str, Callable[[bytes], Number]]:
    if element in ("fault", "alarm"):
        return "", real
    if element == "beep":
        return "_enabled", real
    if kind in _THOUSANDTHS and (kind, element) != ("temp", "type"):
        return f"_{_THOUSANDTHS[kind]}", _thousandth
    if kind == "energy":
        return "_joule_total", _millionth
    if kind == "power":
        return _POWER.get(element, ("_watt", _millionth))
    if kind == "humidity":
        return "", _millionth
    return ("_rpm" if kind == "fan" and element in _SPEEDS else ""), real


class Chips:
    """The chips and sensors that the filters accept; the chip's name says where it is, as in
    platform_coretemp_0, because the numbers of /sys/class/hwmon change from boot to boot.
    """

    def __init__(
        self,
        tree: Tree,
        *,
        accept_chip: Callable[[str], bool] | None = None,
        accept_sensor: Callable[[str], bool] | None = None,
    ) -> None:
        self._tree = tree
        self._accept_chip = accepts() if accept_chip is None else accept_chip
        self._accept_sensor = accepts() if accept_sensor is None else accept_sensor
        self._sensors = Sensors(tree, _FOLDER, self._find)
        self._named: list[Family] = []

    def collect(self) -> list[Family]:
        """Read and collect.

        Raises:
            NoDataError: there is no chip.
        """
        measured = self._sensors.collect()
        return [*self._named, *measured]

    def _find(self) -> Iterator[Cell]:
        chips: list[Row] = []
        labels: list[Row] = []
        cells: list[Cell] = []
        for folder, chip in chip_names(self._tree).items():
            if self._accept_chip(chip):
                if name := clean(text(self._tree, f"{folder}/name")):
                    chips.append((chip, name))
                for sensor, elements in self._sensors_of(folder).items():
                    if self._accept_sensor(f"{chip};{sensor}"):
                        spoken = self._label(elements)
                        if spoken is not None:
                            labels.append((chip, spoken, sensor))
                        cells += _cells(chip, sensor, elements, spoken)
        self._named = [
            Family(_CHIP, tuple(dict.fromkeys(chips)), (1,) * len(set(chips))),
            Family(_LABEL, tuple(labels), (1,) * len(labels)),
        ]
        return iter(cells)

    def _sensors_of(self, folder: str) -> dict[str, dict[str, Attribute]]:
        """Elements by sensor; a driver of old keeps its attributes in the device's folder."""
        sensors: dict[str, dict[str, Attribute]] = {}
        for place in (folder, f"{folder}/device"):
            for name in self._tree.sys_list(place):
                found = attribute(name, place)
                if found is not None:
                    sensors.setdefault(found.sensor, {})[found.element] = found
        return sensors

    def _label(self, elements: Mapping[str, Attribute]) -> str | None:
        if "label" not in elements:
            return None
        try:  # blanks around it stay, as in node_exporter: applesmc writes "Left side  "
            return label(self._tree.sys(elements["label"].file).strip(b"\n"))
        except OSError:
            return None


def _cells(chip: str, sensor: str, elements: Mapping[str, Attribute], spoken: str | None) -> Iterator[Cell]:
    for element, found in elements.items():
        if found.kind in _WHOLE_SENSORS:
            if element == "":
                metric, parse = _WHOLE_SENSORS[found.kind]
                yield Cell(metric, (chip, sensor), found.file, parse)
        elif found.kind == "freq" and element == "input":
            if spoken is not None:
                yield Cell(_FREQUENCY, (chip, clean(spoken)), found.file, _millionth)
        elif element != "label":
            metric, parse = measure(found.kind, element, has_value="" in elements)
            yield Cell(metric, (chip, sensor), found.file, parse)


def chip_names(tree: Tree) -> dict[str, str]:
    """The name of each chip by its folder; two that would have the same name have their own added."""
    names = {}
    for node, _ in tree.sys_nodes(_FOLDER):
        folder = f"{_FOLDER}/{node}"
        name = _device_name(tree.sys_path(folder)) or clean(text(tree, f"{folder}/name")) or clean(node)
        if name and tree.sys_list(folder):
            names[folder] = name
    own = {folder: text(tree, f"{folder}/name") for folder in names}
    alike = Counter(names.values())
    twins = Counter((name, own[folder]) for folder, name in names.items())
    return {
        folder: name
        if alike[name] == 1
        else f"{name}_{_suffix(folder, own[folder], twins[name, own[folder]])}"
        for folder, name in names.items()
    }


def _suffix(folder: str, own: str, as_many: int) -> str:
    cleaned = clean(own)
    return cleaned if cleaned and as_many == 1 else clean(folder.rpartition("/")[2])


def _device_name(path: str) -> str:
    """The last two parts of the device's path, such as platform_coretemp_0; empty without a device."""
    try:
        device = os.path.realpath(f"{path}/device", strict=True)
    except OSError:
        return ""
    parts = device.rsplit("/", 2)
    bus, name = clean(parts[-2]), clean(parts[-1])
    return f"{bus}_{name}" if bus and name else name


def build(host: Host) -> Collector:
    """The collector on this host."""
    given = host.settings
    chips = Chips(
        host.tree,
        accept_chip=chosen(given, CHIP_INCLUDE, CHIP_EXCLUDE),
        accept_sensor=chosen(given, SENSOR_INCLUDE, SENSOR_EXCLUDE),
    )
    return Collector(chips.collect)
