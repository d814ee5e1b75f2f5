"""The second family of names, nvidia_smi_*, as nvidia_gpu_exporter 1.x has it for dashboard 14574.

Off by default: it says again what the DCGM names say. Series carry the uuid without `GPU-` and in lower case,
and join with nvidia_smi_gpu_info. The reasons for lower clocks come under both spellings, event and throttle,
because the dashboard asks for either.
"""

from collections.abc import Iterable, Iterator, Sequence

from exporters.gpu.own import REASONS
from exporters.gpu.readings import Field, GpuReading, Number, Raw, Values
from exporters.samples import Family, Kind, Metric, Row

_HERTZ = 1_000_000
_CENT = 1 / 100
_MILLI = 1 / 1000
_NANO = 1e-9
_KB = 1000
_MIB = 1 << 20

_PLAIN: tuple[tuple[str, Field, float], ...] = (
    ("clocks_current_graphics_clock_hz", Field.GRAPHICS_CLOCK, _HERTZ),
    ("clocks_current_memory_clock_hz", Field.MEMORY_CLOCK, _HERTZ),
    ("clocks_current_sm_clock_hz", Field.SM_CLOCK, _HERTZ),
    ("clocks_current_video_clock_hz", Field.VIDEO_CLOCK, _HERTZ),
    ("clocks_max_graphics_clock_hz", Field.MAX_GRAPHICS_CLOCK, _HERTZ),
    ("clocks_max_memory_clock_hz", Field.MAX_MEMORY_CLOCK, _HERTZ),
    ("clocks_max_sm_clock_hz", Field.MAX_SM_CLOCK, _HERTZ),
    ("clocks_applications_graphics_clock_hz", Field.APPLICATION_SM_CLOCK, _HERTZ),
    ("clocks_applications_memory_clock_hz", Field.APPLICATION_MEMORY_CLOCK, _HERTZ),
    ("clocks_event_reasons_active", Field.EVENT_REASONS, 1),
    ("clocks_event_reasons_supported", Field.SUPPORTED_EVENT_REASONS, 1),
    ("clocks_event_reasons_counters_sw_power_cap_seconds", Field.POWER_VIOLATION, _NANO),
    ("clocks_event_reasons_counters_sync_boost_seconds", Field.SYNC_BOOST_VIOLATION, _NANO),
    ("clocks_event_reasons_counters_sw_thermal_slowdown_seconds", Field.SW_THERMAL_SLOWDOWN, _NANO),
    ("clocks_event_reasons_counters_hw_thermal_slowdown_seconds", Field.HW_THERMAL_SLOWDOWN, _NANO),
    ("clocks_event_reasons_counters_hw_power_brake_slowdown_seconds", Field.HW_POWER_BRAKE_SLOWDOWN, _NANO),
    ("clocks_throttle_reasons_active", Field.EVENT_REASONS, 1),
    ("clocks_throttle_reasons_supported", Field.SUPPORTED_EVENT_REASONS, 1),
    ("compute_mode", Field.COMPUTE_MODE, 1),
    ("ecc_errors_corrected_aggregate_total", Field.ECC_CORRECTED_AGGREGATE, 1),
    ("ecc_errors_corrected_volatile_total", Field.ECC_CORRECTED_VOLATILE, 1),
    ("ecc_errors_uncorrected_aggregate_total", Field.ECC_UNCORRECTED_AGGREGATE, 1),
    ("ecc_errors_uncorrected_volatile_total", Field.ECC_UNCORRECTED_VOLATILE, 1),
    ("ecc_mode_current", Field.ECC_MODE, 1),
    ("ecc_mode_pending", Field.ECC_MODE_PENDING, 1),
    ("encoder_stats_average_fps", Field.ENCODER_FPS, 1),
    ("encoder_stats_average_latency", Field.ENCODER_LATENCY, 1),
    ("encoder_stats_session_count", Field.ENCODER_SESSIONS, 1),
    ("energy_joules_total", Field.ENERGY, _MILLI),
    ("enforced_power_limit_watts", Field.POWER_LIMIT_ENFORCED, _MILLI),
    ("fan_speed_ratio", Field.FAN_SPEED, _CENT),
    ("gpu_recovery_action", Field.RECOVERY_ACTION, 1),
    ("memory_free_bytes", Field.MEMORY_FREE, 1),
    ("memory_reserved_bytes", Field.MEMORY_RESERVED, 1),
    ("memory_total_bytes", Field.MEMORY_TOTAL, 1),
    ("memory_used_bytes", Field.MEMORY_USED, 1),
    ("mig_mode_current", Field.MIG_MODE, 1),
    ("mig_mode_pending", Field.MIG_MODE_PENDING, 1),
    ("pcie_link_gen_current", Field.PCIE_GENERATION, 1),
    ("pcie_link_gen_gpucurrent", Field.PCIE_GENERATION, 1),
    ("pcie_link_gen_max", Field.PCIE_GENERATION_MAX, 1),
    ("pcie_link_width_current", Field.PCIE_WIDTH, 1),
    ("pcie_link_width_max", Field.PCIE_WIDTH_MAX, 1),
    ("persistence_mode", Field.PERSISTENCE_MODE, 1),
    ("power_default_limit_watts", Field.POWER_LIMIT_DEFAULT, _MILLI),
    ("power_draw_average_watts", Field.POWER_AVERAGE, _MILLI),
    ("power_draw_instant_watts", Field.POWER_INSTANT, _MILLI),
    ("power_draw_watts", Field.POWER, _MILLI),
    ("power_limit_watts", Field.POWER_LIMIT, _MILLI),
    ("power_max_limit_watts", Field.POWER_LIMIT_MAX, _MILLI),
    ("power_min_limit_watts", Field.POWER_LIMIT_MIN, _MILLI),
    ("pstate", Field.PERFORMANCE_STATE, 1),
    ("remapped_rows_correctable", Field.REMAPPED_CORRECTABLE, 1),
    ("remapped_rows_failure", Field.REMAP_FAILURE, 1),
    ("remapped_rows_pending", Field.REMAP_PENDING, 1),
    ("remapped_rows_uncorrectable", Field.REMAPPED_UNCORRECTABLE, 1),
    ("retired_pages_pending", Field.RETIRED_PENDING, 1),
    ("retired_pages_single_bit_ecc_count", Field.RETIRED_SINGLE_BIT, 1),
    ("retired_pages_double_bit_count", Field.RETIRED_DOUBLE_BIT, 1),
    ("temperature_gpu", Field.TEMPERATURE, 1),
    ("temperature_memory", Field.MEMORY_TEMPERATURE, 1),
    ("utilization_decoder_ratio", Field.DECODER_UTILIZATION, _CENT),
    ("utilization_encoder_ratio", Field.ENCODER_UTILIZATION, _CENT),
    ("utilization_gpu_ratio", Field.GPU_UTILIZATION, _CENT),
    ("utilization_jpeg_ratio", Field.JPEG_UTILIZATION, _CENT),
    ("utilization_memory_ratio", Field.MEMORY_UTILIZATION, _CENT),
    ("utilization_ofa_ratio", Field.OFA_UTILIZATION, _CENT),
)
_MIG: tuple[tuple[str, Field, float], ...] = (
    ("mig_memory_total_bytes", Field.MEMORY_TOTAL, 1),
    ("mig_memory_used_bytes", Field.MEMORY_USED, 1),
    ("mig_memory_free_bytes", Field.MEMORY_FREE, 1),
    ("mig_memory_reserved_bytes", Field.MEMORY_RESERVED, 1),
    ("mig_graphics_activity_ratio", Field.GPM_GRAPHICS, _CENT),
    ("mig_sm_activity_ratio", Field.GPM_SM, _CENT),
    ("mig_sm_occupancy_ratio", Field.GPM_OCCUPANCY, _CENT),
    ("mig_tensor_activity_ratio", Field.GPM_TENSOR, _CENT),
    ("mig_pcie_throughput_tx_bytes_per_second", Field.GPM_PCIE_TRANSMIT, _MIB),
    ("mig_pcie_throughput_rx_bytes_per_second", Field.GPM_PCIE_RECEIVE, _MIB),
)
_PCIE = (
    ("pcie_throughput_rx_bytes_per_second", Field.GPM_PCIE_RECEIVE, Field.PCIE_RECEIVE),
    ("pcie_throughput_tx_bytes_per_second", Field.GPM_PCIE_TRANSMIT, Field.PCIE_TRANSMIT),
)
"""By GPM in MiB/s where the GPU has it, else a sample in KB/s: the reader asks for one of them."""
_SHOWN_REASONS = frozenset(name for name, _ in REASONS) - {"display_clock_setting"}
_INFO = Metric(
    "nvidia_smi_gpu_info",
    Kind.GAUGE,
    "What the GPU is; joins with all other series by its uuid.",
    (
        "uuid",
        "index",
        "name",
        "driver_version",
        "cuda_version",
        "vbios_version",
        "pci_bus_id",
        "pci_sub_device_id",
        "serial",
        "compute_cap",
        "driver_model_current",
        "driver_model_pending",
    ),
)
_MIG_INFO = Metric(
    "nvidia_smi_mig_info",
    Kind.GAUGE,
    "What the MIG device is; joins with the series of its GPU instance.",
    ("uuid", "mig_uuid", "gpu_instance_id", "compute_instance_id", "profile"),
)
_Rows = Sequence[tuple[Row, Values]]
_NOT_ON_LINUX = "[N/A]"
_XIDS = Metric("nvidia_smi_xid_errors_total", Kind.COUNTER, "XID errors by code.", ("uuid", "xid"))
_XID_LAST = Metric(
    "nvidia_smi_xid_last_timestamp_seconds", Kind.GAUGE, "When an XID error last came.", ("uuid", "xid")
)


