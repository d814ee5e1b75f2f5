"""docs/metrics.md, made from the code: `python -m tests.exporters.metrics_page` writes it anew.

Two ways lead to the metrics of a collector, and the page has what either finds: those that its modules hold
as values, and those that it makes of the saved trees and of a GPU that tells everything, since some names are
the kernel's (`node_memory_*`) and others come out of tables.
"""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from agent import tally
from exporters import states
from exporters.errors import ExporterError
from exporters.gpu import dcgm, smi
from exporters.gpu.readings import Field, GpuReading, Identity, MigReading, Raw
from exporters.samples import Metric
from exporters.table import TABLE, Row
from tests.exporters.trees import FIXTURES, at, host

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
_DEPTH = 6
_TABLE = "\n| metric | type | unit | labels | what it is |\n| --- | --- | --- | --- | --- |\n"
_UNITS = (
    ("_timestamp_seconds", "seconds since 1970"),
    ("_time_seconds", "seconds since 1970"),
    ("_seconds", "seconds"),
    ("_bytes", "bytes"),
    ("_celsius", "degrees Celsius"),
    ("_watts", "watts"),
    ("_watt", "watts"),
    ("_joules", "joules"),
    ("_hertz", "hertz"),
    ("_volts", "volts"),
    ("_amps", "amperes"),
    ("_rpm", "per minute"),
    ("_ratio", "ratio"),
    ("_percent", "percent"),
    ("_bits", "bits"),
    ("_mhz", "megahertz"),
    ("_info", "always 1"),
)
_UNITS_OF_DCGM = (
    (r"_VIOLATION$", "nanoseconds"),
    (r"_CLOCK$", "megahertz"),
    (r"_TEMP$", "degrees Celsius"),
    (r"_POWER_LIMIT$|_POWER_USAGE|_POWER_MGMT_LIMIT", "watts"),
    (r"_ENERGY_CONSUMPTION$", "millijoules"),
    (r"_UTIL$|_FAN_SPEED$", "percent"),
    (r"_FB_[A-Z]+$|_BAR1_", "mebibytes"),
    (r"_ACTIVE$|_OCCUPANCY$", "ratio"),
    (r"_PCIE_[RT]X_BYTES$", "bytes a second"),
    (r"_NVLINK_BANDWIDTH_", "megabytes a second"),
)
_EXCEPTIONS = {
    "restic_backup_size_total": "bytes",
    "restic_backup_timestamp": "seconds since 1970",
    "restic_size_total": "bytes",
    "restic_uncompressed_size_total": "bytes",
}
_NAMING = dcgm.Naming("Hostname", "saved")
_HEAD = """\
# Metrics

Each metric that the agent serves, by the collector that reads it. This page is made from the code; do not
edit it: `python -m tests.exporters.metrics_page` writes it anew, and a test holds the two equal.

A host serves what it has: a metric whose hardware, kernel or setting is not there is absent, never 0. A
collector says how it fared by the metrics of *Every collector*. `--collector.NAME` and
`--no-collector.NAME` switch one on and off; `steward-agent export --help` lists their flags. Values without a
unit are counts, states or 0 and 1.
"""


@dataclass(frozen=True)
class Section:
    """A part of the page: its title, what stands below it, and its metrics by name."""

    title: str
    words: str
    metrics: dict[str, Metric]


def sections() -> list[Section]:
    """Everything that the agent serves. A metric stands with the first collector that has it."""
    known: set[str] = set()
    found = []
    for row in TABLE:
        metrics = {name: metric for name, metric in of_row(row).items() if name not in known}
        known |= metrics.keys()
        found.append(Section(f"`{row.name}`", _words(row), metrics))
    own = [
        ("Every collector", "How each collector fared. On in every scrape.", states),
        ("The agent", "What an agent that is enrolled tells of itself.", tally),
    ]
    return found + [
        Section(title, words, {metric.name: metric for metric in _held(module)})
        for title, words, module in own
    ]


def of_row(row: Row) -> dict[str, Metric]:
    """The metrics of a collector by name: those of its modules, and those made of the saved trees."""
    metrics = {metric.name: metric for module in _modules(row) for metric in _held(module)}
    made = [metric for folder in sorted(FIXTURES.iterdir()) for metric in _made(row, folder)]
    for metric in [*made, *(_of_gpu() if row.name == "gpu" else ())]:
        metrics[metric.name] = _joined(metrics.get(metric.name), metric)
    return metrics


