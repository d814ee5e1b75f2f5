"""What a person at the host wants to know, out of two readings: shares, rates, who uses what."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from agent.top.reading import Reading, rates
from exporters.gpu.state import GpuState

__all__ = ["Disk", "Interface", "Memory", "Mount", "Use", "View", "view"]


@dataclass(frozen=True)
class Memory:
    """Bytes of memory and of swap."""

    used: float
    total: float
    swap_used: float
    swap_total: float


@dataclass(frozen=True)
class Disk:
    """Bytes per second, and the share of time in which it was busy, 0 to 1."""

    name: str
    read: float
    written: float
    busy: float


@dataclass(frozen=True)
class Mount:
    """A file system: bytes used and in all; `error` says why it does not tell."""

    point: str
    used: float
    size: float
    error: str = ""


@dataclass(frozen=True)
class Interface:
    """Bytes per second."""

    name: str
    received: float
    sent: float


@dataclass(frozen=True)
class Use:
    """What a user, unit or guest takes: CPUs (1 is one whole CPU), bytes of memory, tasks where counted.

    `detail` is what a guest is called beside its number.
    """

    name: str
    cpus: float
    memory: float
    tasks: int | None = None
    detail: str = ""


@dataclass(frozen=True)
class View:
    """One screen's worth; shares are 0 to 1, None where the host does not tell."""

    cpu: float | None
    cpu_modes: Mapping[str, float]
    cores: tuple[float, ...]
    load: tuple[float, ...]
    memory: Memory | None
    pressure: Mapping[str, float]
    disks: tuple[Disk, ...]
    mounts: tuple[Mount, ...]
    interfaces: tuple[Interface, ...]
    gpus: tuple[GpuState, ...]
    users: tuple[Use, ...]
    guests: tuple[Use, ...]
    units: tuple[Use, ...]
    failed_units: tuple[str, ...]
    problems: Mapping[str, str]


def view(before: Reading, after: Reading) -> View:
    """What lies between two readings."""
    modes = _modes(before, after)
    cores = _cores(before, after)
    return View(
        cpu=sum(cores) / len(cores) if cores else None,
        cpu_modes=modes,
        cores=cores,
        load=tuple(
            float(value) for name in ("1", "5", "15") if (value := after.one(f"node_load{name}")) is not None
        ),
        memory=_memory(after),
        pressure=_pressure(before, after),
        disks=_disks(before, after),
        mounts=_mounts(after),
        interfaces=_interfaces(before, after),
        gpus=after.gpus,
        users=_uses(before, after, _USERS),
        guests=_guests(before, after),
        units=_uses(before, after, _UNITS),
        failed_units=_failed(after),
        problems=after.problems,
    )


@dataclass(frozen=True)
class _Metrics:
    """The metrics of one kind of consumer, and the labels that name it."""

    labels: tuple[str, ...]
    cpu_seconds: str
    memory_bytes: str
    tasks: str


_USERS = _Metrics(
    ("user",), "steward_user_cpu_seconds_total", "steward_user_memory_resident_bytes", "steward_user_tasks"
)
_UNITS = _Metrics(
    ("unit",), "steward_unit_cpu_seconds_total", "steward_unit_memory_bytes", "steward_unit_tasks"
)
_GUESTS = _Metrics(
    ("runtime", "container"),
    "steward_container_cpu_seconds_total",
    "steward_container_memory_bytes",
    "steward_container_tasks",
)


def _cores(before: Reading, after: Reading) -> tuple[float, ...]:
    """The busy share of each CPU; neither idle nor waiting for a disk is busy."""
    spent: dict[str, dict[str, float]] = {}
    for (cpu, mode), seconds in rates(before, after, "node_cpu_seconds_total", "cpu", "mode").items():
        spent.setdefault(cpu, {})[mode] = seconds
    shares = []
    for cpu in sorted(spent, key=_natural):
        total = sum(spent[cpu].values())
        idle = spent[cpu].get("idle", 0.0) + spent[cpu].get("iowait", 0.0)
        shares.append(min(1.0, max(0.0, 1 - idle / total)) if total > 0 else 0.0)
    return tuple(shares)


def _modes(before: Reading, after: Reading) -> dict[str, float]:
    spent = {
        mode: seconds for (mode,), seconds in rates(before, after, "node_cpu_seconds_total", "mode").items()
    }
    total = sum(spent.values())
    return {mode: seconds / total for mode, seconds in spent.items()} if total > 0 else {}


