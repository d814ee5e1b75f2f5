from __future__ import annotations

import json
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from exporters.errors import ExporterError, NoDataError
from exporters.gpu.build import build
from exporters.gpu.collector import Naming, collect
from exporters.gpu.reader import Reader
from exporters.registry import Registry, Source
from exporters.system.tree import Tree
from exporters.text import Renderer
from lab.nvidia import Driver
from lab.nvidia.errors import ScriptError
from lab.nvidia.script import parse as parse_script
from tests.exporters.exposition import parse
from tests.exporters.trees import host

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "gpu.prom"
UP = "steward_gpu_up"
NAMING = Naming("Hostname", "host1")
VALUES = {
    "sm_clock_mhz": 1980,
    "memory_clock_mhz": 2619,
    "temperature_celsius": 41,
    "memory_temperature_celsius": 52,
    "power_mw": 84123,
    "energy_mj": 123456789012,
    "gpu_utilization": 37,
    "memory_utilization": 12,
    "encoder_utilization": 3,
    "decoder_utilization": 4,
    "memory_total": 143771 << 20,
    "memory_reserved": 600 << 20,
    "memory_used": 4096 << 20,
    "pcie_replays": 5,
    "remapped_correctable": 1,
    "remapped_uncorrectable": 2,
    "remap_pending": 0,
    "remap_failure": 0,
}


def gpu(number, **changes):
    script = {
        "uuid": f"GPU-{number}",
        "name": "NVIDIA H200",
        "bus_id": f"00000000:{number:02X}:00.0",
        "minor": number,
        "values": VALUES,
    }
    return {**script, **changes}


def driver(*gpus, **top):
    return Driver({"gpus": list(gpus), **top})


def read(reader):
    return parse(Renderer().render(collect(reader.read(), NAMING)))


def up(seen):
    values = ((dict(labels)["uuid"], value) for (name, labels), value in seen.values.items() if name == UP)
    return dict(values)


def labels_of(seen, name):
    return [dict(labels) for metric, labels in seen.values if metric == name]


def test_values_have_the_units_and_labels_of_dcgm_exporter():
    text = Renderer().render(collect(Reader(driver(gpu(78, minor=0))).read(), NAMING))
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_the_host_label_is_a_setting():
    families = collect(Reader(driver(gpu(1))).read(), Naming("hostname", "h"))
    assert labels_of(parse(Renderer().render(families)), "DCGM_FI_DEV_GPU_TEMP")[0]["hostname"] == "h"


def test_what_a_gpu_does_not_have_is_absent():
    few = ("temperature_celsius", "memory_total", "memory_reserved", "memory_used")
    poor = {name: VALUES[name] for name in few}
    seen = read(Reader(driver(gpu(0, values=poor), gpu(1))))
    assert len(labels_of(seen, "DCGM_FI_DEV_GPU_TEMP")) == 2
    for name in ("POWER_USAGE", "MEMORY_TEMP", "GPU_UTIL", "ENC_UTIL", "UNCORRECTABLE_REMAPPED_ROWS"):
        assert [labels["UUID"] for labels in labels_of(seen, f"DCGM_FI_DEV_{name}")] == ["GPU-1"]
    assert up(seen) == {"GPU-0": 1, "GPU-1": 1}


@pytest.mark.parametrize("error", ["UNKNOWN", "NO_PERMISSION", "TIMEOUT", "FUNCTION_NOT_FOUND"])
def test_an_error_costs_its_own_field(error, caplog):
    reader = Reader(driver(gpu(0, errors={"nvmlDeviceGetPowerUsage": error})))
    for _ in range(3):
        seen = read(reader)
    assert "DCGM_FI_DEV_POWER_USAGE" not in seen.names()
    assert "DCGM_FI_DEV_GPU_TEMP" in seen.names()
    assert up(seen) == {"GPU-0": 1}
    assert [record.getMessage() for record in caplog.records] == ["NVML call failed"]


def test_a_lost_gpu_costs_itself_and_comes_back_without_a_restart():
    machine = driver(*(gpu(number) for number in range(8)))
    reader = Reader(machine)
    assert set(up(read(reader)).values()) == {1}
    machine.change("GPU-3", lost=True)
    for _ in range(20):
        seen = read(reader)
        assert up(seen) == {f"GPU-{number}": int(number != 3) for number in range(8)}
        assert len(labels_of(seen, "DCGM_FI_DEV_GPU_TEMP")) == 7
    assert machine.initialisations < 10  # initialising takes seconds: not at each reading
    machine.change("GPU-3", lost=False)
    for _ in range(8):
        seen = read(reader)
    assert set(up(seen).values()) == {1}
    assert len(labels_of(seen, "DCGM_FI_DEV_GPU_TEMP")) == 8


