"""node_cpu_frequency_* and node_cpu_scaling_*: clock rates and governors from
/sys/devices/system/cpu/cpu*/cpufreq (https://docs.kernel.org/admin-guide/pm/cpufreq.html; rates in kHz).

CPUs of one policy share its files, so each policy is read once for all of its CPUs. Where
`--collector.cpu.info` is given, the rates of /proc/cpuinfo stand beside them, as in node_exporter: one metric
has one owner.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from os.path import realpath
from time import monotonic

from exporters.collector import Collector, Host
from exporters.errors import SourceError
from exporters.samples import Family, Kind, Metric, Row, Rows, label
from exporters.system import cpuinfo
from exporters.system.cpu import has_info
from exporters.system.lists import parse_list
from exporters.system.tree import Tree


def _gauge(name: str, text: str, labels: tuple[str, ...] = ("cpu",)) -> Metric:
    return Metric(f"node_cpu_{name}", Kind.GAUGE, text, labels)


_PLACE = ("cpu", "core", "package")
_FREQUENCY = _gauge("frequency_hertz", "Clock rate of the CPU at present.")
_PLACED = _gauge("frequency_hertz", "Clock rate of the CPU at present.", _PLACE)
_METRICS = {
    "cpuinfo_cur_freq": _FREQUENCY,
    "cpuinfo_avg_freq": _gauge("frequency_avg_hertz", "Mean clock rate of the CPU of late."),
    "cpuinfo_min_freq": _gauge("frequency_min_hertz", "Lowest clock rate that the CPU can have."),
    "cpuinfo_max_freq": _gauge("frequency_max_hertz", "Highest clock rate that the CPU can have."),
    "scaling_cur_freq": _gauge("scaling_frequency_hertz", "Clock rate that was last asked of the CPU."),
    "scaling_min_freq": _gauge(
        "scaling_frequency_min_hertz", "Lowest clock rate that may be asked of the CPU."
    ),
    "scaling_max_freq": _gauge(
        "scaling_frequency_max_hertz", "Highest clock rate that may be asked of the CPU."
    ),
}
_GOVERNOR = _gauge(
    "scaling_governor", "Whether this is the governor of the CPU's clock rate.", ("cpu", "governor")
)
_FOLDER = "devices/system/cpu"
_HERTZ_PER_KILOHERTZ = 1000
LOOK_AGAIN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Policy:
    """CPUs that share their clock: the folder, their numbers, the rates that it has, and its governors."""

    folder: str
    cpus: tuple[str, ...]
    rates: tuple[str, ...]
    governors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class State:
    """What a policy says now: rates in kHz by file name, and the governor."""

    policy: Policy
    rates: dict[str, int]
    governor: str


@dataclass(frozen=True, slots=True)
class Raw:
    """All policies; and what /proc/cpuinfo says, where that is wanted."""

    states: tuple[State, ...]
    processors: Sequence[cpuinfo.Processor] = ()


class Clocks:
    """Keeps the policies as long as the same CPUs are online; where there are none it looks again after
    `LOOK_AGAIN_SECONDS`, since a driver may be loaded late.
    """

    def __init__(
        self, tree: Tree, *, with_cpuinfo: bool = False, steady: Callable[[], float] = monotonic
    ) -> None:
        self._tree = tree
        self._with_cpuinfo = with_cpuinfo
        self._steady = steady
        self._looked_at = float("-inf")
        self._sign: object = None
        self._policies: tuple[Policy, ...] = ()

    def collect(self) -> list[Family]:
        """Read and collect."""
        return collect(self.read())

    def read(self) -> Raw:
        """Read each policy."""
        tree = self._tree
        if self._policies or self._steady() - self._looked_at >= LOOK_AGAIN_SECONDS:
            self._look()
        processors = _processors(tree) if self._with_cpuinfo else ()
        return Raw(tuple(_state(tree, policy) for policy in self._policies), processors)

    def _look(self) -> None:
        tree = self._tree
        self._looked_at = self._steady()
        sign = (tree.sys_or(f"{_FOLDER}/online", b""), _links(tree.sys_path(f"{_FOLDER}/cpufreq")))
        if sign != self._sign:
            self._policies, self._sign = read_policies(tree), sign


def _processors(tree: Tree) -> Sequence[cpuinfo.Processor]:
    """What /proc/cpuinfo says; none where it is unlike those of x86, which the collector `cpu` tells of."""
    try:
        return cpuinfo.parse(tree.proc("cpuinfo"))
    except (OSError, SourceError):
        return ()


def _links(folder: str) -> int:
    """Links to the folder, one for each folder in it: a driver that comes or goes changes their number."""
    try:
        return os.stat(folder).st_nlink  # noqa: PTH116 - a path object would cost more than the call
    except OSError:
        return 0


def read_policies(tree: Tree) -> tuple[Policy, ...]:
    """The policies of the CPUs that are not offline; none where the kernel does not scale clocks."""
    offline = parse_list(f"{_FOLDER}/offline", tree.sys_or(f"{_FOLDER}/offline", b""))
    shared: dict[str, list[str]] = {}
    for name in tree.sys_list(_FOLDER):
        number = name.removeprefix("cpu")
        if number.isdigit() and number not in offline and tree.sys_has(f"{_FOLDER}/{name}/cpufreq"):
            shared.setdefault(realpath(tree.sys_path(f"{_FOLDER}/{name}/cpufreq")), []).append(number)
    return tuple(_policy(tree, cpus) for cpus in shared.values())


def _policy(tree: Tree, cpus: Sequence[str]) -> Policy:
    folder = f"{_FOLDER}/cpu{cpus[0]}/cpufreq"
    rates = tuple(name for name in _METRICS if _kilohertz(tree, f"{folder}/{name}") is not None)
    governors = label(tree.sys_or(f"{folder}/scaling_available_governors", b"")).split()
    return Policy(folder, tuple(cpus), rates, tuple(governors))


def _state(tree: Tree, policy: Policy) -> State:
    folder = policy.folder
    rates = {
        name: rate for name in policy.rates if (rate := _kilohertz(tree, f"{folder}/{name}")) is not None
    }
    governor = tree.sys_or(f"{folder}/scaling_governor", b"") if policy.governors else b""
    return State(policy, rates, label(governor.strip()))


def _kilohertz(tree: Tree, name: str) -> int | None:
    """None also where the driver does not know its rate at present (`<unknown>`, EAGAIN of an idle CPU)."""
    try:
        text = tree.attribute(name)
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def collect(raw: Raw) -> list[Family]:
    """Rates in hertz of each CPU, and its governors, 1 the one that rules."""
    if not raw.states and not raw.processors:
        return []
    families = [_rates(raw.states, name, metric) for name, metric in _METRICS.items()]
    if raw.processors:
        families[0] = _placed(families[0], raw.processors)
    chosen = [state for state in raw.states if state.governor]
    values = [
        int(governor == state.governor)
        for state in chosen
        for _ in state.policy.cpus
        for governor in state.policy.governors
    ]
    families.append(Family(_GOVERNOR, _governor_rows(tuple(state.policy for state in chosen)), values))
    return families


def _rates(states: Iterable[State], name: str, metric: Metric) -> Family:
    told = [state for state in states if name in state.rates]
    values = [state.rates[name] * _HERTZ_PER_KILOHERTZ for state in told for _ in state.policy.cpus]
    return Family(metric, _cpu_rows(tuple(state.policy for state in told)), values)


def _placed(rates: Family, processors: Sequence[cpuinfo.Processor]) -> Family:
    """The rates of cpufreq and of /proc/cpuinfo as one family: an empty label is one that is not there. Where
    /proc/cpuinfo tells no place, as on ARM, a CPU has its rate of cpufreq alone.
    """
    found: dict[Row, float] = dict(
        zip(((cpu, "", "") for (cpu,) in rates.rows), rates.values, strict=True),
    )
    for processor in processors:
        package, core, cpu = processor.place
        found.setdefault((cpu, core, package), processor.hertz)
    return Family(_PLACED, tuple(found), list(found.values()))


@lru_cache(maxsize=16)
def _cpu_rows(policies: tuple[Policy, ...]) -> Rows:
    return tuple((cpu,) for policy in policies for cpu in policy.cpus)


@lru_cache(maxsize=4)
def _governor_rows(policies: tuple[Policy, ...]) -> Rows:
    return tuple(
        (cpu, governor) for policy in policies for cpu in policy.cpus for governor in policy.governors
    )


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Clocks(host.tree, with_cpuinfo=has_info(host.settings)).collect)
