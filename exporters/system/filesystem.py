"""node_filesystem_*: sizes of each mounted file system from /proc/1/mountinfo and statfs(2).

statfs on a dead network mount never returns. Each mount of a kind that may hang is asked in a lane
(exporters/lane.py), so a hung one costs one thread and its own numbers: it reports device_error="mountpoint
timeout", as node_exporter does, until statfs returns. Disks and memory of this machine answer from memory
and are asked at once, unless the way to them leads through a mount of the other kind.
"""

import os
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from errno import ESTALE
from itertools import compress
from typing import NamedTuple

from exporters.collector import Collector, Host
from exporters.errors import SourceError, StuckError
from exporters.lane import Job, Lane, Outcome, outcome
from exporters.samples import Family, Kind, Metric, Row, Rows, label
from exporters.settings import duration, expression, whole
from exporters.system.filters import accepts, chosen
from exporters.system.tree import Tree
from exporters.system.unchanged import Unchanged

MOUNTS_EXCLUDE = expression(
    "collector.filesystem.mount-points-exclude",
    r"^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)",
    "Mount points not to report.",
)
TYPES_EXCLUDE = expression(
    "collector.filesystem.fs-types-exclude",
    "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|"
    "overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$",
    "Types of file systems not to report.",
)
MOUNTS_INCLUDE = expression(
    "collector.filesystem.mount-points-include", "", "Mount points to report; not with mount-points-exclude."
)
TYPES_INCLUDE = expression(
    "collector.filesystem.fs-types-include", "", "Types to report; not with fs-types-exclude."
)
TIMEOUT = duration(
    "collector.filesystem.mount-timeout",
    0.5,
    "How long one mount may take before it counts as hung; never longer than the scrape has time.",
)
WORKERS = whole(
    "collector.filesystem.stat-workers", 4, "How many mounts are asked at a time.", least=1, most=64
)
SETTINGS = (MOUNTS_EXCLUDE, MOUNTS_INCLUDE, TYPES_EXCLUDE, TYPES_INCLUDE, TIMEOUT, WORKERS)
BUDGET_SECONDS = 1.5
_MOUNTS_PER_WORKER = 16
"""Few mounts are asked in turn by one thread: to wake others would cost more than it gains."""

_LABELS = ("device", "device_error", "fstype", "mountpoint")


def _gauge(name: str, text: str, labels: tuple[str, ...] = _LABELS) -> Metric:
    return Metric(f"node_filesystem_{name}", Kind.GAUGE, text, labels)


_SIZE = _gauge("size_bytes", "Size of the file system.")
_FREE = _gauge("free_bytes", "Space that is free, what is kept for root included.")
_AVAIL = _gauge("avail_bytes", "Space that is free to everybody.")
_FILES = _gauge("files", "File nodes that the file system can have.")
_FILES_FREE = _gauge("files_free", "File nodes that are free.")
_SIZES = (_SIZE, _FREE, _AVAIL, _FILES, _FILES_FREE)
_PURGEABLE = _gauge("purgeable_bytes", "Space that macOS could clear; 0 on Linux, as in node_exporter.")
_READONLY = _gauge("readonly", "Whether it is mounted read-only.")
_ERROR = _gauge("device_error", "Whether the file system did not tell its sizes; device_error says why.")
_MOUNT = _gauge(
    "mount_info", "The mount, and the numbers of its device.", ("device", "major", "minor", "mountpoint")
)

_NEAR = frozenset(
    (
        *("btrfs", "ext2", "ext3", "ext4", "exfat", "f2fs", "vfat", "xfs"),
        *("devtmpfs", "proc", "ramfs", "sysfs", "tmpfs"),
    )
)
"""Kinds whose statfs asks no other machine or program and takes no lock that waits for a disk."""

_ESCAPE = re.compile(rb"\\([0-7]{3})")
_LEAST_FIELDS = 10
_AUTOFS = "autofs"
_STUCK_TEXT = "mountpoint timeout"
_ESTALE_TEXT = "stale NFS file handle"  # the words of Go's syscall package, which differ from the C library's


@dataclass(frozen=True, slots=True)
class Mount:
    """A line of mountinfo (proc(5)); `path` is the mount point as bytes, for the system call."""

    device: str
    point: str
    kind: str
    major: str
    minor: str
    readonly: bool
    path: bytes