def render(found: Iterable[Section]) -> str:
    """The page."""
    parts = [_HEAD]
    for section in found:
        parts.append(f"\n## {section.title}\n\n{section.words}\n")
        if section.metrics:
            parts.append(_TABLE)
            parts += [_line(metric) for _, metric in sorted(section.metrics.items())]
    return "".join(parts)


def unit(metric: Metric) -> str:
    """The unit of a metric's values, by its name."""
    if metric.name in _EXCEPTIONS:
        return _EXCEPTIONS[metric.name]
    if metric.name.startswith("DCGM_"):
        return next((unit for part, unit in _UNITS_OF_DCGM if re.search(part, metric.name)), "")
    plain = metric.name.removesuffix("_total")
    return next((unit for ending, unit in _UNITS if plain.endswith(ending)), "")


def _line(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    words = metric.help.replace("|", "\\|").replace("\n", " ")
    return f"| `{metric.name}` | {metric.kind.value} | {unit(metric)} | {labels} | {words} |\n"


def _words(row: Row) -> str:
    state = "On" if row.by_default else "Off"
    origin = ", as in node_exporter" if row.in_node_exporter else ""
    return f"{state} by default{origin}. Reads {row.source}."


def _made(row: Row, folder: Path) -> Iterator[Metric]:
    """What the collector makes of a saved tree; what it cannot read there it does not make."""
    with suppress(ExporterError, OSError):
        collector = row.build(host(at(folder)))
        try:
            for family in collector.collect():
                yield family.metric
        finally:
            collector.close()


def _of_gpu() -> Iterator[Metric]:
    """The names of a GPU that tells every value, and of a MIG instance of it."""
    values = dict.fromkeys(Field, 1)
    gpu = GpuReading(
        Identity("0", "GPU-0", "00000000:01:00.0", "nvidia0", "a GPU"),
        up=True,
        values=values,
        mig=(MigReading("1", "1g", values),),
    )
    raw = Raw("1", (gpu,))
    for family in (*dcgm.collect(raw, _NAMING), *smi.collect(raw)):
        yield family.metric


def _joined(before: Metric | None, now: Metric) -> Metric:
    """A metric whose labels differ from tree to tree has all of them."""
    if before is None:
        return now
    more = [label for label in now.labels if label not in before.labels]
    return Metric(before.name, before.kind, before.help, (*before.labels, *more), before.is_sparse)


def _modules(row: Row) -> Iterator[ModuleType]:
    """The collector's module and those of ours that it imports, but no other collector's."""
    others = {f"exporters.{other.module}" for other in TABLE} - {f"exporters.{row.module}"}
    pending, seen = [row.load()], set()
    while pending:
        module = pending.pop()
        if module.__name__ in seen or module.__name__ in others:
            continue
        seen.add(module.__name__)
        yield module
        pending += _imported(module)


def _imported(module: ModuleType) -> Iterator[ModuleType]:
    """The modules of collectors that a module's names come from."""
    for value in vars(module).values():
        name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
        if isinstance(name, str) and name.startswith("exporters.") and name.count(".") > 1:
            yield sys.modules[name]


def _held(module: ModuleType) -> Iterator[Metric]:
    """The metrics that a module's constants hold, however deep."""
    for name, value in vars(module).items():
        if not name.startswith("__"):
            yield from _within(value, _DEPTH)


def _within(value: Any, depth: int) -> Iterator[Metric]:
    if isinstance(value, Metric):
        yield value
    elif depth == 0 or isinstance(value, type | ModuleType | str | bytes):
        return
    elif isinstance(value, dict):
        for item in value.values():
            yield from _within(item, depth - 1)
    elif isinstance(value, tuple | list | set | frozenset):
        for item in value:
            yield from _within(item, depth - 1)
    elif type(value).__module__.startswith("exporters.") and hasattr(value, "__dict__"):
        for item in vars(value).values():
            yield from _within(item, depth - 1)
    elif type(value).__module__.startswith("exporters."):
        for slot in getattr(type(value), "__slots__", ()):
            yield from _within(getattr(value, slot, None), depth - 1)


if __name__ == "__main__":
    PAGE.write_text(render(sections()), encoding="utf-8")
