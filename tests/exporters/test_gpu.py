"""Values of GPUs through NVIDIA's own binding and a scripted library."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from exporters.errors import ExporterError, NoDataError
from exporters.gpu.readings import Field
from exporters.text import Renderer
from tests.exporters.exposition import parse
from tests.exporters.nvml import GPM, VALUES, Clock, by, gpu, labels_of, machine, watched
from tests.exporters.trees import at, plant
from tests.real.servers import real_server

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
UP = "steward_gpu_up"
DEFAULTS = (  # shared by dcgm-exporter 4.5.3's default list
    "DEV_SM_CLOCK",
    "DEV_MEM_CLOCK",
    "DEV_MEMORY_TEMP",
    "DEV_GPU_TEMP",
    "DEV_POWER_USAGE",
    "DEV_TOTAL_ENERGY_CONSUMPTION",
    "DEV_PCIE_REPLAY_COUNTER",
    "DEV_GPU_UTIL",
    "DEV_MEM_COPY_UTIL",
    "DEV_ENC_UTIL",
    "DEV_DEC_UTIL",
    "DEV_XID_ERRORS",
    "DEV_FB_FREE",
    "DEV_FB_USED",
    "DEV_FB_RESERVED",
    "DEV_NVLINK_BANDWIDTH_TOTAL",
    "DEV_VGPU_LICENSE_STATUS",
    "DEV_UNCORRECTABLE_REMAPPED_ROWS",
    "DEV_CORRECTABLE_REMAPPED_ROWS",
    "DEV_ROW_REMAP_FAILURE",
    "PROF_GR_ENGINE_ACTIVE",
    "PROF_PIPE_TENSOR_ACTIVE",
    "PROF_DRAM_ACTIVE",
    "PROF_PCIE_TX_BYTES",
    "PROF_PCIE_RX_BYTES",
)


def full():
    """One GPU of each kind: Hopper with NVLink and GPM, one with MIG, a small one."""
    links = [{"errors": [1, 2, 3, 4, 5]}, {"errors": [0, 0, 0, 0, -1]}, {"up": False}]
    mig = [
        {"uuid": "MIG-a", "instance": 1, "profile": "1c.2g.35gb", "total": 35 << 30, "used": 2 << 30},
        {"uuid": "MIG-b", "instance": 1, "profile": "1c.2g.35gb", "total": 35 << 30, "used": 2 << 30},
        {"uuid": "MIG-c", "instance": 9, "profile": "1g.18gb", "total": 18 << 30, "reserved": 1 << 20},
    ]
    parts = {
        **VALUES,
        "mig_mode": 1,
        "gpm_supported": 1,
        "gpm_1_mig_1": 25,
        "gpm_5_mig_1": 12.5,
        "gpm_1_mig_9": 0,
    }
    small = {"temperature_celsius": 55, "memory_total": 8 << 30, "memory_reserved": 1 << 28, "memory_used": 0}
    return (
        gpu(0, values={**VALUES, **GPM}, links=links),
        gpu(1, values=parts, mig=mig),
        gpu(2, name="NVIDIA T400 4GB", serial="", vbios="", values=small),
    )


def golden_text():
    machine(*full())
    with watched(flags={"collector.gpu.nvidia-smi-names": "true"}, clock=Clock(1_700_000_000)) as gpus:
        gpus.read()
        gpus.clock.at += 10
        return Renderer().render(gpus.gpus.read())


def test_the_text_is_the_golden_one():
    assert golden_text() == (GOLDEN / "gpu.prom").read_text(encoding="utf-8")


def test_prometheus_reads_the_text():
    """DCGM's names are in capitals, in MHz and percent, and nvidia_smi_* says total of gauges: theirs."""
    argv = [str(real_server("promtool")), "check", "metrics"]
    done = subprocess.run(argv, input=(GOLDEN / "gpu.prom").read_bytes(), capture_output=True, check=False)
    complaints = (done.stdout + done.stderr).decode().splitlines()
    assert [line for line in complaints if not line.startswith(("DCGM_FI_", "nvidia_smi_"))] == []


def test_a_hopper_gpu_has_all_that_dcgm_exporter_sends_by_default():
    machine(gpu(0, values={**VALUES, **GPM}))
    with watched() as gpus:
        gpus.read()
        seen = gpus.read()
    assert {f"DCGM_FI_{name}" for name in DEFAULTS} <= seen.names()
    labels = labels_of(seen, "DCGM_FI_DEV_GPU_TEMP")[0]
    assert labels == {
        "gpu": "0",
        "UUID": "GPU-0",
        "pci_bus_id": "00000000:00:00.0",
        "device": "nvidia0",
        "modelName": "NVIDIA H200",
        "Hostname": "saved",
        "DCGM_FI_DRIVER_VERSION": "580.95.05",
    }


