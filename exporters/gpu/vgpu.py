"""The vGPUs of a host: which guest has each, the memory set aside for it, and the share of the SMs it took.

https://docs.nvidia.com/deploy/nvml-api/group__nvmlVgpu.html. A guest is known by the UUID of its virtual
machine; Proxmox VE makes that of the guest's number, 00000000-0000-0000-0000-000000000100 for qemu/100. The
memory is that of the vGPU's type, which is what the GPU lacks while the guest runs, whatever the guest does
with it.
"""

import re
from typing import Any

from exporters.gpu.readings import GuestReading, Number

_PROXMOX = re.compile(r"0{8}-0{4}-0{4}-0{4}-0*([1-9][0-9]{0,8})")
_PERCENT = 100


class Vgpus:
    """Reads vGPUs; remembers up to when each GPU's samples were seen, and for a session who has none."""

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        self._seen: dict[str, int] = {}
        self._without: set[str] = set()

    def forget(self) -> None:
        """A new session begins: ask anew who has vGPUs."""
        self._without.clear()

    def read(self, uuid: str, handle: Any) -> tuple[GuestReading, ...]:
        """The guests on a GPU; none where it is not shared so. Raises the library's NVMLError."""
        nvml = self._nvml
        if uuid in self._without:
            return ()
        try:
            active = nvml.nvmlDeviceGetActiveVgpus(handle)
        except nvml.NVMLError as error:
            if error.value not in (nvml.NVML_ERROR_NOT_SUPPORTED, nvml.NVML_ERROR_FUNCTION_NOT_FOUND):
                raise
            self._without.add(uuid)
            return ()
        shares = self._shares(uuid, handle) if active else {}
        return tuple(self._guest(instance, shares) for instance in active)

    def _guest(self, instance: int, shares: dict[int, Number] | None) -> GuestReading:
        nvml = self._nvml
        machine, _ = nvml.nvmlVgpuInstanceGetVmID(instance)
        memory = nvml.nvmlVgpuTypeGetFramebufferSize(nvml.nvmlVgpuInstanceGetType(instance))
        name = machine.decode("ascii", "replace") if isinstance(machine, bytes) else machine
        return GuestReading(guest(name), memory, None if shares is None else shares.get(instance, 0))

    def _shares(self, uuid: str, handle: Any) -> dict[int, Number] | None:
        """SM use in percent by vGPU since the last time; None where the driver does not tell."""
        nvml = self._nvml
        since = self._seen.get(uuid, 0)
        try:
            samples = nvml.nvmlDeviceGetVgpuUtilization(handle, since)
        except nvml.NVMLError as error:
            return {} if error.value == nvml.NVML_ERROR_NOT_FOUND else None
        shares: dict[int, list[int]] = {}
        for sample in samples:
            if sample.timeStamp > since and sample.smUtil.uiVal <= _PERCENT:
                shares.setdefault(sample.vgpuInstance, []).append(sample.smUtil.uiVal)
                self._seen[uuid] = max(self._seen.get(uuid, 0), sample.timeStamp)
        return {instance: sum(found) / len(found) for instance, found in shares.items()}


def guest(machine: str) -> str:
    """What a virtual machine is called: qemu/100 where Proxmox VE made its UUID, else vm/UUID."""
    match = _PROXMOX.fullmatch(machine)
    return f"qemu/{match[1]}" if match else f"vm/{machine}"
