"""Reading each thing once: what the resources of one pass share of a cluster."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol

from controller.errors import ControllerError

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["Reads", "RememberedReads"]


class Reads(Protocol):
    """What a reader needs of a connection."""

    def get(self, *path: str, **params: str) -> Any:
        """What stands at the path."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class RememberedReads:
    """Remembers what was read; who asks for what is being read waits for the same answer, errors included."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._asked: dict[Hashable, Future[Any]] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Nothing: the connection is somebody else's."""

    def get(self, *path: str, **params: str) -> Any:
        """What stands at the path, asked for the first time only."""
        key = (path, tuple(sorted(params.items())))
        with self._lock:
            is_first = key not in self._asked
            answer = self._asked.setdefault(key, Future())
        if is_first:
            self._ask(answer, *path, **params)
        return answer.result()

    def _ask(self, answer: Future[Any], *path: str, **params: str) -> None:
        try:
            answer.set_result(self._reads.get(*path, **params))
        except ControllerError as error:
            answer.set_exception(error)
        except BaseException:
            answer.set_exception(ControllerError("the reading of it was broken off"))
            raise
