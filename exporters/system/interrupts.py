"""node_interrupts_total: interrupts by CPU, number or name, controller and devices, from /proc/interrupts
(proc_interrupts(5)).

CPUs are numbered by their column, as node_exporter numbers them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from exporters.collector import Collector, Host
from exporters.errors import SourceError
from exporters.samples import Family, Kind, Metric, Row, Rows, label
from exporters.settings import expression, switch
from exporters.system.filters import accepts

INCLUDE = expression(
    "collector.interrupts.name-include",
    "",
    "Interrupts to report, as NAME;INFO;DEVICES; not with name-exclude.",
)
EXCLUDE = expression(
    "collector.interrupts.name-exclude", "", "Interrupts not to report, as NAME;INFO;DEVICES."
)
ZEROS = switch(
    "collector.interrupts.include-zeros", default=True, help_text="Also interrupts that never came."
)
SETTINGS = (INCLUDE, EXCLUDE, ZEROS)

_TOTAL = Metric(
    "node_interrupts_total", Kind.COUNTER, "Interrupts that came.", ("cpu", "type", "info", "devices")
)


@dataclass(frozen=True, slots=True)
class Interrupt:
    """A line of the file: what it is, and how often each CPU had it."""

    name: str
    info: str
    devices: str
    counts: tuple[int, ...]


def parse(text: bytes) -> list[Interrupt]:
    """The lines that have a number for each CPU; `ERR` and `MIS` have one only and are left out.

    Raises:
        SourceError: there is no head line, or a count is no number.
    """
    head, _, body = text.partition(b"\n")
    cpus = len(head.split())
    if not cpus:
        raise SourceError("/proc/interrupts", "no CPU in it")
    found: dict[str, Interrupt] = {}
    for line in body.split(b"\n"):
        name, colon, rest = line.partition(b":")
        words = rest.split(None, cpus)
        if not colon or len(words) <= cpus:
            continue
        interrupt = _interrupt(label(name.strip(b" ")), words[:cpus], label(words[cpus]).split())
        found[interrupt.name] = interrupt
    return list(found.values())


def _interrupt(name: str, counts: Sequence[bytes], words: Sequence[str]) -> Interrupt:
    try:
        numbers = tuple(map(int, counts))
    except ValueError as error:
        raise SourceError("/proc/interrupts", f"{name}: {error}") from error
    if name.isdigit():
        return Interrupt(name, words[0] if words else "", " ".join(words[1:]), numbers)
    return Interrupt(name, " ".join(words), "", numbers)


def collect(
    raw: Sequence[Interrupt], accept: Callable[[str], bool], *, with_zeros: bool = True
) -> list[Family]:
    """A series for each CPU of each accepted interrupt."""
    chosen = [each for each in raw if accept(f"{each.name};{each.info};{each.devices}")]
    names = tuple((each.name, each.info, each.devices) for each in chosen)
    rows = _rows(names, len(chosen[0].counts) if chosen else 0)
    values = [count for each in chosen for count in each.counts]
    if not with_zeros:
        rows = tuple(row for row, value in zip(rows, values, strict=True) if value)
        values = [value for value in values if value]
    return [Family(_TOTAL, rows, values)]


@lru_cache(maxsize=2)
def _rows(names: tuple[Row, ...], cpus: int) -> Rows:
    return tuple((str(cpu), *name) for name in names for cpu in range(cpus))


def build(host: Host) -> Collector:
    """The collector on this host."""
    tree, settings = host.tree, host.settings
    accept = accepts(include=settings[INCLUDE], exclude=settings[EXCLUDE])
    with_zeros = settings[ZEROS]
    return Collector(lambda: collect(parse(tree.proc("interrupts")), accept, with_zeros=with_zeros))
