"""Which NVML call gives which value. One failing call costs its own values, nothing else.

A value that this GPU does not have is absent, never 0; NVML's "not available" (all bits set) is absent too.
Calls and units: https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html. Functions that a
driver lacks answer FUNCTION_NOT_FOUND; where an older one does the same, that is asked.
"""

from collections.abc import Callable, Iterator
from typing import Any

from exporters.gpu.readings import Field, Number, Values

_ALL_BITS = frozenset({0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF})
_ALL_LINKS = 0xFFFFFFFF

Reader = Callable[[Any, Any], Values]
"""Takes the NVML library and a device handle; raises the library's NVMLError."""


def present(values: dict[Field, Number]) -> Values:
    """The values without those that NVML calls not available."""
    return {name: value for name, value in values.items() if value not in _ALL_BITS}


def _plain(name: Field, call: str) -> Reader:
    """A value that a call gives as it is."""

    def read(nvml: Any, handle: Any) -> Values:
        return {name: getattr(nvml, call)(handle)}

    read.__name__ = call
    return read


def _of(name: Field, call: str, constant: str) -> Reader:
    """A value that a call gives for one of NVML's constants."""

    def read(nvml: Any, handle: Any) -> Values:
        return {name: getattr(nvml, call)(handle, getattr(nvml, constant))}

    read.__name__ = f"{call}({constant})"
    return read


def _first(name: Field, call: str) -> Reader:
    """A value that stands first in what a call gives: utilization before the time it was sampled over."""

    def read(nvml: Any, handle: Any) -> Values:
        return {name: getattr(nvml, call)(handle)[0]}

    read.__name__ = call
    return read


def _pair(names: tuple[Field, ...], call: str) -> Reader:
    """Values that a call gives in a row."""

    def read(nvml: Any, handle: Any) -> Values:
        return dict(zip(names, getattr(nvml, call)(handle), strict=True))

    read.__name__ = call
    return read


def _violation(name: Field, policy: str) -> Reader:
    """Time in ns for which a policy kept the clocks down."""

    def read(nvml: Any, handle: Any) -> Values:
        return {name: nvml.nvmlDeviceGetViolationStatus(handle, getattr(nvml, policy)).violationTime}

    read.__name__ = f"nvmlDeviceGetViolationStatus({policy})"
    return read


def _ecc(name: Field, kind: str, counter: str) -> Reader:
    """ECC errors over all of the GPU's memories."""

    def read(nvml: Any, handle: Any) -> Values:
        return {name: nvml.nvmlDeviceGetTotalEccErrors(handle, getattr(nvml, kind), getattr(nvml, counter))}

    read.__name__ = f"nvmlDeviceGetTotalEccErrors({kind}, {counter})"
    return read


def _either(name: Field, newer: str, older: str) -> Reader:
    """A value whose call has another name in older drivers."""

    def read(nvml: Any, handle: Any) -> Values:
        try:
            return {name: getattr(nvml, newer)(handle)}
        except nvml.NVMLError as error:
            if error.value != nvml.NVML_ERROR_FUNCTION_NOT_FOUND:
                raise
        return {name: getattr(nvml, older)(handle)}

    read.__name__ = newer
    return read


def _temperature(nvml: Any, handle: Any) -> Values:
    """NVIDIA says that the first call goes with CUDA 14."""
    try:
        return {Field.TEMPERATURE: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)}
    except nvml.NVMLError as error:
        if error.value != nvml.NVML_ERROR_FUNCTION_NOT_FOUND:
            raise
    return {Field.TEMPERATURE: nvml.nvmlDeviceGetTemperatureV(handle, nvml.NVML_TEMPERATURE_GPU)}


def _utilization(nvml: Any, handle: Any) -> Values:
    rates = nvml.nvmlDeviceGetUtilizationRates(handle)
    return {Field.GPU_UTILIZATION: rates.gpu, Field.MEMORY_UTILIZATION: rates.memory}


