"""Dead nodes, missing privileges, a large cluster: what the collector asks and what it tells."""

from __future__ import annotations

import asyncio

import pytest

from exporters.text import Format, Renderer
from exporters.vm.errors import DeniedError, refusal
from tests.exporters.exposition import Exposition, parse
from tests.exporters.pve import LITTLE, Ticking, environment, grant, reader, registry_of, scrape
from tests.lab_servers import ProxmoxLab, proxmox_lab

DEAD = ("pve3", "pve5", "pve7")
HANGS = "pve9"
READINGS = 40


def told(families: object) -> Exposition:
    return parse(Renderer().reading(families).text(Format.TEXT).decode())


def requests(lab: ProxmoxLab) -> int:
    return sum(lab.center.requests.values())


def kill(lab: ProxmoxLab, *nodes: str) -> None:
    for node in nodes:
        lab.center.environment.nodes[node].online = False


@pytest.fixture
def large(tmp_path):
    with proxmox_lab(tmp_path, environment(12, 1000), role="PVEAuditor") as lab:
        yield lab


def test_four_of_twelve_nodes_fail_and_nothing_else(large):
    clock = Ticking()
    reading = reader(large, clock)
    large.center.environment.nodes[HANGS].hangs = True
    large.center.faults.refused["/nodes/pve1/qemu/112/config"] = ("/vms/112", "VM.Audit")
    before = told(reading.read())
    kill(large, *DEAD)
    per_reading = []
    for _ in range(READINGS):
        clock.now += 15
        sent = requests(large)
        families = reading.read()
        per_reading.append(requests(large) - sent)
    after = told(families)
    reading.close()

    assert max(per_reading) <= 3
    assert info(before) == info(after)
    dead = {row["id"] for row in info(after) if row["node"] in DEAD}
    assert len(dead) > 200
    assert {dict(labels)["state"] for labels in states(after) if dict(labels)["id"] in dead} == {"unknown"}
    assert numbers(after) == {series for series in numbers(before) if dict(series[1])["id"] not in dead}
    assert after.of("pve_up", id="node/pve3") == 0
    assert after.of("pve_up", id="node/pve9") == 1
    assert after.of("steward_pve_node_answers", id="node/pve9") == 0
    assert after.of("steward_pve_denied", path="/vms/112", privilege="VM.Audit") == 1


def info(seen: Exposition) -> list[dict[str, str]]:
    rows = [dict(labels) for name, labels in seen.values if name == "pve_guest_info"]
    return sorted(rows, key=lambda row: row["id"])


def states(seen: Exposition) -> list[frozenset[tuple[str, str]]]:
    return [labels for name, labels in seen.values if name == "steward_pve_guest_state"]


def numbers(seen: Exposition) -> set[tuple[str, frozenset[tuple[str, str]]]]:
    """Series of guests that count something."""
    wanted = ("pve_memory_", "pve_network_", "pve_cpu_", "pve_uptime")
    return {
        series
        for series in seen.values
        if series[0].startswith(wanted) and dict(series[1])["id"].startswith(("qemu/", "lxc/"))
    }


async def test_scrapers_beside_each_other_ask_nothing_more(large):
    registry = registry_of(large)
    try:
        first = await registry.scrape()
        asked = requests(large)
        texts = await asyncio.gather(*(registry.scrape() for _ in range(4)))
    finally:
        registry.close()
    assert parse(first.text.decode()).of("steward_scrape_collector_success", collector="pve") == 1
    assert len(texts) == 4
    assert requests(large) == asked


async def test_an_api_that_is_gone_costs_its_own_series(tmp_path):
    with proxmox_lab(tmp_path, environment(3, 6)) as lab:
        lab.center.faults.down = True
        seen = await scrape(lab)
    assert seen.of("steward_scrape_collector_success", collector="pve") == 0
    assert not [name for name in seen.names() if name.startswith("pve_")]


DENIALS = [
    pytest.param([("/", "PVEAuditor")], set(), id="auditor"),
    pytest.param(
        [],
        {("/", "Sys.Audit"), ("/vms", "VM.Audit"), ("/storage", "Datastore.Audit")},
        id="nothing",
    ),
    pytest.param(
        [("/vms", "PVEAuditor")],
        {("/", "Sys.Audit"), ("/storage", "Datastore.Audit")},
        id="guests alone",
    ),
]


