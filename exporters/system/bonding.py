"""The `bonding` collector: how many slaves each bond has and how many are up, from /sys/class/net.

Documentation/networking/bonding.rst; a slave's state is in `lower_NAME`, on older kernels in `slave_NAME`.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from exporters.collector import Collector, Host
from exporters.errors import NoDataError
from exporters.samples import Family, Kind, Metric, label
from exporters.system.tree import Tree
from exporters.system.unchanged import Unchanged

_SLAVES = Metric("node_bonding_slaves", Kind.GAUGE, "Slaves that the bond is made of.", ("master",))
_ACTIVE = Metric("node_bonding_active", Kind.GAUGE, "Slaves of the bond whose link is up.", ("master",))


@dataclass(frozen=True, slots=True)
class Raw:
    """The state of each slave by bond: `up` or another word, none where a slave does not tell it."""

    bonds: dict[str, tuple[str, ...]]


def read(tree: Tree) -> Raw:
    """Read each bond's slaves.

    Raises:
        NoDataError: the bonding driver is not loaded.
    """
    try:
        masters = tree.sys("class/net/bonding_masters")
    except FileNotFoundError as error:
        raise NoDataError("no bonds") from error
    bonds = {}
    for master in masters.split():
        with suppress(FileNotFoundError):  # it was removed just now
            bonds[label(master)] = _states(tree, os.fsdecode(master))
    return Raw(bonds)


def _states(tree: Tree, master: str) -> tuple[str, ...]:
    folder = f"class/net/{master}"
    slaves = tree.sys_once(f"{folder}/bonding/slaves").split()
    return tuple(_state(tree, folder, os.fsdecode(slave)) for slave in slaves)


def _state(tree: Tree, folder: str, slave: str) -> str:
    for link in ("lower", "slave"):
        with suppress(OSError):
            return label(tree.sys_once(f"{folder}/{link}_{slave}/bonding_slave/mii_status"))
    return ""


def collect(raw: Raw) -> list[Family]:
    """Both families, over all bonds."""
    rows = tuple((master,) for master in raw.bonds)
    return [
        Family(_SLAVES, rows, [len(states) for states in raw.bonds.values()]),
        Family(_ACTIVE, rows, [states.count("up") for states in raw.bonds.values()]),
    ]


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Unchanged(partial(read, host.tree), collect))
