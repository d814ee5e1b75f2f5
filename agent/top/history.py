"""The last minutes of a few numbers, for the small curves on the screen; gone when the screen closes."""

from collections import deque
from collections.abc import Mapping

from agent.top.view import View

__all__ = ["History", "curve"]

_KEPT = 600
_STEPS = " ▁▂▃▄▅▆▇█"


class History:
    """Shares (0 to 1) and rates by name, the oldest first."""

    def __init__(self) -> None:
        self._kept: dict[str, deque[float]] = {}

    def add(self, seen: View) -> None:
        """Keep what this view shows; a name that is gone keeps what it had."""
        for name, value in _numbers(seen).items():
            self._kept.setdefault(name, deque(maxlen=_KEPT)).append(value)

    def of(self, name: str) -> tuple[float, ...]:
        """What was kept of a name."""
        return tuple(self._kept.get(name, ()))


def curve(values: tuple[float, ...], width: int, most: float | None = None) -> str:
    """The last `width` values as blocks; the highest is a full one unless `most` says what is."""
    shown = values[-width:]
    top = most if most is not None else max(shown, default=0.0)
    blocks = "".join(
        _STEPS[min(len(_STEPS) - 1, max(1 if value > 0 else 0, round(value / top * (len(_STEPS) - 1))))]
        if top > 0
        else _STEPS[0]
        for value in shown
    )
    return blocks.rjust(width)


def _numbers(seen: View) -> Mapping[str, float]:
    numbers: dict[str, float] = {
        "received": sum(one.received for one in seen.interfaces),
        "sent": sum(one.sent for one in seen.interfaces),
        "read": sum(one.read for one in seen.disks),
        "written": sum(one.written for one in seen.disks),
    }
    if seen.cpu is not None:
        numbers["cpu"] = seen.cpu
    if seen.memory is not None:
        numbers["memory"] = seen.memory.used / seen.memory.total
    for gpu in seen.gpus:
        if gpu.gpu_util is not None:
            numbers[f"gpu {gpu.uuid}"] = float(gpu.gpu_util) / 100
    return numbers
