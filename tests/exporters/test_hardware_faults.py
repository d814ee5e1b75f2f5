"""What sensors and firmware may do: fail, vanish, come back as another, lie, hang on to odd names."""

from __future__ import annotations

import shutil
from errno import EACCES, EAGAIN, EIO, ENODATA, ENODEV

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.errors import NoDataError
from exporters.samples import Kind, Metric
from exporters.system import (
    dmi,
    hwmon,
    nvme,
    nvmesubsystem,
    powersupplyclass,
    rapl,
    thermal_zone,
    watchdog,
)
from exporters.system.devices import Cell, Sensors, prefixed, real, whole
from exporters.system.tree import Tree
from exporters.text import Renderer
from tests.exporters.exposition import parse
from tests.exporters.trees import FIXTURES, at, host, tree

CORE = {"chip": "platform_coretemp_0", "sensor": "temp2"}


class Failing(Tree):
    """The tree at a folder, where some attributes answer with an error, as a driver does."""

    def __init__(self, folder, errors):
        super().__init__(procfs=folder / "proc", sysfs=folder / "sys", rootfs=folder, udev_data=folder)
        self._errors = errors
        self.asked = []

    def attribute(self, name):
        self.asked.append(name)
        for end, number in self._errors.items():
            if name.endswith(end):
                raise OSError(number, "the driver says no")
        return super().attribute(name)


@pytest.fixture
def folder(tmp_path):
    """The large machine's tree, which the test may damage."""
    return shutil.copytree(FIXTURES / "numa", tmp_path / "tree", symlinks=True)


def text(collector):
    return parse(Renderer().render(collector.collect()))


def collect(module, saved, flags=None):
    return text(module.build(host(saved, flags)))


@pytest.mark.parametrize("error", [EIO, EAGAIN, ENODATA, ENODEV, EACCES])
def test_a_sensor_that_fails_costs_itself_only(error):
    before = collect(hwmon, tree("numa"))
    failing = Failing(
        FIXTURES / "numa", {"coretemp.0/hwmon/hwmon0/temp2_input": error, "hwmon0/temp2_input": error}
    )
    seen = collect(hwmon, failing)
    lost = {(name, dict(labels)["chip"]) for name, labels in before.values.keys() - seen.values.keys()}
    assert lost == {("node_hwmon_temp_celsius", "platform_coretemp_0")}
    assert len(before.values) - len(seen.values) == 1
    assert failing.asked.count("class/hwmon/hwmon0/temp2_input") == 1


def test_a_sensor_that_vanishes_is_missed_and_one_that_comes_is_found(folder):
    chips = hwmon.Chips(at(folder))
    assert text(chips).of("node_hwmon_temp_celsius", **CORE) == 55
    file = folder / "sys/class/hwmon/hwmon0/temp2_input"
    file.unlink()
    seen = text(chips)
    assert ("node_hwmon_temp_celsius", frozenset(CORE.items())) not in seen.values
    assert seen.of("node_hwmon_temp_max_celsius", **CORE) == 90
    file.write_text("56000\n")
    text(chips)
    assert text(chips).of("node_hwmon_temp_celsius", **CORE) == 56


def test_a_chip_that_is_replaced_is_found_at_once(folder):
    chips = hwmon.Chips(at(folder))
    text(chips)
    link = folder / "sys/class/hwmon/hwmon0"
    target = folder / "sys/devices/platform/other.7/hwmon/hwmon0"
    target.mkdir(parents=True)
    (target / "temp1_input").write_text("-12500\n")
    (target / "name").write_text("other\n")
    (target / "device").symlink_to("../..")
    another = link.with_name("another")
    another.symlink_to("../../devices/platform/other.7/hwmon/hwmon0")
    another.replace(link)
    seen = text(chips)
    assert seen.of("node_hwmon_temp_celsius", chip="platform_other_7", sensor="temp1") == -12.5
    assert ("node_hwmon_temp_celsius", frozenset(CORE.items())) not in seen.values


