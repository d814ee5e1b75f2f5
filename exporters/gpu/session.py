"""A session with NVML: begun, ended and begun anew where a GPU is missing, with the XID errors of its GPUs.

Initialising takes a second, so a lost GPU is looked for at growing distances.
"""

import logging
from collections.abc import Callable
from typing import Any

from exporters.errors import ExporterError, NoDataError
from exporters.gpu.events import Events

logger = logging.getLogger(__name__)

_LONGEST_PATIENCE = 8
"""While a GPU is lost NVML is initialised anew after 1, 2, 4 and then every 8 readings."""


class Complaints:
    """Logs what fails, once for each GPU and call; that a GPU cannot do something is no complaint at all."""

    def __init__(self, nvml: Any) -> None:
        self._quiet = (nvml.NVML_ERROR_NOT_SUPPORTED, nvml.NVML_ERROR_FUNCTION_NOT_FOUND)
        self._made: set[tuple[str, str]] = set()

    def __call__(self, uuid: str, call: str, error: Exception) -> None:
        """A call failed for a GPU; `uuid` is empty where it was for none."""
        if getattr(error, "value", None) not in self._quiet and (uuid, call) not in self._made:
            self._made.add((uuid, call))
            logger.warning("NVML call failed", extra={"gpu": uuid, "call": call, "reason": str(error)})


class Session:
    """The session; `ending` are what must let go of the library's memory before it ends."""

    def __init__(
        self, nvml: Any, events: Events, complain: Complaints, ending: tuple[Callable[[], None], ...]
    ) -> None:
        self._nvml = nvml
        self._events = events
        self._complain = complain
        self._ending = ending
        self._is_open = False
        self._watched: frozenset[str] = frozenset()
        self._patience = 1
        self._readings = 0

    def open(self) -> bool:
        """Begin it where there is none; whether a new one has begun.

        Raises:
            NoDataError: there is no NVML or no driver.
            ExporterError: NVML could not be initialised.
        """
        nvml = self._nvml
        self._readings += 1
        if self._is_open:
            return False
        try:
            nvml.nvmlInit()
        except nvml.NVMLError as error:
            if error.value in (nvml.NVML_ERROR_LIBRARY_NOT_FOUND, nvml.NVML_ERROR_DRIVER_NOT_LOADED):
                raise NoDataError("no NVIDIA driver") from error
            raise ExporterError(f"NVML: {error}") from error
        self._is_open = True
        self._readings = 1
        return True

    def close(self) -> None:
        """End it.

        Raises:
            ExporterError: the wait for events does not come back, so the session goes on.
        """
        if not self._is_open:
            return
        self._watched = frozenset()
        for end in (self._events.end, *self._ending, self._nvml.nvmlShutdown):
            try:
                end()
            except self._nvml.NVMLError as error:
                self._complain("", "nvmlShutdown", error)
        self._is_open = False

    def plan(self, *, all_up: bool) -> None:
        """After a reading: end the session where a GPU is missing and it is time, so that the next one begins
        anew.
        """
        if all_up:
            self._patience = 1
        elif self._readings >= self._patience:
            self._patience = min(2 * self._patience, _LONGEST_PATIENCE)
            self._readings = 0
            try:
                self.close()
            except ExporterError as error:  # the other GPUs of this reading are well
                self._complain("", "nvmlEventSetWait_v2", error)

    def watch(self, handles: dict[str, Any]) -> None:
        """Have the events of these GPUs counted, also of those that were plugged in meanwhile.

        Raises:
            ExporterError: GPUs have changed and the wait for the events of the others does not come back.
        """
        try:
            if handles.keys() - self._watched:
                self._events.end()
                self._watched = frozenset(handles)
                self._events.begin(handles)
            self._events.fetch()
        except self._nvml.NVMLError as error:
            self._complain("", "nvmlEventSetCreate", error)
