"""What no recording holds and the facts of the API tell: containers, backups at once, Proxmox VE 8."""

from __future__ import annotations

from typing import Any

import pytest

from lab.errors import SeedError
from lab.proxmox.accounts import Entry, User
from lab.proxmox.api import Answer, Credentials, Request, answer
from lab.proxmox.server import new_datacenter
from tests.lab.proxmox_replay import Clock

ENVIRONMENT: dict[str, Any] = {
    "nodes": [{"node": "pve1", "id": 1}, {"node": "pve2", "id": 2}],
    "guests": [
        {"vmid": 101, "type": "qemu", "node": "pve1", "config": "name: a\n"},
        {"vmid": 201, "type": "lxc", "node": "pve1", "config": "hostname: c\ncores: 2\ntags: lab\n"},
        {"vmid": 202, "type": "lxc", "node": "pve1", "config": "hostname: d\n", "running": "hung"},
    ],
    "storages": ["local"],
    "live_statistics": True,
}


class Cluster:
    """The simulator without HTTP, with a clock moved by hand."""

    def __init__(self, **changes: Any) -> None:
        self.clock = Clock()
        self.center = new_datacenter({**ENVIRONMENT, **changes}, clock=self.clock)

    def ask(self, verb: str, path: str, who: str = "root@pam", **values: str) -> Answer:
        return answer(self.center, Request(verb, path, values, Credentials(trusted_user=who)))

    def data(self, verb: str, path: str, **values: str) -> Any:
        result = self.ask(verb, path, **values)
        assert result.status == 200, result
        assert result.body is not None
        return result.body["data"]

    def task(self, upid: str) -> Any:
        return self.data("GET", f"/nodes/pve1/tasks/{upid}/status")


def test_a_container_is_listed_started_and_shut_down():
    cluster, path = Cluster(), "/nodes/pve1/lxc/201"
    assert [(row["vmid"], row["name"]) for row in cluster.data("GET", "/nodes/pve1/lxc")] == [
        (201, "c"),
        (202, "d"),
    ]
    assert cluster.data("GET", f"{path}/config")["cores"] == 2
    started = cluster.data("POST", f"{path}/status/start")
    assert (cluster.task(started)["type"], cluster.task(started)["exitstatus"]) == ("vzstart", "OK")
    assert cluster.data("GET", f"{path}/status/current")["status"] == "running"
    stopped = cluster.data("POST", f"{path}/status/shutdown", timeout="5")
    assert cluster.task(stopped)["exitstatus"] == "OK"
    (row,) = [row for row in cluster.data("GET", "/cluster/resources", type="vm") if row["vmid"] == 201]
    assert (row["id"], row["name"], row["status"], row["tags"]) == ("lxc/201", "c", "stopped", "lab")


REFUSED = [
    ("/nodes/pve1/lxc/202/status/start", "CT 202 already running\n"),
    ("/nodes/pve1/lxc/201/status/stop", "CT 201 not running\n"),
    ("/nodes/pve1/lxc/201/status/shutdown", "CT 201 not running\n"),
]


@pytest.mark.parametrize(("path", "message"), REFUSED)
def test_what_a_container_already_does_is_refused_at_once(path, message):
    result = Cluster().ask("POST", path)
    assert (result.status, result.body["message"]) == (500, message)


def test_a_container_that_does_not_obey_keeps_the_task_until_its_timeout():
    cluster = Cluster()
    upid = cluster.data("POST", "/nodes/pve1/lxc/202/status/shutdown", timeout="7")
    assert cluster.task(upid)["status"] == "running"
    cluster.clock.now += 7
    assert cluster.task(upid)["exitstatus"] == "container did not stop"
    forced = cluster.data("POST", "/nodes/pve1/lxc/202/status/shutdown", timeout="7", forceStop="1")
    cluster.clock.now += 7
    assert cluster.task(forced)["exitstatus"] == "OK"


def test_a_virtual_machine_is_no_container():
    result = Cluster().ask("GET", "/nodes/pve1/lxc/101/config")
    assert result.body["message"] == "Configuration file 'nodes/pve1/lxc/101.conf' does not exist\n"


def test_a_backup_at_once_is_a_task_and_then_a_volume():
    cluster = Cluster()
    upid = cluster.data("POST", "/nodes/pve1/vzdump", vmid="101", storage="local")
    assert (cluster.task(upid)["type"], cluster.task(upid)["id"]) == ("vzdump", "101")
    (volume,) = cluster.data("GET", "/nodes/pve1/storage/local/content", content="backup")
    assert volume["vmid"] == 101
    assert cluster.data("POST", "/nodes/pve2/vzdump", vmid="101") == "OK"
    assert cluster.task(cluster.data("POST", "/nodes/pve1/vzdump", all="1"))["id"] == ""


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({}, {"vmid": "property is missing"}),
        ({"all": "1", "vmid": "101"}, {"all": "option conflicts with option 'vmid'"}),
    ],
)
def test_a_backup_must_say_of_what(values, error):
    assert Cluster().ask("POST", "/nodes/pve1/vzdump", **values).body["errors"] == error


def test_a_backup_needs_its_rights():
    cluster = Cluster()
    cluster.center.accounts.users["jo@pve"] = User()
    cluster.center.accounts.acl[Entry("/vms/101", "user", "jo@pve", "PVEVMUser")] = 1
    refused = cluster.ask("POST", "/nodes/pve1/vzdump", "jo@pve", vmid="101")
    assert refused.body["message"] == "Permission check failed (/storage/local, Datastore.AllocateSpace)\n"


@pytest.mark.parametrize(
    ("release", "known", "unknown"),
    [("8.4", "VM.Monitor", "VM.GuestAgent.Audit"), ("9.2", "VM.GuestAgent.Audit", "VM.Monitor")],
)
def test_each_version_knows_its_own_privileges(release, known, unknown):
    cluster = Cluster(release=release)
    assert cluster.data("GET", "/version")["release"] == release
    assert known in cluster.data("GET", "/access/roles/Administrator")
    assert cluster.data("POST", "/access/roles", roleid="x", privs=known) is None
    refused = cluster.ask("POST", "/access/roles", roleid="y", privs=unknown)
    assert refused.body["errors"] == {"privs": f"invalid format - invalid privilege '{unknown}'\n"}


def test_no_other_version_is_played():
    with pytest.raises(SeedError, match=r"no release '7\.4' can be played: 9\.2, 8\.4"):
        Cluster(release="7.4")
