"""The `mdadm` collector: node_md_*, software RAID of /proc/mdstat and /sys/block/md*/md.

https://docs.kernel.org/admin-guide/md.html for /sys; the text is that of drivers/md/md.c, md_seq_show().
Blocks are KiB.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from exporters.collector import Collector, Host
from exporters.errors import NoDataError, SourceError
from exporters.samples import Family, Kind, Metric, label
from exporters.system.devices import count
from exporters.system.tree import Tree
from exporters.system.unchanged import Unchanged

_SOURCE = "/proc/mdstat"


def _gauge(name: str, words: str, *labels: str) -> Metric:
    return Metric(f"node_md_{name}", Kind.GAUGE, words, ("device", *labels))


_REQUIRED = _gauge("disks_required", "Disks that the array needs to be whole.")
_DISKS = _gauge("disks", "Disks of the array that are active, have failed or are spare.", "state")
_STATE = _gauge("state", "1 for the state that the array is in.", "state")
_BLOCKS = _gauge("blocks", "Blocks that the array has.")
_SYNCED = _gauge("blocks_synced", "Blocks that are in sync.")
_RAID_DISKS = _gauge("raid_disks", "Disks of the array in /sys.")
_DEGRADED = _gauge("degraded", "Disks by which the array is degraded.")

_STATES = {
    "active": "active",
    "inactive": "inactive",
    "recovering": "recovering",
    "resync": "resyncing",
    "check": "checking",
}
_SYNCING = {"recovery": "recovering", "reshape": "reshaping", "check": "checking", "resync": "resyncing"}
_STATUS = re.compile(rb"\d+ blocks .*\[(\d{1,9})/(\d{1,9})\] \[[U_]+\]")
_PROGRESS = re.compile(rb"\((\d{1,20})/\d+\)")
_WITHOUT_DISKS = (b"", b"container", b"imsm", b"ddf")
_DEGRADING = (b"raid1", b"raid4", b"raid5", b"raid6", b"raid10")
_LEAST_WORDS = 3
_LINES = 3


@dataclass(frozen=True, slots=True)
class Array:
    """An array of /proc/mdstat."""

    name: str
    state: str
    active: int
    required: int
    failed: int
    spare: int
    blocks: int
    synced: int


@dataclass(frozen=True, slots=True)
class Kernel:
    """An array of /sys: its disks, None where the array has none of its own, and those that it lacks."""

    name: str
    disks: int | None
    degraded: int


@dataclass(frozen=True, slots=True)
class Raw:
    """What both places say."""

    arrays: tuple[Array, ...]
    kernel: tuple[Kernel, ...]


def read(tree: Tree) -> Raw:
    """Read both.

    Raises:
        NoDataError: the kernel has no software RAID.
        SourceError: /proc/mdstat is malformed.
    """
    try:
        text = tree.proc("mdstat")
    except FileNotFoundError as error:
        raise NoDataError("no /proc/mdstat") from error
    return Raw(tuple(parse(text)), tuple(_kernel(tree)))


def parse(text: bytes) -> list[Array]:
    """The arrays of /proc/mdstat.

    Raises:
        SourceError: it is malformed.
    """
    lines = text.split(b"\n")
    return [
        _array(lines[place:])
        for place, line in enumerate(lines)
        if line.strip() and not line.startswith((b" ", b"unused", b"Personalities :"))
    ]


def _array(lines: Sequence[bytes]) -> Array:
    head = lines[0]
    words = head.split()
    if len(words) < _LEAST_WORDS or len(lines) <= _LINES:
        raise SourceError(_SOURCE, f"malformed line {head[:80]!r}")
    active, required, blocks = _status(head, lines[1])
    # A line on the bitmap may stand before the one on the progress.
    progress = lines[3] if b"bitmap" in lines[2] else lines[2]
    state, synced = label(words[2]), blocks
    for word, name in _SYNCING.items():
        if word.encode() in progress:
            state, synced = name, _synced(progress)
            break
    return Array(
        label(words[0]), state, active, required, head.count(b"(F)"), head.count(b"(S)"), blocks, synced
    )


def _status(head: bytes, line: bytes) -> tuple[int, int, int]:
    """Disks that are active and that are needed, and blocks."""
    blocks = count(line.strip().partition(b" ")[0])
    if blocks is None:
        raise SourceError(_SOURCE, f"malformed line {line[:80]!r}")
    if b"raid0" in head or b"linear" in head:
        disks = head.count(b"[")
        return disks, disks, blocks
    if b"inactive" in head:
        return 0, 0, blocks
    match = _STATUS.search(line)
    if match is None:
        raise SourceError(_SOURCE, f"malformed line {line[:80]!r}")
    return int(match[2]), int(match[1]), blocks


def _synced(line: bytes) -> int:
    if b"PENDING" in line or b"DELAYED" in line:
        return 0
    match = _PROGRESS.search(line)
    if match is None:
        raise SourceError(_SOURCE, f"malformed line {line[:80]!r}")
    return int(match[1])


def _kernel(tree: Tree) -> list[Kernel]:
    found = []
    for node in tree.sys_list("block"):
        level = tree.sys_or(f"block/{node}/md/level", b"\n").strip() if node.startswith("md") else None
        if level is None or not tree.sys_list(f"block/{node}/md"):
            continue
        disks = None
        if level not in _WITHOUT_DISKS:
            # While it is reshaped the array has two numbers, as in `11 (10)`.
            disks = count(tree.sys_or(f"block/{node}/md/raid_disks", b"").strip().partition(b" ")[0])
        lacking = tree.sys_or(f"block/{node}/md/degraded", b"").strip() if level in _DEGRADING else b""
        found.append(Kernel(node, disks, count(lacking) or 0))
    return found


def collect(raw: Raw) -> list[Family]:
    """The arrays; each has a series for each state."""
    arrays = raw.arrays
    rows = tuple((array.name,) for array in arrays)
    disks = tuple((array.name, state) for array in arrays for state in ("active", "failed", "spare"))
    states = tuple((array.name, state) for array in arrays for state in _STATES)
    known = [one for one in raw.kernel if one.disks is not None]
    return [
        Family(_REQUIRED, rows, [array.required for array in arrays]),
        Family(_DISKS, disks, [n for array in arrays for n in (array.active, array.failed, array.spare)]),
        Family(_STATE, states, [int(array.state == word) for array in arrays for word in _STATES.values()]),
        Family(_BLOCKS, rows, [array.blocks for array in arrays]),
        Family(_SYNCED, rows, [array.synced for array in arrays]),
        Family(_RAID_DISKS, tuple((one.name,) for one in known), [one.disks or 0 for one in known]),
        Family(_DEGRADED, tuple((one.name,) for one in raw.kernel), [one.degraded for one in raw.kernel]),
    ]


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Unchanged(partial(read, host.tree), collect))