def short(uuid: str) -> str:
    """A GPU's uuid as nvidia_gpu_exporter writes it."""
    return uuid.lower().removeprefix("gpu-")


def collect(raw: Raw) -> list[Family]:
    """Families of the GPUs that answer."""
    up = [gpu for gpu in raw.gpus if gpu.up]
    rows: _Rows = [((short(gpu.identity.uuid),), gpu.values) for gpu in up]
    parts: _Rows = [
        ((short(gpu.identity.uuid), part.instance), part.values) for gpu in up for part in gpu.mig
    ]
    xids = [((short(one.uuid), str(one.code)), one) for one in raw.xids]
    families = [
        Family(_INFO, tuple(_info(raw, gpu) for gpu in up), [1] * len(up)),
        _family("count", ("uuid",), ((row, len(up)) for row, _ in rows)),
        _family(
            "index", ("uuid",), ((row, int(gpu.identity.gpu)) for (row, _), gpu in zip(rows, up, strict=True))
        ),
        *(_family(name, ("uuid",), _scaled(rows, field, by)) for name, field, by in _PLAIN),
        *(
            _family(name, ("uuid",), (*_scaled(rows, gpm, _MIB), *_scaled(rows, sample, _KB)))
            for name, gpm, sample in _PCIE
        ),
        *_reasons(rows),
        _mig_info(up),
        *(_family(name, ("uuid", "gpu_instance_id"), _scaled(parts, field, by)) for name, field, by in _MIG),
        Family(_XIDS, tuple(row for row, _ in xids), [one.count for _, one in xids]),
        Family(_XID_LAST, tuple(row for row, _ in xids), [one.last for _, one in xids]),
    ]
    return [family for family in families if family.rows]


