"""nvidia_smi_compute_app_*: a series for each process on a GPU, under the names of nvidia_gpu_exporter.

Each process makes new series, so they are off by default, as they are there. The name is the first word of
the command line (proc(5)): the path of the program as it was called, never its arguments.
"""

from collections.abc import Callable, Sequence

from exporters.gpu.readings import Raw
from exporters.gpu.smi import short
from exporters.samples import Family, Kind, Metric, Number, Row
from exporters.system.tree import Tree

_GONE = "[Not Found]"
_LONGEST = 128
_LABELS = ("uuid", "pid", "process_name")
_INFO = Metric("nvidia_smi_compute_app_info", Kind.GAUGE, "A process on the GPU.", _LABELS)
_MEMORY = Metric(
    "nvidia_smi_compute_app_used_memory_bytes", Kind.GAUGE, "GPU memory of the process.", _LABELS
)
_COUNT = Metric("nvidia_smi_compute_apps", Kind.GAUGE, "Processes on the GPU.", ("uuid",))
_SUCCESS = Metric(
    "nvidia_smi_compute_apps_last_collect_success",
    Kind.GAUGE,
    "Whether the driver told the processes of every GPU that has any to tell.",
)


def program(tree: Tree, pid: int) -> str:
    """The program of a process; nvidia-smi's own word where it has gone."""
    try:
        line = tree.proc_once(f"{pid}/cmdline")
    except OSError:
        return _GONE
    words = line.replace(b"\0", b" ").split(maxsplit=1)
    return words[0][:_LONGEST].decode("utf-8", "replace") if words else _GONE


def collect(raw: Raw, name_of: Callable[[int], str]) -> list[Family]:
    """The processes of the GPUs that answer; a GPU whose driver did not tell them has no series."""
    told = [gpu for gpu in raw.gpus if gpu.up and gpu.processes.listed]
    held: list[tuple[Row, Number | None]] = [
        ((short(gpu.identity.uuid), str(one.pid), name_of(one.pid)), one.memory)
        for gpu in told
        for one in gpu.processes.found
    ]
    failed = any(gpu.up and gpu.processes.listed is False for gpu in raw.gpus)
    known = [(row, memory) for row, memory in held if memory is not None]
    families: Sequence[Family] = (
        Family(_INFO, tuple(row for row, _ in held), [1] * len(held)),
        Family(_MEMORY, tuple(row for row, _ in known), [memory for _, memory in known]),
        Family(
            _COUNT,
            tuple((short(gpu.identity.uuid),) for gpu in told),
            [len(gpu.processes.found) for gpu in told],
        ),
        _SUCCESS.one(int(not failed)),
    )
    return [family for family in families if family.rows]
