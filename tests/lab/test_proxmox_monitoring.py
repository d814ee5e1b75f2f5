"""What exporters read of the simulated cluster: backup jobs, replication, subscriptions, dead nodes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.proxmox_cluster import Cluster

WORLD: dict[str, Any] = {
    "nodes": [
        {"node": f"pve{n}", "id": n, "online": int(n != 3), "hangs": int(n == 4)} for n in (1, 2, 3, 4)
    ],
    "guests": [
        {"vmid": 101, "type": "qemu", "node": "pve1", "config": "name: a\n"},
        {"vmid": 102, "type": "qemu", "node": "pve2", "config": "name: b\n"},
        {"vmid": 201, "type": "lxc", "node": "pve1", "config": "hostname: c\n"},
    ],
    "storages": ["local"],
    "live_statistics": True,
    "cluster_name": "par1",
    "ha_managed": [101, 102],
    "ha_states": {"102": "migrate", "pve1": "maintenance"},
    "subscriptions": {"pve1": {"status": "active", "level": "c", "nextduedate": "2027-03-01"}},
    "replications": [{"guest": 102, "target": "pve1", "last_sync": 5, "fail_count": 1}],
    "qdevice": {"State": "Connected"},
}


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster(WORLD)
    made.user("ann@pve")
    made.user("bob@pve", vms_101="PVEAuditor")
    made.user("eve@pve", root="PVEAuditor")
    return made


def test_guests_without_a_backup_job(cluster):
    path = "/cluster/backup-info/not-backed-up"
    assert [row["vmid"] for row in cluster.data("GET", path)] == [101, 102, 201]
    cluster.data("POST", "/cluster/backup", schedule="daily", vmid="101,201", storage="local")
    assert cluster.data("GET", path, "eve@pve") == [{"vmid": 102, "type": "qemu", "name": "b"}]
    cluster.data("POST", "/cluster/backup", schedule="daily", all="1", storage="local")
    assert cluster.data("GET", path) == []
    assert cluster.refusal("GET", path, "ann@pve") == (403, "Permission check failed (/, Sys.Audit)\n")


def test_replication_jobs_are_known_where_their_source_is(cluster):
    (job,) = cluster.data("GET", "/cluster/replication")
    assert (job["id"], job["source"], job["target"]) == ("102-0", "pve2", "pve1")
    assert "fail_count" not in job
    assert cluster.data("GET", "/nodes/pve1/replication") == []
    (state,) = cluster.data("GET", "/nodes/pve2/replication")
    assert (state["fail_count"], state["vmtype"], state["guest"]) == (1, "qemu", 102)
    assert cluster.data("GET", "/nodes/pve2/replication/102-0/status") == state
    assert cluster.data("GET", "/nodes/pve2/replication", guest="101") == []
    assert cluster.data("GET", "/cluster/replication", "bob@pve") == []
    status, message = cluster.refusal("GET", "/nodes/pve2/replication/101-7/status")
    assert (status, message) == (500, "no such replication job '101-7'\n")


def test_a_subscription_tells_less_to_whom_may_not_look(cluster):
    assert cluster.data("GET", "/nodes/pve1/subscription", "eve@pve")["level"] == "c"
    assert cluster.data("GET", "/nodes/pve1/subscription", "ann@pve") == {"status": "active"}
    assert cluster.data("GET", "/nodes/pve2/subscription")["status"] == "notfound"


def test_the_quorum_device(cluster):
    assert cluster.data("GET", "/cluster/config/qdevice") == {"State": "Connected"}
    assert Cluster({**WORLD, "qdevice": {}}).data("GET", "/cluster/config/qdevice") == {}


def test_states_of_high_availability(cluster):
    states = {row["id"]: row.get("hastate") for row in cluster.data("GET", "/cluster/resources")}
    assert (states["qemu/101"], states["qemu/102"], states["lxc/201"]) == ("started", "migrate", None)
    assert (states["node/pve1"], states["node/pve2"]) == ("maintenance", None)


@pytest.mark.parametrize(("node", "status", "row"), [("pve3", 595, "offline"), ("pve4", 596, "online")])
def test_nodes_that_do_not_answer(cluster, node, status, row):
    answer = cluster.ask("GET", f"/nodes/{node}/subscription")
    assert (answer.status, answer.body) == (status, None)
    rows = {one["id"]: one["status"] for one in cluster.data("GET", "/cluster/resources", type="node")}
    assert rows[f"node/{node}"] == row


def test_a_refusal_on_demand(cluster):
    cluster.center.faults.refused["/nodes/pve1/qemu/101/config"] = ("/vms/101", "VM.Audit")
    assert cluster.refusal("GET", "/nodes/pve1/qemu/101/config", "eve@pve") == (
        403,
        "Permission check failed (/vms/101, VM.Audit)\n",
    )
    assert cluster.data("GET", "/nodes/pve1/lxc/201/config", "eve@pve")["hostname"] == "c"