def _family(name: str, labels: tuple[str, ...], series: Iterable[tuple[Row, Number]]) -> Family:
    found = list(series)
    kind = Kind.COUNTER if name == "energy_joules_total" else Kind.GAUGE
    metric = Metric(f"nvidia_smi_{name}", kind, f"{name.replace('_', ' ')} as nvidia-smi tells it.", labels)
    return Family(metric, tuple(row for row, _ in found), [value for _, value in found])


def _scaled(rows: _Rows, field: Field, by: float) -> Iterator[tuple[Row, Number]]:
    for row, values in rows:
        if field in values:
            yield row, values[field] if by == 1 else round(values[field] * by, 6)


def _reasons(rows: _Rows) -> Iterator[Family]:
    for spelling in ("event", "throttle"):
        for name, bit in REASONS:
            if name in _SHOWN_REASONS:
                known = (
                    (row, int(values[Field.EVENT_REASONS]))
                    for row, values in rows
                    if Field.EVENT_REASONS in values
                )
                series = ((row, int(bool(mask & bit))) for row, mask in known)
                yield _family(f"clocks_{spelling}_reasons_{name}", ("uuid",), series)


def _mig_info(up: Iterable[GpuReading]) -> Family:
    rows = tuple(
        (short(gpu.identity.uuid), one.uuid, one.instance, one.compute_instance, one.profile)
        for gpu in up
        for one in gpu.mig_devices
    )
    return Family(_MIG_INFO, rows, [1] * len(rows))


def _info(raw: Raw, gpu: GpuReading) -> Row:
    one = gpu.identity
    return (
        short(one.uuid),
        one.gpu,
        one.model,
        raw.driver_version,
        raw.cuda_version,
        one.vbios,
        one.pci_bus_id,
        one.pci_sub_device_id,
        one.serial,
        one.compute_capability,
        _NOT_ON_LINUX,
        _NOT_ON_LINUX,
    )
