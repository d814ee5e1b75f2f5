"""The `bcachefs` collector: node_bcachefs_* of /sys/fs/bcachefs.

https://bcachefs.org/bcachefs-principles-of-operation.pdf, "The sysfs interface". Numbers are written for
people, as 2.05G; of the two that a counter has, the one since the file system was made is sent.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from exporters.collector import Collector, Host
from exporters.errors import NoDataError, SourceError
from exporters.samples import Family, Kind, Metric, Number, Row, label
from exporters.system.tree import Tree
from exporters.system.unchanged import Unchanged

_FOLDER = "fs/bcachefs"
_UNITS = {
    unit: 1024**power for power, units in enumerate(("kK", "mM", "gG", "tT", "pP", "eE"), 1) for unit in units
}
_UNFIT = re.compile("_*[^0-9A-Za-z_]+_*")
_SINCE_MADE = b"since filesystem creation:"
_SINCE_MOUNT = b"since mount:"
_ERRORS_SINCE_MADE = b"IO errors since filesystem creation"
_ERRORS_SINCE = b"IO errors since "
_OPERATIONS = (b"read:", b"write:")


def _metric(name: str, words: str, *labels: str) -> Metric:
    kind = Kind.COUNTER if name.endswith("_total") else Kind.GAUGE
    return Metric(f"node_bcachefs_{name}", kind, words, ("uuid", *labels))


_INFO = _metric("info", "The file system.")
_CACHE = _metric("btree_cache_size_bytes", "Memory that the cache of the trees uses.")
_COMPRESSED = _metric("compression_compressed_bytes", "Size of compressed data.", "algorithm")
_UNCOMPRESSED = _metric("compression_uncompressed_bytes", "Size that the data had before.", "algorithm")
_ERRORS = _metric("errors_total", "Errors of a kind.", "error_type")
_WRITES = _metric("btree_writes_total", "Writes of the trees.", "type")
_WRITE_SIZE = _metric("btree_write_average_size_bytes", "Mean size of a write of the trees.", "type")
_DEVICE = _metric("device_info", "The device, and its state.", "device", "label", "state")
_BUCKET = _metric("device_bucket_size_bytes", "Size of a bucket.", "device")
_BUCKETS = _metric("device_buckets", "Buckets of the device.", "device")
_DURABILITY = _metric("device_durability", "As how many copies one on this device counts.", "device")
_DONE = _metric("device_io_done_bytes_total", "Bytes read and written.", "device", "data_type", "operation")
_DEVICE_ERRORS = _metric(
    "device_io_errors_total", "Errors of reading, writing and checksums.", "device", "type"
)


@dataclass(frozen=True, slots=True)
class Volume:
    """Texts of a file system's files, of its counters and of its devices, by name; what is not there has
    none.
    """

    uuid: str
    files: Mapping[str, bytes]
    counters: Mapping[str, bytes]
    devices: Mapping[str, Mapping[str, bytes]]


def read(tree: Tree) -> list[Volume]:
    """The file systems.

    Raises:
        NoDataError: there is none.
    """
    found = []
    for uuid in tree.sys_list(_FOLDER):
        folder = f"{_FOLDER}/{uuid}"
        nodes = tree.sys_list(folder)
        if nodes:
            devices = {
                node.removeprefix("dev-"): _texts(tree, f"{folder}/{node}", _DEVICE_FILES)
                for node in nodes
                if node.startswith("dev-") and tree.sys_list(f"{folder}/{node}")
            }
            counters = _texts(tree, f"{folder}/counters", tree.sys_list(f"{folder}/counters"))
            found.append(Volume(uuid, _texts(tree, folder, _FILES), counters, devices))
    if not found:
        raise NoDataError("no bcachefs file system")
    return found


_FILES = ["btree_cache_size", "compression_stats", "errors", "btree_write_stats"]
_DEVICE_FILES = ["label", "state", "bucket_size", "nbuckets", "durability", "io_done", "io_errors"]


def _texts(tree: Tree, folder: str, files: list[str]) -> dict[str, bytes]:
    return {file: text for file in files if (text := tree.sys_or(f"{folder}/{file}", b"").strip())}


def human(raw: bytes) -> int:
    """A number as bcachefs writes it.

    Raises:
        SourceError: it is none.
    """
    text = label(raw).strip()
    factor = _UNITS.get(text[-1:], 1)
    try:
        return int(float(text[:-1] if factor > 1 else text) * factor)
    except (ValueError, OverflowError) as error:
        raise SourceError(f"/sys/{_FOLDER}", f"{text[:40]!r} is no number") from error


def collect(raw: list[Volume]) -> list[Family]:
    """The file systems and their devices.

    Raises:
        SourceError: a number is none.
    """
    found: dict[Metric, dict[Row, Number]] = {}
    for volume in raw:
        for metric, row, value in (*_of_volume(volume), *_of_devices(volume)):
            found.setdefault(metric, {})[volume.uuid, *row] = value
    return [Family(metric, tuple(rows), tuple(rows.values())) for metric, rows in found.items()]


Sample = tuple[Metric, Row, Number]


def _of_volume(volume: Volume) -> Iterator[Sample]:
    yield _INFO, (), 1
    yield _CACHE, (), human(volume.files.get("btree_cache_size", b"0"))
    for words in _table(volume.files.get("compression_stats", b"")):
        yield _COMPRESSED, (words[0],), human(words[1].encode())
        yield _UNCOMPRESSED, (words[0],), human(words[2].encode())
    for line in volume.files.get("errors", b"").split(b"\n"):
        error = line.split()
        if len(error) > 1:
            yield _ERRORS, (label(error[0]),), human(error[1])
    for name, text in volume.counters.items():
        yield _counter(name), (), _since_made(text)
    for words in _table(volume.files.get("btree_write_stats", b"")):
        yield _WRITES, (words[0],), human(words[1].encode())
        yield _WRITE_SIZE, (words[0],), human(words[2].encode())


def _of_devices(volume: Volume) -> Iterator[Sample]:
    for device, files in volume.devices.items():
        yield _DEVICE, (device, label(files.get("label", b"")), label(files.get("state", b""))), 1
        yield _BUCKET, (device,), human(files.get("bucket_size", b"0"))
        yield _BUCKETS, (device,), human(files.get("nbuckets", b"0"))
        yield _DURABILITY, (device,), human(files.get("durability", b"0"))
        operation = ""
        for line in files.get("io_done", b"").split(b"\n"):
            name, colon, number = line.partition(b":")
            if line.strip() in _OPERATIONS:
                operation = label(name.strip())
            elif colon and operation:
                yield _DONE, (device, label(name.strip()), operation), human(number)
        for name, number in _errors(files.get("io_errors", b"")):
            yield _DEVICE_ERRORS, (device, label(name)), human(number)


def _table(text: bytes) -> Iterator[list[str]]:
    """The words of each line under the head; the first ends in a colon."""
    for line in text.split(b"\n")[1:]:
        first, *others = label(line).split() or [""]
        if len(others) > 1:
            yield [first.removesuffix(":"), *others]


def _errors(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    _, _, section = text.partition(_ERRORS_SINCE_MADE)
    for line in section.partition(_ERRORS_SINCE)[0].split(b"\n"):
        name, colon, number = line.strip().partition(b":")
        if colon:
            yield name.strip(), number


def _counter(name: str) -> Metric:
    fit = _UNFIT.sub("_", name)
    return _metric(f"{fit}_total", f"Counter {fit} of bcachefs.")


def _since_made(text: bytes) -> int:
    for line in text.split(b"\n"):
        if line.startswith(_SINCE_MADE):
            return human(line.removeprefix(_SINCE_MADE))
    if _SINCE_MOUNT in text:
        return 0
    raise SourceError(f"/sys/{_FOLDER}", "a counter without a number")


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Unchanged(partial(read, host.tree), collect))
