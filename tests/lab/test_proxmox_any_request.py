"""Whatever a client sends, the simulator answers; and who has no rights changes nothing."""

from __future__ import annotations

import copy
import json
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from lab.proxmox.api import Credentials, Request, answer
from lab.proxmox.server import new_datacenter
from lab.proxmox.table import METHODS
from lab.seed import environment, populate
from tests.lab.proxmox_replay import Clock

WORDS = (
    "", "0", "1", "-1", "101", "pve1", "pve2", "nosuch", "root@pam", "steward@pve", "ravi.intern@keycloak",
    "a@b", "PVEAdmin",
    "VMOperator", "VM.Audit", "ops", "keycloak", "openid", "ldap", "production", "local", "nfs-1", "nightly",
    "/", "/vms/101",
    "steward@pve!controller", "controller", "comment", "keep-last=3", "backup",
    "UPID:pve1:0000AAAA:0000BBBB:65000000:x:1:root@pam:", "sub/pool", "type=oath", "scope=both",
    "keep-all=1,keep-last=2", "order=1,up=2", "\n", "a\nb", "99999999999999999999", "1e400", "١",
)  # fmt: skip
value = st.sampled_from(WORDS) | st.text(max_size=6) | st.lists(st.sampled_from(WORDS), max_size=3)


@st.composite
def requests(draw, who):
    method = draw(st.sampled_from(METHODS))
    names = st.sampled_from((*method.schema, "bogus"))
    path = re.sub(r"\{\w+\*?\}", lambda _: draw(st.sampled_from(WORDS)).replace("/", "") or "x", method.path)
    sent = draw(st.dictionaries(names, value, max_size=6))
    return Request(method.verb, path, sent, Credentials(trusted_user=who))


def seeded():
    center = new_datacenter(environment(guests=15), clock=Clock())
    populate(center, steward_secret="a", look_secret="b")
    return center


@settings(max_examples=300, deadline=None)
@given(st.lists(requests("root@pam"), max_size=5))
def test_every_request_is_answered_with_something_that_json_can_say(sequence):
    center = seeded()
    for request in sequence:
        result = answer(center, request)
        assert result.status in {200, 400, 401, 403, 500, 501, 595}
        assert "\n" not in result.reason
        json.dumps(result.body)
    assert_consistent(center)


def assert_consistent(center):
    """What upstream's files cannot hold is not there."""
    accounts = center.accounts
    for entry in accounts.acl:
        assert accounts.privileges_of(entry.roleid) is not None
        assert entry.type != "token" or entry.ugid in {
            f"{userid}!{token}" for userid, user in accounts.users.items() for token in user.tokens
        }
    members = [vmid for pool in accounts.pools.values() for vmid in pool.vms]
    assert len(members) == len(set(members))
    assert all(name.rpartition("/")[0] in {"", *accounts.pools} for name in accounts.pools)
    assert all(group.users <= accounts.users.keys() for group in accounts.groups.values())
    assert "root@pam" in accounts.users
    assert {"pam", "pve"} <= center.realms.by_name.keys()
    assert sum(bool(realm.get("default")) for realm in center.realms.by_name.values()) <= 1
    assert all(value != "" for realm in center.realms.by_name.values() for value in realm.values())


@settings(max_examples=150, deadline=None)
@given(st.lists(requests("svc-backup@ldap-old"), max_size=5))
def test_who_has_next_to_no_rights_changes_next_to_nothing(sequence):
    center = seeded()
    before = copy.deepcopy(
        (center.accounts.acl, center.accounts.roles, center.accounts.pools, center.realms.by_name)
    )
    for request in sequence:
        answer(center, request)
    changed = {
        entry
        for entry in center.accounts.acl.items() ^ before[0].items()
        if entry[0].path != "/storage/nfs-1"
    }
    # They may hand out what they hold on their storage, and make tokens of their own; nothing else.
    assert not changed
    assert (center.accounts.roles, center.accounts.pools, center.realms.by_name) == before[1:]
