"""The saved trees of tests/fixtures/system, and the collectors over them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

from exporters.build import registry
from exporters.collector import Host
from exporters.errors import NoDataError
from exporters.settings import Settings
from exporters.system import clock, filesystem
from exporters.system.tree import Tree
from exporters.table import SYSTEM
from exporters.text import Renderer
from tests.exporters.exposition import Exposition, parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporters.samples import Family

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "system"
GOLDEN = Path(__file__).resolve().parents[1] / "golden"
TREES = ("server", "old", "vm", "numa", "arm", "pve")
LIVE = frozenset({"filesystem", "process", "time", "timex", "uname"})
"""Collectors that ask the running kernel whatever tree they read: no golden text can hold them."""


def tree(name: str) -> Tree:
    """A saved tree."""
    return at(FIXTURES / name)


def at(folder: Path) -> Tree:
    """A tree at a folder with proc, sys, root and udev."""
    return Tree(
        procfs=folder / "proc", sysfs=folder / "sys", rootfs=folder / "root", udev_data=folder / "udev"
    )


def host(saved: Tree, flags: Mapping[str, str] | None = None) -> Host:
    """A host whose files are in that tree, with flags of the collectors by name."""
    given = {} if flags is None else {name: (value,) for name, value in flags.items()}
    return Host(saved, Settings(given), "saved")


def only(*collectors: str) -> dict[str, str]:
    """Flags that switch on these collectors alone."""
    return {"collector.disable-defaults": "true", **{f"collector.{name}": "true" for name in collectors}}


def plant(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files of a tree, each by its name below the folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def text(families: Sequence[Family]) -> Exposition:
    """Families as a scrape would show them."""
    return parse(Renderer().render(families))


async def scrape(found: Host) -> Exposition:
    """One scrape of a host, read back."""
    made = registry(found)
    try:
        return parse((await made.scrape()).text.decode())
    finally:
        made.close()


def fixed_statfs(path: bytes) -> SimpleNamespace:
    """statfs(2) with round numbers, for the mount points that the saved tree has; others are absent."""
    Path(path.decode("utf-8", "surrogateescape")).stat()
    return SimpleNamespace(
        f_bsize=4096, f_frsize=512, f_blocks=1000, f_bfree=600, f_bavail=500, f_files=100, f_ffree=60
    )


def render(saved: Tree) -> str:
    """The text of all default collectors that read files alone."""
    found = host(saved)
    families = []
    for row in SYSTEM:
        if row.name not in LIVE and row.by_default:
            collector = row.build(found)
            with suppress(NoDataError):
                families += collector.collect()
            collector.close()
    mounts = filesystem.Mounts(saved, statfs=fixed_statfs)
    families += mounts.collect()
    mounts.close()
    # The label path of rapl tells where the tree lies.
    return Renderer().render([*families, *clock.Clock(saved).collect()[2:]]).replace(str(FIXTURES), "")