def test_odd_readings():
    seen = collect(hwmon, tree("numa"))
    board = {"chip": "i2c_4_4_002d"}
    assert seen.of("node_hwmon_temp_celsius", chip="nvme_nvme3", sensor="temp2") == -5.15
    assert ("node_hwmon_temp_celsius", frozenset({**board, "sensor": "temp2"}.items())) not in seen.values
    assert seen.of("node_hwmon_temp_max_celsius", **board, sensor="temp2") == 80
    assert seen.of("node_hwmon_sensor_label", **board, sensor="temp1", label="Inlet \ufffdC") == 1
    assert seen.of("node_hwmon_sensor_label", **board, sensor="in1", label='+12V "A"') == 1
    assert seen.of("node_hwmon_energy_joule_total", **board, sensor="energy1") == 991234567.890123
    assert seen.kinds["node_hwmon_energy_joule_total"] == "counter"
    assert seen.of("node_hwmon_chip_names", chip="platform_acpi_wmi_acpi_fan", chip_name="acpi_fan") == 1


FILES = {
    "temp1_input": ("temp", 1, "input"),
    "in0": ("in", 0, ""),
    "pwm1_auto_point1_temp": ("pwm", 1, "auto_point1_temp"),
    "beep_enable": ("beep_enable", 0, ""),
    "update_interval": ("update_interval", 0, ""),
    "power1_average_interval": ("power", 1, "average_interval"),
    "fan99999999999_input": ("fan", 99999999999, "input"),
    "name": None,
    "uevent": None,
    "temp_input": None,
    "1temp": None,
    "": None,
}


@pytest.mark.parametrize(("name", "said"), FILES.items())
def test_names_of_files(name, said):
    found = hwmon.attribute(name, "x")
    assert (None if found is None else (found.kind, found.number, found.element)) == said


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_name_of_a_file_makes_a_metric_or_nothing(kind, element):
    found = hwmon.attribute(f"{kind}1_{element}", "x")
    if found is not None:
        metric, _ = hwmon.measure(found.kind, found.element, has_value=False)
        assert metric.name.startswith("node_hwmon_")


def test_a_zone_that_is_switched_off_is_cold_as_in_node_exporter():
    failing = Failing(FIXTURES / "numa", {"thermal_zone1/temp": EAGAIN, "cooling_device1/cur_state": EIO})
    seen = collect(thermal_zone, failing)
    assert seen.of("node_thermal_zone_temp", zone="2", type="x86_pkg_temp") == 63
    assert seen.of("node_thermal_zone_temp", zone="1", type="x86_pkg_temp") == 0
    assert seen.of("node_cooling_device_cur_state", name="2", type="intel_powerclamp") == -1
    assert {
        dict(labels)["name"] for name, labels in seen.values if name == "node_cooling_device_cur_state"
    } == {
        "0",
        "2",
    }


def test_energy_that_wraps_begins_anew(folder):
    zones = rapl.Zones(at(folder))
    dram = {"index": "0", "path": f"{folder}/sys/class/powercap/intel-rapl:0:0"}
    assert text(zones).of("node_rapl_dram_joules_total", **dram) == 8877.665544
    (folder / "sys/class/powercap/intel-rapl:0:0/energy_uj").write_text("12\n")
    assert text(zones).of("node_rapl_dram_joules_total", **dram) == 0.000012


def test_energy_that_only_root_may_read_is_no_failure():
    with pytest.raises(NoDataError):
        rapl.Zones(Failing(FIXTURES / "numa", {"energy_uj": EACCES})).collect()


def test_energy_that_fails_otherwise_is_no_silence():
    failing = Failing(FIXTURES / "numa", {"intel-rapl:1/energy_uj": EIO})
    seen = collect(rapl, failing)
    assert len([name for name, _ in seen.values if name == "node_rapl_package_joules_total"]) == 1


ZONES = {
    ("package-0", 0): ("package", 0),
    ("package-1", 0): ("package", 1),
    ("dram", 2): ("dram", 2),
    ("package-0-die-1", 0): ("package-0-die-1", 0),
    ("psys-x", 0): ("psys-x", 0),
}


@pytest.mark.parametrize(("given", "said"), ZONES.items())
def test_zones_have_numbers(given, said):
    spoken, before = given
    assert rapl.indexed(spoken, {spoken: before}) == said


def test_serial_numbers_that_only_root_may_read_are_left_out():
    seen = collect(dmi, Failing(FIXTURES / "numa", {"_serial": EACCES, "product_uuid": EACCES}))
    ((_, labels),) = seen.values
    assert dict(labels)["product_name"] == "PowerEdge R750"
    assert not [name for name, _ in labels if name.endswith(("_serial", "_uuid"))]


