"""The `xfrm` collector (off by default): node_xfrm_*_packets_total, the errors of IPsec.

From /proc/net/xfrm_stat; Documentation/networking/xfrm_proc.rst has what each counts. One that
the kernel lacks is 0, as node_exporter has it.
"""

import re
from functools import partial

from exporters.collector import Collector, Host
from exporters.errors import NoDataError, SourceError
from exporters.samples import Family, Kind, Metric
from exporters.system.tree import Tree
from exporters.system.unchanged import Unchanged

_NAMES = [
    "XfrmInError",
    "XfrmInBufferError",
    "XfrmInHdrError",
    "XfrmInNoStates",
    "XfrmInStateProtoError",
    "XfrmInStateModeError",
    "XfrmInStateSeqError",
    "XfrmInStateExpired",
    "XfrmInStateMismatch",
    "XfrmInStateInvalid",
    "XfrmInTmplMismatch",
    "XfrmInNoPols",
    "XfrmInPolBlock",
    "XfrmInPolError",
    "XfrmOutError",
    "XfrmOutBundleGenError",
    "XfrmOutBundleCheckError",
    "XfrmOutNoStates",
    "XfrmOutStateProtoError",
    "XfrmOutStateModeError",
    "XfrmOutStateSeqError",
    "XfrmOutStateExpired",
    "XfrmOutPolBlock",
    "XfrmOutPolDead",
    "XfrmOutPolError",
    "XfrmFwdHdrError",
    "XfrmOutStateInvalid",
    "XfrmAcquireError",
]
_CAPITAL = re.compile("(?<!^)([A-Z])")


def _metric(name: str) -> Metric:
    snake = _CAPITAL.sub(r"_\1", name.removeprefix("Xfrm")).lower()
    return Metric(f"node_xfrm_{snake}_packets_total", Kind.COUNTER, f"Packets counted under {name}.")


_METRICS = {name.encode(): _metric(name) for name in _NAMES}


def read(tree: Tree) -> bytes:
    """The text of /proc/net/xfrm_stat.

    Raises:
        NoDataError: the kernel counts no such errors.
    """
    try:
        return tree.proc("net/xfrm_stat")
    except FileNotFoundError as error:
        raise NoDataError("no /proc/net/xfrm_stat") from error


def collect(raw: bytes) -> list[Family]:
    """A family for each counter.

    Raises:
        SourceError: a line is not a name and a number.
    """
    counters = dict.fromkeys(_METRICS, 0)
    try:
        for line in raw.splitlines():
            name, value = line.split()
            counters[name] = int(value)
    except ValueError as error:
        raise SourceError("/proc/net/xfrm_stat", str(error)) from error
    return [metric.one(counters[name]) for name, metric in _METRICS.items()]


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Unchanged(partial(read, host.tree), collect))
