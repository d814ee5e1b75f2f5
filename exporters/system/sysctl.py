"""node_sysctl_*: kernel parameters of /proc/sys that flags name.

`--collector.sysctl.include=kernel.threads-max` makes a number a metric; several numbers get a label `index`,
or names of their own: `net.ipv4.tcp_rmem:min,default,max`. `--collector.sysctl.include-info` puts words into
labels.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from exporters.collector import Collector, Host
from exporters.errors import SettingError, SourceError
from exporters.samples import SINGLE, Family, Kind, Metric, Row, label
from exporters.settings import texts
from exporters.system.tree import Tree

INCLUDE = texts("collector.sysctl.include", (), "Parameter to report as number, NAME or NAME:FIELD,FIELD.")
INCLUDE_INFO = texts("collector.sysctl.include-info", (), "Parameter to report as text in labels.")
SETTINGS = (INCLUDE, INCLUDE_INFO)

_INFO = Metric("node_sysctl_info", Kind.GAUGE, "Words of kernel parameters.", ("name", "value", "index"))
_UNFIT = re.compile(r"_*[^0-9A-Za-z_]+_*")
_FIT = re.compile(r"[A-Za-z0-9_.\-/*@:]+")


@dataclass(frozen=True, slots=True)
class Parameter:
    """What to report: the name, the names of its fields, and whether as text."""

    name: str
    fields: tuple[str, ...]
    as_text: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """A parameter with the words that it holds."""

    parameter: Parameter
    words: tuple[str, ...]


def parameters(numbers: Sequence[str], infos: Sequence[str]) -> tuple[Parameter, ...]:
    """What the two flags name.

    Raises:
        SettingError: a name is none of a kernel parameter.
    """
    return (
        *(_parameter(text, as_text=False) for text in numbers),
        *(_parameter(text, as_text=True) for text in infos),
    )


def _parameter(text: str, *, as_text: bool) -> Parameter:
    name, colon, fields = text.partition(":")
    if not _FIT.fullmatch(name) or ".." in name or name.startswith(("/", ".")):
        raise SettingError(f"--collector.sysctl.include: {text!r} is no kernel parameter")
    return Parameter(name, tuple(fields.split(",")) if colon else (), as_text)


def read(tree: Tree, wanted: Sequence[Parameter]) -> list[Reading]:
    """Read each parameter; raises OSError where one is not there."""
    return [
        Reading(parameter, tuple(label(tree.proc(f"sys/{parameter.name.replace('.', '/')}")).split()))
        for parameter in wanted
    ]


def collect(raw: Sequence[Reading]) -> list[Family]:
    """Families of the numbers, and one of all words.

    Raises:
        SourceError: a parameter is empty, is no number, or has not as many fields as the flag names.
    """
    families = []
    rows: dict[Row, None] = {}
    for reading in raw:
        if not reading.words:
            raise SourceError(f"/proc/sys/{reading.parameter.name}", "empty")
        if reading.parameter.as_text:
            for place, word in enumerate(reading.words):
                rows[reading.parameter.name, word, str(place)] = None
        else:
            families += _numbers(reading)
    return [*families, Family(_INFO, tuple(rows), (1,) * len(rows))]


def _numbers(reading: Reading) -> list[Family]:
    parameter = reading.parameter
    try:
        values = [int(word, 0) for word in reading.words]
    except ValueError as error:
        raise SourceError(f"/proc/sys/{parameter.name}", str(error)) from error
    name = f"node_sysctl_{_UNFIT.sub('_', parameter.name)}"
    if parameter.fields:
        if len(parameter.fields) != len(values):
            raise SourceError(f"/proc/sys/{parameter.name}", f"{len(values)} fields")
        return [
            Metric(f"{name}_{field}", Kind.UNTYPED, f"Field {field} of {parameter.name}.").one(value)
            for field, value in zip(parameter.fields, values, strict=True)
        ]
    text = f"Kernel parameter {parameter.name}."
    if len(values) == 1:
        return [Family(Metric(name, Kind.UNTYPED, text), SINGLE, values)]
    return [
        Family(
            Metric(name, Kind.UNTYPED, text, ("index",)), tuple((str(n),) for n in range(len(values))), values
        )
    ]


def build(host: Host) -> Collector:
    """The collector on this host."""
    wanted = parameters(host.settings[INCLUDE], host.settings[INCLUDE_INFO])
    return Collector(lambda: collect(read(host.tree, wanted)))
