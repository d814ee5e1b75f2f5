"""GPUs of a scripted driver, reached through NVIDIA's own binding: `machine()` and what is read from it.

A process has one libnvidia-ml, so all tests of a run share one; each begins it anew.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
import threading
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from exporters.gpu.build import Gpus
from exporters.system.tree import Tree
from exporters.text import Renderer
from lab.nvidia import Stub
from tests.exporters.exposition import Exposition, parse
from tests.exporters.trees import host
from tests.real.servers import real_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType

MIB = 1 << 20
GIB = 1 << 30
WAIT_MILLISECONDS = 10
SECONDS = 20
"""No test waits so long: it ends as soon as what it waits for is there."""
VALUES = {
    "sm_clock_mhz": 1980,
    "memory_clock_mhz": 2619,
    "graphics_clock_mhz": 1975,
    "video_clock_mhz": 1545,
    "max_sm_clock_mhz": 1985,
    "max_memory_clock_mhz": 3201,
    "max_graphics_clock_mhz": 1980,
    "application_sm_clock_mhz": 1830,
    "application_memory_clock_mhz": 3200,
    "event_reasons": 0x24,
    "event_reasons_supported": 511,
    "temperature_celsius": 41,
    "slowdown_celsius": 87,
    "shutdown_celsius": 92,
    "power_mw": 84123,
    "power_limit_mw": 700000,
    "power_limit_default_mw": 690000,
    "power_limit_enforced_mw": 650000,
    "power_limit_min_mw": 200000,
    "power_limit_max_mw": 710000,
    "energy_mj": 123456789012,
    "gpu_utilization": 37,
    "memory_utilization": 12,
    "encoder_utilization": 3,
    "decoder_utilization": 4,
    "jpeg_utilization": 5,
    "ofa_utilization": 6,
    "encoder_sessions": 2,
    "encoder_fps": 60,
    "encoder_latency_us": 1500,
    "memory_total": 143771 * MIB,
    "memory_reserved": 600 * MIB,
    "memory_used": 4096 * MIB,
    "bar1_total": 262144 * MIB,
    "bar1_used": 10 * MIB,
    "pcie_replays": 7,
    "pcie_generation": 4,
    "pcie_generation_max": 5,
    "pcie_width": 8,
    "pcie_width_max": 16,
    "pcie_tx_kb": 1500,
    "pcie_rx_kb": 2500,
    "pci_sub_system": 0x18BE10DE,
    "fan_percent": 38,
    "performance_state": 0,
    "persistence_mode": 1,
    "compute_mode": 0,
    "compute_capability": 90,
    "mig_mode": 0,
    "ecc_mode": 1,
    "ecc_mode_pending": 1,
    "ecc_corrected_volatile": 11,
    "ecc_uncorrected_volatile": 12,
    "ecc_corrected_aggregate": 13,
    "ecc_uncorrected_aggregate": 14,
    "remapped_correctable": 1,
    "remapped_uncorrectable": 2,
    "remap_pending": 1,
    "remap_failure": 0,
    "power_violation_ns": 5_000_000_001,
    "thermal_violation_ns": 6_000_000_002,
    "sync_boost_violation_ns": 7,
    "board_limit_violation_ns": 8,
    "low_utilization_violation_ns": 9,
    "reliability_violation_ns": 10,
    "field_29": 21,
    "field_30": 22,
    "field_31": 1,
    "field_38": 31,
    "field_45": 32,
    "field_52": 33,
    "field_59": 34,
    "field_82": 52,
    "field_138_all": 5_000_000_000,
    "field_139_all": 7_000_000_000,
    "field_185": 84000,
    "field_186": 85500,
    "field_230": 0,
    "field_269": 1_500_000_000,
    "field_270": 2_500_000_000,
    "field_271": 3_500_000_000,
}
GPM = {
    "gpm_supported": 1,
    "gpm_1": 50.5,
    "gpm_2": 40.25,
    "gpm_3": 12.5,
    "gpm_5": 30,
    "gpm_10": 20,
    "gpm_11": 1,
    "gpm_12": 2,
    "gpm_13": 3,
    "gpm_20": 10,
    "gpm_21": 11.5,
    "gpm_60": 100,
    "gpm_61": 200,
}


def gpu(number: int, **changes: object) -> dict[str, object]:
    """A GPU of the script that can do everything but GPM; `GPU-number` unless said otherwise."""
    script = {
        "uuid": f"GPU-{number}",
        "name": "NVIDIA H200",
        "bus_id": f"00000000:{number:02X}:00.0",
        "minor": number,
        "serial": f"16500000000{number}",
        "vbios": "96.00.A5.00.03",
        "values": VALUES,
    }
    return {**script, **changes}


@cache
def _stub() -> Stub:
    real_server("cc")
    folder = Path(tempfile.mkdtemp(prefix="steward-nvml-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    stub = Stub(folder)
    stub.load()
    return stub


@cache
def binding() -> ModuleType:
    """NVIDIA's binding, which finds the scripted library loaded under the name that it asks for."""
    _stub()
    import pynvml

    return pynvml


def machine(*gpus: Mapping[str, object], **top: object) -> Stub:
    """A machine with these GPUs, as if its driver had just come up."""
    stub = _stub()
    stub.play({})
    stub.play({"gpus": list(gpus), **top})
    stub.restart()
    return stub


class Clock:
    """Seconds that go on when they are told to."""

    def __init__(self, at: float = 1_000_000.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


@contextmanager
def watched(
    tree: Tree | None = None, flags: Mapping[str, str] | None = None, *, clock: Clock | None = None
) -> Iterator[SimpleNamespace]:
    """The GPUs as the collector has them: `read()` is one reading, as exposition; `gpus` is what reads."""
    ticking = Clock() if clock is None else clock
    gpus = Gpus(
        host(Tree() if tree is None else tree, flags),
        binding,
        steady=ticking,
        now=ticking,
        wait_milliseconds=WAIT_MILLISECONDS,
    )

    def read(seconds: float = 10.0) -> Exposition:
        ticking.at += seconds
        return parse(Renderer().render(gpus.read()))

    try:
        yield SimpleNamespace(read=read, gpus=gpus, clock=ticking)
    finally:
        gpus.end()


def until(is_so: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    pause = threading.Event()
    for _ in range(SECONDS * 200):
        if is_so():
            return
        pause.wait(0.005)
    pytest.fail("it did not happen")


def labels_of(seen: Exposition, name: str) -> list[dict[str, str]]:
    """Labels of each series of a metric."""
    return [dict(labels) for metric, labels in seen.values if metric == name]


def by(seen: Exposition, name: str, *labels: str) -> dict[Any, float]:
    """Values of a metric by some of its labels."""
    found = {}
    for (metric, pairs), value in seen.values.items():
        if metric == name:
            key = tuple(dict(pairs)[label] for label in labels)
            found[key[0] if len(key) == 1 else key] = value
    return found
