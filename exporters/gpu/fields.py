"""Which NVML call gives which DCGM field. One failing call costs its own fields, nothing else.

Units are dcgm-exporter's: MHz, °C, W, mJ, percent, MiB. A value that this GPU does not have is absent, never
0.
"""

from collections.abc import Callable, Mapping
from typing import Any

from exporters.gpu.readings import Number

_BYTES_PER_MIB = 1 << 20
_MILLIWATTS_PER_WATT = 1000

Values = Mapping[str, Number]
Reader = Callable[[Any, Any], Values]
"""Takes the NVML library and a device handle; raises the library's NVMLError."""


def _clocks(nvml: Any, handle: Any) -> Values:
    return {"DCGM_FI_DEV_SM_CLOCK": nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)}


def _memory_clock(nvml: Any, handle: Any) -> Values:
    return {"DCGM_FI_DEV_MEM_CLOCK": nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM)}


def _temperature(nvml: Any, handle: Any) -> Values:
    return {"DCGM_FI_DEV_GPU_TEMP": nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)}


def _memory_temperature(nvml: Any, handle: Any) -> Values:
    answer = nvml.nvmlDeviceGetFieldValues(handle, [nvml.NVML_FI_DEV_MEMORY_TEMP])[0]
    if answer.nvmlReturn != nvml.NVML_SUCCESS:  # each field of such a call has a return code of its own
        return {}
    return {"DCGM_FI_DEV_MEMORY_TEMP": answer.value.uiVal}


def _power(nvml: Any, handle: Any) -> Values:
    return {"DCGM_FI_DEV_POWER_USAGE": nvml.nvmlDeviceGetPowerUsage(handle) / _MILLIWATTS_PER_WATT}


def _energy(nvml: Any, handle: Any) -> Values:
    return {"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": nvml.nvmlDeviceGetTotalEnergyConsumption(handle)}


def _utilization(nvml: Any, handle: Any) -> Values:
    rates = nvml.nvmlDeviceGetUtilizationRates(handle)
    return {"DCGM_FI_DEV_GPU_UTIL": rates.gpu, "DCGM_FI_DEV_MEM_COPY_UTIL": rates.memory}


def _encoder(nvml: Any, handle: Any) -> Values:
    return {"DCGM_FI_DEV_ENC_UTIL": nvml.nvmlDeviceGetEncoderUtilization(handle)[0]}


def _decoder(nvml: Any, handle: Any) -> Values:
    return {"DCGM_FI_DEV_DEC_UTIL": nvml.nvmlDeviceGetDecoderUtilization(handle)[0]}


def memory(nvml: Any, handle: Any) -> Values:
    """Frame buffer of a GPU or a MIG instance; version 1 of the call would count what is reserved as used."""
    info = nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2)
    return {
        "DCGM_FI_DEV_FB_FREE": info.free // _BYTES_PER_MIB,
        "DCGM_FI_DEV_FB_USED": info.used // _BYTES_PER_MIB,
        "DCGM_FI_DEV_FB_RESERVED": info.reserved // _BYTES_PER_MIB,
    }


def _replays(nvml: Any, handle: Any) -> Values:
    return {"DCGM_FI_DEV_PCIE_REPLAY_COUNTER": nvml.nvmlDeviceGetPcieReplayCounter(handle)}


def _remapped_rows(nvml: Any, handle: Any) -> Values:
    correctable, uncorrectable, _pending, failure = nvml.nvmlDeviceGetRemappedRows(handle)
    return {
        "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS": correctable,
        "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS": uncorrectable,
        "DCGM_FI_DEV_ROW_REMAP_FAILURE": failure,
    }


READERS: tuple[Reader, ...] = (
    _clocks,
    _memory_clock,
    _temperature,
    _memory_temperature,
    _power,
    _energy,
    _utilization,
    _encoder,
    _decoder,
    memory,
    _replays,
    _remapped_rows,
)
