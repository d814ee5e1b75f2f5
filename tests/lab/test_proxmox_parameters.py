"""What the simulated Proxmox VE says of parameters, in upstream's words, where no recording says it."""

from __future__ import annotations

import pytest

from tests.lab.proxmox_cluster import Cluster

ENVIRONMENT = {
    "nodes": [{"node": "pve1", "id": 1}, {"node": "pve2", "id": 2}],
    "guests": [{"vmid": 101, "type": "qemu", "node": "pve1", "config": "name: a\n"}],
    "storages": ["local"],
}
LDAP = {"realm": "dir", "type": "ldap", "base_dn": "dc=x", "server1": "ldap.example", "user_attr": "uid"}
JOB = {"schedule": "daily", "all": "1"}

REFUSED = [
    pytest.param(
        "POST",
        "/pools",
        {"poolid": "a/b/c/d"},
        {"poolid": "invalid format - pool name 'a/b/c/d' nested too deeply (max levels = 3)\n"},
        id="deep pool",
    ),
    pytest.param(
        "POST",
        "/pools",
        {"poolid": "a/b/c/"},
        {"poolid": "invalid format - pool name 'a/b/c/' contains invalid characters\n"},
        id="pool with a slash at its end",
    ),
    pytest.param(
        "POST",
        "/access/users",
        {"userid": "a@"},
        {"userid": "invalid format - user name 'a@' is too short\n"},
        id="short user",
    ),
    pytest.param(
        "POST",
        "/access/users",
        {"userid": f"{'a' * 62}@pve"},
        {"userid": f"invalid format - user name '{'a' * 62}@pve' is too long (66 > 64)\n"},
        id="long user",
    ),
    pytest.param(
        "POST",
        "/access/users",
        {"userid": "a@pve", "expire": "-1"},
        {"expire": "value must have a minimum value of 0"},
        id="minimum",
    ),
    pytest.param(
        "POST",
        "/access/users",
        {"userid": "a@pve", "expire": "1.5"},
        {"expire": "type check ('integer') failed - got '1.5'"},
        id="integer",
    ),
    pytest.param(
        "POST",
        "/access/users",
        {"userid": "a@pve", "keys": "a b"},
        {"keys": "value does not match the regex pattern"},
        id="pattern",
    ),
    pytest.param(
        "POST",
        "/access/users",
        {"userid": "a@pve", "groups": "ok,b!d"},
        {"groups": "invalid format - group name 'b!d' contains invalid characters\n"},
        id="one of a list",
    ),
    pytest.param(
        "POST",
        "/access/users/a@pve/token/9x",
        {},
        {"tokenid": "value does not match the regex pattern"},
        id="token name",
    ),
    pytest.param(
        "PUT",
        "/access/acl",
        {"path": "/", "roles": "PVEAdmin", "tokens": "a@pve"},
        {"tokens": "invalid format - value 'a@pve' does not look like a valid token ID\n"},
        id="token",
    ),
    pytest.param(
        "POST",
        "/access/domains",
        {**LDAP, "server1": "not an address"},
        {"server1": "invalid format - value does not look like a valid address: not an address\n"},
        id="address",
    ),
    pytest.param(
        "POST",
        "/access/domains",
        {**LDAP, "port": "70000"},
        {"port": "value must have a maximum value of 65535"},
        id="maximum",
    ),
    pytest.param(
        "POST",
        "/access/domains",
        {**LDAP, "realm": "x" * 33},
        {"realm": "value may only be 32 characters long"},
        id="realm too long",
    ),
    pytest.param(
        "POST",
        "/access/domains",
        {**LDAP, "tfa": "type=push"},
        {
            "tfa": "invalid format - format error\ntfa.type: value 'push' does not have a value in the "
            "enumeration 'yubico, oath'\n"
        },
        id="value in a property string",
    ),
    pytest.param(
        "POST",
        "/access/domains",
        {**LDAP, "sync-defaults-options": "scope=all"},
        {
            "sync-defaults-options": "invalid format - format error\nsync-defaults-options.scope: "
            "value 'all' does not have a value in the enumeration 'users, groups, both'\n"
        },
        id="sync options",
    ),
    pytest.param(
        "POST",
        "/cluster/backup",
        {**JOB, "prune-backups": "keep-some=1"},
        {"prune-backups": "invalid format - invalid key in comma-separated list property: keep-some\n"},
        id="key",
    ),
    pytest.param(
        "POST",
        "/cluster/backup",
        {**JOB, "prune-backups": "keep-last=x"},
        {
            "prune-backups": "invalid format - format error\n"
            "prune-backups.keep-last: type check ('integer') failed - got 'x'\n"
        },
        id="number in it",
    ),
    pytest.param(
        "POST",
        "/cluster/backup",
        {**JOB, "prune-backups": "3"},
        {"prune-backups": "invalid format - value without key, but schema does not define a default key\n"},
        id="no key",
    ),
    pytest.param(
        "POST",
        "/cluster/backup",
        {"all": "1"},
        {"schedule": "neither 'starttime' nor 'schedule' were set"},
        id="no schedule",
    ),
    pytest.param(
        "POST",
        "/cluster/backup",
        {**JOB, "starttime": "04:00"},
        {"starttime": "'starttime' and 'schedule' cannot both be set"},
        id="two schedules",
    ),
    pytest.param(
        "PUT",
        "/nodes/pve1/qemu/101/config",
        {"startup": "first"},
        {"startup": "invalid format - unable to parse startup options\n"},
        id="startup",
    ),
    pytest.param(
        "PUT",
        "/nodes/pve1/qemu/101/config",
        {"name": "-x-"},
        {"name": "invalid format - value does not look like a valid DNS name\n"},
        id="dns name",
    ),
    pytest.param(
        "PUT",
        "/nodes/pve1/qemu/101/config",
        {"serial0": "tty"},
        {"serial0": "value does not match the regex pattern"},
        id="numbered option",
    ),
    pytest.param(
        "GET",
        "/nodes/pve1/tasks",
        {"statusfilter": "ok,fine"},
        {"statusfilter": "invalid format - invalid status 'fine'\n"},
        id="status",
    ),
    pytest.param(
        "POST",
        "/nodes/pve1/qemu/101/status/suspend",
        {"statestorage": "local"},
        {"todisk": "missing property required by 'statestorage'"},
        id="requires",
    ),
    pytest.param(
        "POST",
        "/nodes/pve1/qemu/101/status/start",
        {"migration_network": "10.0.0.0"},
        {"migration_network": "invalid format - value does not look like a valid CIDR network\n"},
        id="network",
    ),
]