def memory(nvml: Any, handle: Any) -> Values:
    """Frame buffer of a GPU or a MIG instance; version 1 of the call (before driver 510) counts what is
    reserved as used.
    """
    try:
        info = nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2)
    except nvml.NVMLError as error:
        if error.value != nvml.NVML_ERROR_FUNCTION_NOT_FOUND:
            raise
        info = nvml.nvmlDeviceGetMemoryInfo(handle)
        reserved = {}
    else:
        reserved = {Field.MEMORY_RESERVED: info.reserved}
    plain = {Field.MEMORY_TOTAL: info.total, Field.MEMORY_FREE: info.free, Field.MEMORY_USED: info.used}
    return plain | reserved


def _bar1(nvml: Any, handle: Any) -> Values:
    info = nvml.nvmlDeviceGetBAR1MemoryInfo(handle)
    return {Field.BAR1_TOTAL: info.bar1Total, Field.BAR1_FREE: info.bar1Free, Field.BAR1_USED: info.bar1Used}


def _license(nvml: Any, handle: Any) -> Values:
    """In a guest with a vGPU; DCGM sends 0 for a GPU that needs no license, so do we."""
    try:
        found = nvml.nvmlDeviceGetGridLicensableFeatures(handle)
    except nvml.NVMLError as error:
        if error.value not in (nvml.NVML_ERROR_NOT_SUPPORTED, nvml.NVML_ERROR_FUNCTION_NOT_FOUND):
            raise
        return {Field.VGPU_LICENSED: 0}
    count = found.licensableFeaturesCount if found.isGridLicenseSupported else 0
    features = found.gridLicensableFeatures[:count]
    return {Field.VGPU_LICENSED: int(any(feature.featureEnabled for feature in features))}


_FIELD_IDS: tuple[tuple[Field, str, int], ...] = (
    (Field.MEMORY_TEMPERATURE, "NVML_FI_DEV_MEMORY_TEMP", 0),
    (Field.RETIRED_SINGLE_BIT, "NVML_FI_DEV_RETIRED_SBE", 0),
    (Field.RETIRED_DOUBLE_BIT, "NVML_FI_DEV_RETIRED_DBE", 0),
    (Field.RETIRED_PENDING, "NVML_FI_DEV_RETIRED_PENDING", 0),
    (Field.NVLINK_CRC_FLIT_ERRORS, "NVML_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL", 0),
    (Field.NVLINK_CRC_DATA_ERRORS, "NVML_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL", 0),
    (Field.NVLINK_REPLAYS, "NVML_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL", 0),
    (Field.NVLINK_RECOVERIES, "NVML_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL", 0),
    (Field.NVLINK_TRANSMIT, "NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX", _ALL_LINKS),
    (Field.NVLINK_RECEIVE, "NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX", _ALL_LINKS),
    (Field.POWER_AVERAGE, "NVML_FI_DEV_POWER_AVERAGE", 0),
    (Field.POWER_INSTANT, "NVML_FI_DEV_POWER_INSTANT", 0),
    (Field.SW_THERMAL_SLOWDOWN, "NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN", 0),
    (Field.HW_THERMAL_SLOWDOWN, "NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN", 0),
    (Field.HW_POWER_BRAKE_SLOWDOWN, "NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN", 0),
    (Field.RECOVERY_ACTION, "NVML_FI_DEV_GET_GPU_RECOVERY_ACTION", 0),
)
"""Values that are asked for together; each answer has a return code of its own."""


def _field_values(nvml: Any, handle: Any) -> Values:
    known = [
        (name, getattr(nvml, number), scope) for name, number, scope in _FIELD_IDS if hasattr(nvml, number)
    ]
    answers = nvml.nvmlDeviceGetFieldValues(handle, [(number, scope) for _, number, scope in known])
    return dict(_answered(nvml, known, answers))


def _answered(nvml: Any, known: list[tuple[Field, int, int]], answers: Any) -> Iterator[tuple[Field, Number]]:
    for (name, _, _), answer in zip(known, answers, strict=True):
        if answer.nvmlReturn == nvml.NVML_SUCCESS:
            yield name, _number(nvml, answer)