def test_an_older_gpu_lacks_three_and_has_the_coarse_traffic_on_pcie():
    machine(gpu(0))
    with watched() as gpus:
        gpus.read()
        seen = gpus.read()
    missing = {name for name in DEFAULTS if f"DCGM_FI_{name}" not in seen.names()}
    assert missing == {"PROF_GR_ENGINE_ACTIVE", "PROF_PIPE_TENSOR_ACTIVE", "PROF_DRAM_ACTIVE"}
    assert by(seen, "DCGM_FI_PROF_PCIE_TX_BYTES", "gpu") == {"0": 1_500_000}


def test_the_host_label_is_a_setting():
    machine(gpu(1))
    with watched(flags={"collector.gpu.hostname-label": "hostname"}) as gpus:
        assert labels_of(gpus.read(), "DCGM_FI_DEV_GPU_TEMP")[0]["hostname"] == "saved"


def test_what_a_gpu_does_not_have_is_absent():
    few = ("temperature_celsius", "memory_total", "memory_reserved", "memory_used")
    poor = {name: VALUES[name] for name in few}
    machine(gpu(0, values=poor), gpu(1))
    with watched() as gpus:
        seen = gpus.read()
    assert len(labels_of(seen, "DCGM_FI_DEV_GPU_TEMP")) == 2
    for name in ("POWER_USAGE", "MEMORY_TEMP", "GPU_UTIL", "ENC_UTIL", "UNCORRECTABLE_REMAPPED_ROWS"):
        assert [labels["UUID"] for labels in labels_of(seen, f"DCGM_FI_DEV_{name}")] == ["GPU-1"]
    assert by(seen, UP, "uuid") == {"GPU-0": 1, "GPU-1": 1}


def test_not_available_is_absent_too():
    machine(gpu(0, values={**VALUES, "power_mw": 0xFFFFFFFF}))
    with watched() as gpus:
        assert "DCGM_FI_DEV_POWER_USAGE" not in gpus.read().names()


@pytest.mark.parametrize("error", ["UNKNOWN", "NO_PERMISSION", "TIMEOUT"])
def test_an_error_costs_its_own_field_and_one_line_in_the_log(error, caplog):
    machine(gpu(0, errors={"nvmlDeviceGetPowerUsage": error}))
    with watched() as gpus:
        for _ in range(3):
            seen = gpus.read()
    assert "DCGM_FI_DEV_POWER_USAGE" not in seen.names()
    assert "DCGM_FI_DEV_GPU_TEMP" in seen.names()
    assert by(seen, UP, "uuid") == {"GPU-0": 1}
    assert [record.getMessage() for record in caplog.records] == ["NVML call failed"]


def test_a_driver_without_the_newer_calls_is_asked_by_the_older_ones(caplog):
    older = {
        "nvmlDeviceGetMemoryInfo_v2": "FUNCTION_NOT_FOUND",
        "nvmlDeviceGetCurrentClocksEventReasons": "FUNCTION_NOT_FOUND",
        "nvmlGpmQueryDeviceSupport": "FUNCTION_NOT_FOUND",
        "nvmlDeviceGetTemperature": "FUNCTION_NOT_FOUND",
    }
    machine(gpu(0, errors=older))
    with watched() as gpus:
        seen = gpus.read()
    assert by(seen, "DCGM_FI_DEV_FB_USED", "gpu") == {"0": 4096 + 600}
    assert "DCGM_FI_DEV_FB_RESERVED" not in seen.names()
    assert by(seen, "DCGM_FI_DEV_GPU_TEMP", "gpu") == {"0": 41}
    assert "DCGM_FI_DEV_CLOCKS_EVENT_REASONS" not in seen.names()  # this library has neither
    assert caplog.records == []


def test_a_lost_gpu_costs_itself_and_comes_back_without_a_restart(caplog):
    lab = machine(*(gpu(number) for number in range(8)))
    with watched() as gpus:
        assert set(by(gpus.read(), UP, "uuid").values()) == {1}
        lab.change("GPU-3", lost=True)
        for _ in range(20):
            seen = gpus.read()
            assert by(seen, UP, "uuid") == {f"GPU-{number}": int(number != 3) for number in range(8)}
            assert len(labels_of(seen, "DCGM_FI_DEV_GPU_TEMP")) == 7
        assert lab.calls("nvmlInitWithFlags") < 10  # initialising takes seconds: not at each reading
        lab.change("GPU-3", lost=False)
        for _ in range(8):
            seen = gpus.read()
    assert set(by(seen, UP, "uuid").values()) == {1}
    assert len(labels_of(seen, "DCGM_FI_DEV_GPU_TEMP")) == 8
    said = [(record.getMessage(), record.gpu) for record in caplog.records]
    assert said == [("GPU does not answer", "GPU-3"), ("GPU answers again", "GPU-3")]


