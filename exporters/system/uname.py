"""node_uname_info from uname(2) and /proc/sys/kernel/domainname, which Python's uname leaves out."""

import os
from dataclasses import dataclass
from functools import partial

from exporters.collector import Collector, Host
from exporters.samples import Family, Kind, Metric, label
from exporters.system.tree import Tree, read_file
from exporters.system.unchanged import Unchanged

_INFO = Metric(
    "node_uname_info",
    Kind.GAUGE,
    "Labeled system information as provided by the uname system call.",
    ("domainname", "machine", "nodename", "release", "sysname", "version"),
)
_DOMAIN = "sys/kernel/domainname"


@dataclass(frozen=True, slots=True)
class Raw:
    """What uname(2) answers, and the NIS domain name."""

    system: os.uname_result
    domain: bytes


def read(tree: Tree) -> Raw:
    """Ask this machine's kernel, whatever tree the others read, as node_exporter does; raises OSError."""
    domain = tree.proc(_DOMAIN) if tree.proc_is_live else read_file(f"/proc/{_DOMAIN}")
    return Raw(os.uname(), domain)


def collect(raw: Raw) -> list[Family]:
    """One series with everything in its labels."""
    system = raw.system
    domain = label(raw.domain.rstrip(b"\n"))
    row = (domain, system.machine, system.nodename, system.release, system.sysname, system.version)
    return [Family(_INFO, (row,), (1,))]


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Unchanged(partial(read, host.tree), collect))
