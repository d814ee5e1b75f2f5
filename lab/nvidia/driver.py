# ruff: noqa: N802, N803 - names of functions and arguments are those of NVIDIA's Python binding
"""The scripted driver. Give it to whoever wants `pynvml`; change its script while it is in use.

It behaves as NVML does where it hurts: a GPU that was lost stays lost for the session in which that happened,
even when it is back on the bus, until the library is shut down and initialised again; handles belong to a
session; a value that the GPU does not have is NOT_SUPPORTED; MIG takes the utilisation rates away.
`most_calls_at_once` tells whether more than one thread was ever inside, which crashes real drivers.
"""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lab.nvidia.errors import ERRORS, NVMLError, error
from lab.nvidia.script import Gpu, MigInstance, Script, from_json, parse


@dataclass(frozen=True)
class _Handle:
    uuid: str
    session: int

    def __bytes__(self) -> bytes:
        return f"{self.session}:{self.uuid}".encode()


class Driver:
    """NVML's functions over a script; the real one is a module, this is an object, and no caller can tell."""

    NVMLError = NVMLError
    NVML_ERROR_NOT_SUPPORTED = ERRORS["NOT_SUPPORTED"]
    NVML_ERROR_NOT_FOUND = ERRORS["NOT_FOUND"]
    NVML_ERROR_DRIVER_NOT_LOADED = ERRORS["DRIVER_NOT_LOADED"]
    NVML_ERROR_TIMEOUT = ERRORS["TIMEOUT"]
    NVML_ERROR_LIBRARY_NOT_FOUND = ERRORS["LIBRARY_NOT_FOUND"]
    NVML_ERROR_GPU_IS_LOST = ERRORS["GPU_IS_LOST"]
    NVML_CLOCK_SM = 1
    NVML_CLOCK_MEM = 2
    NVML_TEMPERATURE_GPU = 0
    NVML_FI_DEV_MEMORY_TEMP = 82
    NVML_DEVICE_MIG_ENABLE = 1
    NVML_SUCCESS = 0
    nvmlEventTypeXidCriticalError = 8  # noqa: N815
    nvmlMemory_v2 = 0x02000028  # noqa: N815

    def __init__(self, script: Script | Mapping[str, Any]) -> None:
        self._script = script if isinstance(script, Script) else from_json(dict(script))
        self._session = 0
        self._open = 0
        self._lost_in: dict[str, int] = {}
        self._lock = threading.Lock()
        self._inside = 0
        self._registered: set[str] = set()
        self.calls: Counter[str] = Counter()
        self.most_calls_at_once = 0
        self.initialisations = 0

    @classmethod
    def load(cls, path: Path) -> "Driver":
        """The driver of a script file.

        Raises:
            ScriptError: the file describes no machine.
        """
        return cls(parse(path.read_bytes()))

    def play(self, script: Script | Mapping[str, Any]) -> None:
        """From now on the machine is as this script says; lost GPUs stay lost for the session."""
        self._script = script if isinstance(script, Script) else from_json(dict(script))

    def change(self, uuid: str, **changes: Any) -> None:
        """Change one GPU, for instance `change(uuid, lost=True)`."""
        gpus = tuple(replace(gpu, **changes) if gpu.uuid == uuid else gpu for gpu in self._script.gpus)
        self._script = replace(self._script, gpus=gpus)

    def nvmlInit(self) -> None:
        """Begin a session, or count one more user of it."""
        with self._call("nvmlInit", needs_session=False):
            if self._script.library == "absent":
                raise error("LIBRARY_NOT_FOUND")
            if self._script.library == "unloaded":
                raise error("DRIVER_NOT_LOADED")
            if self._open == 0:
                self._session += 1
                self.initialisations += 1
                self._registered.clear()
            self._open += 1

    def nvmlShutdown(self) -> None:
        """End the session with its last user; handles of it are void then."""
        with self._call("nvmlShutdown"):
            self._open -= 1

    def nvmlSystemGetDriverVersion(self) -> str:
        """Such as 580.95.05."""
        with self._call("nvmlSystemGetDriverVersion"):
            return self._script.driver_version

    def nvmlDeviceGetCount(self) -> int:
        """GPUs, lost ones included."""
        with self._call("nvmlDeviceGetCount"):
            return len(self._script.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> _Handle:
        """The handle of a GPU; GPU_IS_LOST for a lost one."""
        with self._call("nvmlDeviceGetHandleByIndex"):
            if not 0 <= index < len(self._script.gpus):
                raise error("INVALID_ARGUMENT")
            gpu = self._script.gpus[index]
            self._check(gpu, "nvmlDeviceGetHandleByIndex")
            return _Handle(gpu.uuid, self._session)

    def nvmlDeviceGetUUID(self, handle: _Handle) -> str:
        """Of a GPU or a MIG instance."""
        with self._device("nvmlDeviceGetUUID", handle):
            return handle.uuid

    def nvmlDeviceGetName(self, handle: _Handle) -> str:
        """The product; a MIG instance's ends with its profile."""
        with self._device("nvmlDeviceGetName", handle) as gpu:
            part = _mig_part(gpu, handle)
            return gpu.name if part is None else f"{gpu.name} MIG {part.profile}"

    def nvmlDeviceGetPciInfo(self, handle: _Handle) -> SimpleNamespace:
        """With `busId`."""
        with self._device("nvmlDeviceGetPciInfo", handle) as gpu:
            return SimpleNamespace(busId=gpu.bus_id)

    def nvmlDeviceGetMinorNumber(self, handle: _Handle) -> int:
        """N of /dev/nvidiaN."""
        with self._device("nvmlDeviceGetMinorNumber", handle) as gpu:
            return gpu.minor

    def nvmlDeviceGetClockInfo(self, handle: _Handle, type: int) -> int:  # noqa: A002
        """MHz."""
        with self._device("nvmlDeviceGetClockInfo", handle) as gpu:
            names = {self.NVML_CLOCK_SM: "sm_clock_mhz", self.NVML_CLOCK_MEM: "memory_clock_mhz"}
            return _value(gpu, names.get(type, ""))

    def nvmlDeviceGetTemperature(self, handle: _Handle, sensor: int) -> int:
        """Degrees Celsius."""
        with self._device("nvmlDeviceGetTemperature", handle) as gpu:
            return _value(gpu, "temperature_celsius" if sensor == self.NVML_TEMPERATURE_GPU else "")

    def nvmlDeviceGetFieldValues(self, handle: _Handle, fieldIds: list[int]) -> list[SimpleNamespace]:
        """Each answer carries its own return code; only the memory's temperature is known here."""
        with self._device("nvmlDeviceGetFieldValues", handle) as gpu:
            return [self._field(gpu, number) for number in fieldIds]

    def nvmlDeviceGetPowerUsage(self, handle: _Handle) -> int:
        """Milliwatts."""
        with self._device("nvmlDeviceGetPowerUsage", handle) as gpu:
            return _value(gpu, "power_mw")

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: _Handle) -> int:
        """Millijoules since the driver was loaded."""
        with self._device("nvmlDeviceGetTotalEnergyConsumption", handle) as gpu:
            return _value(gpu, "energy_mj")

    def nvmlDeviceGetUtilizationRates(self, handle: _Handle) -> SimpleNamespace:
        """Percent in `gpu` and `memory`; not with MIG."""
        with self._device("nvmlDeviceGetUtilizationRates", handle) as gpu:
            if gpu.mig:
                raise error("NOT_SUPPORTED")
            rates = (_value(gpu, "gpu_utilization"), _value(gpu, "memory_utilization"))
            return SimpleNamespace(gpu=rates[0], memory=rates[1])

    def nvmlDeviceGetEncoderUtilization(self, handle: _Handle) -> list[int]:
        """Percent and sampling period in microseconds."""
        with self._device("nvmlDeviceGetEncoderUtilization", handle) as gpu:
            return [_value(gpu, "encoder_utilization"), 167000]

    def nvmlDeviceGetDecoderUtilization(self, handle: _Handle) -> list[int]:
        """Percent and sampling period in microseconds."""
        with self._device("nvmlDeviceGetDecoderUtilization", handle) as gpu:
            return [_value(gpu, "decoder_utilization"), 167000]

    def nvmlDeviceGetMemoryInfo(self, handle: _Handle, version: int | None = None) -> SimpleNamespace:
        """Bytes; version 2 tells the reserved ones apart, version 1 counts them as used."""
        with self._device("nvmlDeviceGetMemoryInfo", handle) as gpu:
            part = _mig_part(gpu, handle)
            if part is None:
                total, reserved, used = (
                    _value(gpu, f"memory_{name}") for name in ("total", "reserved", "used")
                )
            else:
                total, reserved, used = part.total, part.reserved, part.used
            free = total - reserved - used
            if version == self.nvmlMemory_v2:
                return SimpleNamespace(total=total, reserved=reserved, free=free, used=used)
            return SimpleNamespace(total=total, free=free, used=used + reserved)

    def nvmlDeviceGetPcieReplayCounter(self, handle: _Handle) -> int:
        """Retries since the driver was loaded."""
        with self._device("nvmlDeviceGetPcieReplayCounter", handle) as gpu:
            return _value(gpu, "pcie_replays")

    def nvmlDeviceGetRemappedRows(self, device: _Handle) -> tuple[int, int, int, int]:
        """Correctable, uncorrectable, pending, failed."""
        names = ("remapped_correctable", "remapped_uncorrectable", "remap_pending", "remap_failure")
        with self._device("nvmlDeviceGetRemappedRows", device) as gpu:
            first, second, third, fourth = (_value(gpu, name) for name in names)
            return first, second, third, fourth

    def nvmlDeviceGetMigMode(self, device: _Handle) -> list[int]:
        """Current and pending mode."""
        with self._device("nvmlDeviceGetMigMode", device) as gpu:
            mode = int(bool(gpu.mig))
            return [mode, mode]

    def nvmlDeviceGetMaxMigDeviceCount(self, device: _Handle) -> int:
        """How many instances the GPU could have."""
        with self._device("nvmlDeviceGetMaxMigDeviceCount", device) as gpu:
            return 7 if gpu.mig else 0

    def nvmlDeviceGetMigDeviceHandleByIndex(self, device: _Handle, index: int) -> _Handle:
        """NOT_FOUND where there is no instance at this place."""
        with self._device("nvmlDeviceGetMigDeviceHandleByIndex", device) as gpu:
            if not 0 <= index < len(gpu.mig):
                raise error("NOT_FOUND")
            return _Handle(gpu.mig[index].uuid, self._session)

    def nvmlDeviceGetGpuInstanceId(self, device: _Handle) -> int:
        """Of a MIG instance."""
        with self._device("nvmlDeviceGetGpuInstanceId", device) as gpu:
            part = _mig_part(gpu, device)
            if part is None:
                raise error("INVALID_ARGUMENT")
            return part.instance

    def nvmlDeviceGetComputeRunningProcesses(self, handle: _Handle) -> list[SimpleNamespace]:
        """With `pid` and `usedGpuMemory` in bytes."""
        with self._device("nvmlDeviceGetComputeRunningProcesses", handle) as gpu:
            return [
                SimpleNamespace(pid=process.pid, usedGpuMemory=process.bytes) for process in gpu.processes
            ]

    def nvmlEventSetCreate(self) -> object:
        """A set that events can be registered with."""
        with self._call("nvmlEventSetCreate"):
            return object()

    def nvmlEventSetFree(self, eventSet: object) -> None:  # noqa: ARG002
        """Nothing is held here."""
        with self._call("nvmlEventSetFree"):
            self._registered.clear()

    def nvmlDeviceRegisterEvents(self, handle: _Handle, eventTypes: int, eventSet: object) -> None:  # noqa: ARG002
        """From now on the GPU's XIDs come as events."""
        with self._device("nvmlDeviceRegisterEvents", handle) as gpu:
            self._registered.add(gpu.uuid)

    def nvmlEventSetWait_v2(self, eventSet: object, timeoutms: int) -> SimpleNamespace:  # noqa: ARG002
        """The oldest waiting event, or TIMEOUT; never waits, since nothing happens here by itself."""
        with self._call("nvmlEventSetWait_v2"):
            for gpu in self._script.gpus:
                if gpu.xids and gpu.uuid in self._registered:
                    self.change(gpu.uuid, xids=gpu.xids[1:])
                    kind = self.nvmlEventTypeXidCriticalError
                    return SimpleNamespace(
                        device=_Handle(gpu.uuid, self._session), eventType=kind, eventData=gpu.xids[0]
                    )
            raise error("TIMEOUT")

    def _field(self, gpu: Gpu, number: int) -> SimpleNamespace:
        known = (
            gpu.values.get("memory_temperature_celsius") if number == self.NVML_FI_DEV_MEMORY_TEMP else None
        )
        code = self.NVML_SUCCESS if known is not None else self.NVML_ERROR_NOT_SUPPORTED
        return SimpleNamespace(fieldId=number, nvmlReturn=code, value=SimpleNamespace(uiVal=known or 0))

    @contextmanager
    def _call(self, name: str, *, needs_session: bool = True) -> Iterator[None]:
        with self._lock:
            self._inside += 1
            self.most_calls_at_once = max(self.most_calls_at_once, self._inside)
            self.calls[name] += 1
        try:
            if needs_session and self._open == 0:
                raise error("UNINITIALIZED")
            yield
        finally:
            with self._lock:
                self._inside -= 1

    @contextmanager
    def _device(self, name: str, handle: _Handle) -> Iterator[Gpu]:
        with self._call(name):
            if handle.session != self._session:
                raise error("INVALID_ARGUMENT")
            for gpu in self._script.gpus:
                if handle.uuid in (gpu.uuid, *(part.uuid for part in gpu.mig)):
                    self._check(gpu, name)
                    yield gpu
                    return
            raise error("INVALID_ARGUMENT")

    def _check(self, gpu: Gpu, name: str) -> None:
        if gpu.lost:
            self._lost_in[gpu.uuid] = self._session
        if self._lost_in.get(gpu.uuid) == self._session:
            raise error("GPU_IS_LOST")
        if name in gpu.errors:
            raise error(gpu.errors[name])


def _mig_part(gpu: Gpu, handle: _Handle) -> MigInstance | None:
    return next((part for part in gpu.mig if part.uuid == handle.uuid), None)


def _value(gpu: Gpu, name: str) -> int:
    if name not in gpu.values:
        raise error("NOT_SUPPORTED")
    return gpu.values[name]
