"""DCGM_FI_* families under dcgm-exporter's names, types and labels, and our own steward_gpu_*.

The label for the host is `Hostname` by default and `hostname` in dcgm-exporter after 4.5.3: a setting.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from exporters.gpu.readings import GpuReading, Identity, MigReading, Number, Raw
from exporters.gpu.xid import describe
from exporters.samples import Family, Kind, Metric, Row

_FIELDS = (
    ("DCGM_FI_DEV_SM_CLOCK", Kind.GAUGE, "Clock of the streaming multiprocessors (in MHz)."),
    ("DCGM_FI_DEV_MEM_CLOCK", Kind.GAUGE, "Memory clock (in MHz)."),
    ("DCGM_FI_DEV_MEMORY_TEMP", Kind.GAUGE, "Temperature of the memory (in C)."),
    ("DCGM_FI_DEV_GPU_TEMP", Kind.GAUGE, "Temperature of the GPU (in C)."),
    ("DCGM_FI_DEV_POWER_USAGE", Kind.GAUGE, "Power drawn (in W)."),
    ("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", Kind.COUNTER, "Energy taken since the driver came up (in mJ)."),
    ("DCGM_FI_DEV_PCIE_REPLAY_COUNTER", Kind.COUNTER, "PCIe retries."),
    ("DCGM_FI_DEV_GPU_UTIL", Kind.GAUGE, "Share of time in which a kernel ran (in %)."),
    ("DCGM_FI_DEV_MEM_COPY_UTIL", Kind.GAUGE, "Share of time in which memory was read or written (in %)."),
    ("DCGM_FI_DEV_ENC_UTIL", Kind.GAUGE, "Utilization of the encoder (in %)."),
    ("DCGM_FI_DEV_DEC_UTIL", Kind.GAUGE, "Utilization of the decoder (in %)."),
    ("DCGM_FI_DEV_FB_FREE", Kind.GAUGE, "Frame buffer memory free (in MiB)."),
    ("DCGM_FI_DEV_FB_USED", Kind.GAUGE, "Frame buffer memory used (in MiB)."),
    ("DCGM_FI_DEV_FB_RESERVED", Kind.GAUGE, "Frame buffer memory reserved by the driver (in MiB)."),
    ("DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS", Kind.COUNTER, "Rows remapped for uncorrectable errors."),
    ("DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS", Kind.COUNTER, "Rows remapped for correctable errors."),
    ("DCGM_FI_DEV_ROW_REMAP_FAILURE", Kind.GAUGE, "Whether remapping of rows has failed."),
)
_XID = ("DCGM_FI_DEV_XID_ERRORS", Kind.GAUGE, "Code of the last XID error, 0 before the first.")
_DEVICE_LABELS = ("gpu", "UUID", "pci_bus_id", "device", "modelName")
_MIG_LABELS = ("GPU_I_PROFILE", "GPU_I_ID")
_UP = Metric("steward_gpu_up", Kind.GAUGE, "Whether the GPU answers; 0 where it is lost.", ("uuid",))
_XIDS = Metric("steward_gpu_xid_errors_total", Kind.COUNTER, "XID errors by code.", ("uuid", "xid"))


@dataclass(frozen=True, slots=True)
class Naming:
    """The host label's name and value."""

    label: str
    hostname: str


def collect(raw: Raw, naming: Naming) -> list[Family]:
    """Families of all GPUs; a lost one has only `steward_gpu_up 0` and its XID counters."""
    up = [reading for reading in raw.gpus if reading.up]
    has_mig = any(reading.mig for reading in up)
    labels = (*_DEVICE_LABELS, *(_MIG_LABELS if has_mig else ()), naming.label, "DCGM_FI_DRIVER_VERSION")

    def row(identity: Identity, part: MigReading | None, *more: str) -> Row:
        mig = () if not has_mig else ("", "") if part is None else (part.profile, part.instance)
        named = (identity.gpu, identity.uuid, identity.pci_bus_id, identity.device, identity.model)
        return (*named, *mig, naming.hostname, raw.driver_version, *more)

    families = []
    for name, kind, text in _FIELDS:
        series = [(row(identity, part), value) for identity, part, value in _values(up, name)]
        families.append(
            Family(
                Metric(name, kind, text, labels),
                tuple(key for key, _ in series),
                [value for _, value in series],
            )
        )
    name, kind, text = _XID
    codes = [raw.last_xid.get(reading.identity.uuid, 0) for reading in up]
    rows = (
        row(reading.identity, None, str(code), describe(code))
        for reading, code in zip(up, codes, strict=True)
    )
    families.append(Family(Metric(name, kind, text, (*labels, "err_code", "err_msg")), tuple(rows), codes))
    uuids = tuple((reading.identity.uuid,) for reading in raw.gpus)
    families.append(Family(_UP, uuids, [int(reading.up) for reading in raw.gpus]))
    counted = tuple((uuid, str(code)) for uuid, code in raw.xids)
    families.append(Family(_XIDS, counted, tuple(raw.xids.values())))
    return families


def _values(up: list[GpuReading], name: str) -> Iterator[tuple[Identity, MigReading | None, Number]]:
    for reading in up:
        if name in reading.values:
            yield reading.identity, None, reading.values[name]
        for part in reading.mig:
            if name in part.values:
                yield reading.identity, part, part.values[name]
