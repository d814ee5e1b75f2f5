"""The saved trees of tests/fixtures/system, and the collectors over them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from exporters.build import Options
from exporters.system import (
    clock,
    cpu,
    diskstats,
    filesystem,
    loadavg,
    meminfo,
    netdev,
    osrelease,
    stat,
    vmstat,
)
from exporters.system.tree import Tree
from exporters.text import Renderer

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "system"
GOLDEN = Path(__file__).resolve().parents[1] / "golden"
TREES = ("server", "old")


def tree(name: str) -> Tree:
    """A saved tree."""
    return at(FIXTURES / name)


def at(folder: Path) -> Tree:
    """A tree at a folder with proc, sys, root and udev."""
    return Tree(
        procfs=folder / "proc", sysfs=folder / "sys", rootfs=folder / "root", udev_data=folder / "udev"
    )


def options(name: str, **others) -> Options:
    """Options that name a saved tree."""
    folder = FIXTURES / name
    return Options(
        procfs=folder / "proc",
        sysfs=folder / "sys",
        rootfs=folder / "root",
        udev_data=folder / "udev",
        **others,
    )


def fixed_statfs(path: bytes) -> SimpleNamespace:
    """statfs(2) with round numbers, for the mount points that the saved tree has; others are absent."""
    Path(path.decode("utf-8", "surrogateescape")).stat()
    return SimpleNamespace(
        f_bsize=4096, f_frsize=512, f_blocks=1000, f_bfree=600, f_bavail=500, f_files=100, f_ffree=60
    )


def render(saved: Tree) -> str:
    """The text of all collectors that read files, without the time, which is never the same."""
    mounts = filesystem.Collector(saved, statfs=fixed_statfs)
    clock_families = clock.Collector(saved).collect()
    families = [
        *cpu.Collector(saved).collect(),
        *diskstats.Collector(saved).collect(),
        *mounts.collect(),
        *loadavg.collect(loadavg.read(saved)),
        *meminfo.collect(meminfo.read(saved)),
        *netdev.Collector(saved).collect(),
        *osrelease.Collector(saved).collect(),
        *stat.collect(stat.read(saved)),
        *clock_families[2:],
        *vmstat.collect(vmstat.read(saved)),
    ]
    mounts.close()
    return Renderer().render(families)