def test_a_gpu_that_was_lost_from_the_start_is_reported_too():
    machine = driver(gpu(0), gpu(1, lost=True))
    reader = Reader(machine)
    assert up(read(reader)) == {"GPU-0": 1, "unknown-1": 0}
    machine.change("GPU-1", lost=False)
    for _ in range(3):
        seen = read(reader)
    assert up(seen) == {"GPU-0": 1, "GPU-1": 1}


def test_a_gpu_that_left_the_bus_is_remembered():
    machine = driver(gpu(0), gpu(1))
    reader = Reader(machine)
    read(reader)
    machine.play({"gpus": [gpu(1)]})
    seen = read(reader)
    assert up(seen) == {"GPU-0": 0, "GPU-1": 1}
    assert [labels["gpu"] for labels in labels_of(seen, "DCGM_FI_DEV_GPU_TEMP")] == ["0"]


def test_mig_instances_have_their_memory_and_the_gpu_has_no_utilisation():
    part = {"uuid": "MIG-1", "instance": 7, "profile": "1g.18gb", "total": 18 << 30, "used": 2 << 30}
    seen = read(Reader(driver(gpu(0, mig=[part]), gpu(1))))
    mig = [labels for labels in labels_of(seen, "DCGM_FI_DEV_FB_USED") if labels["GPU_I_ID"]]
    shown = [(labels["GPU_I_ID"], labels["GPU_I_PROFILE"], labels["UUID"]) for labels in mig]
    assert shown == [("7", "1g.18gb", "GPU-0")]
    assert [labels["UUID"] for labels in labels_of(seen, "DCGM_FI_DEV_GPU_UTIL")] == ["GPU-1"]


def test_xid_errors_are_counted_by_code():
    machine = driver(gpu(0), gpu(1))
    reader = Reader(machine)
    read(reader)
    machine.change("GPU-1", xids=(31, 79, 79))
    read(reader)
    machine.change("GPU-1", xids=(13,))
    seen = read(reader)
    count = "steward_gpu_xid_errors_total"
    counts = {xid: seen.of(count, uuid="GPU-1", xid=xid) for xid in ("13", "31", "79")}
    assert counts == {"13": 1, "31": 1, "79": 2}
    last = {
        dict(labels)["UUID"]: (value, dict(labels)["err_code"], dict(labels)["err_msg"])
        for (name, labels), value in seen.values.items()
        if name == "DCGM_FI_DEV_XID_ERRORS"
    }
    assert last == {"GPU-0": (0, "0", "No error"), "GPU-1": (13, "13", "Graphics engine exception")}


@pytest.mark.parametrize("library", ["absent", "unloaded"])
def test_without_a_driver_there_is_no_data(library):
    with pytest.raises(NoDataError):
        Reader(driver(library=library)).read()


def test_without_gpus_there_is_no_data():
    with pytest.raises(NoDataError):
        Reader(driver()).read()


def test_a_driver_that_appears_later_is_found():
    machine = driver(gpu(0), library="unloaded")
    reader = Reader(machine)
    with pytest.raises(NoDataError):
        reader.read()
    machine.play({"gpus": [gpu(0)]})
    assert up(read(reader)) == {"GPU-0": 1}


def test_a_driver_that_cannot_be_initialised_is_a_failure():
    class Broken(Driver):
        def nvmlInit(self):  # noqa: N802
            raise self.NVMLError(999)

    with pytest.raises(ExporterError) as caught:
        Reader(Broken({})).read()
    assert not isinstance(caught.value, NoDataError)


async def test_the_registry_reads_it_in_the_background_by_one_thread():
    machine = driver(gpu(0))
    registry = Registry([Source("gpu", build(host(Tree()), machine))], fresh_seconds=0)
    for _ in range(50):
        seen = parse((await registry.scrape()).text.decode())
    assert seen.of("steward_gpu_up", uuid="GPU-0") == 1
    assert seen.of("steward_scrape_collector_age_seconds", collector="gpu") >= 0
    assert machine.calls["nvmlDeviceGetPowerUsage"] == 1
    assert machine.most_calls_at_once == 1
    registry.close()


