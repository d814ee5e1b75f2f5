"""The one reader of NVML in this process.

Two threads inside NVML have crashed drivers, so all calls come from the thread that calls `read`. Errors are
per device and per call. A GPU that NVML calls lost stays lost until the library is initialised again; the
reader does that at growing distances, and a GPU that is back is read again without a restart of anything.
"""

import logging
from collections import Counter
from typing import Any

from exporters.errors import ExporterError, NoDataError
from exporters.gpu import fields
from exporters.gpu.readings import GpuReading, Identity, MigReading, Number, Raw

logger = logging.getLogger(__name__)

_LONGEST_PATIENCE = 8
"""While a GPU is lost NVML is initialised anew after 1, 2, 4 and then every 8 readings: initialising takes a
second.
"""
_MOST_EVENTS = 1000


class Reader:
    """Reads all GPUs through `nvml`, the module `pynvml` or an object with its functions."""

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        self._is_open = False
        self._events: Any = None
        self._known: dict[str, Identity] = {}
        self._by_handle: dict[bytes, str] = {}
        self._xids: Counter[tuple[str, int]] = Counter()
        self._last_xid: dict[str, int] = {}
        self._patience = 1
        self._readings_since_init = 0
        self._warned: set[tuple[str, str]] = set()

    def read(self) -> Raw:
        """Read every GPU.

        Raises:
            NoDataError: there is no NVML, no driver, or no GPU.
            ExporterError: NVML could not be initialised or asked for anything.
        """
        self._open()
        try:
            version = _text(self._nvml.nvmlSystemGetDriverVersion())
            count = self._nvml.nvmlDeviceGetCount()
        except self._nvml.NVMLError as error:
            self._close()
            raise ExporterError(f"NVML: {error}") from error
        if count == 0 and not self._known:
            raise NoDataError("no GPU")
        readings = {reading.identity.uuid: reading for reading in map(self._gpu, range(count))}
        for uuid, identity in self._known.items():
            readings.setdefault(uuid, GpuReading(identity, up=False))
        self._fetch_events()
        self._plan(all_up=all(reading.up for reading in readings.values()))
        return Raw(version, tuple(readings.values()), dict(self._xids), dict(self._last_xid))

    def close(self) -> None:
        """End the session with NVML."""
        self._close()

    def _open(self) -> None:
        nvml = self._nvml
        self._readings_since_init += 1
        if self._is_open:
            return
        try:
            nvml.nvmlInit()
        except nvml.NVMLError as error:
            if error.value in (nvml.NVML_ERROR_LIBRARY_NOT_FOUND, nvml.NVML_ERROR_DRIVER_NOT_LOADED):
                raise NoDataError("no NVIDIA driver") from error
            raise ExporterError(f"NVML: {error}") from error
        self._is_open = True
        self._readings_since_init = 1
        self._by_handle.clear()
        try:
            self._events = nvml.nvmlEventSetCreate()
        except nvml.NVMLError as error:
            self._complain("", "nvmlEventSetCreate", error)

    def _close(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        nvml = self._nvml
        for end in (self._free_events, nvml.nvmlShutdown):
            try:
                end()
            except nvml.NVMLError as error:
                self._complain("", "nvmlShutdown", error)

    def _free_events(self) -> None:
        events, self._events = self._events, None
        if events is not None:
            self._nvml.nvmlEventSetFree(events)

    def _plan(self, *, all_up: bool) -> None:
        """Begin a new session with NVML before the next reading, where a GPU is missing and it is time."""
        if all_up:
            self._patience = 1
        elif self._readings_since_init >= self._patience:
            self._patience = min(2 * self._patience, _LONGEST_PATIENCE)
            self._close()

    def _gpu(self, index: int) -> GpuReading:
        """One GPU, whatever goes wrong with it."""
        nvml = self._nvml
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            identity = self._identify(index, handle)
        except nvml.NVMLError as error:
            self._complain(str(index), "nvmlDeviceGetHandleByIndex", error)
            return GpuReading(self._last_seen_at(index), up=False)
        values: dict[str, Number] = {}
        for reader in fields.READERS:
            try:
                values.update(reader(nvml, handle))
            except nvml.NVMLError as error:
                if error.value == nvml.NVML_ERROR_GPU_IS_LOST:
                    return GpuReading(identity, up=False)
                self._complain(identity.uuid, reader.__name__, error)
        return GpuReading(identity, up=True, values=values, mig=self._mig(handle, identity.uuid))

    def _last_seen_at(self, index: int) -> Identity:
        """Who is lost; a GPU that was lost before it was ever seen has no name but its place."""
        known = (one for one in self._known.values() if one.gpu == str(index))
        return next(known, Identity(str(index), f"unknown-{index}", "", "", ""))

    def _identify(self, index: int, handle: Any) -> Identity:
        """What is fixed about a GPU is asked once a session; that it answers at all is asked each time."""
        nvml = self._nvml
        uuid = _text(nvml.nvmlDeviceGetUUID(handle))
        known = self._known.get(uuid)
        if known is None or known.gpu != str(index) or bytes(handle) not in self._by_handle:
            bus = _text(nvml.nvmlDeviceGetPciInfo(handle).busId)
            device = f"nvidia{nvml.nvmlDeviceGetMinorNumber(handle)}"
            known = Identity(str(index), uuid, bus, device, _text(nvml.nvmlDeviceGetName(handle)))
            self._known[uuid] = known
            self._by_handle[bytes(handle)] = uuid
            self._watch(handle, uuid)
        return known

    def _mig(self, handle: Any, uuid: str) -> tuple[MigReading, ...]:
        nvml = self._nvml
        try:
            if nvml.nvmlDeviceGetMigMode(handle)[0] != nvml.NVML_DEVICE_MIG_ENABLE:
                return ()
            places = range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle))
            found = (self._mig_instance(handle, place, uuid) for place in places)
            return tuple(instance for instance in found if instance is not None)
        except nvml.NVMLError as error:
            self._complain(uuid, "nvmlDeviceGetMigMode", error)
            return ()

    def _mig_instance(self, handle: Any, place: int, uuid: str) -> MigReading | None:
        nvml = self._nvml
        try:
            part = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, place)
            profile = _text(nvml.nvmlDeviceGetName(part)).rpartition("MIG ")[2]
            return MigReading(str(nvml.nvmlDeviceGetGpuInstanceId(part)), profile, fields.memory(nvml, part))
        except nvml.NVMLError as error:
            if error.value != nvml.NVML_ERROR_NOT_FOUND:  # places without an instance are usual
                self._complain(uuid, "nvmlDeviceGetMigDeviceHandleByIndex", error)
            return None

    def _watch(self, handle: Any, uuid: str) -> None:
        if self._events is None:
            return
        nvml = self._nvml
        try:
            nvml.nvmlDeviceRegisterEvents(handle, nvml.nvmlEventTypeXidCriticalError, self._events)
        except nvml.NVMLError as error:
            self._complain(uuid, "nvmlDeviceRegisterEvents", error)

    def _fetch_events(self) -> None:
        """Take the XID errors that have come since the last reading, without waiting for more."""
        nvml = self._nvml
        for _ in range(_MOST_EVENTS if self._events is not None else 0):
            try:
                event = nvml.nvmlEventSetWait_v2(self._events, 0)
            except nvml.NVMLError as error:
                if error.value != nvml.NVML_ERROR_TIMEOUT:
                    self._complain("", "nvmlEventSetWait_v2", error)
                return
            uuid = self._by_handle.get(bytes(event.device))
            if uuid is not None and event.eventType == nvml.nvmlEventTypeXidCriticalError:
                self._xids[uuid, int(event.eventData)] += 1
                self._last_xid[uuid] = int(event.eventData)

    def _complain(self, uuid: str, call: str, error: Exception) -> None:
        """Once for each GPU and call; that a GPU cannot do something is no complaint at all."""
        value = getattr(error, "value", None)
        if value != self._nvml.NVML_ERROR_NOT_SUPPORTED and (uuid, call) not in self._warned:
            self._warned.add((uuid, call))
            logger.warning("NVML call failed", extra={"gpu": uuid, "call": call, "reason": str(error)})


def _text(answer: str | bytes) -> str:
    """Older versions of the binding answer bytes."""
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
