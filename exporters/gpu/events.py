"""XID errors, counted by code in a thread of its own, so that none is lost between two readings.

Why a thread, where two threads inside NVML have crashed drivers (two scrapes that overlapped in initialising
and querying, https://github.com/plazonic/nvidia_gpu_prometheus_exporter/issues/7): waiting for events is the
one call that NVIDIA means to be made beside others, DCGM makes it the same way on every host that it watches,
and the error that matters most, a GPU off the bus, comes while the reader hangs. Everything else about events
(create, register, free), and the beginning and the end of a session, happens while the wait is over. For a
driver that bears not even this, `Events(..., beside=False)` has no thread: the reader fetches what the driver
has kept since the last reading.
"""

import logging
import threading
from collections.abc import Callable
from time import time
from typing import Any

from exporters.errors import ExporterError
from exporters.gpu.readings import XidCount

logger = logging.getLogger(__name__)

_MOST_AT_ONCE = 1000
_MOST_CODES = 256
_PAUSE_SECONDS = 1.0


class XidLog:
    """Counts by GPU and code, from any thread; bounded, whatever a driver invents."""

    def __init__(self, clock: Callable[[], float] = time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, int], tuple[int, float]] = {}
        self._last: dict[str, int] = {}

    def add(self, uuid: str, code: int) -> None:
        """One more error of a GPU."""
        with self._lock:
            count, _ = self._counts.get((uuid, code), (0, 0.0))
            if count or len(self._counts) < _MOST_CODES:
                self._counts[uuid, code] = (count + 1, round(self._clock(), 3))
            self._last[uuid] = code

    def counts(self) -> tuple[XidCount, ...]:
        """All counts, in the order of their first error."""
        with self._lock:
            return tuple(XidCount(uuid, code, *found) for (uuid, code), found in self._counts.items())

    def last(self) -> dict[str, int]:
        """The code of the last error by GPU."""
        with self._lock:
            return dict(self._last)


class Events:
    """The event set of a session, and the one thread that waits on it from session to session.

    `patience_seconds` is how long the end of a session waits for a wait that overdraws its time.
    """

    def __init__(
        self,
        nvml: Any,
        log: XidLog,
        *,
        beside: bool = True,
        wait_milliseconds: int = 2000,
        patience_seconds: float = 5.0,
    ) -> None:
        self._nvml = nvml
        self._log = log
        self._beside = beside
        self._wait_milliseconds = wait_milliseconds
        self._patience_seconds = patience_seconds
        self._set: Any = None
        self._gpus: dict[bytes, str] = {}
        self._inside = threading.Lock()
        self._open = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, gpus: dict[str, Any]) -> None:
        """Watch these GPUs, handles by uuid; the session has begun. Raises the library's NVMLError."""
        nvml = self._nvml
        events = nvml.nvmlEventSetCreate()
        self._gpus = {}
        for uuid, handle in gpus.items():
            try:
                nvml.nvmlDeviceRegisterEvents(handle, nvml.nvmlEventTypeXidCriticalError, events)
            except nvml.NVMLError as error:
                if error.value != nvml.NVML_ERROR_NOT_SUPPORTED:
                    logger.warning("XID errors are not watched", extra={"gpu": uuid, "reason": str(error)})
            else:
                self._gpus[bytes(handle)] = uuid
        if not self._gpus:
            nvml.nvmlEventSetFree(events)
            return
        self._set = events
        if self._beside:
            self._open.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="exporters-gpu-xid", daemon=True)
                self._thread.start()

    def fetch(self) -> None:
        """Without a thread: count what has come since the last time, waiting for nothing."""
        for _ in range(0 if self._beside or self._set is None else _MOST_AT_ONCE):
            if not self._wait(0):
                return

    def end(self) -> None:
        """Free the set, before the session ends.

        Raises:
            ExporterError: the wait does not come back; then the session cannot end either.
            NVMLError: of the library.
        """
        self._open.clear()
        if not self._inside.acquire(timeout=self._patience_seconds + self._wait_milliseconds / 1000):
            raise ExporterError("NVML: the wait for events does not come back")
        try:
            events, self._set = self._set, None
        finally:
            self._inside.release()
        if events is not None:
            self._nvml.nvmlEventSetFree(events)

    def close(self) -> None:
        """Let the thread end."""
        self._closed.set()
        self._open.set()

    def _work(self) -> None:
        while True:
            self._open.wait()
            if self._closed.is_set():
                return
            with self._inside:
                is_well = self._set is None or not self._open.is_set() or self._wait(self._wait_milliseconds)
            if not is_well:
                self._closed.wait(_PAUSE_SECONDS)

    def _wait(self, milliseconds: int) -> bool:
        """Count one event; whether to go on at once: not where there is none to fetch, or the wait fails."""
        nvml = self._nvml
        try:
            event = nvml.nvmlEventSetWait_v2(self._set, milliseconds)
        except nvml.NVMLError as error:
            return bool(milliseconds) and error.value == nvml.NVML_ERROR_TIMEOUT
        uuid = self._gpus.get(bytes(event.device))
        if uuid is not None and event.eventType == nvml.nvmlEventTypeXidCriticalError:
            self._log.add(uuid, int(event.eventData))
        return True
