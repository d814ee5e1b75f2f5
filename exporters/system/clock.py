"""The `time` collector: node_time_seconds, the zone's offset, and the kernel's clock sources."""

import time
from dataclasses import dataclass
from functools import lru_cache

from exporters.collector import Collector, Host
from exporters.samples import Family, Kind, Metric, Rows, label
from exporters.system.tree import Tree

_SECONDS = Metric("node_time_seconds", Kind.GAUGE, "System time in seconds since epoch (1970).")
_ZONE = Metric(
    "node_time_zone_offset_seconds", Kind.GAUGE, "System time zone offset in seconds.", ("time_zone",)
)
_AVAILABLE = Metric(
    "node_time_clocksource_available_info",
    Kind.GAUGE,
    "Available clocksources read from '/sys/devices/system/clocksource'.",
    ("clocksource", "device"),
)
_CURRENT = Metric(
    "node_time_clocksource_current_info",
    Kind.GAUGE,
    "Current clocksource read from '/sys/devices/system/clocksource'.",
    ("clocksource", "device"),
)
_FOLDER = "devices/system/clocksource"


@dataclass(frozen=True, slots=True)
class Raw:
    """The time now, the zone it is shown in, and (available, current) of each clock source device."""

    now: float
    zone: str
    zone_offset_seconds: int
    sources: tuple[tuple[bytes, bytes], ...]


class Clock:
    """Keeps the list of clock source devices, which is fixed at boot."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._devices: list[str] | None = None

    def collect(self) -> list[Family]:
        """Read and collect."""
        return collect(self.read())

    def read(self) -> Raw:
        """Ask the clock and /sys."""
        if self._devices is None:
            self._devices = [
                name
                for name in self._tree.sys_list(_FOLDER)
                if name.startswith("clocksource") and name[11:12].isdigit()
            ]
        now = time.time()
        local = time.localtime(now)
        sources = tuple(
            (
                self._tree.attribute(f"{_FOLDER}/{device}/available_clocksource"),
                self._tree.attribute(f"{_FOLDER}/{device}/current_clocksource"),
            )
            for device in self._devices
        )
        return Raw(now, local.tm_zone, local.tm_gmtoff, sources)


def collect(raw: Raw) -> list[Family]:
    """Devices are numbered by their place, as node_exporter numbers them."""
    available, current = _rows(raw.sources)
    return [
        _SECONDS.one(raw.now),
        Family(_ZONE, ((raw.zone,),), (raw.zone_offset_seconds,)),
        Family(_AVAILABLE, available, (1,) * len(available)),
        Family(_CURRENT, current, (1,) * len(current)),
    ]


@lru_cache(maxsize=4)
def _rows(sources: tuple[tuple[bytes, bytes], ...]) -> tuple[Rows, Rows]:
    return (
        tuple(
            (label(name), str(place)) for place, (names, _) in enumerate(sources) for name in names.split()
        ),
        tuple((label(name.strip()), str(place)) for place, (_, name) in enumerate(sources)),
    )


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Clock(host.tree).collect)
