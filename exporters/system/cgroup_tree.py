"""Units and containers in the hierarchy of cgroup v2, and what each used.

https://docs.kernel.org/admin-guide/cgroup-v2.html; names of systemd's units: systemd.unit(5). Which folder is
a container's is told by its name, as runtimes document it: docker-ID.scope, libpod-ID.scope,
cri-containerd-ID.scope, crio-ID.scope, /docker/ID, /lxc/VMID, lxc.payload.NAME, machine-NAME.scope,
qemu.slice/VMID.scope.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from exporters.errors import NoDataError, SourceError
from exporters.samples import Number, label
from exporters.system.container_names import ContainerNames
from exporters.system.tree import Tree, read_file

ROOT = "fs/cgroup"
MOST_FOLDERS = 20_000
MOST_DEPTH = 12

_USERS = "user.slice"
_HEX = r"[0-9a-f]{64}"
_CONTAINERS = (
    ("docker", re.compile(rf"docker-({_HEX})\.scope")),
    ("podman", re.compile(rf"libpod-({_HEX})\.scope")),
    ("containerd", re.compile(rf"(?:cri-containerd|nerdctl|containerd)-({_HEX})\.scope")),
    ("crio", re.compile(rf"crio-({_HEX})\.scope")),
    ("lxc", re.compile(r"lxc\.payload\.(.+)")),
    ("libvirt", re.compile(r"machine-qemu\\x2d[0-9]+\\x2d(.+)\.scope")),
    ("nspawn", re.compile(r"systemd-nspawn@(.+)\.service")),
    ("machine", re.compile(r"machine-(.+)\.scope")),
)
"""Runtimes and the names of their folders, wherever those are; the group is what the container is called."""

_PLACED = (
    ("docker", re.compile(rf"docker/({_HEX})")),
    ("qemu", re.compile(r"qemu\.slice/([0-9]+)\.scope")),
    ("lxc", re.compile(r"lxc/([^/]+)")),
    ("containerd", re.compile(rf"(?:kubepods/(?:burstable/|besteffort/)?pod[^/]+|default|k8s\.io)/({_HEX})")),
    ("podman", re.compile(rf"libpod_parent/libpod-({_HEX})")),
)
"""Runtimes whose folders are known by the way there alone."""

_SHORT_ID = 12
_IDENTIFIER = re.compile(_HEX)
_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")
_UNIT_SUFFIXES = (".service", ".scope")
_IGNORED = ("libpod-conmon-", "crio-conmon-")
_MICROSECONDS = 1e6


class Values(NamedTuple):
    """What a cgroup used: seconds, bytes and counts; None where the kernel does not tell.

    `waiting` is the time in which some task of it waited for the resource, `stalled` that in which all did.
    """

    cpu_user: Number | None
    cpu_system: Number | None
    cpu_throttled: Number | None
    memory: Number | None
    memory_peak: Number | None
    memory_limit: Number | None
    swap: Number | None
    oom_kills: Number | None
    tasks: Number | None
    read_bytes: Number | None
    written_bytes: Number | None
    reads: Number | None
    writes: Number | None
    cpu_waiting: Number | None
    cpu_stalled: Number | None
    memory_waiting: Number | None
    memory_stalled: Number | None
    io_waiting: Number | None
    io_stalled: Number | None


class Key(NamedTuple):
    """What is reported: a unit by its name, or a container by its runtime and name; `kind` says which."""

    kind: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A folder of the hierarchy and whose it is."""

    key: Key
    path: str


@dataclass(frozen=True, slots=True)
class Raw:
    """What each unit and container used, and names of containers that the hierarchy does not tell."""

    used: dict[Key, Values]
    names: Mapping[Key, str] = field(default_factory=dict)


def read(tree: Tree, names: ContainerNames) -> Raw:
    """Walk the hierarchy; what goes meanwhile is left out.

    Raises:
        NoDataError: no hierarchy of version 2, or neither units nor containers in it.
        SourceError: more folders than a machine has, or a file that is not as documented.
    """
    root = tree.sys_path(ROOT)
    if not os.path.exists(f"{root}/cgroup.controllers"):  # noqa: PTH110 - a path as text
        raise NoDataError("no hierarchy of cgroup v2")
    used: dict[Key, Values] = {}
    identifiers: dict[Key, tuple[str, str]] = {}
    for found in walk(root):
        try:
            used[found.key] = read_values(found.path)
        except FileNotFoundError:
            continue
        identifier = _IDENTIFIER.search(found.path.rpartition("/")[2])
        if identifier is not None and found.key.kind == "container":
            identifiers[found.key] = (found.key.labels[0], identifier[0])
    if not used:
        raise NoDataError("neither units nor containers in the hierarchy of cgroup v2")
    known = names.of(identifiers.values())
    return Raw(used, {key: known[each] for key, each in identifiers.items() if each in known})


