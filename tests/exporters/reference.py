"""The real node_exporter beside ours over the same files: what each says, and where they differ."""

from __future__ import annotations

import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporters.system.tree import Tree
from lab.processes import free_port, started
from tests.exporters.exposition import Exposition, Series, parse
from tests.exporters.trees import host, only, scrape
from tests.real.servers import real_server

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

MODERN = "node_filesystem_purgeable_bytes"
"""node_exporter has it since 1.9; an older one, as Debian's, names and reads some things otherwise."""


@dataclass(frozen=True)
class Compared:
    """What both said, of the series under node_exporter's names."""

    theirs: Exposition
    ours: Exposition

    @property
    def is_modern(self) -> bool:
        """Whether the node_exporter at hand is one whose names we follow."""
        return MODERN in self.theirs.names()

    def missing(self) -> set[Series]:
        """Series that only node_exporter has."""
        return _node(self.theirs) - _node(self.ours)

    def extra(self) -> set[Series]:
        """Series that only we have."""
        return _node(self.ours) - _node(self.theirs)

    def other_kinds(self) -> dict[str, tuple[str, str]]:
        """Metrics whose type differs: theirs, ours."""
        return {
            name: (self.theirs.kinds[name], self.ours.kinds[name])
            for name in self.theirs.names() & self.ours.names()
            if self.theirs.kinds[name] != self.ours.kinds[name]
        }

    def other_values(self, moving: Sequence[str] = ()) -> dict[Series, tuple[float, float]]:
        """Series with other numbers: theirs, ours; without metrics whose name begins with one of `moving`."""
        both = _node(self.theirs) & _node(self.ours)
        pairs = {series: (self.theirs.values[series], self.ours.values[series]) for series in both}
        return {
            series: (theirs, ours)
            for series, (theirs, ours) in pairs.items()
            if theirs != ours and not (theirs != theirs and ours != ours)
            if not series[0].startswith(("node_scrape_", *moving))
        }


async def compare(
    tmp_path: Path,
    collectors: Sequence[str],
    folder: Path | None = None,
    flags: Sequence[str] = (),
    their_flags: Sequence[str] = (),
) -> Compared:
    """Scrape both with these collectors alone, over the saved tree at `folder` or over this machine.

    `flags` are given to both as they are, such as `--collector.netdev.device-exclude=lo`; `their_flags` to
    node_exporter alone, such as those that keep it from asking the running kernel.
    """
    reference = theirs(tmp_path, collectors, folder, (*flags, *their_flags))
    return Compared(reference, await ours(collectors, folder, flags))


def theirs(
    tmp_path: Path,
    collectors: Sequence[str],
    folder: Path | None = None,
    flags: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    program: str = "node_exporter",
) -> Exposition:
    """What a real node_exporter answers, the one at hand or Debian's; in that environment, or in ours."""
    port = free_port()
    roots = {"procfs": "proc", "sysfs": "sys", "rootfs": "root", "udev.data": "udev"}
    argv = [
        str(real_server(program)),
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.disable-exporter-metrics",
        "--collector.disable-defaults",
        *(f"--collector.{name}" for name in collectors),
        *([] if folder is None else [f"--path.{flag}={folder / name}" for flag, name in roots.items()]),
        *flags,
    ]
    address = f"http://127.0.0.1:{port}/metrics"
    with (
        started(argv, log=tmp_path / "node_exporter.log", ready=address, environment=environment),
        urllib.request.urlopen(address) as answer,
    ):
        return parse(answer.read().decode())


async def ours(
    collectors: Sequence[str], folder: Path | None = None, flags: Sequence[str] = ()
) -> Exposition:
    """What our collectors answer."""
    saved = (
        Tree()
        if folder is None
        else Tree(
            procfs=folder / "proc", sysfs=folder / "sys", rootfs=folder / "root", udev_data=folder / "udev"
        )
    )
    given = dict(_split(flag) for flag in flags)
    return await scrape(host(saved, {**only(*collectors), **given}))


def _split(flag: str) -> tuple[str, str]:
    name, equals, value = flag.removeprefix("--").partition("=")
    if equals:
        return name, value
    return (name.removeprefix("no-"), "false") if name.startswith("no-") else (name, "true")


def _node(seen: Exposition) -> set[Series]:
    return {key for key in seen.values if key[0].startswith("node_") and key[0] != "node_exporter_build_info"}
