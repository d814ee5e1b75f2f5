"""The `tapestats` collector: node_tape_* of each SCSI tape drive, from /sys/class/scsi_tape/st*/stats.

https://docs.kernel.org/scsi/st.html, "Sysfs and Statistics"; times there are nanoseconds.
"""

import re
from collections.abc import Callable, Iterator

from exporters.collector import Collector, Host
from exporters.samples import Kind, Metric, Number
from exporters.settings import expression
from exporters.system.devices import Cell, Sensors, prefixed
from exporters.system.filters import accepts
from exporters.system.tree import Tree

IGNORED = expression("collector.tapestats.ignored-devices", "^$", "Tape drives not to report.")
SETTINGS = (IGNORED,)

_FOLDER = "class/scsi_tape"
_DRIVE = re.compile(r"st[0-9]+")


def _seconds(raw: bytes) -> float:
    return prefixed(raw) * 0.000000001


def _metric(name: str, words: str, kind: Kind = Kind.COUNTER) -> Metric:
    return Metric(f"node_tape_{name}", kind, words, ("device",))


_FILES: dict[str, tuple[Metric, Callable[[bytes], Number]]] = {
    "in_flight": (_metric("io_now", "Requests under way.", Kind.GAUGE), prefixed),
    "io_ns": (_metric("io_time_seconds_total", "Time spent on requests of all kinds."), _seconds),
    "other_cnt": (_metric("io_others_total", "Requests that neither read nor write."), prefixed),
    "read_byte_cnt": (_metric("read_bytes_total", "Bytes read."), prefixed),
    "read_cnt": (_metric("reads_completed_total", "Requests to read."), prefixed),
    "read_ns": (_metric("read_time_seconds_total", "Time spent on reading."), _seconds),
    "write_byte_cnt": (_metric("written_bytes_total", "Bytes written."), prefixed),
    "write_cnt": (_metric("writes_completed_total", "Requests to write."), prefixed),
    "write_ns": (_metric("write_time_seconds_total", "Time spent on writing."), _seconds),
    "resid_cnt": (_metric("residual_total", "Reads and writes shorter than asked for."), prefixed),
}


def find(tree: Tree, accept: Callable[[str], bool]) -> Iterator[Cell]:
    """The counters of each drive."""
    for name in tree.sys_list(_FOLDER):
        if _DRIVE.fullmatch(name) and accept(name):
            for file, (metric, parse) in _FILES.items():
                yield Cell(metric, (name,), f"{_FOLDER}/{name}/stats/{file}", parse)


def build(host: Host) -> Collector:
    """The collector on this host."""
    accept = accepts(exclude=host.settings[IGNORED])
    return Collector(Sensors(host.tree, _FOLDER, lambda: find(host.tree, accept)).collect)
