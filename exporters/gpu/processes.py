"""The processes of a GPU: the memory that each holds and the share of the SMs that each took.

https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html. A process can be in the lists of
compute, graphics and MPS at once with the same memory, so the lists are merged by pid. With MIG the instances
are asked one by one, because only root gets all of a GPU's processes at once, and samples of SM use do not
exist.
"""

from collections.abc import Iterable
from typing import Any

from exporters.gpu.readings import Number, Processes, ProcessReading

_LISTS = (
    ("nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses_v2"),
    ("nvmlDeviceGetGraphicsRunningProcesses_v3", "nvmlDeviceGetGraphicsRunningProcesses_v2"),
    ("nvmlDeviceGetMPSComputeRunningProcesses_v3", "nvmlDeviceGetMPSComputeRunningProcesses_v2"),
)
_PERCENT = 100


class ProcessTable:
    """Reads processes; remembers up to when each GPU's samples of SM use were seen."""

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        self._seen: dict[str, int] = {}

    def read(
        self, uuid: str, handle: Any, instances: Iterable[Any]
    ) -> tuple[Processes, tuple[Exception, ...]]:
        """The processes of a GPU, or of its MIG instances where there are any, and what went wrong."""
        errors: list[Exception] = []
        parts = tuple(instances)
        listed, memory = self._lists(parts or (handle,), errors)
        sampled, shares = (None, {}) if parts else self._samples(uuid, handle, errors)
        pids = {**memory, **dict.fromkeys(shares)} if listed else {}
        found = tuple(
            ProcessReading(pid, memory.get(pid), shares.get(pid, 0) if sampled else None) for pid in pids
        )
        return Processes(found, listed, sampled), tuple(errors)

    def _lists(
        self, handles: Iterable[Any], errors: list[Exception]
    ) -> tuple[bool | None, dict[int, int | None]]:
        """Whether the driver told, None where it cannot; memory by pid, summed over the instances."""
        told: bool | None = None
        memory: dict[int, int | None] = {}
        for handle in handles:
            held: dict[int, int | None] = {}
            for newer, older in _LISTS:
                answer = self._list(handle, newer, older, errors)
                if answer is None:
                    continue
                if isinstance(answer, bool):
                    return False, {}
                told = True
                for one in answer:
                    held[one.pid] = _greater(held.get(one.pid), one.usedGpuMemory)
            for pid, amount in held.items():
                memory[pid] = _sum(memory.get(pid), amount)
        return told, memory

    def _list(self, handle: Any, newer: str, older: str, errors: list[Exception]) -> list[Any] | bool | None:
        """A list of processes; False where the query failed, None where this driver has no such list."""
        nvml = self._nvml
        absent = (nvml.NVML_ERROR_FUNCTION_NOT_FOUND, nvml.NVML_ERROR_NOT_SUPPORTED)
        for call in (newer, older):
            try:
                found: list[Any] = getattr(nvml, call)(handle)
            except nvml.NVMLError as error:
                if error.value not in absent:
                    errors.append(error)
                    return False
            else:
                return found
        return None

    def _samples(
        self, uuid: str, handle: Any, errors: list[Exception]
    ) -> tuple[bool | None, dict[int, Number]]:
        """Whether the driver told, None where it cannot; mean SM use in percent by pid since the last time.

        NOT_FOUND says that no process used the GPU since then.
        """
        nvml = self._nvml
        since = self._seen.get(uuid, 0)
        samples = None
        for call in ("nvmlDeviceGetProcessUtilization", "nvmlDeviceGetProcessesUtilizationInfo"):
            try:
                samples = getattr(nvml, call)(handle, since)
                break
            except nvml.NVMLError as error:
                if error.value == nvml.NVML_ERROR_NOT_FOUND:
                    return True, {}
                if error.value not in (nvml.NVML_ERROR_NOT_SUPPORTED, nvml.NVML_ERROR_FUNCTION_NOT_FOUND):
                    errors.append(error)
                    return False, {}
        if samples is None:
            return None, {}
        shares: dict[int, list[int]] = {}
        for sample in samples:
            # The driver pads its answer with old and empty samples.
            if sample.timeStamp > since and sample.pid and sample.smUtil <= _PERCENT:
                shares.setdefault(sample.pid, []).append(sample.smUtil)
                self._seen[uuid] = max(self._seen.get(uuid, 0), sample.timeStamp)
        return True, {pid: sum(found) / len(found) for pid, found in shares.items()}


def _greater(first: int | None, second: int | None) -> int | None:
    if first is None or second is None:
        return second if first is None else first
    return max(first, second)


def _sum(first: int | None, second: int | None) -> int | None:
    if first is None or second is None:
        return second if first is None else first
    return first + second
