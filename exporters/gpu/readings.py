"""What is read from a GPU: values in NVML's own units, before they have names of metrics."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Number = int | float


class Field(StrEnum):
    """A value of a GPU or of a MIG instance.

    NVML's units: MHz, °C, mW, mJ, percent (0 to 100), bytes, KiB for NVLink and MB/s for its bandwidth, KB/s
    for PCIe, ns for violations, 1 and 0 for yes and no. GPM ratios are percent, its rates MiB/s.
    """

    SM_CLOCK = "sm_clock"
    MEMORY_CLOCK = "memory_clock"
    GRAPHICS_CLOCK = "graphics_clock"
    VIDEO_CLOCK = "video_clock"
    MAX_SM_CLOCK = "max_sm_clock"
    MAX_MEMORY_CLOCK = "max_memory_clock"
    MAX_GRAPHICS_CLOCK = "max_graphics_clock"
    APPLICATION_SM_CLOCK = "application_sm_clock"
    APPLICATION_MEMORY_CLOCK = "application_memory_clock"
    EVENT_REASONS = "event_reasons"
    SUPPORTED_EVENT_REASONS = "supported_event_reasons"
    TEMPERATURE = "temperature"
    MEMORY_TEMPERATURE = "memory_temperature"
    SLOWDOWN_TEMPERATURE = "slowdown_temperature"
    SHUTDOWN_TEMPERATURE = "shutdown_temperature"
    POWER = "power"
    POWER_AVERAGE = "power_average"
    POWER_INSTANT = "power_instant"
    POWER_LIMIT = "power_limit"
    POWER_LIMIT_MIN = "power_limit_min"
    POWER_LIMIT_MAX = "power_limit_max"
    POWER_LIMIT_DEFAULT = "power_limit_default"
    POWER_LIMIT_ENFORCED = "power_limit_enforced"
    ENERGY = "energy"
    GPU_UTILIZATION = "gpu_utilization"
    MEMORY_UTILIZATION = "memory_utilization"
    ENCODER_UTILIZATION = "encoder_utilization"
    DECODER_UTILIZATION = "decoder_utilization"
    JPEG_UTILIZATION = "jpeg_utilization"
    OFA_UTILIZATION = "ofa_utilization"
    ENCODER_SESSIONS = "encoder_sessions"
    ENCODER_FPS = "encoder_fps"
    ENCODER_LATENCY = "encoder_latency"
    MEMORY_TOTAL = "memory_total"
    MEMORY_RESERVED = "memory_reserved"
    MEMORY_FREE = "memory_free"
    MEMORY_USED = "memory_used"
    BAR1_TOTAL = "bar1_total"
    BAR1_FREE = "bar1_free"
    BAR1_USED = "bar1_used"
    PCIE_REPLAYS = "pcie_replays"
    PCIE_GENERATION = "pcie_generation"
    PCIE_GENERATION_MAX = "pcie_generation_max"
    PCIE_WIDTH = "pcie_width"
    PCIE_WIDTH_MAX = "pcie_width_max"
    PCIE_TRANSMIT = "pcie_transmit"
    PCIE_RECEIVE = "pcie_receive"
    FAN_SPEED = "fan_speed"
    PERFORMANCE_STATE = "performance_state"
    PERSISTENCE_MODE = "persistence_mode"
    COMPUTE_MODE = "compute_mode"
    MIG_MODE = "mig_mode"
    MIG_MODE_PENDING = "mig_mode_pending"
    RECOVERY_ACTION = "recovery_action"
    ECC_MODE = "ecc_mode"
    ECC_MODE_PENDING = "ecc_mode_pending"
    ECC_CORRECTED_VOLATILE = "ecc_corrected_volatile"
    ECC_UNCORRECTED_VOLATILE = "ecc_uncorrected_volatile"
    ECC_CORRECTED_AGGREGATE = "ecc_corrected_aggregate"
    ECC_UNCORRECTED_AGGREGATE = "ecc_uncorrected_aggregate"
    RETIRED_SINGLE_BIT = "retired_single_bit"
    RETIRED_DOUBLE_BIT = "retired_double_bit"
    RETIRED_PENDING = "retired_pending"
    REMAPPED_CORRECTABLE = "remapped_correctable"
    REMAPPED_UNCORRECTABLE = "remapped_uncorrectable"
    REMAP_PENDING = "remap_pending"
    REMAP_FAILURE = "remap_failure"
    POWER_VIOLATION = "power_violation"
    THERMAL_VIOLATION = "thermal_violation"
    SYNC_BOOST_VIOLATION = "sync_boost_violation"
    BOARD_LIMIT_VIOLATION = "board_limit_violation"
    LOW_UTILIZATION_VIOLATION = "low_utilization_violation"
    RELIABILITY_VIOLATION = "reliability_violation"
    SW_THERMAL_SLOWDOWN = "sw_thermal_slowdown"
    HW_THERMAL_SLOWDOWN = "hw_thermal_slowdown"
    HW_POWER_BRAKE_SLOWDOWN = "hw_power_brake_slowdown"
    NVLINK_TRANSMIT = "nvlink_transmit"
    NVLINK_RECEIVE = "nvlink_receive"
    NVLINK_BANDWIDTH = "nvlink_bandwidth"
    NVLINK_CRC_FLIT_ERRORS = "nvlink_crc_flit_errors"
    NVLINK_CRC_DATA_ERRORS = "nvlink_crc_data_errors"
    NVLINK_REPLAYS = "nvlink_replays"
    NVLINK_RECOVERIES = "nvlink_recoveries"
    VGPU_LICENSED = "vgpu_licensed"
    GPM_GRAPHICS = "gpm_graphics"
    GPM_SM = "gpm_sm"
    GPM_OCCUPANCY = "gpm_occupancy"
    GPM_TENSOR = "gpm_tensor"
    GPM_DRAM = "gpm_dram"
    GPM_FP64 = "gpm_fp64"
    GPM_FP32 = "gpm_fp32"
    GPM_FP16 = "gpm_fp16"
    GPM_PCIE_TRANSMIT = "gpm_pcie_transmit"
    GPM_PCIE_RECEIVE = "gpm_pcie_receive"
    GPM_NVLINK_TRANSMIT = "gpm_nvlink_transmit"
    GPM_NVLINK_RECEIVE = "gpm_nvlink_receive"


Values = Mapping[Field, Number]


@dataclass(frozen=True, slots=True)
class Identity:
    """What a GPU is called, as dcgm-exporter labels it: `gpu` is the index, `device` such as nvidia0.

    The rest is what `steward_gpu_info` tells; empty where the driver does not.
    """

    gpu: str
    uuid: str
    pci_bus_id: str
    device: str
    model: str
    serial: str = ""
    vbios: str = ""
    compute_capability: str = ""
    pci_sub_device_id: str = ""


@dataclass(frozen=True, slots=True)
class MigReading:
    """A MIG instance: its GPU instance id, its profile, and the values that it has (memory, GPM ratios)."""

    instance: str
    profile: str
    values: Values


@dataclass(frozen=True, slots=True)
class MigDevice:
    """A MIG device: a compute instance of a GPU instance, with its profile as the driver names it."""

    uuid: str
    instance: str
    compute_instance: str
    profile: str


@dataclass(frozen=True, slots=True)
class LinkReading:
    """An NVLink: whether it is up, and its error counters by kind."""

    link: int
    up: bool
    errors: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ProcessReading:
    """A process on a GPU; `memory` in bytes, None where the driver does not tell; `sm` is percent."""

    pid: int
    memory: int | None
    sm: Number | None = None


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes of a GPU and whether the driver told: `listed` and `sampled` are None where it cannot.

    A query that failed (False) is not a GPU without processes: nothing may be concluded from `found`.
    """

    found: tuple[ProcessReading, ...] = ()
    listed: bool | None = None
    sampled: bool | None = None


@dataclass(frozen=True, slots=True)
class GuestReading:
    """A guest with a vGPU of this GPU: memory in bytes, SM use in percent, None where it is not told."""

    guest: str
    memory: int
    sm: Number | None


@dataclass(frozen=True, slots=True)
class GpuReading:
    """One GPU: `up` is false where the driver does not reach it."""

    identity: Identity
    up: bool
    values: Values = field(default_factory=dict)
    mig: tuple[MigReading, ...] = ()
    mig_devices: tuple[MigDevice, ...] = ()
    links: tuple[LinkReading, ...] = ()
    processes: Processes = Processes()
    guests: tuple[GuestReading, ...] = ()


@dataclass(frozen=True, slots=True)
class XidCount:
    """How often an XID error came since the agent began, and when last (unix time)."""

    uuid: str
    code: int
    count: int
    last: float


@dataclass(frozen=True, slots=True)
class Raw:
    """All GPUs that were ever seen; `last_xid` has the code of the last error by uuid."""

    driver_version: str
    gpus: tuple[GpuReading, ...]
    cuda_version: str = ""
    xids: tuple[XidCount, ...] = ()
    last_xid: Mapping[str, int] = field(default_factory=dict)
