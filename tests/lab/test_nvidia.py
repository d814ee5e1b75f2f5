"""The scripted libnvidia-ml is what NVIDIA's binding takes it for, and refuses scripts that say nothing."""

from __future__ import annotations

import ctypes
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lab.nvidia import Script, ScriptError
from lab.nvidia.errors import ERRORS
from lab.nvidia.script import MOST, VALUES, example, lines, parse
from tests.exporters.nvml import binding, gpu, machine
from tests.real.servers import real_server

FOLDER = Path(__file__).resolve().parents[2] / "lab" / "nvidia"
SOURCE = "".join(path.read_text(encoding="ascii") for path in sorted(FOLDER.glob("*.c")))
BAD_SCRIPTS = {
    "no JSON": b"{",
    "no map": b"[]",
    "unknown key": json.dumps({"gpu": []}).encode(),
    "unknown value": json.dumps({"gpus": [gpu(0, values={"volts": 1})]}).encode(),
    "unknown error": json.dumps({"gpus": [gpu(0, errors={"nvmlDeviceGetName": "TIRED"})]}).encode(),
    "an error of no call": json.dumps({"gpus": [gpu(0, errors={"name\nlost 1": "UNKNOWN"})]}).encode(),
    "an error of no call at all": json.dumps({"errors": {"": "UNKNOWN"}}).encode(),
    "unknown library state": json.dumps({"library": "maybe"}).encode(),
    "no uuid": json.dumps({"gpus": [{"name": "a", "bus_id": "b", "minor": 0}]}).encode(),
    "two lines in a name": json.dumps({"gpus": [gpu(0, name="a\nlost 1")]}).encode(),
    "half a MIG instance": json.dumps({"gpus": [gpu(0, mig=[{"uuid": "MIG-1"}])]}).encode(),
    "half a process": json.dumps({"gpus": [gpu(0, processes=[{"pid": 1}])]}).encode(),
    "a list of processes that no driver has": json.dumps(
        {"gpus": [gpu(0, processes=[{"pid": 1, "bytes": 1, "lists": ["all"]}])]}
    ).encode(),
    "two words in a profile": json.dumps(
        {"gpus": [gpu(0, mig=[{"uuid": "MIG-1", "instance": 1, "profile": "1 g", "total": 1}])]}
    ).encode(),
    "half a vGPU": json.dumps({"gpus": [gpu(0, vgpus=[{"vm": "a"}])]}).encode(),
    "more GPUs than there is room for": json.dumps({"gpus": [gpu(number) for number in range(17)]}).encode(),
    "half a link": json.dumps({"gpus": [gpu(0, links=[{"errors": [1]}])]}).encode(),
}


@pytest.mark.parametrize("script", BAD_SCRIPTS.values(), ids=BAD_SCRIPTS.keys())
def test_bad_scripts_are_refused(script):
    with pytest.raises(ScriptError):
        parse(script)


def test_each_value_of_a_script_is_one_that_the_library_knows():
    missing = {name for name in VALUES if f'"{name}"' not in SOURCE}
    assert missing == set()


def test_the_library_has_the_room_that_a_script_may_take():
    header = (FOLDER / "nvml_state.h").read_text(encoding="ascii")
    room = {name: int(count) for name, count in re.findall(r"\b([A-Z]+) = (\d+)", header)}
    names = {"mig": "PARTS", "errors": "FAULTS"}
    assert {name: room[names.get(name, name.upper())] for name in MOST} == MOST


def test_codes_are_those_of_the_binding():
    nvml = binding()
    assert {name: getattr(nvml, f"NVML_ERROR_{name}") for name in ERRORS} == ERRORS


def test_each_function_is_one_that_the_binding_calls():
    """A function of the library that NVIDIA's binding does not know would be one that we made up."""
    known = Path(binding().__file__).read_text(encoding="utf-8")
    pattern = r"^(?:Return |GETTER\w*\(|UTILIZATION\(|LIST\()(nvml\w+)"
    names = set(re.findall(pattern, SOURCE, re.MULTILINE))
    assert len(names) > 60
    unknown = {name for name in names if f'_nvmlGetFunctionPointer("{name}")' not in known}
    assert unknown == {"nvmlInit_v2"}  # what programs in C call


