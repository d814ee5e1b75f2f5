"""The `edac` collector: memory errors by controller, row and channel, of /sys/devices/system/edac/mc.

https://docs.kernel.org/admin-guide/ras.html, "EDAC - Error Detection And Correction".
"""

from collections.abc import Iterator

from exporters.collector import Collector, Host
from exporters.samples import Kind, Metric
from exporters.system.devices import Cell, Sensors, text, whole
from exporters.system.tree import Tree

_FOLDER = "devices/system/edac/mc"
_CONTROLLER = ("controller",)
_ROW = ("controller", "csrow")
_CHANNEL = ("channel", "controller", "csrow", "dimm_label")


def _counter(name: str, text: str, labels: tuple[str, ...]) -> Metric:
    return Metric(f"node_edac_{name}_errors_total", Kind.COUNTER, text, labels)


_CORRECTED = _counter("correctable", "Memory errors that were corrected.", _CONTROLLER)
_UNCORRECTED = _counter("uncorrectable", "Memory errors that could not be corrected.", _CONTROLLER)
_ROW_CORRECTED = _counter("csrow_correctable", "Corrected memory errors of a chip-select row.", _ROW)
_ROW_UNCORRECTED = _counter("csrow_uncorrectable", "Uncorrected memory errors of a chip-select row.", _ROW)
_CHANNEL_CORRECTED = _counter("channel_correctable", "Corrected memory errors of a channel.", _CHANNEL)
_CHANNEL_UNCORRECTED = _counter("channel_uncorrectable", "Uncorrected memory errors of a channel.", _CHANNEL)
_UNKNOWN = "unknown"


def find(tree: Tree) -> Iterator[Cell]:
    """The counters of each controller, then those of its rows and channels."""
    for node in tree.sys_list(_FOLDER):
        controller = node.removeprefix("mc")
        if controller != node and controller.isdigit():
            yield from _of_controller(tree, f"{_FOLDER}/{node}", controller)


def _of_controller(tree: Tree, folder: str, controller: str) -> Iterator[Cell]:
    yield Cell(_CORRECTED, (controller,), f"{folder}/ce_count", whole)
    yield Cell(_UNCORRECTED, (controller,), f"{folder}/ue_count", whole)
    yield Cell(_ROW_CORRECTED, (controller, _UNKNOWN), f"{folder}/ce_noinfo_count", whole)
    yield Cell(_ROW_UNCORRECTED, (controller, _UNKNOWN), f"{folder}/ue_noinfo_count", whole)
    for node in tree.sys_list(folder):
        row = node.removeprefix("csrow")
        if row != node and row.isdigit():
            yield from _of_row(tree, f"{folder}/{node}", controller, row)


def _of_row(tree: Tree, folder: str, controller: str, row: str) -> Iterator[Cell]:
    yield Cell(_ROW_CORRECTED, (controller, row), f"{folder}/ce_count", whole)
    yield Cell(_ROW_UNCORRECTED, (controller, row), f"{folder}/ue_count", whole)
    for name in tree.sys_list(folder):
        channel = name.removeprefix("ch").removesuffix("_ce_count")
        if name == f"ch{channel}_ce_count" and channel.isdigit():
            labels = (channel, controller, row, _dimm(tree, f"{folder}/ch{channel}_dimm_label"))
            yield Cell(_CHANNEL_CORRECTED, labels, f"{folder}/{name}", whole)
            yield Cell(_CHANNEL_UNCORRECTED, labels, f"{folder}/ch{channel}_ue_count", whole)


def _dimm(tree: Tree, file: str) -> str:
    """mc#0csrow#3channel#0, the kernel's name for a slot, as mc0_csrow3_channel0."""
    try:
        tree.attribute(file)
    except OSError:
        return _UNKNOWN
    spoken = text(tree, file).replace("#", "")
    return spoken.replace("csrow", "_csrow").replace("channel", "_channel")


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Sensors(host.tree, _FOLDER, lambda: find(host.tree), is_usual=True).collect)
