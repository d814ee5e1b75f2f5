"""What is read from a GPU: raw values, before they have names of metrics."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Number = int | float


@dataclass(frozen=True, slots=True)
class Identity:
    """What a GPU is called, as dcgm-exporter labels it: `gpu` is the index, `device` such as nvidia0."""

    gpu: str
    uuid: str
    pci_bus_id: str
    device: str
    model: str


@dataclass(frozen=True, slots=True)
class MigReading:
    """A MIG instance: its GPU instance id, its profile, and the values that it has (memory)."""

    instance: str
    profile: str
    values: Mapping[str, Number]


@dataclass(frozen=True, slots=True)
class GpuReading:
    """One GPU: `up` is false where the driver says that it is lost; `values` go by DCGM's field names."""

    identity: Identity
    up: bool
    values: Mapping[str, Number] = field(default_factory=dict)
    mig: tuple[MigReading, ...] = ()


@dataclass(frozen=True, slots=True)
class Raw:
    """All GPUs that were ever seen; `xids` counts error codes by (uuid, code), `last_xid` has the last by
    uuid.
    """

    driver_version: str
    gpus: tuple[GpuReading, ...]
    xids: Mapping[tuple[str, int], int]
    last_xid: Mapping[str, int]
