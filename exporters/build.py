"""Puts a registry together from the table, the flags and this host."""

from collections.abc import Sequence

from exporters.collector import Host
from exporters.registry import Registry, Source
from exporters.serving.web import DISABLE_EXPORTER_METRICS
from exporters.table import TABLE, Row, wanted

_OWN_PROCESS = "process"


def registry(host: Host, extra: Sequence[Source] = (), table: Sequence[Row] = TABLE) -> Registry:
    """The registry of this host: the collectors that its flags switch on, and `extra` ones of the caller.

    Raises:
        SettingError: a flag belongs to no collector, or has a value that it does not take.
    """
    rows = wanted(host.settings, table)
    if host.settings[DISABLE_EXPORTER_METRICS]:
        rows = tuple(row for row in rows if row.name != _OWN_PROCESS)
    return Registry([*(source(row, host) for row in rows), *extra])


def source(row: Row, host: Host) -> Source:
    """One collector of the table as the registry takes it."""
    return Source(
        row.name,
        row.build(host),
        deadline_seconds=row.deadline_seconds,
        in_node_exporter=row.in_node_exporter,
        reads=row.source,
    )