def test_a_gpu_that_was_lost_from_the_start_is_reported_too():
    lab = machine(gpu(0), gpu(1, lost=True))
    with watched() as gpus:
        assert by(gpus.read(), UP, "uuid") == {"GPU-0": 1, "unknown-1": 0}
        lab.change("GPU-1", lost=False)
        for _ in range(3):
            seen = gpus.read()
    assert by(seen, UP, "uuid") == {"GPU-0": 1, "GPU-1": 1}


def test_a_gpu_that_left_the_bus_is_remembered():
    lab = machine(gpu(0), gpu(1))
    with watched() as gpus:
        gpus.read()
        lab.play({"gpus": [gpu(1)]})
        seen = gpus.read()
    assert by(seen, UP, "uuid") == {"GPU-0": 0, "GPU-1": 1}
    assert [labels["gpu"] for labels in labels_of(seen, "DCGM_FI_DEV_GPU_TEMP")] == ["0"]


def test_a_gpu_that_answers_nothing_but_unknown_errors_is_cured_by_a_new_session():
    """Drivers do that after hours, and only a restart of the exporter used to help (ngx issue 354)."""
    calls = ("ClockInfo", "MaxClockInfo", "ApplicationsClock", "CurrentClocksEventReasons")
    calls += ("SupportedClocksEventReasons", "Temperature", "MemoryInfo_v2", "MigMode", "FieldValues")
    lab = machine(gpu(0, values={"temperature_celsius": 40, "memory_total": 1}))
    with watched() as gpus:
        gpus.read()
        before = lab.calls("nvmlInitWithFlags")
        lab.change("GPU-0", errors={f"nvmlDeviceGet{call}": "UNKNOWN" for call in calls})
        assert by(gpus.read(), UP, "uuid") == {"GPU-0": 0}
        lab.change("GPU-0", errors={})
        seen = gpus.read()
        assert lab.calls("nvmlInitWithFlags") > before
    assert by(seen, UP, "uuid") == {"GPU-0": 1}


def test_a_driver_that_is_reloaded_is_found_again():
    lab = machine(gpu(0))
    with watched() as gpus:
        gpus.read()
        loaded = lab.script
        lab.play({"gpus": [], "library": "unloaded"})
        with pytest.raises(ExporterError):
            gpus.read()
        with pytest.raises(NoDataError):
            gpus.read()
        lab.play(loaded)
        assert by(gpus.read(), UP, "uuid") == {"GPU-0": 1}


def test_mig_instances_have_their_memory_and_gpm_and_the_gpu_has_no_utilisation():
    lab = machine(*full())
    with watched() as gpus:
        gpus.read()
        seen = gpus.read()
    used = {
        (labels["UUID"], labels.get("GPU_I_ID"), labels.get("GPU_I_PROFILE"))
        for labels in labels_of(seen, "DCGM_FI_DEV_FB_USED")
    }
    assert {one for one in used if one[1]} == {("GPU-1", "1", "2g.35gb"), ("GPU-1", "9", "1g.18gb")}
    assert {labels["UUID"] for labels in labels_of(seen, "DCGM_FI_DEV_GPU_UTIL")} == {"GPU-0"}
    ratios = {
        labels["GPU_I_ID"]
        for labels in labels_of(seen, "DCGM_FI_PROF_GR_ENGINE_ACTIVE")
        if "GPU_I_ID" in labels
    }
    assert ratios == {"1", "9"}
    # An instance is sampled once a reading, however many compute instances it has.
    assert lab.calls("nvmlGpmMigSampleGet") == 4


def test_nvlinks_have_their_errors_and_the_bandwidth_of_all_is_a_rate():
    lab = machine(*full())
    with watched() as gpus:
        seen = gpus.read()
        assert "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL" not in seen.names()
        more = {**VALUES, "field_138_all": VALUES["field_138_all"] + 10_000_000}
        lab.change("GPU-0", values=more)
        seen = gpus.read(seconds=10)
        assert by(seen, "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL", "gpu")["0"] == 1024
        lab.change("GPU-0", values={**VALUES, "field_138_all": 5})
        seen = gpus.read()
    assert "0" not in by(seen, "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL", "gpu")  # the counter began anew
    assert by(seen, "steward_gpu_nvlink_up", "link") == {"0": 1, "1": 1, "2": 0}
    errors = by(seen, "steward_gpu_nvlink_errors_total", "link", "kind")
    assert errors["0", "crc_flit"] == 3
    assert ("1", "ecc_data") not in errors


