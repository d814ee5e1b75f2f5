"""The families that dcgm-exporter has, with its labels.

The label for the host is `Hostname` by default and `hostname` in dcgm-exporter after 4.5.3: a setting.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from exporters.gpu.dcgm_fields import FIELDS, Known
from exporters.gpu.readings import Field, GpuReading, Identity, MigReading, Number, Raw, Values
from exporters.gpu.xid import describe
from exporters.samples import Family, Kind, Metric, Row

_PREFIX = "DCGM_FI_"
_XID = "DEV_XID_ERRORS"
_BYTES_PER_MIB = 1 << 20
_BYTES_PER_KB = 1000
_PCIE = (
    (
        "PROF_PCIE_TX_BYTES",
        Field.GPM_PCIE_TRANSMIT,
        Field.PCIE_TRANSMIT,
        "Sent over PCIe (in bytes per second).",
    ),
    (
        "PROF_PCIE_RX_BYTES",
        Field.GPM_PCIE_RECEIVE,
        Field.PCIE_RECEIVE,
        "Received over PCIe (in bytes per second).",
    ),
)
_DEVICE_LABELS = ("gpu", "UUID", "pci_bus_id", "device", "modelName", "GPU_I_PROFILE", "GPU_I_ID")
_Labelled = Sequence[tuple[Row, Values]]


@dataclass(frozen=True, slots=True)
class Naming:
    """The host label's name and value."""

    label: str
    hostname: str


def collect(raw: Raw, naming: Naming) -> list[Family]:
    """Families of the GPUs that answer, and of their MIG instances."""
    up = [reading for reading in raw.gpus if reading.up]
    metrics = _metrics(naming.label)

    def row(identity: Identity, part: MigReading | None, *more: str) -> Row:
        mig = ("", "") if part is None else (part.profile, part.instance)
        named = (identity.gpu, identity.uuid, identity.pci_bus_id, identity.device, identity.model)
        return (*named, *mig, naming.hostname, raw.driver_version, *more)

    labelled = [(row(identity, part), values) for identity, part, values in _parts(up)]
    families = [_family(metrics[known.name], known, labelled) for known in FIELDS]
    families += [_pcie(metrics[name], labelled, fine, coarse) for name, fine, coarse, _ in _PCIE]
    codes = [raw.last_xid.get(reading.identity.uuid, 0) for reading in up]
    rows = (
        row(reading.identity, None, str(code), describe(code))
        for reading, code in zip(up, codes, strict=True)
    )
    families.append(Family(metrics[_XID], tuple(rows), codes))
    return [family for family in families if family.rows]


@cache
def _metrics(host_label: str) -> dict[str, Metric]:
    """The metrics by DCGM's name; what is not of a MIG instance has no labels of one."""
    labels = (*_DEVICE_LABELS, host_label, "DCGM_FI_DRIVER_VERSION")
    found = {
        known.name: Metric(_PREFIX + known.name, known.kind, known.help, labels, is_sparse=True)
        for known in FIELDS
    }
    for name, _, _, text in _PCIE:
        found[name] = Metric(_PREFIX + name, Kind.GAUGE, text, labels, is_sparse=True)
    text = "Code of the last XID error, 0 before the first."
    named = (*labels, "err_code", "err_msg")
    found[_XID] = Metric(_PREFIX + _XID, Kind.GAUGE, text, named, is_sparse=True)
    return found


def _parts(up: list[GpuReading]) -> Iterator[tuple[Identity, MigReading | None, Values]]:
    for reading in up:
        yield reading.identity, None, reading.values
        for part in reading.mig:
            yield reading.identity, part, part.values


def _family(metric: Metric, known: Known, labelled: _Labelled) -> Family:
    found = [(row, _scaled(known, values[known.field])) for row, values in labelled if known.field in values]
    return Family(metric, tuple(row for row, _ in found), [value for _, value in found])


def _scaled(known: Known, value: Number) -> Number:
    if known.factor == 1:
        return value
    scaled = value * known.factor
    return int(scaled) if known.whole else round(scaled, 6)


def _pcie(metric: Metric, labelled: _Labelled, fine: Field, coarse: Field) -> Family:
    """GPM's measure, or the coarse one where there is no GPM."""
    found: list[tuple[Row, Number]] = []
    for row, values in labelled:
        if fine in values:
            found.append((row, round(values[fine] * _BYTES_PER_MIB)))
        elif coarse in values:
            found.append((row, values[coarse] * _BYTES_PER_KB))
    return Family(metric, tuple(row for row, _ in found), [value for _, value in found])