def walk(root: str) -> Iterator[Found]:
    """The folders of units and containers below this root.

    Raises:
        SourceError: too many folders.
    """
    seen = 0
    todo = [""]
    while todo:
        parent = todo.pop()
        for name in _folders(f"{root}/{parent}"):
            seen += 1
            if seen > MOST_FOLDERS:
                raise SourceError(f"/sys/{ROOT}", f"more than {MOST_FOLDERS} folders")
            place = f"{parent}/{name}" if parent else name
            key = classify(place)
            if key is not None:
                yield Found(key, f"{root}/{place}")
            if _is_entered(place, key):
                todo.append(place)


def classify(place: str) -> Key | None:
    """Whose a folder is, by its way from the root; None where it is part of something else."""
    name = place.rpartition("/")[2]
    for runtime, pattern in _CONTAINERS:
        if match := pattern.fullmatch(name):
            return _container(runtime, match[1])
    for runtime, pattern in _PLACED:
        if match := pattern.fullmatch(place):
            return _container(runtime, match[1])
    if place == _USERS:
        return Key("unit", (_USERS,))
    is_unit = name.endswith(_UNIT_SUFFIXES) and not name.startswith(_IGNORED)
    return Key("unit", (_spelled(name),)) if is_unit and not place.startswith(f"{_USERS}/") else None


def _container(runtime: str, name: str) -> Key:
    """Long identifiers are shortened as `docker ps` does; what systemd escaped is plain again."""
    if _IDENTIFIER.fullmatch(name):
        name = name[:_SHORT_ID]
    plain = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), name)
    return Key("container", (runtime, _spelled(plain)))


def _spelled(name: str) -> str:
    """A folder's name as a label: whoever owns a part of the hierarchy names folders as he likes."""
    return label(os.fsencode(name))


def _is_entered(place: str, key: Key | None) -> bool:
    """Units and containers are whole; below user.slice only containers are looked for, since the names of
    its units tell who is logged in.
    """
    if place.count("/") >= MOST_DEPTH:
        return False
    inside_users = place == _USERS or place.startswith(f"{_USERS}/")
    return key is None or (inside_users and key.kind == "unit")


def _folders(path: str) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:  # it ended meanwhile, or may not be looked into
        return []


def read_values(path: str) -> Values:
    """What the cgroup of this folder used.

    Raises:
        FileNotFoundError: it is gone.
        SourceError: a file is not as documented.
    """
    cpu = _pairs(path, "cpu.stat")
    if not cpu:
        raise FileNotFoundError(path)
    events = _pairs(path, "memory.events")
    io = _io(path)
    return Values(
        _seconds(cpu.get("user_usec")),
        _seconds(cpu.get("system_usec")),
        _seconds(cpu.get("throttled_usec")),
        _single(path, "memory.current"),
        _single(path, "memory.peak"),
        _single(path, "memory.max"),
        _single(path, "memory.swap.current"),
        events.get("oom_kill"),
        _single(path, "pids.current"),
        *io,
        *_pressure(path, "cpu"),
        *_pressure(path, "memory"),
        *_pressure(path, "io"),
    )


def _text(path: str, name: str) -> str:
    try:
        return read_file(f"{path}/{name}").decode("ascii", "replace")
    except OSError:  # no such controller here, or the kernel was built without
        return ""


def _number(path: str, name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise SourceError(f"{path}/{name}", str(error)) from error


def _pairs(path: str, name: str) -> dict[str, int]:
    pairs = [line.split() for line in _text(path, name).splitlines()]
    return {pair[0]: _number(path, name, pair[1]) for pair in pairs if len(pair) == 2}


def _single(path: str, name: str) -> int | None:
    text = _text(path, name).strip()
    return None if text in ("", "max") else _number(path, name, text)


def _io(path: str) -> tuple[int | None, int | None, int | None, int | None]:
    """Bytes read and written and how often, over all devices; None without the controller."""
    names = ("rbytes", "wbytes", "rios", "wios")
    try:
        text = read_file(f"{path}/io.stat").decode("ascii", "replace")
    except OSError:
        return None, None, None, None
    sums = dict.fromkeys(names, 0)
    for pair in text.split():
        key, _, value = pair.partition("=")
        if key in sums:
            sums[key] += _number(path, "io.stat", value)
    return sums["rbytes"], sums["wbytes"], sums["rios"], sums["wios"]


def _pressure(path: str, resource: str) -> tuple[float | None, float | None]:
    """Seconds of `some` and `full` in a file of pressure; None where the kernel does not tell."""
    name = f"{resource}.pressure"
    totals: dict[str, int] = {}
    for line in _text(path, name).splitlines():
        kind, *pairs = line.split()
        for pair in pairs:
            if pair.startswith("total="):
                totals[kind] = _number(path, name, pair.removeprefix("total="))
    return _seconds(totals.get("some")), _seconds(totals.get("full"))


def _seconds(microseconds: int | None) -> float | None:
    return None if microseconds is None else microseconds / _MICROSECONDS
