"""A server of the exporters over a tree, with faults that no file can play; `bench/faults.py` starts it.

Each scrape reads anew, however soon it follows the last one; a mount below `--hang` answers statfs never, and
with `--hang-gpu` the reading of the GPUs never ends.
"""

import argparse
import asyncio
import os
import threading
from pathlib import Path

from exporters.background import Background
from exporters.build import source
from exporters.collector import Collector, Host
from exporters.registry import Registry, Source
from exporters.serving.server import listening
from exporters.settings import Settings
from exporters.system import filesystem
from exporters.system.tree import Tree
from exporters.table import wanted


def main() -> None:
    """Serve until the process ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tree", type=Path)
    parser.add_argument("--hang", default="")
    parser.add_argument("--hang-gpu", action="store_true")
    arguments = parser.parse_args()
    asyncio.run(_serve(arguments))


async def _serve(arguments: argparse.Namespace) -> None:
    tree = Tree()
    if arguments.tree is not None:
        root = arguments.tree
        tree = Tree(procfs=root / "proc", sysfs=root / "sys", rootfs=root / "root", udev_data=root / "udev")
    host = Host(tree, Settings(), "bench")
    replaced = _hung(tree, arguments.hang, hang_gpu=arguments.hang_gpu)
    sources = [replaced.get(row.name) or source(row, host) for row in wanted(host.settings)]
    registry = Registry(sources, fresh_seconds=0.0)
    async with listening(registry, f"127.0.0.1:{arguments.port}", host=host):
        await asyncio.get_running_loop().create_future()


def _hung(tree: Tree, prefix: str, *, hang_gpu: bool) -> dict[str, Source]:
    never = threading.Event()
    hung: dict[str, Source] = {}
    if prefix:
        dead = prefix.encode()

        def statfs(path: bytes) -> os.statvfs_result:
            if path.endswith(dead):
                never.wait()
            return os.statvfs(path)

        mounts = filesystem.Mounts(tree, statfs=statfs)
        hung["filesystem"] = Source("filesystem", Collector(mounts.collect, mounts.close))
    if hang_gpu:

        def read() -> list[object]:
            never.wait()
            return []

        hung["gpu"] = Source("gpu", Background("gpu", read, interval_seconds=10.0).collector())  # type: ignore[arg-type]
    return hung


if __name__ == "__main__":
    main()
