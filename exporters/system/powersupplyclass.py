"""The `powersupplyclass` collector: node_power_supply_*, batteries and mains of /sys/class/power_supply.

Documentation/ABI/testing/sysfs-class-power has the files: currents, charges, energies and voltages are in
millionths, temperatures in tenths of a degree.
"""

from collections.abc import Callable, Iterator

from exporters.collector import Collector, Host
from exporters.samples import Family, Kind, Metric, Number, Row
from exporters.settings import expression
from exporters.system.devices import Cell, Sensors, prefixed, text
from exporters.system.filters import accepts
from exporters.system.tree import Tree

IGNORED = expression("collector.powersupply.ignored-supplies", "^$", "Power supplies not to report.")
SETTINGS = (IGNORED,)

_FOLDER = "class/power_supply"
_PLAIN = {
    "cycle_count": "cyclecount",
    "time_to_empty_now": "time_to_empty_seconds",
    "time_to_full_now": "time_to_full_seconds",
} | {
    name: name
    for name in (
        "authentic",
        "calibrate",
        "capacity",
        "capacity_alert_max",
        "capacity_alert_min",
        "online",
        "present",
    )
}
_MILLIONTHS = {
    "charge_now": "charge_ampere",
    "current_now": "current_ampere",
    "energy_now": "energy_watthour",
    "power_now": "power_watt",
    "voltage_now": "voltage_volt",
} | {
    name: name
    for name in (
        "charge_control_limit",
        "charge_control_limit_max",
        "charge_counter",
        "charge_empty",
        "charge_empty_design",
        "charge_full",
        "charge_full_design",
        "charge_term_current",
        "constant_charge_current",
        "constant_charge_current_max",
        "constant_charge_voltage",
        "constant_charge_voltage_max",
        "current_boot",
        "current_max",
        "energy_empty",
        "energy_empty_design",
        "energy_full",
        "energy_full_design",
        "input_current_limit",
        "precharge_current",
        "voltage_boot",
        "voltage_max",
        "voltage_max_design",
        "voltage_min",
        "voltage_min_design",
        "voltage_ocv",
    )
}
_TENTHS = {
    name: f"{name}_celsius"
    for name in (
        "temp",
        "temp_alert_max",
        "temp_alert_min",
        "temp_ambient",
        "temp_ambient_max",
        "temp_ambient_min",
        "temp_max",
        "temp_min",
    )
}


def _millionth(raw: bytes) -> float:
    return prefixed(raw) / 1e6


def _tenth(raw: bytes) -> float:
    return prefixed(raw) / 10


def _metrics() -> dict[str, tuple[Metric, Callable[[bytes], Number]]]:
    groups: tuple[tuple[dict[str, str], Callable[[bytes], Number]], ...] = (
        (_PLAIN, prefixed),
        (_MILLIONTHS, _millionth),
        (_TENTHS, _tenth),
    )
    return {
        file: (
            Metric(f"node_power_supply_{name}", Kind.GAUGE, f"{file} of a power supply.", ("power_supply",)),
            parse,
        )
        for names, parse in groups
        for file, name in names.items()
    }


_NUMBERS = _metrics()
_WORDS = (
    "capacity_level",
    "charge_type",
    "health",
    "manufacturer",
    "model_name",
    "scope",
    "serial_number",
    "status",
    "technology",
    "type",
    "usb_type",
)
_INFO = Metric(
    "node_power_supply_info",
    Kind.GAUGE,
    "What the power supply is, and its state.",
    ("power_supply", *_WORDS),
    is_sparse=True,
)


class Supplies:
    """The supplies that the filter accepts."""

    def __init__(self, tree: Tree, accept: Callable[[str], bool] | None = None) -> None:
        self._tree = tree
        self._accept = accepts() if accept is None else accept
        self._sensors = Sensors(tree, _FOLDER, self._find)
        self._words: dict[str, frozenset[str]] = {}

    def collect(self) -> list[Family]:
        """Read and collect.

        Raises:
            NoDataError: there is no power supply.
        """
        numbers = self._sensors.collect()
        rows = tuple(self._row(name, files) for name, files in self._words.items())
        return [*numbers, Family(_INFO, rows, (1,) * len(rows))]

    def _find(self) -> Iterator[Cell]:
        self._words = {}
        for name in filter(self._accept, self._tree.sys_list(_FOLDER)):
            files = self._tree.sys_list(f"{_FOLDER}/{name}")
            self._words[name] = frozenset(files).intersection(_WORDS)
            for file in files:
                if file in _NUMBERS:
                    metric, parse = _NUMBERS[file]
                    yield Cell(metric, (name,), f"{_FOLDER}/{name}/{file}", parse)

    def _row(self, name: str, files: frozenset[str]) -> Row:
        return (
            name,
            *(text(self._tree, f"{_FOLDER}/{name}/{file}") if file in files else "" for file in _WORDS),
        )


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Supplies(host.tree, accepts(exclude=host.settings[IGNORED])).collect)
