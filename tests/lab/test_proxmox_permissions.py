"""The evaluation of the access control list, as a table and as laws that hold for every list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.proxmox.accounts import Accounts, Entry, Group, Pool, Token, User
from lab.proxmox.permissions import Permissions, is_known_path, normalize_path

PATHS = ("/", "/vms", "/vms/101", "/pool", "/pool/p", "/storage", "/storage/s1")
ROLES = ("NoAccess", "PVEVMUser", "PVEAuditor", "PVEAdmin", "Administrator")


def accounts(*entries: tuple[str, str, str, str, int]) -> Accounts:
    made = Accounts(
        users={"root@pam": User(), "jo@pve": User(tokens={"sep": Token(1), "full": Token(0)})},
        groups={"g": Group(users={"jo@pve"}), "h": Group(users={"jo@pve"})},
        pools={"p": Pool(vms={101}, storage={"s1"})},
    )
    made.acl = {Entry(path, kind, holder, role): flag for path, kind, holder, role, flag in entries}  # type: ignore[arg-type]
    made.settle()
    return made


CASES = {
    "deeper level replaces": (
        [("/", "user", "jo@pve", "Administrator", 1), ("/vms", "user", "jo@pve", "PVEVMUser", 1)],
        "VM.Allocate",
        False,
    ),
    "a group below beats the user above": (
        [("/", "user", "jo@pve", "Administrator", 1), ("/vms", "group", "g", "PVEVMUser", 1)],
        "VM.Allocate",
        False,
    ),
    "the user beats groups on a level": (
        [("/vms", "group", "g", "Administrator", 1), ("/vms", "user", "jo@pve", "PVEVMUser", 1)],
        "VM.Allocate",
        False,
    ),
    "groups add up": (
        [("/vms", "group", "g", "PVEAuditor", 1), ("/vms", "group", "h", "PVEVMAdmin", 1)],
        "VM.Allocate",
        True,
    ),
    "without propagation only here": ([("/vms", "user", "jo@pve", "PVEVMAdmin", 0)], "VM.Audit", False),
    "NoAccess in the winning level": (
        [("/vms", "user", "jo@pve", "PVEVMAdmin", 1), ("/vms", "user", "jo@pve", "NoAccess", 1)],
        "VM.Audit",
        False,
    ),
    "a pool adds": ([("/pool/p", "user", "jo@pve", "PVEVMUser", 1)], "VM.PowerMgmt", True),
    "NoAccess on the pool wins": (
        [("/vms", "user", "jo@pve", "PVEVMUser", 1), ("/pool/p", "user", "jo@pve", "NoAccess", 1)],
        "VM.PowerMgmt",
        False,
    ),
    "NoAccess on the guest wins over the pool": (
        [("/vms/101", "user", "jo@pve", "NoAccess", 1), ("/pool/p", "user", "jo@pve", "PVEVMUser", 1)],
        "VM.PowerMgmt",
        False,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_rule(name):
    entries, privilege, expected = CASES[name]
    # 101 is a member of the pool, 102 is not: on a member the roles that reach the pool are added.
    guest = "/vms/101" if any(entry[0] == "/pool/p" for entry in entries) else "/vms/102"
    assert (privilege in Permissions(accounts(*entries)).of("jo@pve", guest)) is expected


entry = st.tuples(
    st.sampled_from(PATHS),
    st.sampled_from((("user", "jo@pve"), ("group", "g"), ("group", "h"), ("token", "jo@pve!sep"))),
    st.sampled_from(ROLES),
    st.integers(0, 1),
).map(lambda parts: (parts[0], *parts[1], parts[2], parts[3]))
lists = st.lists(entry, max_size=8)


@given(lists, st.sampled_from(PATHS))
def test_a_separated_token_never_exceeds_its_user(entries, path):
    rights = Permissions(accounts(*entries))
    assert rights.of("jo@pve!sep", path).keys() <= rights.of("jo@pve", path).keys()


@given(lists, st.sampled_from(PATHS))
def test_a_full_token_is_its_user(entries, path):
    rights = Permissions(accounts(*entries))
    assert rights.of("jo@pve!full", path) == rights.of("jo@pve", path)


@given(lists, st.sampled_from(PATHS))
def test_root_may_everything_and_nobody_nothing(entries, path):
    rights = Permissions(accounts(*entries))
    assert "Permissions.Modify" in rights.of("root@pam", path)
    assert rights.of("nobody@pve", path) == {}
    assert rights.of("jo@pve!nosuch", path) == {}


@given(lists)
def test_settling_twice_is_settling_once(entries):
    made = accounts(*entries)
    before = dict(made.acl)
    made.settle()
    assert made.acl == before


@given(st.text(max_size=20))
def test_a_normal_path_stays_as_it_is(text):
    path = normalize_path(text)
    assert path is None or (normalize_path(path) == path and path.startswith("/"))


@pytest.mark.parametrize(
    "path",
    ["/", "/access/groups/g", "/access/realm/pve", "/pool/a/b/c", "/vms/100", "/storage/s1", "/nodes/n"],
)
def test_known_path(path):
    assert is_known_path(path)


@pytest.mark.parametrize(
    "path", ["/vms/99", "/vms/0100", "/vms/100/x", "/pool/a/b/c/d", "/nonsense", "/access/x"]
)
def test_unknown_path(path):
    assert not is_known_path(path)
