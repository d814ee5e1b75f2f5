"""The GPU collector on a host: NVML read in the background, under dcgm-exporter's names."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exporters.background import Background
from exporters.collector import Collector, Host
from exporters.errors import NoDataError
from exporters.gpu.collector import Naming, collect
from exporters.gpu.reader import Reader
from exporters.samples import Family
from exporters.settings import duration, text

INTERVAL = duration("collector.gpu.interval", 10.0, "How often the GPUs are read.")
HOSTNAME_LABEL = text(
    "collector.gpu.hostname-label",
    "Hostname",
    "Name of the label for the host: Hostname, or hostname as dcgm-exporter has it after 4.5.3.",
)
SETTINGS = (INTERVAL, HOSTNAME_LABEL)

_NVIDIA_DRIVER = (Path("/dev/nvidiactl"), Path("/proc/driver/nvidia"), Path("/dev/dxg"))


def build(host: Host, nvml: Any = None) -> Collector:
    """The collector; `nvml` is the library, `pynvml` by default where a driver is."""
    naming = Naming(host.settings[HOSTNAME_LABEL], host.hostname)
    reader: Reader | None = None

    def read() -> Sequence[Family]:
        nonlocal reader
        if reader is None:
            reader = Reader(_nvml() if nvml is None else nvml)
        return collect(reader.read(), naming)

    return Background("gpu", read, interval_seconds=host.settings[INTERVAL]).collector()


def _nvml() -> Any:
    """NVIDIA's binding; importing it costs 10 MB, so only where a driver is."""
    if not any(path.exists() for path in _NVIDIA_DRIVER):
        raise NoDataError("no NVIDIA driver")
    try:
        import pynvml
    except ImportError as error:
        raise NoDataError("the Python package nvidia-ml-py is not installed") from error
    return pynvml
