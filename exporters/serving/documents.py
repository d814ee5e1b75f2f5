"""JSON of what collectors last read, for those that want no metrics: GET /gpu, GET /sd/guests.

Nothing is read for them: each takes the last reading of a collector that reads in the background. The room of
a document is imported when it is first asked for.
"""

import json
from collections.abc import Callable

from exporters.collector import Collector, Host
from exporters.errors import ExporterError, NoDataError
from exporters.lane import Job, Lane
from exporters.registry import Registry

_DEADLINE_SECONDS = 2.0


def _gpu(collector: Collector, host: Host) -> object:  # noqa: ARG001 - as all documents
    from exporters.gpu.state import as_json, gpus

    return {"gpus": [as_json(state) for state in gpus(collector)]}


def _guests(collector: Collector, host: Host) -> object:
    from exporters.vm.build import discovery

    return discovery(host, collector)()


_DOCUMENTS: dict[str, tuple[str, Callable[[Collector, Host], object]]] = {
    "/gpu": ("gpu", _gpu),
    "/sd/guests": ("pve", _guests),
}

PATHS = tuple(_DOCUMENTS)


class Documents:
    """The documents of a registry's collectors; none where no `host` is given."""

    def __init__(self, registry: Registry, host: Host | None) -> None:
        self._registry = registry
        self._host = host
        self._lane = Lane[bytes]("exporters-documents")

    @property
    def paths(self) -> tuple[str, ...]:
        """Paths of the documents whose collectors run."""
        return tuple(path for path, (name, _) in _DOCUMENTS.items() if self._registry.collector(name))

    async def read(self, path: str) -> bytes:
        """The document at one of `PATHS`, as JSON.

        Raises:
            LookupError: its collector is switched off, or has nothing to read.
            ExporterError: there is no reading of late.
        """
        name, make = _DOCUMENTS[path]
        collector, host = self._registry.collector(name), self._host
        if collector is None or host is None:
            raise LookupError(f"the collector {name} is switched off")

        def write() -> bytes:
            return json.dumps(make(collector, host), separators=(",", ":")).encode() + b"\n"

        outcome = (await self._lane.run_async([Job(path, write, _DEADLINE_SECONDS)]))[path]
        if isinstance(outcome.error, NoDataError):
            raise LookupError(str(outcome.error))
        if outcome.error is not None:
            raise ExporterError(f"{name}: {outcome.error}") from outcome.error
        return outcome.value or b""

    def close(self) -> None:
        """End the thread."""
        self._lane.close()
