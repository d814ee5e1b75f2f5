"""The `bonding` collector: how many slaves each bond has and how many are up, from /sys/class/net.

Documentation/networking/bonding.rst; a slave's state is in `lower_NAME`, on older kernels in `slave_NAME`.
"""

from dataclasses import dataclass

from exporters.collector import Collector, Host
from exporters.errors import NoDataError
from exporters.samples import Family, Kind, Metric, label
from exporters.system.tree import Tree

_SLAVES = Metric("node_bonding_slaves", Kind.GAUGE, "Slaves that the bond is made of.", ("master",))
_ACTIVE = Metric("node_bonding_active", Kind.GAUGE, "Slaves of the bond whose link is up.", ("master",))


@dataclass(frozen=True, slots=True)
class Raw:
    """The state of each slave by bond: `up` or another word."""

    bonds: dict[str, tuple[str, ...]]


def read(tree: Tree) -> Raw:
    """Read each bond's slaves.

    Raises:
        NoDataError: the bonding driver is not loaded.
        OSError: a bond or a slave went while it was read.
    """
    try:
        masters = tree.sys("class/net/bonding_masters")
    except FileNotFoundError as error:
        raise NoDataError("no bonds") from error
    return Raw({label(master): _states(tree, label(master)) for master in masters.split()})


def _states(tree: Tree, master: str) -> tuple[str, ...]:
    folder = f"class/net/{master}"
    slaves = tree.sys(f"{folder}/bonding/slaves").split()
    return tuple(_state(tree, folder, label(slave)) for slave in slaves)


def _state(tree: Tree, folder: str, slave: str) -> str:
    try:
        text = tree.sys(f"{folder}/lower_{slave}/bonding_slave/mii_status")
    except FileNotFoundError:
        text = tree.sys(f"{folder}/slave_{slave}/bonding_slave/mii_status")
    return label(text.strip())


def collect(raw: Raw) -> list[Family]:
    """Both families, over all bonds."""
    rows = tuple((master,) for master in raw.bonds)
    return [
        Family(_SLAVES, rows, [len(states) for states in raw.bonds.values()]),
        Family(_ACTIVE, rows, [states.count("up") for states in raw.bonds.values()]),
    ]


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(lambda: collect(read(host.tree)))
