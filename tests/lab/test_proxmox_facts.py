"""What upstream's source says of the Proxmox VE API and no recording of ours holds."""

from __future__ import annotations

from typing import Any

import pytest

from lab.proxmox.accounts import Entry, User
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
    made.center.accounts.roles |= {
        "Jobs": {"Sys.Modify", "Sys.Audit"},
        "Options": {"VM.Config.Options", "VM.Audit"},
        "Network": {"VM.Config.Network"},
    }
    made.user("jo@pve")
    return made


DENIED = [
    pytest.param({}, "POST", "/pools", {}, "/pool/-, Pool.Allocate", id="an absent parameter is a dash"),
    pytest.param(
        {}, "PUT", "/access/acl", {"roles": "PVEAdmin"}, "/-, Permissions.Modify", id="so it is for entries"
    ),
    pytest.param(
        {"root": "Jobs"},
        "POST",
        "/cluster/backup",
        {"all": "1", "schedule": "daily"},
        "/storage/local, Datastore.Allocate",
        id="a job writes to its storage",
    ),
    pytest.param(
        {"root": "Jobs", "storage_local": "PVEDatastoreAdmin"},
        "POST",
        "/cluster/backup",
        {"pool": "team", "schedule": "daily"},
        "/pool/team, VM.Backup",
        id="a job of a pool",
    ),
    pytest.param(
        {"vms_101": "Options"},
        "PUT",
        "/nodes/pve1/qemu/101/config",
        {"startup": "order=1"},
        "/, Sys.Modify",
        id="start-up changes the node",
    ),
    pytest.param(
        {"vms_101": "Options"},
        "PUT",
        "/nodes/pve1/qemu/101/config",
        {"ciuser": "x"},
        "/vms/101, VM.Config.Cloudinit|VM.Config.Network",
        id="either right will do",
    ),
    pytest.param(
        {"vms_101": "Options"},
        "PUT",
        "/nodes/pve1/qemu/101/config",
        {"freeze": "1"},
        "/vms/101, VM.PowerMgmt",
        id="freezing is power",
    ),
]


@pytest.mark.parametrize(("roles", "verb", "path", "values", "missing"), DENIED)
def test_the_right_that_is_missing_is_named(cluster, roles, verb, path, values, missing):
    cluster.data("POST", "/pools", poolid="team")
    cluster.user("jo@pve", **roles)
    refused = cluster.refusal(verb, path, "jo@pve", **values)
    assert refused == (403, f"Permission check failed ({missing})\n")


FAILING = [
    pytest.param(
        ROOT,
        "POST",
        "/cluster/backup",
        {"pool": "no", "schedule": "daily"},
        403,
        "Permission check failed (pool 'no' does not exist)\n",
        id="pool of a job",
    ),
    pytest.param(
        ROOT, "PUT", "/cluster/backup/nightly", {}, 500, "no options specified\n", id="nothing to change"
    ),
    pytest.param(
        ROOT,
        "PUT",
        "/cluster/backup/nightly",
        {"delete": "schedule"},
        500,
        "400 Parameter verification failed.\ndelete: unknown option 'schedule'\n",
        id="what a job keeps",
    ),
    pytest.param(
        ROOT,
        "POST",
        "/cluster/backup",
        {"all": "1", "schedule": "daily", "comment": "a\nb"},
        500,
        "property contains a line feed\n",
        id="line feed in a job",
    ),
    pytest.param(
        ROOT,
        "PUT",
        "/access/domains/pve",
        {"comment": "a\nb"},
        500,
        "update auth server failed: property contains a line feed\n",
        id="line feed in a realm",
    ),
    pytest.param(
        ROOT,
        "PUT",
        "/access/domains/pve",
        {"issuer-url": "https://x"},
        500,
        "update auth server failed: unexpected property 'issuer-url'\n",
        id="property of another type",
    ),
    pytest.param(
        "jo@pve",
        "GET",
        "/access/users/jo",
        {},
        500,
        "user name 'jo' is too short\n",
        id="a name that is none, before its parameter check",
    ),
    pytest.param(
        "jo@pve",
        "PUT",
        "/nodes/pve1/qemu/101/config",
        {"args": "-x"},
        500,
        "only root can set 'args' config\n",
        id="root only",
    ),
    pytest.param(
        ROOT,
        "POST",
        "/nodes/pve1/qemu/103/status/suspend",
        {"todisk": "1"},
        500,
        "cannot suspend VM to disk due to passed-through PCI device(s), which lack the"
        " possibility to save/restore their internal state\n",
        id="passed-through device",
    ),
    pytest.param(
        ROOT,
        "POST",
        "/nodes/pve1/lxc/107/status/stop",
        {"overrule-shutdown": "1"},
        400,
        {"overrule-shutdown": "Not applicable for HA resources."},
        id="overruling the manager",
    ),
    pytest.param(
        "jo@pve",
        "POST",
        "/nodes/pve1/qemu/101/status/start",
        {"force-cpu": "x"},
        400,
        {"force-cpu": "Only root may use this option."},
        id="forced processor",
    ),
    pytest.param(
        ROOT,
        "PUT",
        "/nodes/pve1/qemu/101/config",
        {"delete": "colour"},
        400,
        {"delete": "unknown option 'colour'"},
        id="no such option to delete",
    ),
    pytest.param(
        ROOT,
        "PUT",
        "/nodes/pve1/qemu/101/config",
        {"delete": "tags", "tags": "a"},
        400,
        {"delete": "you can't use '-tags' and -delete tags' at the same time"},
        id="set and deleted",
    ),
    pytest.param(
        ROOT,
        "POST",
        "/nodes/pve1/qemu/101/config",
        {"name": "x", "digest": "0" * 40},
        500,
        "checksum mismatch (file change by other user?)\n",
        id="digest, even of a task",
    ),
    pytest.param(
        ROOT,
        "POST",
        "/access/roles",
        {"roleid": "NoAccess"},
        500,
        "create role failed: role 'NoAccess' already exists\n",
        id="built-in role",
    ),
    pytest.param(
        ROOT,
        "PUT",
        "/access/acl",
        {"path": "0", "roles": "PVEAdmin", "users": "jo@pve", "delete": "1"},
        400,
        {"path": "invalid ACL path '0'"},
        id="no path at all",
    ),
]


