"""Which part is asked for next: the one that is most overdue for its period."""

from collections.abc import Callable, Iterable, Iterator
from time import monotonic

from exporters.vm.parts import Part

_AGAIN_SECONDS = 120.0
"""After how long a part is tried again that failed, where its period is longer."""
_NODE_DOWN_SECONDS = 300.0


class Schedule:
    """Remembers when each part was asked for; `steady` is a clock that never goes back."""

    def __init__(self, steady: Callable[[], float] = monotonic) -> None:
        self._steady = steady
        self._asked: dict[str, float] = {}
        self._down_until: dict[str, float] = {}

    def due(self, parts: Iterable[Part]) -> Iterator[Part]:
        """The parts that are due, the most overdue first. What is no part any more is forgotten."""
        now = self._steady()
        wanted = list(parts)
        # A part that is new counts as due just now, so that it waits in line with the others.
        self._asked = {part.key: self._asked.get(part.key, now - part.period_seconds) for part in wanted}
        late = {part.key: (now - self._asked[part.key]) / part.period_seconds for part in wanted}
        due = [part for part in wanted if late[part.key] >= 1 and self.is_due(part)]
        yield from sorted(due, key=lambda part: -late[part.key])

    def is_due(self, part: Part) -> bool:
        """Whether it still is, after others were asked for: its node may have turned out to be down."""
        return self._steady() >= self._down_until.get(part.node, float("-inf"))

    def succeeded(self, part: Part) -> None:
        """The part was read."""
        self._asked[part.key] = self._steady()

    def failed(self, part: Part) -> None:
        """The part was not read."""
        self._asked[part.key] = (
            self._steady() - part.period_seconds + min(part.period_seconds, _AGAIN_SECONDS)
        )

    def node_is_down(self, node: str) -> None:
        """Nothing is asked of that node for a while."""
        self._down_until[node] = self._steady() + _NODE_DOWN_SECONDS
