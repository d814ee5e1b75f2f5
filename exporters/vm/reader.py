"""Reads a cluster: at most three requests at a time, but for the first reading, which asks for every part."""

import threading
from collections.abc import Callable, Iterator, Sequence
from time import monotonic, time

from exporters.samples import Family
from exporters.vm.api import Api
from exporters.vm.errors import DeniedError, NodeDownError, ProxmoxError, UnreachableError
from exporters.vm.families import collect
from exporters.vm.parts import RESOURCES, STATUS, Part, parts
from exporters.vm.schedule import Schedule
from exporters.vm.targets import Guest, guests
from exporters.vm.world import Answered, World

MOST_REQUESTS = 3
_MOST_FIRST_REQUESTS = 128
_FIRST_SECONDS = 0.7
"""What the first reading may take before it leaves the rest to those that follow: a scrape waits for it."""


class Reader:
    """One cluster. `without` are names of parts not to ask for, `hostname` names this host, `clock` gives
    unixtime, `steady` never goes back.

    Where /cluster/resources cannot be had, what was read before is told again until it is `keep_seconds` old;
    the part's own series say so.

    Raises, from `read`:
        ExporterError: it cannot be had for longer; any other part that cannot costs its own series.
    """

    def __init__(
        self,
        api: Api,
        *,
        only_local: bool = False,
        without: frozenset[str] = frozenset(),
        hostname: str = "",
        keep_seconds: float = 0.0,
        clock: Callable[[], float] = time,
        steady: Callable[[], float] = monotonic,
    ) -> None:
        self._api = api
        self._only_local = only_local
        self._without = without
        self._hostname = hostname
        self._keep_seconds = keep_seconds
        self._read_at: float | None = None
        self._clock = clock
        self._steady = steady
        self._world = World()
        self._schedule = Schedule(steady)
        self._is_first = True
        self._closed = threading.Event()
        self._reading = threading.Lock()

    def read(self, put: Callable[[Iterator[Family]], Sequence[Family]] = tuple) -> Sequence[Family]:
        """One reading, as `put` makes it of families that come one by one."""
        try:
            with self._reading:
                self._read()
                return put(collect(self._world, only_local=self._only_local))
        finally:
            if self._closed.is_set():
                self.close()

    def age_seconds(self) -> float | None:
        """Age of what is told; None before the first reading."""
        return None if self._read_at is None else round(self._steady() - self._read_at, 3)

    def guests(self) -> tuple[Guest, ...]:
        """The guests of the last reading."""
        return guests(self._world, only_local=self._only_local)

    def close(self) -> None:
        """Ask nothing more and close the connection; a reading under way does so when it ends."""
        self._closed.set()
        if self._reading.acquire(blocking=False):
            self._api.close()
            self._reading.release()

    def _read(self) -> None:
        began, before, world = self._steady(), self._api.requests, self._world
        error = self._ask(RESOURCES)
        if error is not None:
            world.requests = self._api.requests
            if self._read_at is None or began - self._read_at > self._keep_seconds:
                raise error
            return
        self._read_at = began
        self._ask(STATUS)
        world.local = self._local()
        self._ask_for_parts(began + _FIRST_SECONDS, before)
        self._is_first = False
        world.requests = self._api.requests

    def _ask_for_parts(self, first_ends: float, before: int) -> None:
        """Ask for what is due while there are requests left; answers make further parts known."""
        asked = True
        while asked:
            asked = False
            found = parts(self._world, only_local=self._only_local)
            known = [part for part in found if part.name not in self._without]
            self._world.keep_denied({STATUS.key, *(part.key for part in known)})
            for part in self._schedule.due(known):
                most = (
                    _MOST_FIRST_REQUESTS if self._is_first and self._steady() < first_ends else MOST_REQUESTS
                )
                if self._api.requests - before >= most or self._closed.is_set():
                    return
                if not self._schedule.is_due(part):
                    continue
                if isinstance(self._ask(part), UnreachableError):
                    return
                asked = True

    def _local(self) -> str:
        """Name of the node that answers, or of this host where the token may not know."""
        world = self._world
        if world.status is not None and world.status.local:
            return world.status.local
        names = {row.node for row in world.resources if row.kind == "node"}
        if len(names) == 1:
            return names.pop()
        return next((name for name in (world.local, self._hostname) if name in names), "")

    def _ask(self, part: Part) -> ProxmoxError | None:
        """Ask for a part and put it away; gives the error where that went wrong."""
        world = self._world
        is_remote = part.node not in ("", world.local)
        try:
            answer = self._api.get(part.path, for_node=is_remote, most_bytes=part.most_bytes, each=part.each)
            part.take(world, answer)
        except ProxmoxError as error:
            self._failed(part, error)
            return error
        world.denied.pop(part.key, None)
        world.answered[part.name] = Answered(ok=True, succeeded_at=self._clock())
        if part.node:
            world.nodes_answering[part.node] = True
        self._schedule.succeeded(part)
        return None

    def _failed(self, part: Part, error: ProxmoxError) -> None:
        world = self._world
        known = world.answered.get(part.name)
        world.answered[part.name] = Answered(ok=False, succeeded_at=known.succeeded_at if known else None)
        self._schedule.failed(part)
        if isinstance(error, DeniedError):
            world.refuse(part.key, error)
        elif isinstance(error, NodeDownError) and part.node:
            world.nodes_answering[part.node] = False
            self._schedule.node_is_down(part.node)
        elif part.give_up is not None and not isinstance(error, UnreachableError):
            part.give_up(world)
        if part is STATUS:
            world.status = None