def _number(nvml: Any, answer: Any) -> Number:
    """The value of an answer, which stands in the place of a union that `valueType` says."""
    places = {
        nvml.NVML_VALUE_TYPE_DOUBLE: "dVal",
        nvml.NVML_VALUE_TYPE_UNSIGNED_INT: "uiVal",
        nvml.NVML_VALUE_TYPE_UNSIGNED_LONG: "ulVal",
        nvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG: "ullVal",
        nvml.NVML_VALUE_TYPE_SIGNED_LONG_LONG: "sllVal",
        nvml.NVML_VALUE_TYPE_SIGNED_INT: "siVal",
        nvml.NVML_VALUE_TYPE_UNSIGNED_SHORT: "usVal",
    }
    value: Number = getattr(answer.value, places[answer.valueType])
    return value


def pcie_throughput(nvml: Any, handle: Any) -> Values:
    """KB/s over a sample of 20 ms each way: coarse, and asked only where there is no GPM."""
    return {
        Field.PCIE_TRANSMIT: nvml.nvmlDeviceGetPcieThroughput(handle, nvml.NVML_PCIE_UTIL_TX_BYTES),
        Field.PCIE_RECEIVE: nvml.nvmlDeviceGetPcieThroughput(handle, nvml.NVML_PCIE_UTIL_RX_BYTES),
    }


_CLOCK, _MAX_CLOCK, _APPLICATION_CLOCK = (
    "nvmlDeviceGetClockInfo",
    "nvmlDeviceGetMaxClockInfo",
    "nvmlDeviceGetApplicationsClock",
)
_CORRECTED, _UNCORRECTED = "NVML_MEMORY_ERROR_TYPE_CORRECTED", "NVML_MEMORY_ERROR_TYPE_UNCORRECTED"
_REMAPPED = (
    Field.REMAPPED_CORRECTABLE,
    Field.REMAPPED_UNCORRECTABLE,
    Field.REMAP_PENDING,
    Field.REMAP_FAILURE,
)

