"""The one reader of NVML in this process.

Two threads inside NVML have crashed drivers, so all calls but the wait for events (exporters/gpu/events.py)
come from the thread that calls `read`. Errors are per device and per call. A GPU that NVML calls lost stays
lost until the library is initialised again, and so does one that answers nothing but "unknown error"; the
reader does that at growing distances, and a GPU that is back is read again without a restart of anything.
"""

import logging
import re
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any

from exporters.errors import ExporterError, NoDataError
from exporters.gpu import fields
from exporters.gpu.events import Events, XidLog
from exporters.gpu.gpm import Gpm
from exporters.gpu.links import Links
from exporters.gpu.processes import ProcessTable
from exporters.gpu.readings import (
    Field,
    GpuReading,
    GuestReading,
    Identity,
    LinkReading,
    MigDevice,
    MigReading,
    Number,
    Processes,
    Raw,
    Values,
    XidCount,
)
from exporters.gpu.session import Complaints, Session
from exporters.gpu.vgpu import Vgpus

logger = logging.getLogger(__name__)

_COMPUTE_INSTANCE = re.compile(r"^[0-9]+c\.")
"""A compute instance that has a part of its GPU instance says so before the profile: 1c.3g.20gb."""


class Reader:
    """Reads all GPUs through `nvml`, the module `pynvml` or an object with its functions.

    `beside` says that events are waited for in a thread of their own; `steady` is a clock that never goes
    back.
    """

    def __init__(
        self,
        nvml: Any,
        *,
        beside: bool = True,
        wait_milliseconds: int = 2000,
        steady: Callable[[], float] = monotonic,
    ) -> None:
        self._nvml = nvml
        self._steady = steady
        self._log = XidLog()
        self._complain = Complaints(nvml)
        self._events = Events(nvml, self._log, beside=beside, wait_milliseconds=wait_milliseconds)
        self._gpm = Gpm(nvml)
        self._session = Session(nvml, self._events, self._complain, (self._gpm.close,))
        self._links = Links(nvml)
        self._table = ProcessTable(nvml)
        self._vgpus = Vgpus(nvml)
        self._was_up: dict[str, bool] = {}
        self._known: dict[str, Identity] = {}
        self._asked: dict[bytes, Identity] = {}
        self._versions = ("", "")
        self._lost_codes = frozenset(
            getattr(nvml, name)
            for name in ("NVML_ERROR_GPU_IS_LOST", "NVML_ERROR_RESET_REQUIRED", "NVML_ERROR_GPU_NOT_FOUND")
            if hasattr(nvml, name)
        )

    def read(self) -> Raw:
        """Read every GPU.

        Raises:
            NoDataError: there is no NVML, no driver, or no GPU.
            ExporterError: NVML could not be initialised or asked for anything.
        """
        if self._session.open():
            self._begin()
        try:
            count = self._nvml.nvmlDeviceGetCount()
        except self._nvml.NVMLError as error:
            self._session.close()
            raise ExporterError(f"NVML: {error}") from error
        if count == 0 and not self._known:
            self._session.close()
            raise NoDataError("no GPU")
        handles: dict[str, Any] = {}
        readings = {}
        for index in range(count):
            reading = self._gpu(index, handles)
            readings[reading.identity.uuid] = reading
        for uuid, identity in self._known.items():
            readings.setdefault(uuid, GpuReading(identity, up=False))
        self._gpm.prune()
        self._session.watch(handles)
        self._tell(readings.values())
        self._session.plan(all_up=all(reading.up for reading in readings.values()))
        driver, cuda = self._versions
        return Raw(driver, tuple(readings.values()), cuda, self._log.counts(), self._log.last())

    def xids(self) -> tuple[XidCount, ...]:
        """XID errors until this moment; by any thread."""
        return self._log.counts()

    def close(self) -> None:
        """End the session with NVML and the thread of the events; by the thread that reads."""
        self._session.close()
        self._events.close()

    def stop(self) -> None:
        """Let the thread of the events end, and leave the session as it is; by any thread."""
        self._events.close()

    def _begin(self) -> None:
        """What was learned of the driver in another session may be wrong in this one."""
        nvml = self._nvml
        self._asked.clear()
        self._links.forget()
        self._vgpus.forget()
        self._versions = (
            self._text("", nvml.nvmlSystemGetDriverVersion),
            _cuda(self._number("", nvml.nvmlSystemGetCudaDriverVersion_v2)),
        )

    def _gpu(self, index: int, handles: dict[str, Any]) -> GpuReading:
        """One GPU, whatever goes wrong with it."""
        nvml = self._nvml
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            identity = self._identify(index, handle)
        except nvml.NVMLError as error:
            if error.value not in self._lost_codes:
                self._complain(str(index), "nvmlDeviceGetHandleByIndex", error)
            return GpuReading(self._last_seen_at(index), up=False)
        uuid = identity.uuid
        handles[uuid] = handle
        values: dict[Field, Number] = {}
        for reader in fields.READERS:
            try:
                values.update(reader(nvml, handle))
            except nvml.NVMLError as error:
                if error.value in self._lost_codes:
                    return GpuReading(identity, up=False)
                self._complain(uuid, reader.__name__, error)
        if len(values) <= 1:  # the license has a value whatever the GPU says
            return GpuReading(identity, up=False)
        values.update(self._activity(uuid, handle))
        values.update(self._links.bandwidth(uuid, values, self._steady()))
        parts = self._mig(handle, uuid) if values.get(Field.MIG_MODE) else ()
        return GpuReading(
            identity,
            up=True,
            values=fields.present(values),
            # A GPU instance with several compute instances is reported once.
            mig=tuple({part.instance: part for part, _, _ in parts}.values()),
            mig_devices=tuple(device for _, device, _ in parts),
            links=self._nvlinks(uuid, handle),
            processes=self._processes(uuid, handle, [part for _, _, part in parts]),
            guests=self._guests(uuid, handle),
        )

    def _activity(self, uuid: str, handle: Any) -> Values:
        """What the parts of the GPU do, by GPM; the traffic on PCIe otherwise, where there is none."""
        nvml = self._nvml
        try:
            if self._gpm.is_supported(uuid, handle):
                return self._gpm.read(uuid, handle)
            return fields.pcie_throughput(nvml, handle)
        except nvml.NVMLError as error:
            self._complain(uuid, "nvmlGpmSampleGet", error)
            return {}

    def _nvlinks(self, uuid: str, handle: Any) -> tuple[LinkReading, ...]:
        try:
            return self._links.read(uuid, handle)
        except self._nvml.NVMLError as error:
            self._complain(uuid, "nvmlDeviceGetNvLinkState", error)
            return ()

    def _guests(self, uuid: str, handle: Any) -> tuple[GuestReading, ...]:
        try:
            return self._vgpus.read(uuid, handle)
        except self._nvml.NVMLError as error:
            self._complain(uuid, "nvmlDeviceGetActiveVgpus", error)
            return ()

    def _processes(self, uuid: str, handle: Any, parts: list[Any]) -> Processes:
        processes, errors = self._table.read(uuid, handle, parts)
        for error in errors:
            self._complain(uuid, "nvmlDeviceGetComputeRunningProcesses", error)
        return processes

    def _last_seen_at(self, index: int) -> Identity:
        """Who is lost; a GPU that was lost before it was ever seen has no name but its place."""
        known = (one for one in self._known.values() if one.gpu == str(index))
        return next(known, Identity(str(index), f"unknown-{index}", "", "", ""))

    def _identify(self, index: int, handle: Any) -> Identity:
        """What is fixed about a GPU is asked once a session; that it answers at all is asked each time."""
        nvml = self._nvml
        uuid = _decoded(nvml.nvmlDeviceGetUUID(handle))
        asked = self._asked.get(bytes(handle))
        if asked is not None and asked.uuid == uuid:
            return asked
        pci = nvml.nvmlDeviceGetPciInfo(handle)
        capability = self._call(uuid, lambda: nvml.nvmlDeviceGetCudaComputeCapability(handle))
        identity = Identity(
            gpu=str(index),
            uuid=uuid,
            pci_bus_id=_decoded(pci.busId),
            device=f"nvidia{nvml.nvmlDeviceGetMinorNumber(handle)}",
            model=_decoded(nvml.nvmlDeviceGetName(handle)),
            serial=self._text(uuid, lambda: nvml.nvmlDeviceGetSerial(handle)),
            vbios=self._text(uuid, lambda: nvml.nvmlDeviceGetVbiosVersion(handle)),
            compute_capability="" if capability is None else ".".join(map(str, capability)),
            pci_sub_device_id=f"0x{pci.pciSubSystemId:08X}",
        )
        self._known[uuid] = self._asked[bytes(handle)] = identity
        return identity

    def _mig(self, handle: Any, uuid: str) -> list[tuple[MigReading, MigDevice, Any]]:
        """The MIG devices with their handles, one for each compute instance: those have processes."""
        nvml = self._nvml
        try:
            places = range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle))
        except nvml.NVMLError as error:
            self._complain(uuid, "nvmlDeviceGetMaxMigDeviceCount", error)
            return []
        found: list[tuple[MigReading, MigDevice, Any]] = []
        values: dict[int, Values] = {}
        for place in places:
            try:
                part = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, place)
                name = _decoded(nvml.nvmlDeviceGetName(part)).rpartition("MIG ")[2]
                number = nvml.nvmlDeviceGetGpuInstanceId(part)
                if number not in values:
                    values[number] = self._mig_values(uuid, handle, part, number)
                reading = MigReading(str(number), _COMPUTE_INSTANCE.sub("", name), values[number])
                found.append((reading, self._mig_device(uuid, part, str(number), name), part))
            except nvml.NVMLError as error:
                if error.value != nvml.NVML_ERROR_NOT_FOUND:  # places without an instance are usual
                    self._complain(uuid, "nvmlDeviceGetMigDeviceHandleByIndex", error)
        return found

    def _mig_device(self, uuid: str, part: Any, instance: str, profile: str) -> MigDevice:
        """What a compute instance is called; empty what an older driver does not tell."""
        nvml = self._nvml
        number = self._call(uuid, lambda: nvml.nvmlDeviceGetComputeInstanceId(part))
        return MigDevice(
            uuid=self._text(uuid, lambda: nvml.nvmlDeviceGetUUID(part)),
            instance=instance,
            compute_instance="" if number is None else str(number),
            profile=profile,
        )

    def _mig_values(self, uuid: str, handle: Any, part: Any, number: int) -> Values:
        """Of a GPU instance; its compute instances share them. Raises the library's NVMLError."""
        values = dict(fields.memory(self._nvml, part))
        try:
            if self._gpm.is_supported(uuid, handle):
                values.update(self._gpm.read(uuid, handle, number))
        except self._nvml.NVMLError as error:
            self._complain(uuid, "nvmlGpmMigSampleGet", error)
        return fields.present(values)

    def _call(self, uuid: str, call: Callable[[], Any]) -> Any:
        """What a call answers, None where this driver or GPU cannot."""
        try:
            return call()
        except self._nvml.NVMLError as error:
            self._complain(uuid, "identity", error)
            return None

    def _text(self, uuid: str, call: Callable[[], str | bytes]) -> str:
        return _decoded(self._call(uuid, call) or "")

    def _number(self, uuid: str, call: Callable[[], int]) -> int:
        return self._call(uuid, call) or 0

    def _tell(self, readings: Iterable[GpuReading]) -> None:
        """Log when a GPU is lost and when it is back, once each time."""
        for one in readings:
            uuid = one.identity.uuid
            if self._was_up.get(uuid, True) and not one.up:
                logger.warning("GPU does not answer", extra={"gpu": uuid})
            elif one.up and not self._was_up.get(uuid, True):
                logger.warning("GPU answers again", extra={"gpu": uuid})
            self._was_up[uuid] = one.up


def _decoded(answer: str | bytes) -> str:
    """Older versions of the binding answer bytes."""
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer


def _cuda(version: int) -> str:
    """Such as 13.0; NVML gives 1000 × major + 10 × minor."""
    return f"{version // 1000}.{version % 1000 // 10}" if version else ""
