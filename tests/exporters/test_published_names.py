"""No name that published dashboards and rules ask for gets lost: tests/fixtures/published_names.txt has them.

What serves them is put together from hosts of many kinds: this machine, the saved trees, a systemd, scripted
GPUs, a simulated Proxmox VE and the state files of backups.
"""

from __future__ import annotations

import asyncio
import json
import re
from functools import cache
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from exporters.system.tree import Tree
from tests.exporters import pve
from tests.exporters.dbus_server import Server
from tests.exporters.fake_systemd import FakeSystemd
from tests.exporters.nvml import GIB, GPM, VALUES, gpu, machine, until, watched
from tests.exporters.trees import TREES, host, only, scrape, tree
from tests.lab_servers import proxmox_lab

if TYPE_CHECKING:
    from tests.exporters.exposition import Exposition

FILE = Path(__file__).resolve().parents[1] / "fixtures" / "published_names.txt"
Wanted = tuple[str, frozenset[str], frozenset[tuple[str, str]]]
"""A name, the labels that it needs, and those that need a value."""


def wanted() -> dict[str, list[Wanted]]:
    """What is asked for, by group."""
    groups: dict[str, list[Wanted]] = {}
    group = ""
    names: frozenset[str] = frozenset()
    pairs: list[frozenset[tuple[str, str]]] = []
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            group = line[1:].partition("]")[0]
        elif line.startswith("{"):
            labels = [label.partition("=") for label in line.strip("{}").split(",") if label]
            names = frozenset(name for name, _, _ in labels)
            given = [[(name, value) for value in values.split("|")] for name, _, values in labels if values]
            pairs = [frozenset(one) for one in product(*given)]
        elif line.startswith("  "):
            rows = [(name, names, one) for name in line.split() for one in pairs]
            groups.setdefault(group, []).extend(rows)
    return groups


WANTED = wanted()


def lost(served: list[Exposition], group: str) -> set[str]:
    """Names of a group that no host serves with their labels."""
    by_name: dict[str, list[frozenset[tuple[str, str]]]] = {}
    for seen in served:
        for name, labels in seen.values:
            by_name.setdefault(name, []).append(labels)
    return {
        f"{name} {sorted(needed)} {sorted(pairs)}"
        for name, needed, pairs in WANTED[group]
        if not any(
            pairs <= labels and needed <= {label for label, _ in labels} for labels in by_name.get(name, ())
        )
    }


@cache
def systems() -> list[Exposition]:
    """This machine, the saved trees, and a host with a systemd."""

    async def all_of_them() -> list[Exposition]:
        flags = {"collector.interrupts": "true"}
        found = [await scrape(host(Tree(), flags))]
        found += [await scrape(host(tree(name), flags)) for name in TREES]
        with TemporaryDirectory() as folder:
            root = Path(folder)
            (root / "run" / "dbus").mkdir(parents=True)
            with Server(root / "run" / "dbus" / "system_bus_socket", FakeSystemd()).running():
                restarts = {**only("systemd"), "collector.systemd.enable-restarts-metrics": "true"}
                return [*found, await scrape(host(Tree(rootfs=root), restarts))]

    return asyncio.run(all_of_them())


@pytest.mark.parametrize("group", ["node-exporter-full", "node-mixin", "awesome-host"])
def test_names_of_node_exporter(group):
    assert lost(systems(), group) == set()


@pytest.mark.parametrize("group", ["dcgm", "nvidia-smi"])
def test_names_of_gpus(group):
    part = {"uuid": "MIG-a", "instance": 1, "profile": "1g.18gb", "total": 18 * GIB, "used": GIB}
    of_part = {f"{name}_mig_1": value for name, value in GPM.items() if name != "gpm_supported"}
    lab = machine(
        gpu(0, values={**VALUES, **GPM}, links=[{}], processes=[{"pid": 1, "bytes": GIB}]),
        gpu(1, values={**VALUES, **GPM, **of_part, "mig_mode": 1}, mig=[part]),
    )
    flags = {"collector.gpu.nvidia-smi-names": "true", "collector.gpu.compute-apps": "true"}
    with watched(flags=flags) as gpus:
        gpus.read()
        lab.change("GPU-0", xids=(79,))
        until(lambda: any(one.count for one in gpus.gpus.xids()))
        assert lost([gpus.read()], group) == set()


async def test_names_of_proxmox(tmp_path):
    with proxmox_lab(tmp_path, pve.environment(3, 12, **pve.LITTLE), role="PVEAuditor") as lab:
        assert lost([await pve.scrape(lab)], "pve") == set()


RUN = {"set": "etc", "repository": "local", "outcome": "done", "exit_status": 0, "files": 3, "bytes": 4}
RUN |= {"snapshot": "3f5c0e11", "started_at": 100, "finished_at": 112, "last_success_at": 112}
LAST = {"snapshot": "3f5c0e11", "started_at": 100, "hostname": "vm", "username": "root", "paths": ["/etc"]}
LAST |= {"tags": ["daily"], "files": 3, "bytes": 4, "bytes_added": 5, "duration_seconds": 1.5}
LAST |= {f"{kind}_{change}": 1 for kind in ("files", "dirs") for change in ("new", "changed", "unmodified")}
REPOSITORY = {"repository": "local", "snapshots": 12, "locks": 0, "counted_at": 120}
REPOSITORY |= {"size": 9, "uncompressed_size": 18, "compression_ratio": 2, "blobs": 7}
CHECK = {"outcome": "done", "started_at": 100, "finished_at": 160, "last_success_at": 160}


async def test_names_of_restic(tmp_path):
    (tmp_path / "repositories").mkdir()
    (tmp_path / "etc.local.json").write_text(json.dumps({**RUN, "last_success": LAST}))
    (tmp_path / "repositories" / "local.json").write_text(json.dumps({**REPOSITORY, "check": CHECK}))
    seen = await scrape(host(Tree(), {**only("backup"), "collector.backup.directory": str(tmp_path)}))
    assert lost([seen], "restic") == set()


COUNTS = {
    "node-exporter-full": 230,
    "node-mixin": 45,
    "awesome-host": 50,
    "dcgm": 25,
    "nvidia-smi": 49,
    "pve": 38,
    "restic": 19,
}
"""Names by group: one that is taken off the list is missed here."""


def test_each_group_is_held_and_each_name_is_one():
    assert {group: len({name for name, _, _ in rows}) for group, rows in WANTED.items()} == COUNTS
    names = {name for rows in WANTED.values() for name, _, _ in rows}
    assert [name for name in names if not re.fullmatch(r"[a-zA-Z_]\w*", name)] == []
