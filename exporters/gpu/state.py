"""What each GPU does now, as values: for GET /gpu, for `steward-agent top`, for whoever wants no metrics.

The values come from the collector's background reading; asking for them reads nothing anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from exporters.collector import Collector
from exporters.errors import NoDataError
from exporters.gpu.ledger import Account, Share
from exporters.gpu.readings import Field, GpuReading

Number = int | float

_MILLIWATTS_PER_WATT = 1000


@dataclass(frozen=True, slots=True)
class Use:
    """What one owner has of one GPU.

    `user` is empty where the owner is a container or a guest; `memory_bytes` and `sm_percent` are None where
    the driver does not tell; `seconds` counts the time with a process on the GPU since the agent began.
    """

    user: str = ""
    container: str = ""
    guest: str = ""
    processes: int = 0
    memory_bytes: int | None = None
    sm_percent: Number | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class GpuState:
    """One GPU; a value is None where the GPU does not have it, and all are where it is lost (`up` False).

    Percents are 0 to 100, memory is in bytes, clocks in MHz, temperature in °C, power in watts.
    """

    index: int
    uuid: str
    name: str
    up: bool
    gpu_util: Number | None = None
    mem_util: Number | None = None
    mem_used: int | None = None
    mem_total: int | None = None
    temperature: Number | None = None
    power: Number | None = None
    power_limit: Number | None = None
    fan_speed: Number | None = None
    sm_clock: Number | None = None
    mem_clock: Number | None = None
    processes: int | None = None
    last_used: float | None = None
    users: tuple[Use, ...] = ()
    containers: tuple[Use, ...] = ()
    guests: tuple[Use, ...] = ()


def state(gpu: GpuReading, account: Account) -> GpuState:
    """The state of a GPU by its reading and what its owners have."""
    one, values = gpu.identity, gpu.values

    def watts(name: Field) -> Number | None:
        return round(values[name] / _MILLIWATTS_PER_WATT, 3) if name in values else None

    return GpuState(
        index=int(one.gpu),
        uuid=one.uuid,
        name=one.model,
        up=gpu.up,
        gpu_util=values.get(Field.GPU_UTILIZATION),
        mem_util=values.get(Field.MEMORY_UTILIZATION),
        mem_used=_whole(values.get(Field.MEMORY_USED)),
        mem_total=_whole(values.get(Field.MEMORY_TOTAL)),
        temperature=values.get(Field.TEMPERATURE),
        power=watts(Field.POWER),
        power_limit=watts(Field.POWER_LIMIT_ENFORCED),
        fan_speed=values.get(Field.FAN_SPEED),
        sm_clock=values.get(Field.SM_CLOCK),
        mem_clock=values.get(Field.MEMORY_CLOCK),
        processes=len(gpu.processes.found) if gpu.processes.listed else None,
        last_used=account.last_used,
        users=tuple(_use(share, user=key[0]) for key, share in account.users.items()),
        containers=tuple(_use(share, container=key[0]) for key, share in account.containers.items()),
        guests=tuple(_use(share, guest=key[0]) for key, share in account.guests.items()),
    )


def _use(share: Share, *, user: str = "", container: str = "", guest: str = "") -> Use:
    return Use(user, container, guest, share.processes, share.memory, share.sm, share.seconds)


def _whole(value: Number | None) -> int | None:
    return None if value is None else int(value)


def gpus(collector: Collector) -> tuple[GpuState, ...]:
    """The GPUs of the collector `gpu`, none where there is no driver; the first call starts the reading.

    Raises:
        ExporterError: no reading yet, or none for too long, or the last one failed.
    """
    if collector.snapshot is None:
        return ()
    try:
        found = collector.snapshot()
    except NoDataError:
        return ()
    return tuple(one for one in found if isinstance(one, GpuState)) if isinstance(found, Sequence) else ()


def as_json(state: GpuState) -> dict[str, Any]:
    """A GPU as JSON wants it; what the GPU does not tell is null."""
    plain = {name: getattr(state, name) for name in GpuState.__slots__}
    for cut in ("users", "containers", "guests"):
        plain[cut] = [{name: getattr(use, name) for name in Use.__slots__} for use in plain[cut]]
    return plain