@pytest.mark.parametrize(("who", "verb", "path", "values", "status", "said"), FAILING)
def test_what_a_method_refuses(cluster, who, verb, path, values, status, said):
    cluster.data("POST", "/cluster/backup", id="nightly", all="1", schedule="daily")
    cluster.user("jo@pve", vms_101="PVEVMAdmin")
    assert cluster.refusal(verb, path, who, **values) == (status, said)


@pytest.mark.parametrize(
    ("path", "is_known"),
    [
        ("/sdn/controllers/bgp-1", True),
        ("/sdn/dns/a1", True),
        ("/sdn/ipams", True),
        ("/sdn/ipams/a-b", False),
        ("/sdn/zones/z/v/4094", True),
        ("/sdn/zones/z/v/0", False),
        ("/mapping/pci/gpu", True),
        ("/mapping/pci/gpu/x", False),
        ("/pool/a/b/c", True),
        ("/pool/a/b/c/d", False),
        ("/vms/0101", False),
        ("/nodes/pve1/x", False),
        ("/access/realm/sso", True),
        ("/access/users", False),
    ],
)
def test_entries_can_be_made_on_the_paths_that_upstream_knows(cluster, path, is_known):
    result = cluster.ask("PUT", "/access/acl", path=path, roles="PVEAuditor", users="jo@pve")
    assert (result.status == 200) is is_known


def test_a_path_without_its_slash_is_not_under_the_root(cluster):
    cluster.user("jo@pve", root="PVEAuditor")
    whole = cluster.data("GET", "/access/permissions", "jo@pve", path="/vms/101")
    assert whole["/vms/101"]
    assert cluster.data("GET", "/access/permissions", "jo@pve", path="vms/101") == {"vms/101": {}}


def test_a_realm_keeps_no_empty_text_and_no_blanks_at_its_ends(cluster):
    cluster.data("POST", "/access/domains", realm="sso", type="openid", **{
        "issuer-url": "https://x ", "client-id": "c", "comment": " a  b ", "scopes": "", "default": "0",
    })  # fmt: skip
    read = cluster.data("GET", "/access/domains/sso")
    digest = read.pop("digest")
    assert read == {
        "type": "openid",
        "issuer-url": "https://x",
        "client-id": "c",
        "comment": "a  b",
        "default": 0,
    }
    cluster.data("PUT", "/access/domains/sso", comment="", digest=digest)
    assert "comment" not in cluster.data("GET", "/access/domains/sso")


def test_a_realm_that_ignores_case_knows_a_user_by_any(cluster):
    values = {"base_dn": "dc=x", "server1": "ldap.example", "user_attr": "uid", "case-sensitive": "0"}
    cluster.data("POST", "/access/domains", realm="dir", type="ldap", **values)
    cluster.data("POST", "/access/users", userid="Ada@dir")
    refused = cluster.refusal("POST", "/access/users", userid="ada@dir")
    assert refused == (500, "create user failed: user 'Ada@dir' already exists\n")


def test_root_loses_its_columns_with_its_line_until_the_next_write(cluster):
    cluster.data("PUT", f"/access/users/{ROOT}", comment="me")
    cluster.data("DELETE", f"/access/users/{ROOT}")
    assert cluster.data("GET", f"/access/users/{ROOT}") == {"enable": 1, "groups": [], "tokens": None}
    cluster.data("POST", "/access/groups", groupid="g")
    assert cluster.data("GET", f"/access/users/{ROOT}")["expire"] == 0


