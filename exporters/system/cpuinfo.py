"""What /proc/cpuinfo says of each processor, on x86 and on the architectures that write it alike
(fs/proc/cpuinfo.c and arch/*/kernel: ARM, RISC-V and LoongArch have other names for some fields).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from exporters.errors import SourceError
from exporters.samples import Family, Kind, Metric, label

_SOURCE = "/proc/cpuinfo"
_VENDOR = (b"vendor_id", b"vendor")
_MODEL_NAME = (b"model name", b"Model Name", b"cpu model", b"isa")
_FAMILY = (b"cpu family", b"CPU Family")
_CORE = (b"core id", b"hart")
_FLAGS = (b"flags", b"Features", b"features")
_HERTZ_PER_MEGAHERTZ = 1e6
_INFO = Metric(
    "node_cpu_info",
    Kind.GAUGE,
    "What /proc/cpuinfo says of each CPU, in labels.",
    (
        "package",
        "core",
        "cpu",
        "vendor",
        "family",
        "model",
        "model_name",
        "microcode",
        "stepping",
        "cachesize",
    ),
)
_FLAG = Metric("node_cpu_flag_info", Kind.GAUGE, "Flags of the first CPU, of /proc/cpuinfo.", ("flag",))
_BUG = Metric("node_cpu_bug_info", Kind.GAUGE, "Bugs of the first CPU, of /proc/cpuinfo.", ("bug",))


@dataclass(frozen=True, slots=True)
class Processor:
    """One block of the file: its number and the other fields by name."""

    number: str
    fields: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def place(self) -> tuple[str, str, str]:
        """Package, core and number of the processor; empty where the kernel does not tell."""
        return (self._text(b"physical id"), self._text(*_CORE), self.number)

    @property
    def model(self) -> tuple[str, ...]:
        """Vendor, family, model, model name, microcode, stepping and cache size."""
        return (
            self._text(*_VENDOR),
            self._text(*_FAMILY),
            self._text(b"model"),
            self._text(*_MODEL_NAME),
            self._text(b"microcode"),
            self._text(b"stepping"),
            self._text(b"cache size"),
        )

    @property
    def flags(self) -> list[str]:
        """What it can do."""
        return self._text(*_FLAGS).split()

    @property
    def bugs(self) -> list[str]:
        """Which errors of the hardware it has."""
        return self._text(b"bugs").split()

    @property
    def hertz(self) -> float:
        """Its clock rate; 0 where the kernel does not tell, as node_exporter has it.

        Raises:
            SourceError: it is no number.
        """
        try:
            return float(self.fields.get(b"cpu MHz", b"0")) * _HERTZ_PER_MEGAHERTZ
        except ValueError as error:
            raise SourceError(_SOURCE, str(error)) from error

    def _text(self, *names: bytes) -> str:
        return next((label(self.fields[name]) for name in names if name in self.fields), "")


def parse(text: bytes) -> list[Processor]:
    """The processors in the order of the file.

    Raises:
        SourceError: there is none, or one has no number.
    """
    found: list[Processor] = []
    for name, value in _pairs(text):
        if name == b"processor":
            if not value.isdigit():
                raise SourceError(_SOURCE, f"processor {value[:20]!r}")
            found.append(Processor(label(value)))
        elif found:
            found[-1].fields[name] = value
    if not found:
        raise SourceError(_SOURCE, "no processor in it")
    return found


def _pairs(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    for line in text.split(b"\n"):
        name, colon, value = line.partition(b":")
        if colon:
            yield name.strip(), value.removeprefix(b" ")


def collect(
    raw: Sequence[Processor],
    accept_flag: Callable[[str], bool] | None = None,
    accept_bug: Callable[[str], bool] | None = None,
) -> list[Family]:
    """A series for each processor; flags and bugs of the first one, where somebody said which."""
    rows = tuple((*processor.place, *processor.model) for processor in raw)
    return [
        Family(_INFO, rows, (1,) * len(rows)),
        _each(_FLAG, raw[0].flags if raw else (), accept_flag),
        _each(_BUG, raw[0].bugs if raw else (), accept_bug),
    ]


def _each(metric: Metric, names: Sequence[str], accept: Callable[[str], bool] | None) -> Family:
    rows = tuple((name,) for name in dict.fromkeys(names) if accept is not None and accept(name))
    return Family(metric, rows, (1,) * len(rows))