def test_without_counters_of_nvlink_gpm_tells_the_bandwidth():
    values = {name: value for name, value in VALUES.items() if not name.endswith("_all")}
    machine(gpu(0, values={**values, **GPM}))
    with watched() as gpus:
        gpus.read()
        seen = gpus.read()
    assert by(seen, "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL", "gpu") == {"0": 314.573}  # 300 MiB/s


def test_samples_of_gpm_are_freed():
    lab = machine(*full())
    before = lab.samples_alive()
    with watched() as gpus:
        for _ in range(5):
            gpus.read()
        lab.change("GPU-1", mig=(), values=VALUES)
        gpus.read()
        assert lab.samples_alive() > before
    assert lab.samples_alive() == before


@pytest.mark.parametrize("licensed", [0, 1])
def test_the_license_of_a_vgpu_is_told(licensed):
    machine(gpu(0, values={**VALUES, "vgpu_licensed": licensed}))
    with watched() as gpus:
        assert by(gpus.read(), "DCGM_FI_DEV_VGPU_LICENSE_STATUS", "gpu") == {"0": licensed}


def test_without_a_driver_there_is_no_data():
    machine(library="unloaded")
    with watched() as gpus, pytest.raises(NoDataError):
        gpus.read()


def test_without_gpus_there_is_no_data():
    machine()
    with watched() as gpus, pytest.raises(NoDataError):
        gpus.read()


def test_a_driver_that_cannot_be_initialised_is_a_failure():
    machine(gpu(0), errors={"nvmlInitWithFlags": "LIB_RM_VERSION_MISMATCH"})
    with watched() as gpus, pytest.raises(ExporterError) as caught:
        gpus.read()
    assert not isinstance(caught.value, NoDataError)


def test_each_value_is_read_by_some_call():
    """No value of the list is dead: the golden machine has every one but those of the older PCIe measure."""
    from exporters.gpu.reader import Reader
    from tests.exporters.nvml import binding

    licensed = gpu(3, values={**VALUES, "vgpu_licensed": 1})
    machine(*full(), licensed)
    reader = Reader(binding(), wait_milliseconds=10, steady=Clock())
    try:
        reader.read()
        values = {name for one in reader.read().gpus for name in one.values}
    finally:
        reader.close()
    assert set(Field) - values <= {Field.NVLINK_BANDWIDTH}


def test_the_second_family_of_names_is_off_by_default_and_says_the_same():
    machine(gpu(0))
    with watched() as gpus:
        assert not [name for name in gpus.read().names() if name.startswith("nvidia_smi_")]
    with watched(flags={"collector.gpu.nvidia-smi-names": "true"}) as gpus:
        seen = gpus.read()
    assert seen.of("nvidia_smi_power_draw_watts", uuid="0") == 84.123
    assert seen.of("nvidia_smi_clocks_event_reasons_sw_power_cap", uuid="0") == 1
    assert seen.of("nvidia_smi_clocks_throttle_reasons_sw_power_cap", uuid="0") == 1
    info = labels_of(seen, "nvidia_smi_gpu_info")[0]
    assert (info["compute_cap"], info["cuda_version"], info["pci_sub_device_id"]) == (
        "9.0",
        "13.0",
        "0x18BE10DE",
    )


def test_mig_devices_have_names_that_join_with_what_their_gpu_instance_does():
    machine(*full())
    with watched(flags={"collector.gpu.nvidia-smi-names": "true"}) as gpus:
        seen = gpus.read()
    names = ("mig_uuid", "gpu_instance_id", "compute_instance_id", "profile")
    assert {tuple(one[name] for name in names) for one in labels_of(seen, "nvidia_smi_mig_info")} == {
        ("MIG-a", "1", "0", "1c.2g.35gb"),
        ("MIG-b", "1", "1", "1c.2g.35gb"),
        ("MIG-c", "9", "0", "1g.18gb"),
    }
    assert seen.of("nvidia_smi_mig_memory_used_bytes", uuid="1", gpu_instance_id="1") == 2 << 30