READERS: tuple[Reader, ...] = (
    _of(Field.SM_CLOCK, _CLOCK, "NVML_CLOCK_SM"),
    _of(Field.MEMORY_CLOCK, _CLOCK, "NVML_CLOCK_MEM"),
    _of(Field.GRAPHICS_CLOCK, _CLOCK, "NVML_CLOCK_GRAPHICS"),
    _of(Field.VIDEO_CLOCK, _CLOCK, "NVML_CLOCK_VIDEO"),
    _of(Field.MAX_SM_CLOCK, _MAX_CLOCK, "NVML_CLOCK_SM"),
    _of(Field.MAX_MEMORY_CLOCK, _MAX_CLOCK, "NVML_CLOCK_MEM"),
    _of(Field.MAX_GRAPHICS_CLOCK, _MAX_CLOCK, "NVML_CLOCK_GRAPHICS"),
    _of(Field.APPLICATION_SM_CLOCK, _APPLICATION_CLOCK, "NVML_CLOCK_SM"),
    _of(Field.APPLICATION_MEMORY_CLOCK, _APPLICATION_CLOCK, "NVML_CLOCK_MEM"),
    _either(
        Field.EVENT_REASONS,
        "nvmlDeviceGetCurrentClocksEventReasons",
        "nvmlDeviceGetCurrentClocksThrottleReasons",
    ),
    _either(
        Field.SUPPORTED_EVENT_REASONS,
        "nvmlDeviceGetSupportedClocksEventReasons",
        "nvmlDeviceGetSupportedClocksThrottleReasons",
    ),
    _temperature,
    _of(
        Field.SLOWDOWN_TEMPERATURE,
        "nvmlDeviceGetTemperatureThreshold",
        "NVML_TEMPERATURE_THRESHOLD_SLOWDOWN",
    ),
    _of(
        Field.SHUTDOWN_TEMPERATURE,
        "nvmlDeviceGetTemperatureThreshold",
        "NVML_TEMPERATURE_THRESHOLD_SHUTDOWN",
    ),
    _plain(Field.POWER, "nvmlDeviceGetPowerUsage"),
    _plain(Field.POWER_LIMIT, "nvmlDeviceGetPowerManagementLimit"),
    _plain(Field.POWER_LIMIT_DEFAULT, "nvmlDeviceGetPowerManagementDefaultLimit"),
    _plain(Field.POWER_LIMIT_ENFORCED, "nvmlDeviceGetEnforcedPowerLimit"),
    _pair((Field.POWER_LIMIT_MIN, Field.POWER_LIMIT_MAX), "nvmlDeviceGetPowerManagementLimitConstraints"),
    _plain(Field.ENERGY, "nvmlDeviceGetTotalEnergyConsumption"),
    _utilization,
    _first(Field.ENCODER_UTILIZATION, "nvmlDeviceGetEncoderUtilization"),
    _first(Field.DECODER_UTILIZATION, "nvmlDeviceGetDecoderUtilization"),
    _first(Field.JPEG_UTILIZATION, "nvmlDeviceGetJpgUtilization"),
    _first(Field.OFA_UTILIZATION, "nvmlDeviceGetOfaUtilization"),
    _pair((Field.ENCODER_SESSIONS, Field.ENCODER_FPS, Field.ENCODER_LATENCY), "nvmlDeviceGetEncoderStats"),
    memory,
    _bar1,
    _plain(Field.PCIE_REPLAYS, "nvmlDeviceGetPcieReplayCounter"),
    _plain(Field.PCIE_GENERATION, "nvmlDeviceGetCurrPcieLinkGeneration"),
    _plain(Field.PCIE_GENERATION_MAX, "nvmlDeviceGetMaxPcieLinkGeneration"),
    _plain(Field.PCIE_WIDTH, "nvmlDeviceGetCurrPcieLinkWidth"),
    _plain(Field.PCIE_WIDTH_MAX, "nvmlDeviceGetMaxPcieLinkWidth"),
    _plain(Field.FAN_SPEED, "nvmlDeviceGetFanSpeed"),
    _plain(Field.PERFORMANCE_STATE, "nvmlDeviceGetPerformanceState"),
    _plain(Field.PERSISTENCE_MODE, "nvmlDeviceGetPersistenceMode"),
    _plain(Field.COMPUTE_MODE, "nvmlDeviceGetComputeMode"),
    _pair((Field.MIG_MODE, Field.MIG_MODE_PENDING), "nvmlDeviceGetMigMode"),
    _pair((Field.ECC_MODE, Field.ECC_MODE_PENDING), "nvmlDeviceGetEccMode"),
    _ecc(Field.ECC_CORRECTED_VOLATILE, _CORRECTED, "NVML_VOLATILE_ECC"),
    _ecc(Field.ECC_UNCORRECTED_VOLATILE, _UNCORRECTED, "NVML_VOLATILE_ECC"),
    _ecc(Field.ECC_CORRECTED_AGGREGATE, _CORRECTED, "NVML_AGGREGATE_ECC"),
    _ecc(Field.ECC_UNCORRECTED_AGGREGATE, _UNCORRECTED, "NVML_AGGREGATE_ECC"),
    _pair(_REMAPPED, "nvmlDeviceGetRemappedRows"),
    _violation(Field.POWER_VIOLATION, "NVML_PERF_POLICY_POWER"),
    _violation(Field.THERMAL_VIOLATION, "NVML_PERF_POLICY_THERMAL"),
    _violation(Field.SYNC_BOOST_VIOLATION, "NVML_PERF_POLICY_SYNC_BOOST"),
    _violation(Field.BOARD_LIMIT_VIOLATION, "NVML_PERF_POLICY_BOARD_LIMIT"),
    _violation(Field.LOW_UTILIZATION_VIOLATION, "NVML_PERF_POLICY_LOW_UTILIZATION"),
    _violation(Field.RELIABILITY_VIOLATION, "NVML_PERF_POLICY_RELIABILITY"),
    _license,
    _field_values,
)
