"""The script of the driver: which GPUs the machine has and how each fares, as JSON.

    {"driver_version": "580.95.05", "library": "present", "errors": {"nvmlInitWithFlags": "UNKNOWN"},
     "gpus": [{"uuid": "GPU-…", "name": "NVIDIA L40S", "bus_id": "00000000:4E:00.0", "minor": 0,
               "lost": false, "values": {"sm_clock_mhz": 2520, "power_mw": 84000, "field_82": 52, …},
               "errors": {"nvmlDeviceGetPowerUsage": "UNKNOWN", "nvmlDeviceGetName": "HANG"},
               "mig": [{"uuid": "MIG-…", "instance": 1, "profile": "1g.10gb", "total": …, "used": …}],
               "links": [{"up": true, "errors": [0, 0, 0, 0, 0]}],
               "processes": [{"pid": 4242, "bytes": 1073741824, "sm": 30}], "xids": [79]}]}

A value that is left out is one that this GPU does not have: asking for it is NOT_SUPPORTED. Values named
`field_ID` answer nvmlDeviceGetFieldValues (`field_ID_all` over all links), `gpm_ID` the GPM metrics of the
GPU and `gpm_ID_mig_N` those of its instance N, where `gpm_supported` is 1. `library` may be `unloaded`: no
kernel driver.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from lab.nvidia.errors import ERRORS, HANG, ScriptError

VALUES = frozenset(
    {
        "sm_clock_mhz",
        "memory_clock_mhz",
        "graphics_clock_mhz",
        "video_clock_mhz",
        "max_sm_clock_mhz",
        "max_memory_clock_mhz",
        "max_graphics_clock_mhz",
        "application_sm_clock_mhz",
        "application_memory_clock_mhz",
        "event_reasons",
        "event_reasons_supported",
        "temperature_celsius",
        "slowdown_celsius",
        "shutdown_celsius",
        "power_mw",
        "power_limit_mw",
        "power_limit_default_mw",
        "power_limit_enforced_mw",
        "power_limit_min_mw",
        "power_limit_max_mw",
        "energy_mj",
        "gpu_utilization",
        "memory_utilization",
        "encoder_utilization",
        "decoder_utilization",
        "jpeg_utilization",
        "ofa_utilization",
        "encoder_sessions",
        "encoder_fps",
        "encoder_latency_us",
        "memory_total",
        "memory_reserved",
        "memory_used",
        "bar1_total",
        "bar1_used",
        "pcie_replays",
        "pcie_generation",
        "pcie_generation_max",
        "pcie_width",
        "pcie_width_max",
        "pcie_tx_kb",
        "pcie_rx_kb",
        "pci_sub_system",
        "fan_percent",
        "performance_state",
        "persistence_mode",
        "compute_mode",
        "compute_capability",
        "mig_mode",
        "ecc_mode",
        "ecc_mode_pending",
        "ecc_corrected_volatile",
        "ecc_uncorrected_volatile",
        "ecc_corrected_aggregate",
        "ecc_uncorrected_aggregate",
        "remapped_correctable",
        "remapped_uncorrectable",
        "remap_pending",
        "remap_failure",
        "power_violation_ns",
        "thermal_violation_ns",
        "sync_boost_violation_ns",
        "board_limit_violation_ns",
        "low_utilization_violation_ns",
        "reliability_violation_ns",
        "vgpu_licensed",
        "gpm_supported",
    }
)
_NUMBERED = re.compile(r"field_[0-9]+(_all)?|gpm_[0-9]+(_mig_[0-9]+)?")
_WORD = re.compile(r"[!-~]{1,95}")
_LINE = re.compile(r"[ -~]{0,95}")
_CALL = re.compile(r"nvml[A-Za-z0-9_]{1,80}")
LIBRARY_STATES = ("present", "unloaded")
MOST = {"gpus": 16, "values": 160, "mig": 8, "links": 18, "processes": 256, "vgpus": 16, "errors": 64}
"""What the library has room for (lab/nvidia/nvml_state.h)."""
LISTS = {"compute": 1, "graphics": 2, "mps": 4}


@dataclass(frozen=True)
class MigInstance:
    """A slice of a GPU: its GPU instance id and profile, and its memory in bytes."""

    uuid: str
    instance: int
    profile: str
    total: int
    reserved: int = 0
    used: int = 0


@dataclass(frozen=True)
class Link:
    """An NVLink: replay, recovery, CRC flit, CRC data and ECC errors; -1 is a counter it does not have."""

    up: bool = True
    errors: tuple[int, ...] = (0, 0, 0, 0, 0)


@dataclass(frozen=True)
class Vgpu:
    """A vGPU of a guest: the UUID of the virtual machine, memory in bytes, SM use in percent."""

    vm: str
    bytes: int
    sm: int = 0


@dataclass(frozen=True)
class Process:
    """A process that holds memory of a GPU; `bytes` -1 is memory that the driver does not tell.

    `sm` is its share of the SMs in percent, None where it computed nothing; `lists` are those that it is in,
    `mig` is the uuid of its MIG instance.
    """

    pid: int
    bytes: int
    sm: int | None = None
    lists: tuple[str, ...] = ("compute",)
    mig: str = ""


@dataclass(frozen=True)
class Gpu:
    """One GPU. `xids` are all errors so far, one that is added happens now; `errors` are calls that fail."""

    uuid: str
    name: str
    bus_id: str
    minor: int
    serial: str = ""
    vbios: str = ""
    lost: bool = False
    values: Mapping[str, float] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    mig: tuple[MigInstance, ...] = ()
    links: tuple[Link, ...] = ()
    processes: tuple[Process, ...] = ()
    vgpus: tuple[Vgpu, ...] = ()
    xids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Script:
    """The whole machine; `errors` are calls that fail whatever GPU they are for."""

    gpus: tuple[Gpu, ...] = ()
    driver_version: str = "580.95.05"
    cuda_version: int = 13000
    library: str = "present"
    errors: Mapping[str, str] = field(default_factory=dict)


def example() -> Script:
    """Two GPUs at work, by processes that everybody has."""
    gib = 1 << 30
    values = {
        "sm_clock_mhz": 2520,
        "memory_clock_mhz": 9001,
        "temperature_celsius": 61,
        "power_mw": 214_500,
        "power_limit_enforced_mw": 350_000,
        "energy_mj": 987_654_321,
        "gpu_utilization": 83,
        "memory_utilization": 34,
        "memory_total": 48 * gib,
        "memory_reserved": gib // 2,
        "memory_used": 20 * gib,
        "fan_percent": 30,
    }
    idle = {**values, "gpu_utilization": 0, "memory_utilization": 0, "power_mw": 21_000, "memory_used": 0}
    return Script(
        gpus=(
            Gpu(
                "GPU-00000000-0000-0000-0000-00000000000a",
                "NVIDIA L40S",
                "00000000:4E:00.0",
                0,
                values=values,
                processes=(Process(1, 18 * gib, sm=70),),
            ),
            Gpu(
                "GPU-00000000-0000-0000-0000-00000000000b", "NVIDIA L40S", "00000000:4F:00.0", 1, values=idle
            ),
        )
    )


def parse(text: bytes) -> Script:
    """The script of a JSON text.

    Raises:
        ScriptError: it is no JSON, or says something that the driver does not know.
    """
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise ScriptError(f"the driver's script is no JSON: {error}") from error
    return from_json(raw)


def from_json(raw: object) -> Script:
    """The script of decoded JSON.

    Raises:
        ScriptError: it says something that the driver does not know.
    """
    top = _checked(raw, Script, "script")
    if top.get("library", "present") not in LIBRARY_STATES:
        raise ScriptError(f"library must be one of {', '.join(LIBRARY_STATES)}")
    top["gpus"] = tuple(map(_gpu, top.get("gpus", ())))
    _check_errors(top.get("errors", {}))
    return Script(**top)


def _gpu(raw: object) -> Gpu:
    gpu = _checked(raw, Gpu, "gpu")
    unknown = [name for name in gpu.get("values", {}) if name not in VALUES and not _NUMBERED.fullmatch(name)]
    if unknown:
        raise ScriptError(f"no such value: {', '.join(sorted(unknown))}")
    _check_errors(gpu.get("errors", {}))
    if not _WORD.fullmatch(gpu["uuid"]) or not all(_LINE.fullmatch(gpu[name]) for name in ("name", "bus_id")):
        raise ScriptError("gpu: uuid, name and bus_id are short and in ASCII")
    words = [part.get("uuid", "") for part in gpu.get("mig", ())]
    words += [part.get("profile", "") for part in gpu.get("mig", ())]
    words += [one.get("vm", "") for one in gpu.get("vgpus", ())]
    if not all(isinstance(word, str) and _WORD.fullmatch(word) for word in words):
        raise ScriptError("mig, vgpu: uuid, profile and vm are words in ASCII")
    gpu["mig"] = tuple(MigInstance(**_checked(part, MigInstance, "mig")) for part in gpu.get("mig", ()))
    gpu["links"] = tuple(_link(_checked(link, Link, "link")) for link in gpu.get("links", ()))
    gpu["processes"] = tuple(_process(_checked(one, Process, "process")) for one in gpu.get("processes", ()))
    gpu["vgpus"] = tuple(Vgpu(**_checked(one, Vgpu, "vgpu")) for one in gpu.get("vgpus", ()))
    gpu["xids"] = tuple(gpu.get("xids", ()))
    return Gpu(**gpu)


def _link(raw: dict[str, Any]) -> Link:
    link = Link(raw.get("up", True), tuple(raw.get("errors", (0, 0, 0, 0, 0))))
    if len(link.errors) != len(Link.errors):
        raise ScriptError(f"link: {len(Link.errors)} errors are wanted")
    return link


def _process(raw: dict[str, Any]) -> Process:
    process = Process(**{**raw, "lists": tuple(raw.get("lists", Process.lists))})
    if unknown := set(process.lists) - LISTS.keys():
        raise ScriptError(f"process: no such list: {', '.join(sorted(unknown))}")
    return process


def _check_errors(errors: Mapping[str, str]) -> None:
    for call, name in errors.items():
        if not _CALL.fullmatch(call) or (name not in ERRORS and name != HANG):
            raise ScriptError(f"{call}: no such error: {name}")


def _checked(raw: object, shape: type, what: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise ScriptError(f"{what}: a map is wanted")
    known = {part.name for part in fields(shape)}
    if unknown := raw.keys() - known:
        raise ScriptError(f"{what}: unknown {', '.join(sorted(unknown))}")
    wanted = {"uuid", "name", "bus_id", "minor", "instance", "profile", "total", "pid", "bytes", "vm"}
    if missing := (known & wanted) - raw.keys():
        raise ScriptError(f"{what}: {', '.join(sorted(missing))} is missing")
    for name, most in MOST.items():
        if len(raw.get(name, ())) > most:
            raise ScriptError(f"{what}: more than {most} {name}")
    return dict(raw)


def lines(script: Script, events: Sequence[tuple[str, int]] = ()) -> Iterator[str]:
    """The script as lab/nvidia/nvml_state.c reads it, and the XID errors of all GPUs in order."""
    yield f"library {script.library}"
    yield f"driver {script.driver_version}"
    yield f"cuda {script.cuda_version}"
    yield from (f"everywhere {call} {_code(name)}" for call, name in script.errors.items())
    for gpu in script.gpus:
        yield from _gpu_lines(gpu)
    places = {gpu.uuid: place for place, gpu in enumerate(script.gpus)}
    for number, (uuid, code) in enumerate(events, 1):
        if uuid in places:
            yield f"xid {places[uuid]} {code} {number}"


def _gpu_lines(gpu: Gpu) -> Iterator[str]:
    yield f"gpu {gpu.uuid}"
    plain = {"name": gpu.name, "bus": gpu.bus_id, "serial": gpu.serial, "vbios": gpu.vbios}
    yield from (f"{word} {text}" for word, text in plain.items() if text)
    yield f"minor {gpu.minor}"
    yield f"lost {int(gpu.lost)}"
    yield f"mig {int(bool(gpu.mig))}"
    if "mig_mode" not in gpu.values and gpu.mig:
        yield "value mig_mode 1"
    yield from (f"value {name} {value!r}" for name, value in gpu.values.items())
    yield from (f"fault {call} {_code(name)}" for call, name in gpu.errors.items())
    for part in gpu.mig:
        yield f"part {part.uuid} {part.instance} {part.profile} {part.total} {part.reserved} {part.used}"
    for link in gpu.links:
        yield f"link {int(link.up)} {' '.join(str(count % (1 << 64)) for count in link.errors)}"
    parts = {part.uuid: place for place, part in enumerate(gpu.mig)}
    for one in gpu.processes:
        listed = sum(LISTS[name] for name in set(one.lists))
        share = -1 if one.sm is None else one.sm
        yield f"process {one.pid} {one.bytes % (1 << 64)} {share} {listed} {parts.get(one.mig, -1)}"
    yield from (f"vgpu {one.vm} {one.bytes} {one.sm}" for one in gpu.vgpus)


def _code(name: str) -> int:
    return -1 if name == HANG else ERRORS[name]
