"""The `os` collector: node_os_info, node_os_version and the end of support, from os-release(5)."""

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from exporters.collector import Collector, Host
from exporters.errors import NoDataError, SourceError
from exporters.samples import Family, Kind, Metric, label
from exporters.system.tree import Tree, read_file

_FILES = ("/etc/os-release", "/usr/lib/os-release")
_LABELS = [
    "build_id",
    "id",
    "id_like",
    "image_id",
    "image_version",
    "name",
    "pretty_name",
    "variant",
    "variant_id",
    "version",
    "version_codename",
    "version_id",
]
_INFO = Metric(
    "node_os_info",
    Kind.GAUGE,
    "A metric with a constant '1' value labeled by " + ", ".join(_LABELS) + ".",
    tuple(_LABELS),
)
_VERSION = Metric(
    "node_os_version",
    Kind.GAUGE,
    "Metric containing the major.minor part of the OS version.",
    ("id", "id_like", "name"),
)
_SUPPORT_END = Metric(
    "node_os_support_end_timestamp_seconds",
    Kind.GAUGE,
    "Metric containing the end-of-life date timestamp of the OS.",
)
_LINE = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*?)\s*$")
_MAJOR_MINOR = re.compile(r"[0-9]+\.?[0-9]*")


class OsRelease:
    """Keeps what it made of the file until the file changes."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._stamp: tuple[str, int, int, int] | None = None
        self._families: list[Family] = []

    def collect(self) -> list[Family]:
        """The families of the first of the two files that exists.

        Raises:
            NoDataError: neither is there.
            SourceError: its SUPPORT_END is no date.
        """
        for name in _FILES:
            path = self._tree.below_root(name)
            try:
                status = os.stat(path)  # noqa: PTH116 - a path object would cost more than the call
            except FileNotFoundError:
                continue
            stamp = (name, status.st_ino, status.st_mtime_ns, status.st_size)
            if stamp != self._stamp:
                self._families = collect(parse(read_file(path)))
                self._stamp = stamp
            return self._families
        raise NoDataError("no os-release file")


def parse(text: bytes) -> dict[str, str]:
    """Assignments of an os-release file: shell syntax without expansion, quoted or bare."""
    found = {}
    for line in text.split(b"\n"):
        match = _LINE.match(label(line))
        if match:
            found[match[1]] = _unquote(match[2])
    return found


def collect(raw: Mapping[str, str]) -> list[Family]:
    """Everything is in labels but the version, major and minor only, and the end of support."""
    row = tuple(raw.get(name.upper(), "") for name in _LABELS)
    families = [Family(_INFO, (row,), (1,))]
    version = _MAJOR_MINOR.match(raw.get("VERSION_ID", ""))
    if version and float(version[0]) > 0:
        who = (raw.get("ID", ""), raw.get("ID_LIKE", ""), raw.get("NAME", ""))
        families.append(Family(_VERSION, (who,), (float(version[0]),)))
    if raw.get("SUPPORT_END"):
        families.append(_SUPPORT_END.one(_midnight(raw["SUPPORT_END"])))
    return families


def _midnight(date: str) -> int:
    try:
        return int(datetime.strptime(date, "%Y-%m-%d").replace(tzinfo=UTC).timestamp())
    except ValueError as error:
        raise SourceError("os-release", f"SUPPORT_END {date!r} is no date") from error


def _unquote(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1]
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    return re.sub(r"\\(.)", r"\1", text)


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(OsRelease(host.tree).collect)
