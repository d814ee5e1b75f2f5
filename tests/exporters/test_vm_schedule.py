"""How often each part of the API is asked for, and what is asked for at all."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from exporters.vm.options import PARTS
from tests.contract.proxmox_schema import Schema
from tests.exporters.pve import LITTLE, Ticking, environment, reader
from tests.lab_servers import proxmox_lab
from tests.real.servers import real_server

if TYPE_CHECKING:
    from exporters.vm.reader import Reader

INTERVAL_SECONDS = 15.0


def test_three_requests_an_interval_and_nothing_starves(tmp_path):
    with proxmox_lab(tmp_path, environment(6, 60, **LITTLE), role="PVEAuditor") as lab:
        clock = Ticking()
        reading = reader(lab, clock)
        reading.read()
        first = Counter(lab.center.requests)
        for _ in range(int(2 * 3600 / INTERVAL_SECONDS)):
            clock.now += INTERVAL_SECONDS
            before = lab.center.requests.total()
            reading.read()
            assert lab.center.requests.total() - before <= 3
        later = lab.center.requests - first
        reading.close()
    assert set(first.values()) == {1}
    hours = 2
    assert later["GET /cluster/resources"] == later["GET /cluster/status"] == hours * 240
    assert later["GET /cluster/tasks"] >= hours * 30
    assert later["GET /cluster/backup-info/not-backed-up"] >= hours * 6
    assert later["GET /nodes/pve1/replication"] >= hours * 6
    assert later["GET /version"] >= 1
    configs = [path for path in first if path.endswith("/config")]
    assert len(configs) == 10
    assert all(later[path] >= 1 for path in configs)
    assert all(later[f"GET /nodes/pve{n}/tasks"] >= 1 for n in range(1, 7))


def test_a_node_that_hangs_is_left_alone_for_a_while(tmp_path):
    with proxmox_lab(tmp_path, environment(3, 9), role="PVEAuditor") as lab:
        lab.center.environment.nodes["pve2"].hangs = True
        clock = Ticking()
        reading = reader(lab, clock)
        for _ in range(20):
            reading.read()
            clock.now += INTERVAL_SECONDS
        asked = sum(count for path, count in lab.center.requests.items() if "/nodes/pve2/" in path)
        assert asked == 1
        lab.center.environment.nodes["pve2"].hangs = False
        for _ in range(60):
            reading.read()
            clock.now += INTERVAL_SECONDS
        reading.close()
        assert sum(count for path, count in lab.center.requests.items() if "/nodes/pve2/" in path) > 2


@pytest.mark.parametrize("only_local", [False, True])
def test_every_request_is_as_the_schema_says(tmp_path, only_local):
    schema = Schema.read(real_server("proxmox-schema"))
    with proxmox_lab(tmp_path, environment(3, 20, **LITTLE), role="Administrator") as lab:
        lab.center.journal = []
        clock = Ticking()
        reading = reader(lab, clock, only_local=only_local)
        lab.center.tasks.start(
            "vzdump", node="pve1", identifier="", who="root@pam", now=0, ends_at=0, outcome=list
        )
        reading.read()
        reading.close()
        journal = lab.center.journal
    assert sorted({fault for request in journal for fault in schema.faults(request)}) == []
    asked = {schema.call_of(request) for request in journal}
    assert ("GET", "/nodes/{node}/tasks/{upid}/log") in asked
    assert {verb for verb, _ in filter(None, asked)} == {"GET"}
    nodes = {request.path.split("/")[2] for request in journal if request.path.startswith("/nodes/")}
    assert nodes == ({"pve1"} if only_local else {"pve1", "pve2", "pve3"})


def test_every_part_has_a_name_by_which_it_can_be_left_out(tmp_path):
    with proxmox_lab(tmp_path, environment(2, 6, **LITTLE), role="PVEAuditor") as lab:
        lab.center.tasks.start(
            "vzdump", node="pve1", identifier="", who="root@pam", now=0, ends_at=0, outcome=list
        )
        everything = named(reader(lab, Ticking()))
        nothing = named(reader(lab, Ticking(), without=frozenset(PARTS)))
        lab.center.requests.clear()
        without = named(reader(lab, Ticking(), without=frozenset({"qdevice", "guest_config"})))
    assert everything == {"resources", "status", *PARTS}
    assert nothing == {"resources", "status"}
    assert without == everything - {"qdevice", "guest_config"}
    assert not [path for path in lab.center.requests if path.endswith(("/config", "/qdevice"))]


def named(reading: Reader) -> set[str]:
    families = reading.read()
    reading.close()
    (asked,) = (family for family in families if family.metric.name == "steward_pve_part_success")
    return {part for (part,) in asked.rows}


def test_a_shared_storage_is_listed_once(tmp_path):
    world = environment(3, 3)
    world["storages"] = ["local", {"storage": "nas", "content": "backup", "shared": 1}]
    with proxmox_lab(tmp_path, world) as lab:
        reading = reader(lab, Ticking())
        reading.read()
        reading.close()
        listed = [path for path in lab.center.requests if "/content" in path]
    assert sorted(listed) == [
        "GET /nodes/pve1/storage/local/content",
        "GET /nodes/pve1/storage/nas/content",
        "GET /nodes/pve2/storage/local/content",
        "GET /nodes/pve3/storage/local/content",
    ]


def test_a_storage_made_known_by_a_backup_of_the_lab(tmp_path):
    """From the action to the series: a backup job of two guests, told by its log alone."""
    now = 1_800_000_000.0
    with proxmox_lab(tmp_path, environment(2, 6), role="Administrator", clock=lambda: now) as lab:
        lab.center.tasks.start(
            "vzdump",
            node="pve1",
            identifier="",
            who="root@pam",
            now=now,
            ends_at=now,
            outcome=lambda: iter(
                ("INFO: Finished Backup of VM 100 (00:00:00)", "INFO: Finished Backup of VM 102 (00:00:00)")
            ),
        )
        reading = reader(lab, Ticking())
        families = reading.read()
        reading.close()
    backed_up = next(
        f for f in families if f.metric.name == "steward_pve_guest_last_backup_timestamp_seconds"
    )
    assert dict(zip(backed_up.rows, backed_up.values, strict=True)) == {("lxc/100",): now, ("qemu/102",): now}
