"""The `pve` collector on a host: a Proxmox VE cluster read in the background."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from exporters.allocation import give_back_large_blocks
from exporters.background import Background
from exporters.clients.https import Connection
from exporters.clients.tls import Trust
from exporters.collector import Collector, Host
from exporters.errors import ExporterError, SettingError
from exporters.vm.api import KEPT_SECONDS, Api
from exporters.vm.metrics import NAMES
from exporters.vm.options import (
    CA_FILE,
    FINGERPRINT,
    INTERVAL,
    SCOPE,
    SERVER_NAME,
    SETTINGS,
    TARGET,
    TIMEOUT,
    TOKEN_FILE,
    URL,
    WITHOUT,
    fingerprint,
    node_address,
)
from exporters.vm.reader import Reader
from exporters.vm.targets import Guest, as_targets, check_template
from exporters.vm.token import read_token
from exporters.written import Writer

__all__ = ["SETTINGS", "build", "discovery"]

_OWN_AUTHORITY = Path("/etc/pve/pve-root-ca.pem")
"""The cluster's own, which signs the certificates of its nodes; they are for localhost too (pvecm(1))."""

_KEPT_INTERVALS = 2
"""How long the last reading stands in for those that fail: a restart of the API is no loss of all guests."""


def build(host: Host, own_authority: Path = _OWN_AUTHORITY) -> Collector:
    """The collector.

    Raises:
        SettingError: there is no token file among the flags, or an address or fingerprint is none.
    """
    settings = host.settings
    token_file = settings[TOKEN_FILE]
    if token_file is None:
        raise SettingError("--collector.pve.token-file: the collector pve needs one")
    check_template(settings[TARGET])
    give_back_large_blocks()
    addresses = list(dict.fromkeys(map(node_address, settings[URL])))
    trust = Trust(
        settings[CA_FILE],
        frozenset(map(fingerprint, settings[FINGERPRINT])),
        settings[SERVER_NAME],
    )
    if trust.ca_file is None and own_authority.exists():
        trust = replace(trust, ca_file=own_authority)
    api = Api(
        [Connection(address, trust, settings[TIMEOUT], kept_seconds=KEPT_SECONDS) for address in addresses],
        partial(read_token, token_file),
    )
    reader = Reader(
        api,
        only_local=settings[SCOPE] == "node",
        without=frozenset(settings[WITHOUT]),
        hostname=host.hostname,
        keep_seconds=_KEPT_INTERVALS * settings[INTERVAL],
    )
    return _collector(reader, settings[INTERVAL])


def _collector(reader: Reader, interval_seconds: float) -> Collector:
    writer = Writer(NAMES)
    background = Background("pve", lambda: reader.read(writer.write), interval_seconds=interval_seconds)

    def snapshot() -> tuple[Guest, ...]:
        background.collect()
        return reader.guests()

    def close() -> None:
        background.close()
        reader.close()

    return Collector(background.collect, close, reader.age_seconds, snapshot)


def discovery(host: Host, collector: Collector) -> Callable[[], object]:
    """What GET /sd/guests answers as JSON, for the collector that `build` made: target groups of guests.

    The function raises ExporterError where there is no reading: Prometheus keeps its targets then.
    """
    template = check_template(host.settings[TARGET])

    def targets() -> object:
        found = None if collector.snapshot is None else collector.snapshot()
        if not isinstance(found, tuple):
            raise ExporterError("the collector has no guests to tell of")
        return as_targets(found, template)

    return targets
