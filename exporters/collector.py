"""What a collector is on a host, and what it may know of the host."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from exporters.samples import Family
from exporters.settings import Settings
from exporters.system.tree import Tree


@dataclass(frozen=True, slots=True)
class Host:
    """What a collector is built from: where to read, the flags, what this host is called, and our version."""

    tree: Tree
    settings: Settings
    hostname: str
    version: str = "0"


@dataclass(frozen=True, slots=True)
class Collector:
    """A collector that was built.

    `collect` reads and returns families; it raises `NoDataError` where there is nothing to read and anything
    else where it failed. `close` lets go of what it holds. `age_seconds` is there for one that reads in the
    background. `snapshot` gives the last reading as values to those that want no metrics, such as GET /gpu
    and `steward-agent top`; it raises what `collect` raises. `gives_way` is there for one whose names others
    choose: it is told once how to ask whether another collector has a metric's name, and leaves that out.
    """

    collect: Callable[[], Sequence[Family]]
    close: Callable[[], None] = lambda: None
    age_seconds: Callable[[], float | None] | None = None
    snapshot: Callable[[], object] | None = None
    gives_way: Callable[[Callable[[str], bool]], None] | None = None