@pytest.mark.parametrize(("entries", "denied"), DENIALS)
async def test_a_missing_privilege_is_named(tmp_path, entries, denied):
    with proxmox_lab(tmp_path, environment(3, 6)) as lab:
        grant(lab, *entries)
        seen = await scrape(lab)
    named = [dict(labels) for name, labels in seen.values if name == "steward_pve_denied"]
    assert {(row["path"], row["privilege"]) for row in named} == denied
    assert seen.of("steward_scrape_collector_success", collector="pve") == 1
    assert seen.of("pve_up", id="node/pve1") == 1


async def test_rights_on_guests_alone_give_guests(tmp_path):
    with proxmox_lab(tmp_path, environment(3, 6)) as lab:
        grant(lab, ("/vms", "PVEAuditor"))
        seen = await scrape(lab)
    assert len(info(seen)) == 6
    assert "pve_cluster_info" not in seen.names()


TEXTS = [
    pytest.param("Permission check failed (/vms/104, VM.Audit)\n", ("/vms/104", "VM.Audit"), id="one"),
    pytest.param(
        "Permission check failed (/storage/x, Datastore.Audit|Datastore.AllocateSpace)",
        ("/storage/x", "Datastore.Audit|Datastore.AllocateSpace"),
        id="one of two",
    ),
    pytest.param("Permission check failed (user != root@pam)", ("/asked", "unknown"), id="root only"),
    pytest.param("Permission check failed\n", ("/asked", "unknown"), id="bare"),
    pytest.param("", ("/asked", "unknown"), id="empty"),
    pytest.param("Permission check failed (" + "x" * 9999, ("/asked", "unknown"), id="endless"),
]


@pytest.mark.parametrize(("text", "named"), TEXTS)
def test_what_a_refusal_names(text, named):
    error = refusal(text, "/asked")
    assert isinstance(error, DeniedError)
    assert (error.path, error.privilege) == named


async def test_a_node_tells_of_what_it_has(tmp_path):
    with proxmox_lab(tmp_path, environment(3, 30, **LITTLE), role="PVEAuditor") as lab:
        seen = await scrape(lab, {"collector.pve.scope": "node"})
    assert {row["node"] for row in info(seen)} == {"pve1"}
    ids = {dict(labels).get("id", "") for name, labels in seen.values if name.startswith("pve_")}
    assert not {one for one in ids if "pve2" in one or "pve3" in one}
    assert seen.of("pve_up", id="node/pve1") == 1
    assert seen.of("pve_cluster_info", id="cluster/par1", nodes="3", quorate="1", version="3") == 1


async def test_nodes_together_tell_of_each_guest_once(tmp_path):
    guests = []
    for node in (1, 2, 3):
        world = environment(3, 30)
        # The first node of the environment is the one that answers.
        world["nodes"].insert(0, world["nodes"].pop(node - 1))
        folder = tmp_path / str(node)
        folder.mkdir()
        with proxmox_lab(folder, world) as lab:
            guests += [row["id"] for row in info(await scrape(lab, {"collector.pve.scope": "node"}))]
    assert len(guests) == len(set(guests)) == 30


def test_an_api_that_is_away_for_a_moment_takes_nothing_away(tmp_path):
    with proxmox_lab(tmp_path, environment(2, 4), role="PVEAuditor") as lab:
        clock = Ticking()
        reading = reader(lab, clock, keep_seconds=30)
        before = told(reading.read())
        lab.center.faults.refused["/cluster/resources"] = ("/", "Sys.Audit")
        clock.now += 30
        during = told(reading.read())
        assert (reading.age_seconds(), numbers(during)) == (30, numbers(before))
        assert during.of("steward_pve_part_success", part="resources") == 0
        clock.now += 1
        with pytest.raises(DeniedError):
            reading.read()
        lab.center.faults.refused.clear()
        assert told(reading.read()).of("steward_pve_part_success", part="resources") == 1
        assert reading.age_seconds() == 0
        reading.close()