def test_processes_have_series_only_where_asked_for(tmp_path):
    plant(
        tmp_path,
        {
            "proc/10/cmdline": b"/usr/bin/python3\0train.py\0--token=secret\0",
            "proc/11/cmdline": b"worker: --password=secret\0",
        },
    )
    processes = [{"pid": 10, "bytes": 1 << 30}, {"pid": 11, "bytes": -1}, {"pid": 12, "bytes": 5}]
    machine(gpu(0, processes=processes), gpu(1))
    with watched(at(tmp_path)) as gpus:
        assert not [name for name in gpus.read().names() if "compute_app" in name]
    with watched(at(tmp_path), {"collector.gpu.compute-apps": "true"}) as gpus:
        seen = gpus.read()
    assert by(seen, "nvidia_smi_compute_app_used_memory_bytes", "uuid", "pid", "process_name") == {
        ("0", "10", "/usr/bin/python3"): 1 << 30,
        ("0", "12", "[Not Found]"): 5,
    }
    assert set(by(seen, "nvidia_smi_compute_app_info", "process_name")) == {
        "/usr/bin/python3",
        "worker:",
        "[Not Found]",
    }
    assert by(seen, "nvidia_smi_compute_apps", "uuid") == {"0": 3, "1": 0}
    assert seen.of("nvidia_smi_compute_apps_last_collect_success") == 1


def test_processes_that_the_driver_does_not_tell_are_no_processes():
    machine(gpu(0, errors={"nvmlDeviceGetComputeRunningProcesses_v3": "UNKNOWN"}), gpu(1))
    with watched(flags={"collector.gpu.compute-apps": "true"}) as gpus:
        seen = gpus.read()
    assert seen.of("nvidia_smi_compute_apps_last_collect_success") == 0
    assert by(seen, "nvidia_smi_compute_apps", "uuid") == {"1": 0}


def test_traffic_on_pcie_is_told_with_gpm_and_without():
    machine(gpu(0, values={**VALUES, **GPM}), gpu(1))
    with watched(flags={"collector.gpu.nvidia-smi-names": "true"}) as gpus:
        gpus.read()
        seen = gpus.read()
    sent = "nvidia_smi_pcie_throughput_tx_bytes_per_second"
    assert seen.of(sent, uuid="0") == 10 << 20
    assert seen.of(sent, uuid="1") == 1500 * 1000


def test_the_real_program_finds_the_library_by_its_path(tmp_path):
    """`steward-agent export` in a process of its own, with nothing of ours but the environment."""
    from lab.nvidia import Stub, environment

    real_server("cc")
    Stub(tmp_path).play({"gpus": [gpu(0)]})
    program = (
        "from exporters.gpu.build import build\n"
        "from exporters.gpu.state import as_json, gpus\n"
        "from tests.exporters.trees import host, tree\n"
        "import json\n"
        "collector = build(host(tree('server')))\n"
        "print(json.dumps([as_json(gpu) for gpu in gpus(collector)]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**environment(tmp_path), "PYTHONPATH": "."},
        capture_output=True,
        check=True,
        timeout=60,
    )
    (found,) = json.loads(done.stdout)
    assert (found["uuid"], found["gpu_util"], found["mem_used"]) == ("GPU-0", 37, 4096 << 20)


def test_without_the_library_the_binding_says_so_and_that_is_no_failure():
    program = (
        "import pynvml\n"
        "from exporters.errors import NoDataError\n"
        "from exporters.gpu.reader import Reader\n"
        "try:\n"
        "    Reader(pynvml).read()\n"
        "except NoDataError:\n"
        "    print('no data')\n"
    )
    if Path("/dev/nvidiactl").exists():
        pytest.skip("this machine has an NVIDIA driver")
    argv = [sys.executable, "-c", program]
    done = subprocess.run(argv, env={"PYTHONPATH": "."}, capture_output=True, check=True, timeout=60)
    assert done.stdout == b"no data\n"


def test_without_a_driver_the_binding_is_not_even_imported():
    program = (
        "import sys\n"
        "from exporters.errors import NoDataError\n"
        "from exporters.gpu.build import build\n"
        "from tests.exporters.trees import host, tree\n"
        "try:\n"
        "    build(host(tree('server'))).collect()\n"
        "except NoDataError:\n"
        "    sys.exit(1 if 'pynvml' in sys.modules else 0)\n"
    )
    if any(path.exists() for path in (Path("/dev/nvidiactl"), Path("/proc/driver/nvidia"))):
        pytest.skip("this machine has an NVIDIA driver")
    done = subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": "."}, check=False, timeout=60)
    assert done.returncode == 0


def test_the_golden_text_is_well_formed():
    seen = parse((GOLDEN / "gpu.prom").read_text(encoding="utf-8"))
    assert seen.names() == set(seen.kinds) == set(seen.helps)


if __name__ == "__main__":
    (GOLDEN / "gpu.prom").write_text(golden_text(), encoding="utf-8")