class Sizes(NamedTuple):
    """What statfs(2) answered: bytes and file nodes."""

    size: int
    free: int
    available: int
    files: int
    files_free: int


@dataclass(frozen=True, slots=True)
class Mounted:
    """The accepted mounts, with the rows of those that answer, which are the same from scrape to scrape."""

    mounts: tuple[Mount, ...]
    rows: Rows
    info: Rows


@dataclass(frozen=True, slots=True)
class Raw:
    """The mounts, and beside each its sizes or the words of the error."""

    mounted: Mounted
    answers: Sequence[Sizes | str]


class Mounts:
    """Asks each mount that the filters accept; never an autofs one, which would mount what it stands for.

    `statfs` is a parameter so that a test can let it hang.
    """

    def __init__(
        self,
        tree: Tree,
        *,
        accept_mount: Callable[[str], bool] | None = None,
        accept_type: Callable[[str], bool] | None = None,
        statfs: Callable[[bytes], os.statvfs_result] = os.statvfs,
        timeout_seconds: float = TIMEOUT.default,
        workers: int = WORKERS.default,
    ) -> None:
        self._tree = tree
        self._accept_mount = accepts(exclude=MOUNTS_EXCLUDE.default) if accept_mount is None else accept_mount
        self._accept_type = accepts(exclude=TYPES_EXCLUDE.default) if accept_type is None else accept_type
        self._statfs = statfs
        self._timeout_seconds = min(timeout_seconds, BUDGET_SECONDS)
        first = Lane[Sizes]("exporters-statfs")
        # A lane has no thread before its first job.
        self._lanes = (first, *(Lane[Sizes]("exporters-statfs", beside=first) for _ in range(workers - 1)))
        self._text = b""
        self._mounted = _mounted(())
        self._shares: tuple[Sequence[Job[Sizes]], ...] = ()
        self._near: tuple[Job[Sizes], ...] = ()
        self.collect = Unchanged(self.read, collect)
        """Reads and collects."""

    def read(self) -> Raw:
        """Read the list of mounts and ask each of them."""
        text = self._mountinfo()
        if text != self._text:
            mounts = parse(text, self._tree.rootfs)
            self._mounted = _mounted(tuple(self._accepted(mounts)))
            self._plan(near_points(mounts))
            self._text = text
        waiting = [
            lane.start(jobs, BUDGET_SECONDS) for lane, jobs in zip(self._lanes, self._shares, strict=False)
        ]
        outcomes = {job.name: outcome(job) for job in self._near}
        for wait in waiting:
            outcomes |= wait()
        return Raw(self._mounted, [_answer(outcomes[mount.point]) for mount in self._mounted.mounts])

    def close(self) -> None:
        """Let the threads end."""
        for lane in self._lanes:
            lane.close()

    def _mountinfo(self) -> bytes:
        try:
            return self._tree.proc("1/mountinfo")
        except (FileNotFoundError, PermissionError):  # hidepid hides process 1 from others
            return self._tree.proc("self/mountinfo")

    def _accepted(self, mounts: Sequence[Mount]) -> Sequence[Mount]:
        """Each series once: the same device may be mounted twice at one point."""
        once: dict[tuple[str, str, str], Mount] = {}
        for mount in mounts:
            if mount.kind != _AUTOFS and self._accept_mount(mount.point) and self._accept_type(mount.kind):
                once.setdefault((mount.device, mount.point, mount.kind), mount)
        return list(once.values())

    def _plan(self, near: Collection[str]) -> None:
        """A job for each mount point; those that may hang are dealt out to as many lanes as are worth it."""
        points = {mount.point: mount for mount in self._mounted.mounts}
        jobs = [Job(point, self._asker(mount), self._timeout_seconds) for point, mount in points.items()]
        far = [job for job in jobs if job.name not in near]
        self._near = tuple(job for job in jobs if job.name in near)
        lanes = min(len(self._lanes), 1 + len(far) // _MOUNTS_PER_WORKER) if far else 0
        self._shares = tuple(far[first::lanes] for first in range(lanes))

    def _asker(self, mount: Mount) -> Callable[[], Sizes]:
        def ask() -> Sizes:
            # The size of a block is f_bsize, not f_frsize, so that the numbers are node_exporter's.
            answer = self._statfs(path)
            unit = answer.f_bsize
            return Sizes(
                answer.f_blocks * unit,
                answer.f_bfree * unit,
                answer.f_bavail * unit,
                answer.f_files,
                answer.f_ffree,
            )

        path = os.fsencode(self._tree.below_root(os.fsdecode(mount.path)))
        return ask


def parse(text: bytes, rootfs: str) -> list[Mount]:
    """The mounts of a mountinfo file; mount points below `rootfs` lose that prefix.

    Raises:
        SourceError: a line is malformed.
    """
    return [_mount(line, rootfs) for line in text.split(b"\n") if line]


def near_points(mounts: Sequence[Mount]) -> frozenset[str]:
    """Mount points that can be asked without fear: nothing on the way there, nor there, may hang.

    What is mounted at / is no matter: this program comes from there.
    """
    near = {mount.point for mount in mounts if mount.kind in _NEAR}
    far = {mount.point for mount in mounts if mount.kind not in _NEAR}
    return frozenset(point for point in near if far.isdisjoint(_way(point)))


def _way(point: str) -> Iterator[str]:
    """The point and the folders above it, but for the root."""
    while point.rstrip("/"):
        yield point
        point = point.rpartition("/")[0]


def _mount(line: bytes, rootfs: str) -> Mount:
    fields = line.split(b" ")
    if len(fields) < _LEAST_FIELDS or fields[-4] != b"-":
        raise SourceError("mountinfo", f"malformed line {line!r}")
    major, colon, minor = label(fields[2]).partition(":")
    if not (colon and major.isdigit() and minor.isdigit()):
        raise SourceError("mountinfo", f"malformed device number in {line!r}")
    path = _ESCAPE.sub(lambda match: bytes([int(match[1], 8) & 0xFF]), fields[4])
    if rootfs != "/":
        path = path.removeprefix(os.fsencode(rootfs)) or b"/"
    options = fields[5].split(b",")
    super_options = fields[-1].split(b",")
    readonly = b"ro" in options or b"ro" in super_options or b"emergency_ro" in super_options
    return Mount(label(fields[-2]), label(path), label(fields[-3]), major, minor, readonly, path)


def _mounted(mounts: tuple[Mount, ...]) -> Mounted:
    return Mounted(
        mounts,
        tuple(_row(mount) for mount in mounts),
        tuple((mount.device, mount.major, mount.minor, mount.point) for mount in mounts),
    )


def collect(raw: Raw) -> list[Family]:
    """Sizes of the mounts that answered, an error for each that did not."""
    mounted = raw.mounted
    well = [answer for answer in raw.answers if isinstance(answer, Sizes)]
    rows, well_rows, info = mounted.rows, mounted.rows, mounted.info
    if len(well) < len(raw.answers):
        rows = tuple(map(_row, mounted.mounts, raw.answers))
        answered = [isinstance(answer, Sizes) for answer in raw.answers]
        well_rows = tuple(compress(mounted.rows, answered))
        info = tuple(compress(mounted.info, answered))
    return [
        Family(_ERROR, rows, [int(isinstance(answer, str)) for answer in raw.answers]),
        Family(_READONLY, rows, [int(mount.readonly) for mount in mounted.mounts]),
        *(
            Family(metric, well_rows, column)
            for metric, column in zip(_SIZES, zip(*well, strict=True), strict=bool(well))
        ),
        Family(_PURGEABLE, well_rows, (0,) * len(well)),
        Family(_MOUNT, info, (1,) * len(info)),
    ]


def _row(mount: Mount, answer: Sizes | str = "") -> Row:
    return (mount.device, answer if isinstance(answer, str) else "", mount.kind, mount.point)


def _answer(outcome: Outcome[Sizes]) -> Sizes | str:
    if outcome.value is not None:
        return outcome.value
    error = outcome.error
    if isinstance(error, StuckError):
        return _STUCK_TEXT
    if isinstance(error, OSError) and error.errno is not None:
        return _ESTALE_TEXT if error.errno == ESTALE else os.strerror(error.errno).lower()
    raise error if error is not None else SourceError("statfs", "no answer and no error")


def build(host: Host) -> Collector:
    """The collector on this host."""
    given = host.settings
    mounts = Mounts(
        host.tree,
        accept_mount=chosen(given, MOUNTS_INCLUDE, MOUNTS_EXCLUDE),
        accept_type=chosen(given, TYPES_INCLUDE, TYPES_EXCLUDE),
        timeout_seconds=given[TIMEOUT],
        workers=given[WORKERS],
    )
    return Collector(mounts.collect, mounts.close)