STRUCTURES = re.findall(r'SAME_SIZE\(\w+, (\d+), "(\w+)"\)', SOURCE)


@pytest.mark.parametrize(("size", "name"), STRUCTURES)
def test_structures_have_the_size_of_the_bindings(size, name):
    """The compiler holds the library to the number; this holds the number to NVIDIA."""
    assert ctypes.sizeof(getattr(binding(), name)) == int(size)


def test_what_a_script_does_not_give_is_not_supported():
    machine(gpu(0, values={}))
    nvml = binding()
    nvml.nvmlInit()
    handle = nvml.nvmlDeviceGetHandleByIndex(0)
    for call in (nvml.nvmlDeviceGetPowerUsage, nvml.nvmlDeviceGetFanSpeed, nvml.nvmlDeviceGetEccMode):
        with pytest.raises(nvml.NVMLError) as caught:
            call(handle)
        assert caught.value.value == nvml.NVML_ERROR_NOT_SUPPORTED
    nvml.nvmlShutdown()
    with pytest.raises(nvml.NVMLError) as caught:
        nvml.nvmlDeviceGetCount()
    assert caught.value.value == nvml.NVML_ERROR_UNINITIALIZED


def test_a_handle_of_an_ended_session_is_refused():
    machine(gpu(0))
    nvml = binding()
    nvml.nvmlInit()
    handle = nvml.nvmlDeviceGetHandleByIndex(0)
    nvml.nvmlShutdown()
    nvml.nvmlInit()
    with pytest.raises(nvml.NVMLError) as caught:
        nvml.nvmlDeviceGetPowerUsage(handle)
    assert caught.value.value == nvml.NVML_ERROR_INVALID_ARGUMENT
    nvml.nvmlShutdown()


def test_a_lost_gpu_stays_lost_until_a_new_session():
    lab = machine(gpu(0))
    nvml = binding()
    nvml.nvmlInit()
    lab.change("GPU-0", lost=True)
    with pytest.raises(nvml.NVMLError):
        nvml.nvmlDeviceGetHandleByIndex(0)
    lab.change("GPU-0", lost=False)
    with pytest.raises(nvml.NVMLError) as caught:
        nvml.nvmlDeviceGetHandleByIndex(0)
    assert caught.value.value == nvml.NVML_ERROR_GPU_IS_LOST
    nvml.nvmlShutdown()
    nvml.nvmlInit()
    assert nvml.nvmlDeviceGetPowerUsage(nvml.nvmlDeviceGetHandleByIndex(0)) == 84123
    nvml.nvmlShutdown()


def test_the_command_prints_the_environment_to_use(tmp_path):
    real_server("cc")
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"gpus": [gpu(7)]}))
    program = [
        sys.executable,
        "-c",
        "from lab.cli import main; main()",
        "nvidia",
        "--directory",
        str(tmp_path),
    ]
    seen = []
    for more in ((), ("--script", str(script))):
        done = subprocess.run([*program, *more], capture_output=True, text=True, check=True, timeout=60)
        variables = dict(pair.split("=", 1) for pair in shlex.split(done.stdout))
        names = (
            "import pynvml; pynvml.nvmlInit(); count = pynvml.nvmlDeviceGetCount();"
            "print([pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(n)) for n in range(count)])"
        )
        shown = subprocess.run(
            [sys.executable, "-c", names],
            env=variables,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        seen.append(shown.stdout.strip())
    assert seen == ["['NVIDIA L40S', 'NVIDIA L40S']", "['NVIDIA H200']"]


def test_the_command_says_what_is_wrong_with_a_script(tmp_path):
    script = tmp_path / "script.json"
    script.write_text('{"gpus": 5')
    program = [
        sys.executable,
        "-c",
        "from lab.cli import main; main()",
        "nvidia",
        "--directory",
        str(tmp_path),
    ]
    real_server("cc")
    done = subprocess.run(
        [*program, "--script", str(script)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "no JSON" in done.stderr


def test_the_example_is_a_script():
    text = list(lines(example()))
    assert len([line for line in text if line.startswith("gpu ")]) == 2
    assert list(lines(Script())) == ["library present", "driver 580.95.05", "cuda 13000"]
