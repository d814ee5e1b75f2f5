"""The `zfs` collector: node_zfs_* from the kstats of OpenZFS below /proc/spl/kstat/zfs.

A kstat is a header line, a line `name type data`, and a line for each value; type 4 is an unsigned and 3 a
signed 64-bit integer, other types are no numbers (OpenZFS, include/os/linux/spl/sys/kstat.h). The folder of
a pool has `io` (a line of names, a line of numbers), `state`, and `objset-*` for each data set.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from exporters.collector import Collector, Host
from exporters.errors import NoDataError, SourceError
from exporters.samples import Family, Kind, Metric, Number, Row, label
from exporters.system.tree import Tree

_FOLDER = "spl/kstat/zfs"
_SUBSYSTEMS = {
    "abdstats": "zfs_abd",
    "arcstats": "zfs_arc",
    "dbufstats": "zfs_dbuf",
    "dmu_tx": "zfs_dmu_tx",
    "dnodestats": "zfs_dnode",
    "fm": "zfs_fm",
    "vdev_cache_stats": "zfs_vdev_cache",
    "vdev_mirror_stats": "zfs_vdev_mirror",
    "xuio_stats": "zfs_xuio",
    "zfetchstats": "zfs_zfetch",
    "zil": "zfs_zil",
}
"""File of a kstat and what node_exporter calls it."""

_STATE = Metric(
    "node_zfs_zpool_state",
    Kind.GAUGE,
    "Whether the pool is in this state (kstat.zfs.misc.state).",
    ("zpool", "state"),
)
_STATES = ("online", "degraded", "faulted", "offline", "removed", "unavail", "suspended")
_UNFIT = re.compile("[^a-zA-Z0-9_:]")
_HEAD = [b"name", b"type", b"data"]
_INTEGERS = (b"3", b"4")
_UNSIGNED = b"4"
_LEAST_IO_FIELDS = 12
_MOST_DATASETS = 10_000


@dataclass(frozen=True, slots=True)
class Raw:
    """Texts of the files: kstats by name, and by pool its `io`, its `state` and those of its data sets."""

    kstats: dict[str, bytes]
    io: dict[str, bytes] = field(default_factory=dict)
    states: dict[str, bytes] = field(default_factory=dict)
    datasets: dict[str, list[bytes]] = field(default_factory=dict)


def read(tree: Tree) -> Raw:
    """Read the kstats. A file that goes while it is read, as those of an exported pool do, is left out.

    Raises:
        NoDataError: no ZFS here.
        SourceError: more data sets than anybody has.
    """
    try:
        names = sorted(tree.proc_list(_FOLDER))
    except OSError as error:
        raise NoDataError("no ZFS") from error
    raw = Raw({})
    for name in names:
        if name in _SUBSYSTEMS:
            raw.kstats.update(_texts(tree, {name: name}))
        else:
            _read_pool(tree, name, raw)
    return raw


def _read_pool(tree: Tree, pool: str, raw: Raw) -> None:
    try:
        files = sorted(tree.proc_list(f"{_FOLDER}/{pool}"))
    except OSError:  # no folder: a kstat that node_exporter does not know
        return
    raw.io.update(_texts(tree, {pool: f"{pool}/io"} if "io" in files else {}))
    raw.states.update(_texts(tree, {pool: f"{pool}/state"} if "state" in files else {}))
    objsets = {name: f"{pool}/{name}" for name in files if name.startswith("objset-")}
    if len(objsets) > _MOST_DATASETS:
        raise SourceError(f"/proc/{_FOLDER}/{pool}", f"{len(objsets)} data sets")
    raw.datasets[pool] = list(_texts(tree, objsets).values())


def _texts(tree: Tree, files: dict[str, str]) -> dict[str, bytes]:
    texts = {}
    for name, path in files.items():
        try:
            texts[name] = tree.proc_once(f"{_FOLDER}/{path}")
        except OSError:
            continue
    return texts


class Kstats:
    """Gathers columns and keeps the metrics and rows of the last reading, so that unchanged ones are the
    same objects.
    """

    def __init__(self) -> None:
        self._metrics: dict[str, Metric] = {}
        self._rows: dict[str, tuple[Row, ...]] = {}

    def collect(self, raw: Raw) -> list[Family]:
        """A family for each value.

        Raises:
            SourceError: a file is not a kstat.
        """
        families = [
            self._metric(f"node_{_SUBSYSTEMS[file]}_{_snake(name)}", f"kstat.zfs.misc.{file}.{name}").one(
                value
            )
            for file, text in raw.kstats.items()
            for name, value in parse_kstat(f"{_FOLDER}/{file}", text)
        ]
        families += self._columns("zfs_zpool", "io", ("zpool",), list(_pool_values(raw)))
        families += self._columns(
            "zfs_zpool_dataset", "objset", ("zpool", "dataset"), list(_dataset_values(raw))
        )
        if raw.states:
            families.append(self._states(raw.states))
        return families

    def _columns(
        self, subsystem: str, file: str, labels: tuple[str, ...], found: list[tuple[Row, str, int]]
    ) -> list[Family]:
        columns: dict[str, tuple[list[Row], list[int]]] = {}
        for row, name, value in found:
            rows, values = columns.setdefault(name, ([], []))
            rows.append(row)
            values.append(value)
        families = []
        for name, (rows, values) in columns.items():
            metric = self._metric(f"node_{subsystem}_{_snake(name)}", f"kstat.zfs.misc.{file}.{name}", labels)
            families.append(Family(metric, self._same(metric.name, tuple(rows)), values))
        return families

    def _states(self, texts: dict[str, bytes]) -> Family:
        rows = tuple((pool, state) for pool in texts for state in _STATES)
        found = {pool: label(text.partition(b"\n")[0]).lower() for pool, text in texts.items()}
        values = [int(found[pool] == state) for pool, state in rows]
        return Family(_STATE, self._same(_STATE.name, rows), values)

    def _metric(self, name: str, source: str, labels: tuple[str, ...] = ()) -> Metric:
        metric = self._metrics.get(name)
        if metric is None:
            metric = self._metrics[name] = Metric(name, Kind.UNTYPED, f"Value {source}.", labels)
        return metric

    def _same(self, name: str, rows: tuple[Row, ...]) -> tuple[Row, ...]:
        if self._rows.get(name) != rows:
            self._rows[name] = rows
        return self._rows[name]


def parse_kstat(source: str, text: bytes) -> Iterator[tuple[str, Number]]:
    """Names and numbers of a kstat.

    Raises:
        SourceError: it has no line `name type data`, or a number is none.
    """
    for fields in _lines(source, text):
        if fields[1] in _INTEGERS:
            yield label(fields[0]), _integer(source, fields[2])


def _lines(source: str, text: bytes) -> Iterator[list[bytes]]:
    lines = iter(text.split(b"\n"))
    for line in lines:
        if line.split() == _HEAD:
            break
    else:
        raise SourceError(f"/proc/{source}", "no line 'name type data' in it")
    for line in lines:
        fields = line.split(maxsplit=2)
        if len(fields) == len(_HEAD):
            yield fields


def _pool_values(raw: Raw) -> Iterator[tuple[Row, str, int]]:
    for pool, text in raw.io.items():
        lines = iter([line.split() for line in text.split(b"\n")])
        names: list[bytes] = next((line for line in lines if line[:1] == [b"nread"]), [])
        if len(names) < _LEAST_IO_FIELDS:
            continue
        for numbers in lines:
            if len(numbers) < len(names):
                if numbers:
                    raise SourceError(f"/proc/{_FOLDER}/{pool}/io", f"{len(numbers)} numbers")
                continue
            for name, number in zip(names, numbers, strict=False):
                yield (pool,), label(name), _integer(f"{_FOLDER}/{pool}/io", number)


def _dataset_values(raw: Raw) -> Iterator[tuple[Row, str, int]]:
    for pool, texts in raw.datasets.items():
        for text in texts:
            dataset = ""
            for name, kind, data in _lines(f"{_FOLDER}/{pool}/objset", text):
                if name == b"dataset_name":
                    dataset = label(data)
                elif kind == _UNSIGNED:
                    yield (pool, dataset), label(name), _integer(f"{_FOLDER}/{pool}/objset", data)


def _integer(source: str, text: bytes) -> int:
    try:
        return int(text.split()[0])
    except ValueError as error:
        raise SourceError(f"/proc/{source}", str(error)) from error


def _snake(name: str) -> str:
    return _UNFIT.sub("_", name)


def build(host: Host) -> Collector:
    """The collector on this host."""
    kstats = Kstats()
    return Collector(lambda: kstats.collect(read(host.tree)))