def _memory(after: Reading) -> Memory | None:
    def field(name: str) -> float:
        return float(after.one(f"node_memory_{name}_bytes") or 0)

    total = field("MemTotal")
    if not total:
        return None
    free = field("MemAvailable") or field("MemFree")
    return Memory(total - free, total, field("SwapTotal") - field("SwapFree"), field("SwapTotal"))


def _pressure(before: Reading, after: Reading) -> dict[str, float]:
    """The share of time in which something waited, by resource."""
    found = {}
    for resource in ("cpu", "memory", "io"):
        waited = rates(before, after, f"node_pressure_{resource}_waiting_seconds_total")
        if () in waited:
            found[resource] = min(1.0, waited[()])
    return found


def _disks(before: Reading, after: Reading) -> tuple[Disk, ...]:
    read = rates(before, after, "node_disk_read_bytes_total", "device")
    written = rates(before, after, "node_disk_written_bytes_total", "device")
    busy = rates(before, after, "node_disk_io_time_seconds_total", "device")
    disks = [
        Disk(key[0], read[key], written.get(key, 0.0), min(1.0, busy.get(key, 0.0))) for key in sorted(read)
    ]
    return tuple(sorted(disks, key=lambda disk: -(disk.read + disk.written)))


def _mounts(after: Reading) -> tuple[Mount, ...]:
    sizes = after.by("node_filesystem_size_bytes", "mountpoint")
    free = after.by("node_filesystem_free_bytes", "mountpoint")
    found = [
        Mount(key[0], size - free.get(key, 0), size)
        for key, size in sizes.items()
        if size > 0 and key[0] not in _SMALL_MOUNTS
    ]
    errors = after.by("node_filesystem_device_error", "mountpoint", "device_error")
    found += [Mount(point, 0, 0, why) for (point, why), bad in errors.items() if bad]
    return tuple(sorted(found, key=lambda mount: (not mount.error, -_share(mount.used, mount.size))))


_SMALL_MOUNTS = frozenset({"/run", "/run/lock", "/dev/shm", "/run/user/0"})  # noqa: S108 - names, not files


def _interfaces(before: Reading, after: Reading) -> tuple[Interface, ...]:
    received = rates(before, after, "node_network_receive_bytes_total", "device")
    sent = rates(before, after, "node_network_transmit_bytes_total", "device")
    found = [
        Interface(key[0], received[key], sent.get(key, 0.0)) for key in sorted(received) if key[0] != "lo"
    ]
    return tuple(sorted(found, key=lambda one: -(one.received + one.sent)))


def _uses(before: Reading, after: Reading, metrics: _Metrics) -> tuple[Use, ...]:
    cpus = rates(before, after, metrics.cpu_seconds, *metrics.labels)
    memory = after.by(metrics.memory_bytes, *metrics.labels)
    tasks = after.by(metrics.tasks, *metrics.labels)
    return tuple(
        Use(" ".join(key), cpus.get(key, 0.0), float(memory.get(key, 0)), _whole(tasks.get(key)))
        for key in sorted(memory.keys() | cpus.keys())
    )


def _guests(before: Reading, after: Reading) -> tuple[Use, ...]:
    """Containers and guests of this host by their control groups, else those that Proxmox VE tells of."""
    names = {key[0]: key[1] for key in after.by("pve_guest_info", "id", "name")}
    found = _uses(before, after, _GUESTS)
    if found:
        return tuple(replace(use, detail=names.get(use.name.replace(" ", "/"), "")) for use in found)
    shares, limits = after.by("pve_cpu_usage_ratio", "id"), after.by("pve_cpu_usage_limit", "id")
    memory = after.by("pve_memory_usage_bytes", "id")
    return tuple(
        Use(
            identity.replace("/", " "),
            shares.get((identity,), 0.0) * limits.get((identity,), 0),
            float(memory.get((identity,), 0)),
            detail=names[identity],
        )
        for (identity,), is_up in after.by("pve_up", "id").items()
        if is_up and identity in names
    )


def _failed(after: Reading) -> tuple[str, ...]:
    states = after.by("node_systemd_unit_state", "name", "state")
    return tuple(name for (name, state), there in sorted(states.items()) if state == "failed" and there)


def by_cpu(uses: Sequence[Use]) -> list[Use]:
    """Who takes most CPU first."""
    return sorted(uses, key=_order(lambda use: use.cpus))


def by_memory(uses: Sequence[Use]) -> list[Use]:
    """Who takes most memory first."""
    return sorted(uses, key=_order(lambda use: use.memory))


def _order(pick: Callable[[Use], float]) -> Callable[[Use], tuple[float, float, str]]:
    return lambda use: (-round(pick(use), 3), -use.memory, use.name)


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _natural(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdigit() else (1 << 30, name)
