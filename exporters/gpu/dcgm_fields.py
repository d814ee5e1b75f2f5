"""The fields of DCGM that NVML gives, under dcgm-exporter's names.

The 25 that dcgm-exporter sends by default and those that its list has switched off. Units are
dcgm-exporter's: MHz, °C, W, mJ, percent, MiB; PROF ratios are 0 to 1. NVLINK_BANDWIDTH_TOTAL is what DCGM
sends there, a rate in MB/s, though dcgm-exporter types it as a counter.
"""

from typing import NamedTuple

from exporters.gpu.readings import Field
from exporters.samples import Kind

_PER_MILLI = 1 / 1000
_PER_CENT = 1 / 100
_PER_MIB = 1 / (1 << 20)


class Known(NamedTuple):
    """A field of DCGM: `factor` makes DCGM's unit of NVML's; `whole` drops what is behind the point."""

    name: str
    field: Field
    help: str
    kind: Kind = Kind.GAUGE
    factor: float = 1
    whole: bool = False


FIELDS = (
    Known("DEV_SM_CLOCK", Field.SM_CLOCK, "Clock of the streaming multiprocessors (in MHz)."),
    Known("DEV_MEM_CLOCK", Field.MEMORY_CLOCK, "Memory clock (in MHz)."),
    Known("DEV_VIDEO_CLOCK", Field.VIDEO_CLOCK, "Clock of the video engines (in MHz)."),
    Known("DEV_MAX_SM_CLOCK", Field.MAX_SM_CLOCK, "Highest SM clock (in MHz)."),
    Known("DEV_MAX_MEM_CLOCK", Field.MAX_MEMORY_CLOCK, "Highest memory clock (in MHz)."),
    Known("DEV_APP_SM_CLOCK", Field.APPLICATION_SM_CLOCK, "SM clock set for applications (in MHz)."),
    Known("DEV_APP_MEM_CLOCK", Field.APPLICATION_MEMORY_CLOCK, "Memory clock set for applications (in MHz)."),
    Known("DEV_CLOCKS_EVENT_REASONS", Field.EVENT_REASONS, "Why clocks are kept down, as NVML's bit mask."),
    Known("DEV_MEMORY_TEMP", Field.MEMORY_TEMPERATURE, "Temperature of the memory (in C)."),
    Known("DEV_GPU_TEMP", Field.TEMPERATURE, "Temperature of the GPU (in C)."),
    Known("DEV_SLOWDOWN_TEMP", Field.SLOWDOWN_TEMPERATURE, "Temperature from which it slows down (in C)."),
    Known("DEV_SHUTDOWN_TEMP", Field.SHUTDOWN_TEMPERATURE, "Temperature at which it shuts down (in C)."),
    Known("DEV_POWER_USAGE", Field.POWER, "Power drawn (in W).", factor=_PER_MILLI),
    Known(
        "DEV_POWER_USAGE_INSTANT",
        Field.POWER_INSTANT,
        "Power drawn at this moment (in W).",
        factor=_PER_MILLI,
    ),
    Known("DEV_POWER_MGMT_LIMIT", Field.POWER_LIMIT, "Power limit that is set (in W).", factor=_PER_MILLI),
    Known("DEV_POWER_MGMT_LIMIT_MIN", Field.POWER_LIMIT_MIN, "Lowest power limit (in W).", factor=_PER_MILLI),
    Known(
        "DEV_POWER_MGMT_LIMIT_MAX", Field.POWER_LIMIT_MAX, "Highest power limit (in W).", factor=_PER_MILLI
    ),
    Known(
        "DEV_POWER_MGMT_LIMIT_DEF",
        Field.POWER_LIMIT_DEFAULT,
        "Default power limit (in W).",
        factor=_PER_MILLI,
    ),
    Known(
        "DEV_ENFORCED_POWER_LIMIT",
        Field.POWER_LIMIT_ENFORCED,
        "Power limit in force (in W).",
        factor=_PER_MILLI,
    ),
    Known(
        "DEV_TOTAL_ENERGY_CONSUMPTION",
        Field.ENERGY,
        "Energy taken since the driver came up (in mJ).",
        Kind.COUNTER,
    ),
    Known("DEV_PCIE_REPLAY_COUNTER", Field.PCIE_REPLAYS, "PCIe retries.", Kind.COUNTER),
    Known("DEV_PCIE_LINK_GEN", Field.PCIE_GENERATION, "PCIe generation in use."),
    Known("DEV_PCIE_MAX_LINK_GEN", Field.PCIE_GENERATION_MAX, "Highest PCIe generation with this host."),
    Known("DEV_PCIE_LINK_WIDTH", Field.PCIE_WIDTH, "PCIe lanes in use."),
    Known("DEV_PCIE_MAX_LINK_WIDTH", Field.PCIE_WIDTH_MAX, "Most PCIe lanes with this host."),
    Known("DEV_GPU_UTIL", Field.GPU_UTILIZATION, "Share of time in which a kernel ran (in %)."),
    Known(
        "DEV_MEM_COPY_UTIL",
        Field.MEMORY_UTILIZATION,
        "Share of time in which memory was read or written (in %).",
    ),
    Known("DEV_ENC_UTIL", Field.ENCODER_UTILIZATION, "Utilization of the encoder (in %)."),
    Known("DEV_DEC_UTIL", Field.DECODER_UTILIZATION, "Utilization of the decoder (in %)."),
    Known("DEV_FB_TOTAL", Field.MEMORY_TOTAL, "Frame buffer memory (in MiB).", factor=_PER_MIB, whole=True),
    Known(
        "DEV_FB_FREE", Field.MEMORY_FREE, "Frame buffer memory free (in MiB).", factor=_PER_MIB, whole=True
    ),
    Known(
        "DEV_FB_USED", Field.MEMORY_USED, "Frame buffer memory used (in MiB).", factor=_PER_MIB, whole=True
    ),
    Known(
        "DEV_FB_RESERVED",
        Field.MEMORY_RESERVED,
        "Frame buffer memory reserved by the driver (in MiB).",
        factor=_PER_MIB,
        whole=True,
    ),
    Known("DEV_BAR1_TOTAL", Field.BAR1_TOTAL, "BAR1 memory (in MiB).", factor=_PER_MIB, whole=True),
    Known("DEV_BAR1_USED", Field.BAR1_USED, "BAR1 memory used (in MiB).", factor=_PER_MIB, whole=True),
    Known("DEV_BAR1_FREE", Field.BAR1_FREE, "BAR1 memory free (in MiB).", factor=_PER_MIB, whole=True),
    Known("DEV_FAN_SPEED", Field.FAN_SPEED, "Fan speed asked for (in %)."),
    Known("DEV_PSTATE", Field.PERFORMANCE_STATE, "Performance state, 0 (highest) to 15."),
    Known("DEV_PERSISTENCE_MODE", Field.PERSISTENCE_MODE, "Whether persistence mode is on."),
    Known("DEV_COMPUTE_MODE", Field.COMPUTE_MODE, "Compute mode: 0 default, 2 prohibited, 3 one process."),
    Known("DEV_MIG_MODE", Field.MIG_MODE, "Whether MIG is on."),
    Known("DEV_ECC_CURRENT", Field.ECC_MODE, "Whether ECC is on."),
    Known("DEV_ECC_PENDING", Field.ECC_MODE_PENDING, "Whether ECC is on after the next reset."),
    Known(
        "DEV_ECC_SBE_VOL_TOTAL",
        Field.ECC_CORRECTED_VOLATILE,
        "Corrected ECC errors since the driver came up.",
        Kind.COUNTER,
    ),
    Known(
        "DEV_ECC_DBE_VOL_TOTAL",
        Field.ECC_UNCORRECTED_VOLATILE,
        "Uncorrected ECC errors since the driver came up.",
        Kind.COUNTER,
    ),
    Known(
        "DEV_ECC_SBE_AGG_TOTAL",
        Field.ECC_CORRECTED_AGGREGATE,
        "Corrected ECC errors in the GPU's life.",
        Kind.COUNTER,
    ),
    Known(
        "DEV_ECC_DBE_AGG_TOTAL",
        Field.ECC_UNCORRECTED_AGGREGATE,
        "Uncorrected ECC errors in the GPU's life.",
        Kind.COUNTER,
    ),
    Known("DEV_RETIRED_SBE", Field.RETIRED_SINGLE_BIT, "Pages retired for single-bit errors.", Kind.COUNTER),
    Known("DEV_RETIRED_DBE", Field.RETIRED_DOUBLE_BIT, "Pages retired for double-bit errors.", Kind.COUNTER),
    Known("DEV_RETIRED_PENDING", Field.RETIRED_PENDING, "Pages that wait to be retired.", Kind.COUNTER),
    Known(
        "DEV_UNCORRECTABLE_REMAPPED_ROWS",
        Field.REMAPPED_UNCORRECTABLE,
        "Rows remapped for uncorrectable errors.",
        Kind.COUNTER,
    ),
    Known(
        "DEV_CORRECTABLE_REMAPPED_ROWS",
        Field.REMAPPED_CORRECTABLE,
        "Rows remapped for correctable errors.",
        Kind.COUNTER,
    ),
    Known(
        "DEV_ROW_REMAP_PENDING", Field.REMAP_PENDING, "Whether a row waits to be remapped at the next reset."
    ),
    Known("DEV_ROW_REMAP_FAILURE", Field.REMAP_FAILURE, "Whether remapping of rows has failed."),
    Known("DEV_POWER_VIOLATION", Field.POWER_VIOLATION, "Time slowed down by power (in ns).", Kind.COUNTER),
    Known(
        "DEV_THERMAL_VIOLATION", Field.THERMAL_VIOLATION, "Time slowed down by heat (in ns).", Kind.COUNTER
    ),
    Known(
        "DEV_SYNC_BOOST_VIOLATION",
        Field.SYNC_BOOST_VIOLATION,
        "Time slowed down by sync boost (in ns).",
        Kind.COUNTER,
    ),
    Known(
        "DEV_BOARD_LIMIT_VIOLATION",
        Field.BOARD_LIMIT_VIOLATION,
        "Time slowed down by the board's limit (in ns).",
        Kind.COUNTER,
    ),
    Known(
        "DEV_LOW_UTIL_VIOLATION",
        Field.LOW_UTILIZATION_VIOLATION,
        "Time slowed down for low use (in ns).",
        Kind.COUNTER,
    ),
    Known(
        "DEV_RELIABILITY_VIOLATION",
        Field.RELIABILITY_VIOLATION,
        "Time slowed down for reliability (in ns).",
        Kind.COUNTER,
    ),
    Known(
        "DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL",
        Field.NVLINK_CRC_FLIT_ERRORS,
        "NVLink CRC errors of flow control.",
        Kind.COUNTER,
    ),
    Known(
        "DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL",
        Field.NVLINK_CRC_DATA_ERRORS,
        "NVLink CRC errors of data.",
        Kind.COUNTER,
    ),
    Known("DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL", Field.NVLINK_REPLAYS, "NVLink retries.", Kind.COUNTER),
    Known(
        "DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL",
        Field.NVLINK_RECOVERIES,
        "NVLink recoveries.",
        Kind.COUNTER,
    ),
    Known(
        "DEV_NVLINK_BANDWIDTH_TOTAL",
        Field.NVLINK_BANDWIDTH,
        "Traffic on all NVLinks (in MB/s).",
        Kind.COUNTER,
    ),
    Known("DEV_VGPU_LICENSE_STATUS", Field.VGPU_LICENSED, "Whether the vGPU is licensed; 0 without a vGPU."),
    Known(
        "PROF_GR_ENGINE_ACTIVE",
        Field.GPM_GRAPHICS,
        "Share of time in which an engine was active.",
        factor=_PER_CENT,
    ),
    Known("PROF_SM_ACTIVE", Field.GPM_SM, "Share of SMs with work.", factor=_PER_CENT),
    Known(
        "PROF_SM_OCCUPANCY",
        Field.GPM_OCCUPANCY,
        "Warps on the SMs, of the most there can be.",
        factor=_PER_CENT,
    ),
    Known(
        "PROF_PIPE_TENSOR_ACTIVE",
        Field.GPM_TENSOR,
        "Share of time in which the tensor pipe was active.",
        factor=_PER_CENT,
    ),
    Known(
        "PROF_DRAM_ACTIVE", Field.GPM_DRAM, "Share of the memory's bandwidth that was used.", factor=_PER_CENT
    ),
    Known(
        "PROF_PIPE_FP64_ACTIVE",
        Field.GPM_FP64,
        "Share of time in which the FP64 pipe was active.",
        factor=_PER_CENT,
    ),
    Known(
        "PROF_PIPE_FP32_ACTIVE",
        Field.GPM_FP32,
        "Share of time in which the FP32 pipe was active.",
        factor=_PER_CENT,
    ),
    Known(
        "PROF_PIPE_FP16_ACTIVE",
        Field.GPM_FP16,
        "Share of time in which the FP16 pipe was active.",
        factor=_PER_CENT,
    ),
)
