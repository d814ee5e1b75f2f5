"""What each user, container and guest has of each GPU, and how long it has had it.

The driver knows processes and not people, and only those of now: the ledger adds up what the readings tell.
For each GPU the memory of all users and of `unknown` is exactly what the GPU has in use: what the processes
do not account for (the driver's own, processes that are gone or of another namespace) is `unknown`'s. Seconds
never go backwards, and the pid is nowhere. What a failed query leaves unknown is absent, not 0.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from exporters.gpu.owners import NOBODY, UNKNOWN, Owner
from exporters.gpu.readings import Field, GpuReading, Number, ProcessReading

_LONGEST_STEP_SECONDS = 60.0
"""A longer gap between two readings (a hung driver, a host asleep) counts as this long."""
_KEEP_SECONDS = 3600.0
_MOST_OWNERS = 1000
_OTHER = ("other", "")
_PERCENT = 100

Key = tuple[str, str]
"""An owner within its kind: a user, a container with its runtime, a guest; "" for want of a second."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one owner has of one GPU, and had since the agent began; `memory` in bytes, `sm` in percent."""

    processes: int
    memory: int | None
    sm: Number | None
    seconds: float
    busy_seconds: float | None


@dataclass(frozen=True, slots=True)
class Account:
    """The owners of one GPU by kind; all empty where the driver does not tell, or failed to."""

    users: Mapping[Key, Share] = field(default_factory=dict)
    containers: Mapping[Key, Share] = field(default_factory=dict)
    guests: Mapping[Key, Share] = field(default_factory=dict)
    last_used: float | None = None


@dataclass(slots=True)
class _Total:
    seconds: float = 0.0
    busy_seconds: float = 0.0
    seen_at: float = 0.0


@dataclass(slots=True)
class _Sum:
    processes: int = 0
    memory: int = 0
    sm: Number = 0


class Ledger:
    """The totals of all GPUs. `add` is called once for each GPU and reading."""

    def __init__(self) -> None:
        self._totals: dict[str, dict[str, dict[Key, _Total]]] = {}
        self._read_at: dict[str, float] = {}
        self._last_used: dict[str, float] = {}

    def add(self, gpu: GpuReading, owners: Mapping[int, Owner], *, now: float, steady: float) -> Account:
        """The account of a GPU after one more reading; `now` is unix time, `steady` never goes back."""
        uuid = gpu.identity.uuid
        step = min(max(steady - self._read_at.get(uuid, steady), 0.0), _LONGEST_STEP_SECONDS)
        self._read_at[uuid] = steady
        if gpu.up and is_used(gpu):
            self._last_used[uuid] = round(now, 3)
        shares = {
            kind: self._shares(uuid, kind, sums, sampled=sampled, step=step, steady=steady)
            for kind, (sums, sampled) in _kinds(gpu, owners).items()
        }
        return Account(**shares, last_used=self._last_used.get(uuid))

    def _shares(
        self, uuid: str, kind: str, sums: dict[Key, _Sum], *, sampled: bool, step: float, steady: float
    ) -> dict[Key, Share]:
        totals = self._totals.setdefault(uuid, {}).setdefault(kind, {})
        capped = _capped(sums, totals)
        for key, one in capped.items():
            total = totals.setdefault(key, _Total())
            total.seen_at = steady
            if one.processes:
                total.seconds += step
                total.busy_seconds += step * one.sm / _PERCENT
        if kind != "users":  # containers come and go without end, users do not
            for key in [key for key, one in totals.items() if steady - one.seen_at > _KEEP_SECONDS]:
                del totals[key]
        return {key: _share(capped.get(key, _Sum()), total, sampled=sampled) for key, total in totals.items()}


def _share(one: _Sum, total: _Total, *, sampled: bool) -> Share:
    busy = round(total.busy_seconds, 3) if sampled else None
    return Share(one.processes, one.memory, one.sm if sampled else None, round(total.seconds, 3), busy)


def is_used(gpu: GpuReading) -> bool:
    """Whether something computes on the GPU: by its utilization, by GPM where MIG has none, else by processes
    that are there.
    """
    values = gpu.values
    shares = [
        values[name]
        for name in (
            Field.GPU_UTILIZATION,
            Field.ENCODER_UTILIZATION,
            Field.DECODER_UTILIZATION,
            Field.GPM_GRAPHICS,
        )
        if name in values
    ]
    shares += [part.values[Field.GPM_GRAPHICS] for part in gpu.mig if Field.GPM_GRAPHICS in part.values]
    shares += [one.sm for one in gpu.processes.found if one.sm is not None]
    shares += [one.sm for one in gpu.guests if one.sm is not None]
    if Field.GPU_UTILIZATION not in values and not any(Field.GPM_GRAPHICS in part.values for part in gpu.mig):
        return any(shares) or bool(gpu.processes.found)
    return any(shares)


def _kinds(gpu: GpuReading, owners: Mapping[int, Owner]) -> dict[str, tuple[dict[Key, _Sum], bool]]:
    """Sums by owner and whether SM use is known, for each kind of which the driver tells."""
    if not gpu.up:
        return {}
    kinds: dict[str, tuple[dict[Key, _Sum], bool]] = {}
    sampled = bool(gpu.processes.sampled)
    guests: dict[Key, _Sum] = {}
    if gpu.processes.listed:
        found = [(owners.get(one.pid, NOBODY), one) for one in gpu.processes.found]
        users = {(UNKNOWN, ""): _Sum(), **_sums(found, lambda owner: (owner.user, ""))}
        if (used := gpu.values.get(Field.MEMORY_USED)) is not None:
            known = sum(one.memory for key, one in users.items() if key[0] != UNKNOWN)
            users[UNKNOWN, ""].memory = max(int(used) - known, 0)
        kinds["users"] = (users, sampled)
        kinds["containers"] = (_sums(found, lambda owner: (owner.container, owner.runtime)), sampled)
        guests = _sums(found, lambda owner: (owner.guest, ""))
    for one in gpu.guests:
        guest = guests.setdefault((one.guest, ""), _Sum())
        guest.processes += 1
        guest.memory += one.memory
        guest.sm += one.sm or 0
    if gpu.processes.listed or gpu.guests:
        told = all(one.sm is not None for one in gpu.guests) if gpu.guests else sampled
        kinds["guests"] = (guests, told)
    return kinds


def _sums(found: Iterable[tuple[Owner, ProcessReading]], key: Callable[[Owner], Key]) -> dict[Key, _Sum]:
    """Sums by owner; processes in no container, or no guest, are left out."""
    sums: dict[Key, _Sum] = {}
    for owner, process in found:
        if (name := key(owner))[0]:
            one = sums.setdefault(name, _Sum())
            one.processes += 1
            one.memory += process.memory or 0
            one.sm += process.sm or 0
    return sums


def _capped(sums: dict[Key, _Sum], totals: Mapping[Key, _Total]) -> dict[Key, _Sum]:
    """The sums, those of owners beyond the limit added up as `other`."""
    room = _MOST_OWNERS - len(totals)
    new = [key for key in sums if key not in totals]
    if len(new) <= room:
        return sums
    kept = {key: one for key, one in sums.items() if key in totals or key in new[: max(room, 0)]}
    other = kept.setdefault(_OTHER, _Sum())
    for key in new[max(room, 0) :]:
        other.processes += sums[key].processes
        other.memory += sums[key].memory
        other.sm += sums[key].sm
    return kept