def test_a_new_selection_of_guests_drops_the_former_one(cluster):
    cluster.data("POST", "/pools", poolid="team")
    path = "/cluster/backup/j1"
    cluster.data("POST", "/cluster/backup", id="j1", schedule="daily", exclude="102")
    assert cluster.data("GET", path)["all"] == 1
    for given, kept in (
        ({"pool": "team"}, {"pool": "team"}),
        ({"vmid": "101,999"}, {"vmid": "101,999"}),
        ({"all": "1", "exclude": "101"}, {"all": 1, "exclude": "101"}),
    ):
        cluster.data("PUT", path, **given)
        job = cluster.data("GET", path)
        assert {name: job[name] for name in ("all", "exclude", "pool", "vmid") if name in job} == kept


def test_a_job_names_guests_that_are_gone(cluster):
    cluster.data("POST", "/cluster/backup", id="j1", schedule="daily", vmid="101,999")
    children = cluster.data("GET", "/cluster/backup/j1/included_volumes")["children"]
    assert [(child["id"], child["type"]) for child in children] == [("101", "qemu"), ("999", "unknown")]


def test_a_storage_of_a_pool_is_shown_on_the_node_that_answers(cluster):
    cluster.data("POST", "/pools", poolid="team")
    cluster.data("PUT", "/pools", poolid="team", storage="far")
    (pool,) = cluster.data("GET", "/pools", poolid="team")
    assert [(row["id"], row["node"]) for row in pool["members"]] == [("storage/pve1/far", "pve1")]


def test_the_second_factor_of_a_realm_is_told(cluster):
    cluster.data("PUT", "/access/domains/pve", tfa="type=oath")
    assert cluster.data("GET", "/access/users/jo@pve/tfa") == {"realm": "oath"}
    assert cluster.data("GET", "/access/users/jo@pve/tfa", multiple="1") == {"realm": "oath", "user": []}
    assert cluster.data("PUT", "/access/users/jo@pve/unlock-tfa") == 0
    assert cluster.data("GET", "/access/tfa", "jo@pve") == cluster.data("GET", "/access/tfa/jo@pve") == []
    assert cluster.ask("GET", "/access/tfa/root@pam", "jo@pve").status == 403


def test_the_realm_of_the_system_tells_what_answers_for_it(cluster):
    assert cluster.data("GET", "/access/domains/pam")["plugin"] == "PVE::Auth::PAM"
    assert "plugin" not in cluster.data("GET", "/access/domains/pve")


def test_no_console_ticket_is_a_right_one(cluster):
    values = {"authid": ROOT, "vncticket": "x", "path": "/vms/101", "privs": "VM.Console"}
    assert cluster.refusal("POST", "/access/vncticket", **values) == (401, "authentication failure\n")


def test_roots_token_is_not_root(cluster):
    cluster.token(ROOT, "full", privsep=0)
    cluster.token(ROOT, "own", privsep=1)
    assert cluster.ask("GET", "/cluster/status", "root@pam!full").status == 200
    assert cluster.ask("GET", "/cluster/status", "root@pam!own").status == 403
    refused = cluster.refusal("POST", "/nodes/pve1/qemu/101/status/stop", "root@pam!full", skiplock="1")
    assert refused == (400, {"skiplock": "Only root may use this option."})


def test_a_pool_reaches_its_members_but_not_what_is_below(cluster):
    cluster.data("POST", "/pools", poolid="team")
    cluster.data("POST", "/pools", poolid="team/sub")
    cluster.data("PUT", "/pools", poolid="team/sub", vms="101")
    cluster.center.accounts.users["jo@pve"] = User()
    for role, flag in (("PVEVMUser", 1), ("PVEPoolUser", 0)):
        cluster.center.accounts.acl[Entry("/pool/team", "user", "jo@pve", role)] = flag
    held = cluster.data("GET", "/access/permissions", "jo@pve")
    assert held["/vms/101"]["VM.PowerMgmt"] == 0
    assert "Pool.Audit" in held["/pool/team"]
    below = cluster.data("GET", "/access/permissions", "jo@pve", path="/pool/team/sub")
    assert "Pool.Audit" not in below["/pool/team/sub"]


def test_what_a_directory_fetches_by_default_is_kept_in_order_and_in_todays_words(cluster):
    values = {"base_dn": "dc=x", "server1": "ldap.example", "user_attr": "uid"}
    options = {"sync-defaults-options": "scope=users,purge=yes,enable-new=off"}
    cluster.data("POST", "/access/domains", realm="dir", type="ldap", **values, **options)
    kept = cluster.data("GET", "/access/domains/dir")["sync-defaults-options"]
    assert kept == "enable-new=0,remove-vanished=acl,scope=users"


def test_a_challenge_that_nobody_made_is_not_answered(cluster):
    cluster.data("PUT", "/access/password", userid="jo@pve", password="correct-horse")
    login = {"username": "jo@pve", "password": "correct-horse"}
    assert cluster.ask("POST", "/access/ticket", **login).status == 200
    assert cluster.refusal("POST", "/access/ticket", **login, **{"tfa-challenge": "x"})[0] == 401
