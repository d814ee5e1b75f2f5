"""The script of the driver: which GPUs the machine has and how each fares, as JSON.

    {"driver_version": "580.95.05", "library": "present",
     "gpus": [{"uuid": "GPU-…", "name": "NVIDIA L40S", "bus_id": "00000000:4E:00.0", "minor": 0, "lost":
     false,
               "values": {"sm_clock_mhz": 2520, "power_mw": 84000, …}, "errors": {"nvmlDeviceGetPowerUsage":
               "UNKNOWN"}, "mig": [{"uuid": "MIG-…", "instance": 1, "profile": "1g.10gb", "total": …,
               "reserved": …, "used": …}], "processes": [{"pid": 4242, "bytes": 1073741824}], "xids": [79]}]}

A value that is left out is one that this GPU does not have: asking for it is NOT_SUPPORTED. `library` may be
`absent` (no libnvidia-ml) or `unloaded` (no kernel driver).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from lab.nvidia.errors import ERRORS, ScriptError

VALUES = frozenset(
    {
        "sm_clock_mhz",
        "memory_clock_mhz",
        "temperature_celsius",
        "memory_temperature_celsius",
        "power_mw",
        "energy_mj",
        "gpu_utilization",
        "memory_utilization",
        "encoder_utilization",
        "decoder_utilization",
        "memory_total",
        "memory_reserved",
        "memory_used",
        "pcie_replays",
        "remapped_correctable",
        "remapped_uncorrectable",
        "remap_pending",
        "remap_failure",
    }
)
LIBRARY_STATES = ("present", "absent", "unloaded")


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
class Process:
    """A process that holds memory of a GPU."""

    pid: int
    bytes: int


@dataclass(frozen=True)
class Gpu:
    """One GPU. `xids` are events that wait to be fetched; `errors` names calls that fail and how."""

    uuid: str
    name: str
    bus_id: str
    minor: int
    lost: bool = False
    values: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    mig: tuple[MigInstance, ...] = ()
    processes: tuple[Process, ...] = ()
    xids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Script:
    """The whole machine."""

    gpus: tuple[Gpu, ...] = ()
    driver_version: str = "580.95.05"
    library: str = "present"


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
    return Script(**top)


def _gpu(raw: object) -> Gpu:
    gpu = _checked(raw, Gpu, "gpu")
    unknown = gpu.get("values", {}).keys() - VALUES
    if unknown:
        raise ScriptError(f"no such value: {', '.join(sorted(unknown))}")
    for call, name in gpu.get("errors", {}).items():
        if name not in ERRORS:
            raise ScriptError(f"{call}: no such error: {name}")
    gpu["mig"] = tuple(MigInstance(**_checked(part, MigInstance, "mig")) for part in gpu.get("mig", ()))
    gpu["processes"] = tuple(
        Process(**_checked(part, Process, "process")) for part in gpu.get("processes", ())
    )
    gpu["xids"] = tuple(gpu.get("xids", ()))
    return Gpu(**gpu)


def _checked(raw: object, shape: type, what: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise ScriptError(f"{what}: a map is wanted")
    known = {part.name for part in fields(shape)}
    if unknown := raw.keys() - known:
        raise ScriptError(f"{what}: unknown {', '.join(sorted(unknown))}")
    wanted = {"uuid", "name", "bus_id", "minor", "instance", "profile", "total", "pid", "bytes"}
    if missing := (known & wanted) - raw.keys():
        raise ScriptError(f"{what}: {', '.join(sorted(missing))} is missing")
    return dict(raw)
