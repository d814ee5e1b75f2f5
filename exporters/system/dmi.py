"""The `dmi` collector: node_dmi_info, what the firmware says the machine is, from /sys/class/dmi/id.

It does not change while the machine runs, so it is read once. Only root may read the serial numbers.
"""

from exporters.collector import Collector, Host
from exporters.errors import NoDataError
from exporters.samples import Family, Kind, Metric, label
from exporters.system.tree import Tree

_FOLDER = "class/dmi/id"
_LABELS = {
    "bios_date": "bios_date",
    "bios_release": "bios_release",
    "bios_vendor": "bios_vendor",
    "bios_version": "bios_version",
    "board_asset_tag": "board_asset_tag",
    "board_name": "board_name",
    "board_serial": "board_serial",
    "board_vendor": "board_vendor",
    "board_version": "board_version",
    "chassis_asset_tag": "chassis_asset_tag",
    "chassis_serial": "chassis_serial",
    "chassis_vendor": "chassis_vendor",
    "chassis_version": "chassis_version",
    "product_family": "product_family",
    "product_name": "product_name",
    "product_serial": "product_serial",
    "product_sku": "product_sku",
    "product_uuid": "product_uuid",
    "product_version": "product_version",
    "sys_vendor": "system_vendor",
}


class Firmware:
    """Reads once."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._families: list[Family] = []

    def collect(self) -> list[Family]:
        """What the firmware says.

        Raises:
            NoDataError: it says nothing, as on a board without DMI.
        """
        if not self._families:
            self._families = collect(self.read())
        return self._families

    def read(self) -> dict[str, str]:
        """Label values by label, of the files that are there and may be read."""
        values = {}
        for file in self._tree.sys_list(_FOLDER):
            if file in _LABELS:
                try:
                    values[_LABELS[file]] = label(self._tree.attribute(f"{_FOLDER}/{file}"))
                except OSError:  # a serial number, and we are not root
                    continue
        return values


def collect(raw: dict[str, str]) -> list[Family]:
    """One series whose labels are what is known.

    Raises:
        NoDataError: nothing is.
    """
    if not raw:
        raise NoDataError("no /sys/class/dmi/id")
    metric = Metric("node_dmi_info", Kind.GAUGE, "What the firmware says the machine is.", tuple(raw))
    return [Family(metric, (tuple(raw.values()),), (1,))]


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Firmware(host.tree).collect)