async def test_nvml_that_hangs_costs_the_gpu_series_and_one_thread():
    gate = threading.Event()

    class Hung(Driver):
        def nvmlDeviceGetPowerUsage(self, handle):  # noqa: N802
            gate.wait()
            return super().nvmlDeviceGetPowerUsage(handle)

    flags = {"collector.gpu.interval": "10ms"}
    source = Source("gpu", build(host(Tree(), flags), Hung({"gpus": [gpu(0)]})))
    registry = Registry([source], fresh_seconds=0)
    await registry.scrape()
    before = threading.active_count()
    for _ in range(50):
        seen = parse((await registry.scrape()).text.decode())
        assert seen.of("steward_scrape_collector_success", collector="gpu") == 0
    assert threading.active_count() == before
    gate.set()
    registry.close()


class TestSurface:
    """The lab's driver has no function, argument, constant or error that NVIDIA's binding does not have."""

    pynvml = pytest.importorskip("pynvml")

    def test_constants(self):
        names = [name for name in dir(Driver) if name.startswith(("NVML_", "nvmlEventType", "nvmlMemory"))]
        assert len(names) > 10
        theirs = {name: getattr(self.pynvml, name) for name in names}
        assert {name: getattr(Driver, name) for name in names} == theirs

    def test_functions(self):
        import inspect

        names = [name for name in dir(Driver) if name.startswith("nvml") and callable(getattr(Driver, name))]
        assert len(names) > 20
        for name in names:
            theirs = list(inspect.signature(getattr(self.pynvml, name)).parameters)
            assert list(inspect.signature(getattr(Driver, name)).parameters)[1:] == theirs, name

    def test_errors(self):
        from lab.nvidia.errors import ERRORS

        assert {name: getattr(self.pynvml, f"NVML_ERROR_{name}") for name in ERRORS} == ERRORS
        assert self.pynvml.NVMLError(15).value == Driver.NVMLError(15).value

    def test_a_handle_is_known_by_its_bytes(self):
        """The reader keys handles by their bytes, which for a ctypes pointer are its address."""
        import ctypes

        struct = ctypes.create_string_buffer(8)
        first, second = (ctypes.cast(struct, self.pynvml.c_nvmlDevice_t) for _ in range(2))
        assert bytes(first) == bytes(second)
        assert bytes(first) != bytes(ctypes.cast(ctypes.create_string_buffer(8), self.pynvml.c_nvmlDevice_t))

    def test_without_nvml_the_real_binding_is_no_data(self):
        if Path("/dev/nvidiactl").exists():
            pytest.skip("this machine has an NVIDIA driver")
        with pytest.raises(NoDataError):
            Reader(self.pynvml).read()


def test_bytes_of_an_old_binding_are_text():
    class Old(Driver):
        def nvmlDeviceGetUUID(self, handle):  # noqa: N802
            return super().nvmlDeviceGetUUID(handle).encode()

        def nvmlDeviceGetPciInfo(self, handle):  # noqa: N802
            return SimpleNamespace(busId=super().nvmlDeviceGetPciInfo(handle).busId.encode())

    assert up(read(Reader(Old({"gpus": [gpu(0)]})))) == {"GPU-0": 1}


BAD_SCRIPTS = {
    "no JSON": b"{",
    "no map": b"[]",
    "unknown key": json.dumps({"gpu": []}).encode(),
    "unknown value": json.dumps({"gpus": [gpu(0, values={"volts": 1})]}).encode(),
    "unknown error": json.dumps({"gpus": [gpu(0, errors={"nvmlDeviceGetName": "TIRED"})]}).encode(),
    "unknown library state": json.dumps({"library": "maybe"}).encode(),
    "no uuid": json.dumps({"gpus": [{"name": "a", "bus_id": "b", "minor": 0}]}).encode(),
    "half a MIG instance": json.dumps({"gpus": [gpu(0, mig=[{"uuid": "MIG-1"}])]}).encode(),
}


@pytest.mark.parametrize("script", BAD_SCRIPTS.values(), ids=BAD_SCRIPTS.keys())
def test_bad_scripts_are_refused(script):
    with pytest.raises(ScriptError):
        parse_script(script)


def test_a_script_is_read_from_a_file(tmp_path):
    path = tmp_path / "driver.json"
    path.write_text(json.dumps({"gpus": [gpu(0, processes=[{"pid": 42, "bytes": 5}])]}))
    machine = Driver.load(path)
    machine.nvmlInit()
    (process,) = machine.nvmlDeviceGetComputeRunningProcesses(machine.nvmlDeviceGetHandleByIndex(0))
    assert (process.pid, process.usedGpuMemory) == (42, 5)
    machine.nvmlShutdown()
    with pytest.raises(Driver.NVMLError):
        machine.nvmlDeviceGetCount()
