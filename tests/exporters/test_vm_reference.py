"""The real prometheus-pve-exporter beside ours over the same simulated cluster."""

from __future__ import annotations

import os
import urllib.request
from typing import TYPE_CHECKING

import pytest

from lab.processes import free_port, started
from tests.exporters.exposition import Exposition, parse
from tests.exporters.pve import LITTLE, environment, scrape
from tests.lab_servers import ProxmoxLab, proxmox_lab
from tests.real.servers import real_server

if TYPE_CHECKING:
    from pathlib import Path

    from lab.proxmox.datacenter import Datacenter

CLOCK = 1_800_000_000.0
"""Guests' uptimes stand still, so that values are equal however far apart the two scrapes are."""


def theirs(lab: ProxmoxLab, tmp_path: Path) -> Exposition:
    """What the real one says of the lab."""
    user, _, token = lab.token_id.partition("!")
    settings = tmp_path / "pve.yml"
    settings.write_text(
        f"default: {{user: {user}, token_name: {token}, token_value: {lab.token_secret}, verify_ssl: true}}\n"
    )
    port = free_port()
    argv = [str(real_server("pve_exporter")), f"--config.file={settings}"]
    address = f"http://127.0.0.1:{port}/pve?target={lab.url.removeprefix('https://')}&cluster=1&node=1"
    with (
        started(
            [*argv, f"--web.listen-address=127.0.0.1:{port}"],
            log=tmp_path / "pve_exporter.log",
            ready=f"http://127.0.0.1:{port}/",
            environment={**os.environ, "REQUESTS_CA_BUNDLE": str(lab.ca_file)},
        ),
        urllib.request.urlopen(address) as answer,
    ):
        return parse(answer.read().decode())


def pools(center: Datacenter) -> None:
    from lab.proxmox.accounts import Pool

    center.accounts.pools["gpu"] = Pool(vms={101, 102})
    center.backup_jobs["nightly"] = {"id": "nightly", "type": "vzdump", "vmid": "101,102"}


WORLDS = [
    pytest.param(environment(3, 20, **LITTLE), id="cluster"),
    pytest.param({**environment(1, 4), "cluster_name": ""}, id="one node, no cluster"),
    pytest.param(environment(2, 0), id="no guests"),
    pytest.param(
        {
            **environment(4, 24, **LITTLE),
            "nodes": [{"node": f"pve{n}", "id": n, "online": int(n != 3)} for n in range(1, 5)],
        },
        id="a dead node",
    ),
    pytest.param({**environment(3, 12), "release": "8.4"}, id="Proxmox VE 8.4"),
]

NOT_OURS: set[object] = set()
"""Series that only they have: none. What they count of themselves (pve_collection_duration_seconds,
pve_request_errors_total) stands at an address of its own and is about that program."""


@pytest.mark.parametrize("world", WORLDS)
async def test_what_they_say_is_what_we_say(tmp_path, world):
    with proxmox_lab(tmp_path, world, role="Administrator", populate=pools, clock=lambda: CLOCK) as lab:
        reference = theirs(lab, tmp_path)
        requests = sum(lab.center.requests.values())
        ours = await scrape(lab)
    assert len(reference.values) > 20
    assert requests > 8
    assert {series for series in reference.values if series not in ours.values} == NOT_OURS
    assert {
        series: (value, ours.values[series])
        for series, value in reference.values.items()
        if value != ours.values[series]
    } == {}
    assert {
        name: (kind, ours.kinds.get(name))
        for name, kind in reference.kinds.items()
        if kind != ours.kinds.get(name) and name in reference.names()
    } == {}


async def test_a_token_that_may_only_look_sees_as_much(tmp_path):
    with proxmox_lab(tmp_path, environment(3, 12, **LITTLE), role="PVEAuditor", clock=lambda: CLOCK) as lab:
        reference = theirs(lab, tmp_path)
        ours = await scrape(lab)
    assert set(reference.values) - set(ours.values) == set()
    assert "steward_pve_denied" not in ours.names()
