"""Tasks and guests of Proxmox VE as its source has them, where no recording of ours does."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.proxmox_cluster import Cluster

ENVIRONMENT: dict[str, Any] = {
    "nodes": [{"node": "pve1", "id": 1}, {"node": "pve2", "id": 2}],
    "guests": [
        {"vmid": 101, "type": "qemu", "node": "pve1", "config": "name: a\n"},
        {"vmid": 102, "type": "qemu", "node": "pve1", "config": "name: b\n", "running": "hung"},
        {
            "vmid": 103,
            "type": "qemu",
            "node": "pve1",
            "config": "name: c\nhostpci0: 01:00\n",
            "running": "running",
        },
        {"vmid": 107, "type": "lxc", "node": "pve1", "config": "hostname: d\n", "running": "running"},
    ],
    "ha_managed": [107],
    "storages": ["local", {"storage": "far", "nodes": ["pve1", "pve2"]}],
}

ROOT = "root@pam"


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster(ENVIRONMENT)
    made.user("jo@pve")
    return made


def test_tasks_are_found_by_user_without_the_token_and_by_how_they_ended(cluster):
    cluster.user("jo@pve", vms="PVEVMAdmin")
    cluster.token("jo@pve", "ci", privsep=0)
    cluster.data("POST", "/nodes/pve1/qemu/101/status/start", "jo@pve!ci")
    cluster.data("POST", "/nodes/pve1/qemu/101/status/start")
    cluster.data("POST", "/nodes/pve1/qemu/102/status/shutdown", timeout="60")

    def found(**values: str) -> list[tuple[str, str]]:
        rows = cluster.data("GET", "/nodes/pve1/tasks", **values)
        return [(row["user"], row["status"]) for row in rows]

    assert found(userfilter="JO@") == [("jo@pve", "OK")]
    assert found(userfilter="ci") == []
    assert found(statusfilter="ERROR") == [(ROOT, "VM 101 already running")]
    assert found(errors="1", statusfilter="ok") == [(ROOT, "VM 101 already running")]
    assert found(source="active") == [(ROOT, "RUNNING")]
    assert found(source="active", statusfilter="ok") == []
    assert found(limit="0") == []


def test_a_task_that_nobody_has_looked_after_counts_as_running(cluster):
    cluster.data("POST", "/nodes/pve1/qemu/101/status/start")
    assert [row["status"] for row in cluster.data("GET", "/nodes/pve1/tasks", source="active")] == ["RUNNING"]
    with_daemon = Cluster({**ENVIRONMENT, "live_statistics": True})
    with_daemon.data("POST", "/nodes/pve1/qemu/101/status/start")
    assert with_daemon.data("GET", "/nodes/pve1/tasks", source="active") == []


def test_the_log_of_a_task_can_be_had_whole_and_of_none_says_so(cluster):
    upid = cluster.data("POST", "/nodes/pve1/qemu/101/status/start")
    assert cluster.data("GET", f"/nodes/pve1/tasks/{upid}/log", limit="0") == [{"n": 1, "t": "TASK OK"}]
    assert cluster.data("GET", f"/nodes/pve1/tasks/{upid}/log", start="1") == []
    none = "UPID:pve1:0000AAAA:0000BBBB:65000000:x:1:jo@pve:"
    missing = [{"n": 1, "t": "unable to open file - No such file or directory"}]
    assert cluster.data("GET", f"/nodes/pve1/tasks/{none}/log", "jo@pve") == missing
    cluster.user("al@pve")
    assert cluster.ask("GET", f"/nodes/pve1/tasks/{none}/log", "al@pve").status == 403


def test_the_cluster_tells_of_its_tasks(cluster):
    cluster.user("jo@pve", vms="PVEVMAdmin")
    done = cluster.data("POST", "/nodes/pve1/qemu/101/status/start", "jo@pve")
    running = cluster.data("POST", "/nodes/pve1/qemu/102/status/shutdown", timeout="60")
    rows = {row["upid"]: row for row in cluster.data("GET", "/cluster/tasks")}
    assert rows.keys() == {done, running}
    assert (rows[done]["status"], "pid" in rows[done], "status" in rows[running]) == ("OK", False, False)
    assert [row["upid"] for row in cluster.data("GET", "/cluster/tasks", "jo@pve")] == [done]


def test_a_configuration_can_be_changed_in_a_task(cluster):
    upid = cluster.data(
        "POST", "/nodes/pve1/qemu/101/config", cores="4", vga="type=virtio", agent="enabled=1"
    )
    assert ":qmconfig:101:" in upid
    assert cluster.data("GET", "/nodes/pve1/qemu/101/config")["cores"] == 4
    status = cluster.data("GET", "/nodes/pve1/qemu/101/status/current")
    assert (status["cpus"], status["spice"], status["agent"]) == (4, 1, 1)


def test_no_second_to_end_is_too_few_even_for_a_guest_that_obeys(cluster):
    upid = cluster.data("POST", "/nodes/pve1/qemu/103/status/shutdown", timeout="0")
    ended = cluster.data("GET", f"/nodes/pve1/tasks/{upid}/status")["exitstatus"]
    assert ended == "VM quit/powerdown failed - got timeout"
    assert cluster.data("GET", "/nodes/pve1/qemu/103/status/current")["status"] == "stopped"


def test_a_guests_file_is_read_as_upstream_reads_it():
    text = "#two%3A lines\n#of text\nname:  web  \ncores: 2\nnot an option\n\n[before]\nname: old\n"
    made = Cluster({**ENVIRONMENT, "guests": [{"vmid": 101, "type": "qemu", "node": "pve1", "config": text}]})
    read = made.data("GET", "/nodes/pve1/qemu/101/config")
    digest = read.pop("digest")
    assert read == {"name": "web", "cores": 2, "description": "two: lines\nof text\n"}
    assert len(digest) == 40


def test_what_the_manager_looks_after_is_listed(cluster):
    (row,) = cluster.data("GET", "/cluster/ha/resources")
    assert (row["sid"], row["type"], row["state"]) == ("ct:107", "ct", "started")
    assert cluster.data("GET", "/cluster/ha/resources", type="vm") == []
    assert cluster.data("GET", "/cluster/ha/resources/107") == row
    assert cluster.refusal("GET", "/cluster/ha/resources/101") == (500, "no such resource 'vm:101'\n")
    assert cluster.ask("GET", "/cluster/ha/resources", "jo@pve").status == 403
