"""Power, tasks and nodes beyond what the recordings hold; no test waits for a clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lab.proxmox.accounts import Entry, Token, User
from lab.proxmox.api import Answer, Credentials, Request, answer
from lab.proxmox.server import new_datacenter
from tests.lab.proxmox_replay import Clock

if TYPE_CHECKING:
    from lab.proxmox.datacenter import Datacenter

ENVIRONMENT: dict[str, Any] = {
    "nodes": [{"node": "pve1", "id": 1}, {"node": "pve2", "id": 2}, {"node": "pve3", "id": 3, "online": 0}],
    "guests": [
        {"vmid": 101, "type": "qemu", "node": "pve1", "config": "name: a\n"},
        {
            "vmid": 102,
            "type": "qemu",
            "node": "pve1",
            "config": "name: b\nstartup: order=1,down=7\n",
            "running": "hung",
        },
        {
            "vmid": 103,
            "type": "qemu",
            "node": "pve2",
            "config": "name: c\nlock: backup\n",
            "running": "running",
        },
    ],
    "storages": ["local"],
}


class Cluster:
    """The simulator without HTTP, with a clock moved by hand."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.center: Datacenter = new_datacenter(ENVIRONMENT, clock=self.clock)

    def ask(self, verb: str, path: str, who: str = "root@pam", **values: str) -> Answer:
        given = Credentials(trusted_user=who)
        if "!" in who:
            given = Credentials(api_token=f"{who}={self.center.token_values[who]}")
        return answer(self.center, Request(verb, path, values, given))

    def data(self, verb: str, path: str, who: str = "root@pam", **values: str) -> Any:
        result = self.ask(verb, path, who, **values)
        assert result.status == 200, result
        assert result.body is not None
        return result.body["data"]

    def power(self, vmid: int, action: str, node: str = "pve1", **values: str) -> str:
        return str(self.data("POST", f"/nodes/{node}/qemu/{vmid}/status/{action}", **values))

    def task(self, upid: str, node: str = "pve1") -> dict[str, Any]:
        return dict(self.data("GET", f"/nodes/{node}/tasks/{upid}/status"))

    def state(self, vmid: int, node: str = "pve1") -> str:
        return str(self.data("GET", f"/nodes/{node}/qemu/{vmid}/status/current")["qmpstatus"])


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.mark.parametrize(("given", "seconds"), [({}, 7), ({"timeout": "2"}, 2)])
def test_shutdown_of_a_guest_that_hangs_runs_until_its_timeout(cluster, given, seconds):
    upid = cluster.power(102, "shutdown", **given)
    assert cluster.task(upid)["status"] == "running"
    cluster.clock.now += seconds
    assert cluster.task(upid)["exitstatus"] == "VM quit/powerdown failed - got timeout"
    assert cluster.state(102) == "running"


def test_stop_overrules_a_running_shutdown(cluster):
    shutdown = cluster.power(102, "shutdown")
    stop = cluster.power(102, "stop", **{"overrule-shutdown": "1"})
    assert cluster.task(shutdown)["exitstatus"] == "unexpected status"
    assert cluster.task(stop)["exitstatus"] == "OK"
    assert cluster.state(102) == "stopped"


def test_running_tasks_are_listed_only_on_request(cluster):
    upid = cluster.power(102, "shutdown")
    assert cluster.data("GET", "/nodes/pve1/tasks") == []
    (listed,) = cluster.data("GET", "/nodes/pve1/tasks", source="active")
    assert listed["upid"] == upid
    assert listed["status"] == "RUNNING"


def test_a_finished_task_is_listed_once_another_has_started(cluster):
    first = cluster.power(101, "start")
    assert cluster.data("GET", "/nodes/pve1/tasks") == []
    cluster.power(101, "stop")
    assert [task["upid"] for task in cluster.data("GET", "/nodes/pve1/tasks")] == [first]
    cluster.clock.now += 60
    assert len(cluster.data("GET", "/nodes/pve1/tasks")) == 2


def test_a_running_task_can_be_stopped(cluster):
    upid = cluster.power(102, "shutdown")
    cluster.data("DELETE", f"/nodes/pve1/tasks/{upid}")
    assert cluster.task(upid)["exitstatus"] == "unexpected status"


def test_guests_of_another_node_that_is_up_are_reached_through_the_proxy(cluster):
    assert cluster.state(103, "pve2") == "running"
    upid = cluster.power(103, "suspend", "pve2")
    assert upid.startswith("UPID:pve2:")
    assert cluster.state(103, "pve2") == "paused"
    assert cluster.power(103, "resume", "pve2")
    assert cluster.state(103, "pve2") == "running"


def test_reset_under_backup_is_refused_in_the_task(cluster):
    upid = cluster.power(103, "reset", "pve2")
    assert cluster.task(upid, "pve2")["exitstatus"] == "VM is locked (backup)"


def test_the_permission_check_comes_before_the_dead_node(cluster):
    cluster.data("POST", "/access/users", userid="jo@pve")
    path = "/nodes/pve3/qemu/999/status/start"
    assert cluster.ask("POST", path, "jo@pve").status == 403
    assert cluster.ask("POST", path).status == 595


def test_suspended_to_disk_and_started_again(cluster):
    cluster.power(101, "start")
    cluster.power(101, "suspend", todisk="1")
    assert cluster.data("GET", "/nodes/pve1/qemu/101/status/current")["lock"] == "suspended"
    upid = cluster.power(101, "start")
    assert cluster.task(upid)["exitstatus"] == "OK"
    assert "lock" not in cluster.data("GET", "/nodes/pve1/qemu/101/config")


def test_a_tokens_task_names_user_and_token_apart(cluster):
    cluster.center.accounts.users["jo@pve"] = User(tokens={"t": Token(privsep=1)})
    for holder in (("user", "jo@pve"), ("token", "jo@pve!t")):
        cluster.center.accounts.acl[Entry("/vms/101", holder[0], holder[1], "PVEVMUser")] = 1
    cluster.center.token_values["jo@pve!t"] = "x"
    cluster.center.accounts.settle()
    upid = cluster.data("POST", "/nodes/pve1/qemu/101/status/start", "jo@pve!t")
    assert ":jo@pve!t:" in upid
    for who in ("jo@pve", "jo@pve!t"):
        shown = cluster.data("GET", f"/nodes/pve1/tasks/{upid}/status", who)
        assert (shown["user"], shown["tokenid"]) == ("jo@pve", "t")
    own = cluster.data("POST", "/nodes/pve1/qemu/101/status/stop", "jo@pve")
    assert cluster.ask("GET", f"/nodes/pve1/tasks/{own}/status", "jo@pve!t").status == 403


@pytest.mark.parametrize("action", ["reboot", "reset", "suspend", "resume"])
def test_what_needs_a_running_guest_is_refused_at_once_for_one_that_is_not_there(cluster, action):
    refused = cluster.ask("POST", f"/nodes/pve1/qemu/999/status/{action}")
    assert (refused.status, refused.reason) == (
        500,
        "unable to find configuration file for VM 999 on node 'pve1'",
    )
