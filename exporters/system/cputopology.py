"""What /sys/devices/system/cpu says of the CPUs beside their clocks: isolated, online, and how often cores
and packages were throttled (https://docs.kernel.org/admin-guide/cputopology.html).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from exporters.system.lists import parse_list
from exporters.system.tree import Tree

_FOLDER = "devices/system/cpu"


@dataclass(frozen=True, slots=True)
class Layout:
    """What does not change while the same CPUs are online.

    `core_files` and `package_files` name the throttle counters: (core, package) or package, and the file.
    """

    isolated: tuple[str, ...] = ()
    online: tuple[tuple[str, int], ...] = ()
    core_files: tuple[tuple[tuple[str, str], str], ...] = ()
    package_files: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Throttles:
    """The throttle counters, in the order of the layout's files."""

    cores: tuple[int, ...] = ()
    packages: tuple[int, ...] = ()


def read_layout(tree: Tree) -> Layout:
    """All empty where there is no /sys.

    Raises:
        SourceError: the list of isolated CPUs is malformed.
    """
    cpus = [name for name in tree.sys_list(_FOLDER) if name.startswith("cpu") and name[3:].isdigit()]
    cores: dict[tuple[str, str], str] = {}
    packages: dict[str, str] = {}
    for cpu in cpus:
        folder = f"{_FOLDER}/{cpu}"
        package = (
            tree.sys_or(f"{folder}/topology/physical_package_id", b"").strip().decode("ascii", "replace")
        )
        core = tree.sys_or(f"{folder}/topology/core_id", b"").strip().decode("ascii", "replace")
        if not package.isdigit() or not core.isdigit():
            continue
        # Threads of a core, and cores of a package, all tell the same number: one of them is enough.
        if (core, package) not in cores and _has_count(
            tree, f"{folder}/thermal_throttle/core_throttle_count"
        ):
            cores[core, package] = f"{folder}/thermal_throttle/core_throttle_count"
        if package not in packages and _has_count(tree, f"{folder}/thermal_throttle/package_throttle_count"):
            packages[package] = f"{folder}/thermal_throttle/package_throttle_count"
    return Layout(
        parse_list("/sys/devices/system/cpu/isolated", tree.sys_or(f"{_FOLDER}/isolated", b"")),
        _read_online(tree, cpus),
        tuple(cores.items()),
        tuple(packages.items()),
    )


def read_throttles(tree: Tree, layout: Layout) -> Throttles:
    """Read the counters; raises OSError where a CPU has gone since the layout was read, ValueError where a
    file has no number any more.
    """
    return Throttles(
        tuple(int(tree.attribute(name)) for _, name in layout.core_files),
        tuple(int(tree.attribute(name)) for _, name in layout.package_files),
    )


def _has_count(tree: Tree, name: str) -> bool:
    return tree.sys_or(name, b"").strip().isdigit()


def _read_online(tree: Tree, cpus: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """Nothing where the first CPU has no such file, as node_exporter does: CPU 0 often cannot be taken
    offline.
    """
    if not cpus or not tree.sys_has(f"{_FOLDER}/{cpus[0]}/online"):
        return ()
    return tuple((cpu[3:], int(tree.sys_or(f"{_FOLDER}/{cpu}/online", b"").strip() == b"1")) for cpu in cpus)
