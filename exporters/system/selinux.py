"""node_selinux_*: whether SELinux is on and enforces: selinuxfs, /etc/selinux/config (selinux_config(5)).

Modes are 1 enforcing, 0 permissive, -1 disabled.
"""

from dataclasses import dataclass
from functools import partial

from exporters.collector import Collector, Host
from exporters.samples import Family, Kind, Metric
from exporters.system.tree import Tree, read_file
from exporters.system.unchanged import Unchanged

_ENABLED = Metric("node_selinux_enabled", Kind.GAUGE, "Whether SELinux is enabled.")
_CONFIGURED = Metric(
    "node_selinux_config_mode", Kind.GAUGE, "Mode of SELinux that is configured: 1, 0 or -1 for disabled."
)
_CURRENT = Metric(
    "node_selinux_current_mode", Kind.GAUGE, "Mode of SELinux at present: 1 enforcing, 0 permissive."
)
_CONFIG = "/etc/selinux/config"
_MODES = {b"enforcing": 1, b"permissive": 0}
_DISABLED = -1
_NO_POLICY = b"kernel"
"""Label of every process as long as no policy is loaded."""


@dataclass(frozen=True, slots=True)
class Raw:
    """The mode of selinuxfs (nothing where it is not mounted), our own label, and the configuration."""

    enforce: bytes
    label: bytes
    config: bytes


def read(tree: Tree) -> Raw:
    """Read selinuxfs, and the configuration only where SELinux is there."""
    enforce = tree.sys_or("fs/selinux/enforce", b"")
    if not enforce:
        return Raw(b"", b"", b"")
    try:
        config = read_file(tree.below_root(_CONFIG))
    except OSError:
        config = b""
    return Raw(enforce, tree.proc_or("self/attr/current", b""), config)


def collect(raw: Raw) -> list[Family]:
    """The modes only where SELinux is enabled."""
    if not raw.enforce or raw.label.rstrip(b"\0\n") == _NO_POLICY:
        return [_ENABLED.one(0)]
    current = int(raw.enforce) if raw.enforce.strip().isdigit() else _DISABLED
    return [_ENABLED.one(1), _CONFIGURED.one(configured(raw.config)), _CURRENT.one(current)]


def configured(config: bytes) -> int:
    """The mode that the configuration's line SELINUX= names; disabled where it names none."""
    for line in config.split(b"\n"):
        key, _, value = line.strip().partition(b"=")
        if key == b"SELINUX":
            return _MODES.get(value.strip(b'"'), _DISABLED)
    return _DISABLED


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Unchanged(partial(read, host.tree), collect))
