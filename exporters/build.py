"""Puts a registry together: the explicit table of collectors, and the options that a person can set."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from exporters.background import Background
from exporters.backup import state as backup_state
from exporters.errors import NoDataError, UnknownCollectorError
from exporters.gpu import collector as gpu_collector
from exporters.gpu import reader as gpu_reader
from exporters.registry import Registry, Source
from exporters.samples import Family
from exporters.system import (
    clock,
    cpu,
    diskstats,
    filesystem,
    loadavg,
    meminfo,
    netdev,
    osrelease,
    process,
    stat,
    uname,
    vmstat,
)
from exporters.system.filters import accepts
from exporters.system.tree import Tree

DISTRIBUTION = "steward-infra"
_NVIDIA_DRIVER = (Path("/dev/nvidiactl"), Path("/proc/driver/nvidia"), Path("/dev/dxg"))


@dataclass(frozen=True, slots=True)
class Options:
    """Settings of the exporters; the defaults are those of node_exporter and dcgm-exporter.

    `collectors` names the wanted ones (all by default). `nvml` is the NVML library, `pynvml` by default where
    it is installed. `hostname` is the value and `hostname_label` the name of the label that dcgm-exporter
    adds. `backup_state` is the folder of the backup state files.
    """

    procfs: Path = Path("/proc")
    sysfs: Path = Path("/sys")
    rootfs: Path = Path("/")
    udev_data: Path = Path("/run/udev/data")
    collectors: tuple[str, ...] | None = None
    netdev_include: str = ""
    netdev_exclude: str = ""
    diskstats_include: str = ""
    diskstats_exclude: str = diskstats.DEFAULT_EXCLUDE
    mounts_exclude: str = filesystem.DEFAULT_MOUNTS_EXCLUDE
    fs_types_exclude: str = filesystem.DEFAULT_TYPES_EXCLUDE
    vmstat_fields: str = vmstat.DEFAULT_FIELDS
    nvml: object | None = None
    gpu_interval_seconds: float = 10.0
    hostname: str = ""
    hostname_label: str = "Hostname"
    backup_state: Path | None = None
    backup_interval_seconds: float = 15.0


def system_sources(options: Options) -> list[Source]:
    """The collectors of this machine, in the order of their names at node_exporter; `process` is our own."""
    tree = Tree(
        procfs=options.procfs, sysfs=options.sysfs, rootfs=options.rootfs, udev_data=options.udev_data
    )
    disks = accepts(
        include=options.diskstats_include,
        exclude="" if options.diskstats_include else options.diskstats_exclude,
    )
    devices = accepts(include=options.netdev_include, exclude=options.netdev_exclude)
    mounts = filesystem.Collector(
        tree,
        accept_mount=accepts(exclude=options.mounts_exclude),
        accept_type=accepts(exclude=options.fs_types_exclude),
    )
    own = process.Collector(_version())
    return [
        _node("cpu", cpu.Collector(tree).collect),
        _node("diskstats", diskstats.Collector(tree, disks).collect),
        Source("filesystem", mounts.collect, 3.0, in_node_exporter=True, close=mounts.close),
        _node("loadavg", lambda: loadavg.collect(loadavg.read(tree))),
        _node("meminfo", lambda: meminfo.collect(meminfo.read(tree))),
        _node("netdev", netdev.Collector(tree, devices).collect),
        _node("os", osrelease.Collector(tree).collect),
        _node("stat", lambda: stat.collect(stat.read(tree))),
        _node("time", clock.Collector(tree).collect),
        _node("uname", lambda: uname.collect(uname.read())),
        _node("vmstat", lambda: vmstat.collect(vmstat.read(tree), options.vmstat_fields)),
        Source("process", own.collect, close=own.close),
    ]


def gpu_source(options: Options) -> Source:
    """The GPU collector, read in the background; without NVML it has no data, which is no failure."""
    naming = gpu_collector.Naming(options.hostname_label, options.hostname or os.uname().nodename)
    reader: gpu_reader.Reader | None = None

    def read() -> Sequence[Family]:
        nonlocal reader
        if reader is None:
            reader = gpu_reader.Reader(_nvml() if options.nvml is None else options.nvml)
        return gpu_collector.collect(reader.read(), naming)

    background = Background("gpu", read, interval_seconds=options.gpu_interval_seconds)
    return Source("gpu", background.collect, age_seconds=background.age_seconds, close=background.close)


def backup_sources(options: Options) -> list[Source]:
    """The backup collector, where a folder of state files is named."""
    if options.backup_state is None:
        return []
    folder = options.backup_state
    background = Background(
        "backup",
        lambda: backup_state.collect(backup_state.read(folder)),
        interval_seconds=options.backup_interval_seconds,
        idle_interval_seconds=options.backup_interval_seconds,
    )
    return [Source("backup", background.collect, age_seconds=background.age_seconds, close=background.close)]


def system_registry(options: Options | None = None, extra: Sequence[Source] = ()) -> Registry:
    """The registry of this machine: system, GPU and backup collectors, and `extra` ones of the caller.

    Raises:
        UnknownCollectorError: `options.collectors` names one that is not there.
        ExporterError: an include or exclude expression is malformed.
    """
    chosen = Options() if options is None else options
    sources = [*system_sources(chosen), gpu_source(chosen), *backup_sources(chosen), *extra]
    if chosen.collectors is not None:
        known = {source.name for source in sources}
        for name in chosen.collectors:
            if name not in known:
                raise UnknownCollectorError(f"no such collector: {name}")
        sources = [source for source in sources if source.name in chosen.collectors]
    return Registry(sources)


def _node(name: str, collect: Callable[[], Sequence[Family]]) -> Source:
    return Source(name, collect, in_node_exporter=True)


def _nvml() -> object:
    """NVIDIA's binding; importing it costs 10 MB, so only where a driver is."""
    if not any(path.exists() for path in _NVIDIA_DRIVER):
        raise NoDataError("no NVIDIA driver")
    try:
        import pynvml
    except ImportError as error:
        raise NoDataError("the Python package nvidia-ml-py is not installed") from error
    return pynvml


def _version() -> str:
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:  # run from a source tree
        return "0"