def test_a_battery(tmp_path):
    supplies = tmp_path / "sys/class/power_supply"
    files = {
        "BAT0": {
            "type": "Battery",
            "status": "Discharging",
            "capacity": "81",
            "temp": "-52",
            "energy_now": "36580000",
            "voltage_now": "0x10",
            "manufacturer": "A\\B",
            "time_to_empty_now": "broken",
            "serial_number": "",
        },
        "AC": {"type": "Mains", "online": "0"},
        "UPS": {"type": "UPS"},
    }
    for name, attributes in files.items():
        (supplies / name).mkdir(parents=True)
        for attribute, value in attributes.items():
            (supplies / name / attribute).write_text(value + "\n")
    seen = collect(powersupplyclass, at(tmp_path), {"collector.powersupply.ignored-supplies": "^UPS$"})
    battery = {"power_supply": "BAT0"}
    assert seen.of("node_power_supply_capacity", **battery) == 81
    assert seen.of("node_power_supply_temp_celsius", **battery) == -5.2
    assert seen.of("node_power_supply_energy_watthour", **battery) == 36.58
    assert seen.of("node_power_supply_voltage_volt", **battery) == 16e-6
    assert "node_power_supply_time_to_empty_seconds" not in seen.names()
    assert seen.of("node_power_supply_info", power_supply="AC", type="Mains") == 1
    described = {"type": "Battery", "status": "Discharging", "manufacturer": "A\\B"}
    assert seen.of("node_power_supply_info", **battery, **described) == 1
    assert not [labels for _, labels in seen.values if ("power_supply", "UPS") in labels]


def test_a_state_that_changes_is_told(folder):
    controllers, subsystems = nvme.Controllers(at(folder)), nvmesubsystem.build(host(at(folder)))
    path = {"subsystem": "nvme-subsys3", "controller": "nvme3", "transport": "pcie"}
    text(controllers)
    assert text(subsystems).of("node_nvmesubsystem_path_state", **path, state="resetting") == 1
    (folder / "sys/class/nvme/nvme3/state").write_text("deleting (no IO)\n")
    states = {
        dict(labels).get("state") for name, labels in text(controllers).values if name == "node_nvme_info"
    }
    assert states == {"live", "deleting (no IO)"}
    assert text(subsystems).of("node_nvmesubsystem_path_state", **path, state="deleting") == 1
    assert text(subsystems).of("node_nvmesubsystem_paths_live", subsystem="nvme-subsys3") == 0


def test_a_watchdog_tells_what_it_has():
    seen = collect(watchdog, tree("numa"))
    assert seen.of("node_watchdog_timeleft_seconds", name="watchdog0") == 26
    assert ("node_watchdog_timeleft_seconds", frozenset({("name", "watchdog1")})) not in seen.values


def test_what_is_not_there_is_looked_for_again(tmp_path):
    folder = tmp_path / "sys/class/things"
    metric = Metric("things", Kind.GAUGE, "Things.", ("name",))
    saved = at(tmp_path)

    def find():
        return [
            Cell(metric, (name,), f"class/things/{name}", whole) for name in saved.sys_list("class/things")
        ]

    sensors = Sensors(saved, "class/things", find)
    with pytest.raises(NoDataError):
        sensors.collect()
    folder.mkdir(parents=True)
    assert sensors.collect() == ()
    (folder / "a").write_text("1\n")
    (first,) = sensors.collect()
    assert (first.rows, list(first.values)) == ((("a",),), [1])
    (second,) = sensors.collect()
    assert second.rows is first.rows


NUMBERS = {
    (whole, b"-12"): -12,
    (whole, b"0x1f"): None,
    (whole, b""): None,
    (whole, b"<unsupported>"): None,
    (prefixed, b"0x1f"): 31,
    (prefixed, b"-0x1f"): -31,
    (prefixed, b"010"): 8,
    (prefixed, b"0"): 0,
    (prefixed, b"08"): None,
    (prefixed, b"12 V"): None,
    (real, b"1.25"): 1.25,
    (real, b"18446744073709551615"): 18446744073709551615,
    (real, b"N/A"): None,
    (whole, b"9" * 5000): None,
    (prefixed, b"9" * 5000): None,
    (real, b"9" * 5000): None,
}


@pytest.mark.parametrize(("given", "said"), NUMBERS.items())
def test_numbers(given, said):
    read, raw = given
    if said is None:
        with pytest.raises(ValueError, match=r"."):
            read(raw)
    else:
        assert read(raw) == said
