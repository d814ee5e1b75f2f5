"""node_cpu_vulnerabilities_info: errors of the CPU and what the kernel does about them, from
/sys/devices/system/cpu/vulnerabilities (https://docs.kernel.org/admin-guide/hw-vuln/index.html).
"""

from collections.abc import Mapping
from functools import partial

from exporters.collector import Collector, Host
from exporters.samples import Family, Kind, Metric, Row, label
from exporters.system.tree import Tree
from exporters.system.unchanged import Unchanged

_INFO = Metric(
    "node_cpu_vulnerabilities_info",
    Kind.GAUGE,
    "Each vulnerability of the CPU that the kernel knows, with its state and what is done about it.",
    ("codename", "state", "mitigation"),
)
_FOLDER = "devices/system/cpu/vulnerabilities"
_NOT_AFFECTED = "not affected"
_STATES = ("vulnerable", "mitigation", "unknown")

Raw = Mapping[str, bytes]
"""The text of each file, by the vulnerability's name."""


def read(tree: Tree) -> Raw:
    """Read each file of the folder; none where the kernel has no such folder."""
    return {name: tree.attribute(f"{_FOLDER}/{name}") for name in tree.sys_list(_FOLDER)}


def parse(name: str, text: str) -> Row:
    """Name, state and mitigation, which is the text after the state's word."""
    lowered = text.lower()
    if lowered.startswith(_NOT_AFFECTED):
        return (name, _NOT_AFFECTED, "")
    for state in _STATES:
        if lowered.startswith(state):
            return (name, state, " ".join(text.split()[1:]))
    return (name, "unknown", text)


def collect(raw: Raw) -> list[Family]:
    """A series for each."""
    rows = tuple(parse(name, label(text.strip())) for name, text in raw.items())
    return [Family(_INFO, rows, (1,) * len(rows))]


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Unchanged(partial(read, host.tree), collect))