@pytest.mark.parametrize(("verb", "path", "values", "errors"), REFUSED)
def test_a_parameter_that_does_not_fit_is_named_with_its_fault(verb, path, values, errors):
    assert Cluster(ENVIRONMENT).refusal(verb, path, **values) == (400, errors)


TAKEN = [
    ("POST", "/access/domains", {**LDAP, "tfa": "type=oath,digits=8", "port": "636"}),
    ("POST", "/access/domains", {**LDAP, "server1": "2001:db8::1"}),
    ("POST", "/cluster/backup", {**JOB, "prune-backups": "keep-all=1", "fleecing": "1,storage=local"}),
    ("PUT", "/nodes/pve1/qemu/101/config", {"startup": "order=1,up=3", "net0": "virtio,bridge=vmbr0"}),
    ("PUT", "/nodes/pve1/qemu/101/config", {"nameserver": "10.0.0.1 dns.example"}),
    ("GET", "/nodes/pve1/tasks", {"statusfilter": "OK;Error"}),
    ("POST", "/pools", {"poolid": "a"}),
]


@pytest.mark.parametrize(("verb", "path", "values"), TAKEN)
def test_what_fits_is_taken(verb, path, values):
    Cluster(ENVIRONMENT).data(verb, path, **values)


@pytest.mark.parametrize("path", ["/access//users/", "//access/users", "/access/users//"])
def test_empty_segments_of_a_path_do_not_count(path):
    assert Cluster(ENVIRONMENT).data("GET", path)[0]["userid"] == "root@pam"


@pytest.mark.parametrize("path", ["/access/roles/a b", "/access/nothing", "/access/users/a@pve/x"])
def test_a_path_that_leads_nowhere_is_not_implemented(path):
    assert Cluster(ENVIRONMENT).refusal("GET", path) == (501, f"Method 'GET {path}' not implemented")
