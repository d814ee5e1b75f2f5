"""The GPU collector on a host: NVML read in the background, under dcgm-exporter's names and our own.

A process that has NVML open holds the kernel's driver: to unload or replace it, stop the agent first, as for
dcgm-exporter.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import monotonic, time
from typing import Any

from exporters.background import Background
from exporters.collector import Collector, Host
from exporters.errors import NoDataError, SettingError
from exporters.gpu import apps, dcgm, own, smi
from exporters.gpu.ledger import Account, Ledger
from exporters.gpu.owners import Owners
from exporters.gpu.reader import Reader
from exporters.gpu.readings import Raw, XidCount
from exporters.gpu.state import GpuState, state
from exporters.samples import Family
from exporters.settings import duration, switch, text

INTERVAL = duration("collector.gpu.interval", 10.0, "How often the GPUs are read.")
HOSTNAME_LABEL = text(
    "collector.gpu.hostname-label",
    "Hostname",
    "Name of the label for the host: Hostname, or hostname as dcgm-exporter has it after 4.5.3.",
)
USERS = switch(
    "collector.gpu.users", default=True, help_text="GPU use by user; off, no series names a person."
)
SMI_NAMES = switch(
    "collector.gpu.nvidia-smi-names",
    default=False,
    help_text="Also nvidia_smi_*, as nvidia_gpu_exporter has it.",
)
COMPUTE_APPS = switch(
    "collector.gpu.compute-apps",
    default=False,
    help_text="Also nvidia_smi_compute_app_*, by process: each one makes new series.",
)
EVENT_THREAD = switch(
    "collector.gpu.event-thread",
    default=True,
    help_text="Wait for XID errors in a thread beside the reader; off, they are fetched at each reading.",
)
SETTINGS = (INTERVAL, HOSTNAME_LABEL, USERS, SMI_NAMES, COMPUTE_APPS, EVENT_THREAD)

_NVIDIA_DRIVER = (Path("/dev/nvidiactl"), Path("/proc/driver/nvidia"), Path("/dev/dxg"))
_LIBRARY = "libnvidia-ml.so.1"
_SHORTEST_INTERVAL_SECONDS = 0.01


class Gpus:
    """The GPUs of a host: reads them, knows their users, and has both as metrics and as values.

    `load` gives the library, `steady` never goes back, `now` is unix time.
    """

    def __init__(
        self,
        host: Host,
        load: Callable[[], Any],
        *,
        steady: Callable[[], float] = monotonic,
        now: Callable[[], float] = time,
        wait_milliseconds: int = 2000,
    ) -> None:
        settings = host.settings
        self._load = load
        self._steady = steady
        self._now = now
        self._wait_milliseconds = wait_milliseconds
        self._naming = dcgm.Naming(settings[HOSTNAME_LABEL], host.hostname)
        self._with_users = settings[USERS]
        self._with_smi = settings[SMI_NAMES]
        self._with_apps = settings[COMPUTE_APPS]
        self._tree = host.tree
        self._beside = settings[EVENT_THREAD]
        self._owners = Owners(host.tree)
        self._ledger = Ledger()
        self._reader: Reader | None = None
        self.states: tuple[GpuState, ...] = ()

    def read(self) -> Sequence[Family]:
        """Read all GPUs.

        Raises:
            NoDataError: there is no driver or no GPU.
            ExporterError: the driver does not answer.
        """
        if self._reader is None:
            self._reader = Reader(
                self._load(),
                beside=self._beside,
                wait_milliseconds=self._wait_milliseconds,
                steady=self._steady,
            )
        raw = self._reader.read()
        accounts = self._account(raw)
        shown = (state(gpu, accounts[gpu.identity.uuid]) for gpu in raw.gpus)
        self.states = tuple(one if self._with_users else replace(one, users=()) for one in shown)
        families = dcgm.collect(raw, self._naming) + own.collect(raw, accounts, with_users=self._with_users)
        if self._with_smi:
            families += smi.collect(raw)
        if self._with_apps:
            families += apps.collect(raw, partial(apps.program, self._tree))
        return families

    def close(self) -> None:
        """Let the thread of the events end. The session with NVML ends with the process: its reader may be in
        the middle of a call.
        """
        if self._reader is not None:
            self._reader.stop()

    def xids(self) -> tuple[XidCount, ...]:
        """XID errors until this moment, whatever the reader does."""
        return () if self._reader is None else self._reader.xids()

    def end(self) -> None:
        """End the session with NVML and the thread of the events; by the thread that reads."""
        if self._reader is not None:
            self._reader.close()

    def _account(self, raw: Raw) -> dict[str, Account]:
        owners = self._owners.of({one.pid for gpu in raw.gpus for one in gpu.processes.found})
        now, steady = self._now(), self._steady()
        return {gpu.identity.uuid: self._ledger.add(gpu, owners, now=now, steady=steady) for gpu in raw.gpus}


def build(host: Host, nvml: Any = None) -> Collector:
    """The collector; `nvml` is the library, `pynvml` by default where a driver is."""
    gpus = Gpus(host, _nvml if nvml is None else lambda: nvml)
    interval_seconds = host.settings[INTERVAL]
    if interval_seconds < _SHORTEST_INTERVAL_SECONDS:
        raise SettingError(f"--{INTERVAL.name}: at least {_SHORTEST_INTERVAL_SECONDS:g} s")
    background = Background("gpu", gpus.read, interval_seconds=interval_seconds)

    def close() -> None:
        background.close()
        gpus.close()

    def snapshot() -> tuple[GpuState, ...]:
        background.collect()
        return gpus.states

    return replace(background.collector(), close=close, snapshot=snapshot)


def _nvml() -> Any:
    """NVIDIA's binding; importing it costs 4 MB, so only where a driver is."""
    folders = filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(":"))
    if not any(path.exists() for path in (*_NVIDIA_DRIVER, *(Path(folder, _LIBRARY) for folder in folders))):
        raise NoDataError("no NVIDIA driver")
    try:
        import pynvml
    except ImportError as error:
        raise NoDataError("the Python package nvidia-ml-py is not installed") from error
    return pynvml
