"""Who may do what, and why: the explanation agrees with what the server says, whole and entry by entry."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.clients.proxmox import ProxmoxLogin, ProxmoxReader
from controller.errors import NotThere
from controller.explain import Explanation, explain
from controller.explain_role import explain_role
from controller.explaining import explain_assignment
from controller.policy import parse
from controller.proxmox_values import (
    ProxmoxAccess,
    ProxmoxEntry,
    ProxmoxGroup,
    ProxmoxRights,
    ProxmoxRole,
    ProxmoxToken,
    ProxmoxUser,
)
from controller.resources.resource import Context
from lab.proxmox.accounts import Accounts, Entry, Group, Pool, Token, User
from lab.proxmox.permissions import Permissions
from tests.lab_servers import proxmox_lab

PEOPLE = ("ada@keycloak", "bo@keycloak", "root@pam")
GROUPS = ("ops", "science")
ROLES = {
    "steward-viewer": {"VM.Audit"},
    "steward-power": {"VM.Audit", "VM.PowerMgmt"},
    "Console": {"VM.Console"},
    "Empty": set(),
}
PATHS = ("/", "/vms", "/vms/101", "/vms/102", "/pool", "/pool/gpu", "/pool/gpu/big", "/nodes")

TOKEN = "ada@keycloak!ci"
HOLDERS = st.one_of(
    st.tuples(st.just("user"), st.sampled_from(PEOPLE[:2])),
    st.tuples(st.just("group"), st.sampled_from(GROUPS)),
    st.tuples(st.just("token"), st.just(TOKEN)),
)
ENTRIES = st.lists(
    st.tuples(st.sampled_from(PATHS), HOLDERS, st.sampled_from([*ROLES, "NoAccess"]), st.booleans()),
    max_size=10,
    unique_by=lambda entry: entry[:3],
)
MEMBERS = st.fixed_dictionaries({group: st.sets(st.sampled_from(PEOPLE[:2])) for group in GROUPS})


def server(entries, members, pool, privsep=1) -> Accounts:
    tokens = {"ada@keycloak": {"ci": Token(privsep=privsep)}}
    accounts = Accounts(
        users={name: User(tokens=tokens.get(name, {})) for name in PEOPLE},
        groups={name: Group(users=set(listed)) for name, listed in members.items()},
        roles={name: set(privileges) for name, privileges in ROLES.items()},
        acl={Entry(path, kind, who, role): int(flag) for path, (kind, who), role, flag in entries},
        pools={pool: Pool(vms={101})} if pool else {},
    )
    accounts.settle()
    return accounts


def seen(accounts: Accounts) -> ProxmoxAccess:
    """What a client would have read of the server."""
    return ProxmoxAccess(
        rights=ProxmoxRights({}),
        users={
            name: ProxmoxUser(
                name,
                tokens=tuple(
                    ProxmoxToken(token, bool(value.privsep)) for token, value in user.tokens.items()
                ),
            )
            for name, user in accounts.users.items()
        },
        groups={
            name: ProxmoxGroup(name, members=tuple(group.users)) for name, group in accounts.groups.items()
        },
        roles={
            name: ProxmoxRole(name, tuple(sorted(accounts.privileges_of(name) or ())))
            for name in accounts.role_names()
        },
        entries=tuple(
            ProxmoxEntry(entry.path, entry.type, entry.ugid, entry.roleid, bool(flag))
            for entry, flag in accounts.acl.items()
        ),
    )


@settings(max_examples=400, deadline=None, derandomize=True)
@given(ENTRIES, MEMBERS, st.sampled_from(["", "gpu", "gpu/big"]), st.sampled_from(PEOPLE[:2]))
def test_it_agrees_with_the_server(entries, members, pool, who):
    accounts = server(entries, members, pool)
    found = explain(who, "/vms/101", seen(accounts), pool=pool)
    assert found.held == set(Permissions(accounts).of(who, "/vms/101"))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    ENTRIES,
    MEMBERS,
    st.sampled_from(["", "gpu"]),
    st.sampled_from([0, 1]),
    st.sampled_from([TOKEN, "ada@keycloak", "bo@keycloak"]),
    st.sampled_from(["/vms/101", "/pool/gpu", "/nodes/pve1"]),
)
def test_it_agrees_with_the_server_on_tokens_and_other_places(entries, members, pool, privsep, who, path):
    accounts = server(entries, members, pool, privsep)
    found = explain(who, path, seen(accounts), pool=pool if path.startswith("/vms") else "")
    assert found.held == set(Permissions(accounts).of(who, path))


def test_a_token_says_what_its_person_lacks():
    entries = [("/vms/101", ("token", TOKEN), "Console", True)]
    accounts = server(entries, {"ops": set(), "science": set()}, "")
    found = explain(TOKEN, "/vms/101", seen(accounts))
    assert found.held == set()
    assert found.notes == ("ada@keycloak has no VM.Console here: a token never exceeds its person",)
    whole = explain(TOKEN, "/vms/101", seen(server(entries, {"ops": set(), "science": set()}, "", 0)))
    assert whole.notes == ("the token has all rights of ada@keycloak",)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(ENTRIES, MEMBERS, st.sampled_from(["", "gpu"]), st.data())
def test_entries_that_are_masked_change_nothing(entries, members, pool, data):
    accounts = server(entries, members, pool)
    found = explain("ada@keycloak", "/vms/101", seen(accounts), pool=pool)
    counting = {one.entry for one in found.verdicts if one.counts}
    masked = [one.entry for one in found.verdicts if one.entry not in counting]
    if masked:
        gone = data.draw(st.sampled_from(masked))
        accounts.acl.pop(Entry(gone.path, gone.kind, gone.holder, gone.role))
    assert set(Permissions(accounts).of("ada@keycloak", "/vms/101")) == found.held


CASES = {
    "inherited": ([("/vms", ("user", "ada@keycloak"), "Console", True)], "inherited from /vms"),
    "set here": ([("/vms/101", ("user", "ada@keycloak"), "Console", False)], "set here"),
    "not propagating": ([("/vms", ("user", "ada@keycloak"), "Console", False)], "does not propagate"),
    "by a group": ([("/vms", ("group", "ops"), "Console", True)], "by the group ops"),
    "by the pool": ([("/pool/gpu", ("user", "ada@keycloak"), "Console", True)], "in the pool gpu"),
    "masked by a deeper level": (
        [
            ("/vms", ("user", "ada@keycloak"), "Console", True),
            ("/vms/101", ("user", "ada@keycloak"), "Empty", True),
        ],
        "masked by entries on /vms/101",
    ),
    "masked by the own entry": (
        [("/vms", ("group", "ops"), "Console", True), ("/vms", ("user", "ada@keycloak"), "Empty", True)],
        "masked by the person's own entry on /vms",
    ),
    "masked by no access": (
        [
            ("/vms/101", ("user", "ada@keycloak"), "Console", True),
            ("/vms/101", ("user", "ada@keycloak"), "NoAccess", True),
        ],
        "masked by NoAccess on /vms/101",
    ),
    "masked by the pool's no access": (
        [
            ("/vms", ("user", "ada@keycloak"), "Console", True),
            ("/pool/gpu", ("user", "ada@keycloak"), "NoAccess", True),
        ],
        "masked by NoAccess of the pool gpu",
    ),
}


@pytest.mark.parametrize(("entries", "why"), CASES.values(), ids=CASES.keys())
def test_each_privilege_says_why(entries, why):
    accounts = server(entries, {"ops": {"ada@keycloak"}, "science": set()}, "gpu")
    found = explain("ada@keycloak", "/vms/101", seen(accounts), pool="gpu")
    console = next(grant for grant in found.grants if grant.privilege == "VM.Console")
    assert any(why in verdict.why for verdict in console.by)
    assert console.held == ("masked" not in why and "propagate" not in why)


def test_what_is_inherited_by_the_pool_counts_where_the_path_masks_it():
    entries = [
        ("/", ("user", "ada@keycloak"), "Console", True),
        ("/vms/101", ("user", "ada@keycloak"), "Empty", True),
    ]
    accounts = server(entries, {"ops": set(), "science": set()}, "gpu")
    found = explain("ada@keycloak", "/vms/101", seen(accounts), pool="gpu")
    assert [one.why for one in found.verdicts if one.entry.path == "/"] == [
        "masked by entries on /vms/101, which is deeper",
        "inherited from /; /vms/101 is in the pool gpu",
    ]
    assert found.held == {"VM.Console"}


def test_who_is_not_there_and_who_may_do_everything():
    access = seen(server([], {}, ""))
    assert explain("zoe@keycloak", "/vms/101", access).notes == ("there is no account zoe@keycloak",)
    assert "everything" in explain("root@pam", "/vms/101", access).notes[0]


POLICY = b"""\
version: 1
owner: prod
roles: {power: {proxmox: [VM.Audit, VM.PowerMgmt]}, look: {proxmox: [VM.Audit]}}
users: {ada: {proxmox_tokens: {ci: {secret: {controller_file: /x}}}}, bo: {}, cy: {}}
machines:
  web-01:
    vmid: 101
    assigned:
      users:
        ada: power
  db-01: {vmid: 102, assigned: {users: {bo: power}, teams: {science: look}}}
teams: {science: {}, lasers: {parent: science, members: [cy]}}
pools: {gpu: {assigned: {teams: {science: look}}}}
nodes: {pve1: {assigned: {users: {cy: look}}}}
machine_sets:
  boxes: {match: {name: "db-*"}, assigned: {users: {ada: look}}}
"""


def populate(center):
    accounts = center.accounts
    accounts.roles["steward-power"] = {"VM.Audit", "VM.PowerMgmt"}
    accounts.roles["steward-look"] = {"VM.Audit"}
    accounts.users["ada@keycloak"] = User(tokens={"ci": Token()})
    accounts.users["bo@keycloak"] = User(enable=0)
    accounts.users["cy@keycloak"] = User()
    accounts.groups["steward-science"] = Group(users={"cy@keycloak"})
    accounts.pools["gpu"] = Pool()
    for path, kind, who, role in (
        ("/vms/101", "user", "ada@keycloak", "power"),
        ("/vms/102", "user", "ada@keycloak", "look"),
        ("/vms/102", "user", "bo@keycloak", "power"),
        ("/vms/102", "group", "steward-science", "look"),
        ("/pool/gpu", "group", "steward-science", "look"),
        ("/nodes/pve1", "user", "cy@keycloak", "look"),
    ):
        accounts.acl[Entry(path, kind, who, f"steward-{role}")] = 1


def test_a_live_server_and_the_lines_of_the_policy(tmp_path):
    policy = parse({"policy.yaml": POLICY}, "")
    context = Context("proxmox:par1", "prod", "keycloak", datetime(2026, 1, 1, tzinfo=UTC))
    with proxmox_lab(tmp_path, populate=populate) as lab:
        login = ProxmoxLogin(lab.url, lab.token_id, lab.token_secret, lab.ca_file)
        with ProxmoxReader(login, cluster="par1") as reader:
            access, resources = reader.access(), reader.resources()
        shown = Permissions(lab.center.accounts).of("ada@keycloak", "/vms/101")
    ada = explain_assignment("ada", "web-01", policy, context, access=access, resources=resources)
    assert ada.held == set(shown)
    assert str(ada.verdicts[0].source) == "policy.yaml:10:14"
    by_number = explain_assignment("ada@keycloak", "101", policy, context, access=access, resources=resources)
    assert by_number.held == ada.held
    token = explain_assignment("ada!ci", "web-01", policy, context, access=access, resources=resources)
    assert (token.userid, token.held) == ("ada@keycloak!ci", frozenset())
    cy = explain_assignment("cy", "db-01", policy, context, access=access, resources=resources)
    assert cy.verdicts[0].asked is not None
    assert cy.verdicts[0].asked.team == "team science, which lasers is part of"
    by_set = explain_assignment("ada", "db-01", policy, context, access=access, resources=resources)
    assert by_set.verdicts[0].asked is not None
    assert by_set.verdicts[0].asked.by == "boxes"
    for place in ("pool/gpu", "pools/gpu", "node/pve1"):
        there = explain_assignment("cy", place, policy, context, access=access, resources=resources)
        assert there.held == {"VM.Audit"}
    with pytest.raises(NotThere, match='par1 has no pool "gpus"; did you mean "pool/gpu"'):
        explain_assignment("cy", "pool/gpus", policy, context, access=access, resources=resources)
    bo = explain_assignment("bo", "db-01", policy, context, access=access, resources=resources)
    assert bo.notes == ("the account bo@keycloak is disabled: it can do nothing",)
    with pytest.raises(NotThere, match='did you mean "web-01"'):
        explain_assignment("bo", "wep-01", policy, context, access=access, resources=resources)


def test_on_the_command_line(tmp_path):
    folder = tmp_path / "prod"
    folder.mkdir()
    (folder / "policy.yaml").write_bytes(POLICY)
    with proxmox_lab(tmp_path, populate=populate) as lab:
        (tmp_path / "secret").write_text(lab.token_secret)
        connection = {
            "url": lab.url,
            "ca_file": str(lab.ca_file),
            "token_id": lab.token_id,
            "token_secret_file": "secret",
        }
        settings = {"owners": ["prod"], "proxmox": {"par1": connection}}
        (tmp_path / "controller.yaml").write_text(json.dumps(settings))
        shown = steward(tmp_path, "explain", "ada", "web-01", "prod", "--output", "json")
        table = steward(tmp_path, "explain", "ada", "web-01", "prod")
        unknown = steward(tmp_path, "explain", "ada", "web-09", "prod")
        team = steward(tmp_path, "explain", "cy", "pool/gpu", "prod")
    assert shown.returncode == 0, shown.stderr
    found = json.loads(shown.stdout)
    assert [one["privilege"] for one in found["privileges"]] == ["VM.Audit", "VM.PowerMgmt"]
    assert found["privileges"][0]["by"][0]["source"] == "prod/policy.yaml:10:14"
    assert table.stdout.splitlines() == [
        "ada@keycloak has 2 privileges on web-01 (guest 101 of par1)",
        "  VM.Audit, VM.PowerMgmt",
        "",
        "because of",
        "  steward-power on /vms/101 for the user ada@keycloak: set here",
        "      asked for at prod/policy.yaml:10",
        "      gives all of these",
        "",
        "Proxmox itself says the same",
    ]
    assert found["agrees"] is True
    assert " ".join(team.stdout.split()) == (
        "cy@keycloak has 1 privilege on pool/gpu (/pool/gpu of par1) VM.Audit because of "
        "steward-look on /pool/gpu for the group steward-science: set here, by the group steward-science "
        "asked for at prod/policy.yaml:13, for the team science, which lasers is part of "
        "gives all of these Proxmox itself says the same"
    )
    assert unknown.returncode == 1
    assert 'did you mean "web-01"?' in unknown.stderr


def test_a_disagreement_is_said():
    found = Explanation("ada@keycloak", "/vms/101", (), (), server=frozenset({"VM.Audit"}))
    assert found.agrees is False
    assert found.to_json()["agrees"] is False


ROLES_POLICY = parse(
    {
        "policy.yaml": b"""\
version: 1
owner: prod
realm: {name: acme, default_roles: [power]}
roles:
  look: {description: sees, api: ["vm:read"], proxmox: [VM.Audit]}
  power: {includes: [look]}
teams: {science: {roles: [power], members: [bo]}}
users: {ada: {roles: [look]}, bo: {state: disabled}, cy: {}}
machines: {web-01: {assigned: {teams: {science: look}, users: {cy: look}}}}
"""
    },
    "",
)


def test_a_role_says_who_has_it_and_what_it_gives():
    found = explain_role(ROLES_POLICY, "look")
    assert found.included_by == ("power",)
    assert found.is_default
    assert found.privileges == ("VM.Audit",)
    assert [(one.user, str(one.ways[0]), one.is_active) for one in found.holders] == [
        ("ada", "own", True),
        ("bo", "through team science, role power", False),
    ]
    assert [(one.name, one.kind, one.holder) for one in found.places] == [
        ("web-01", "user", "cy"),
        ("web-01", "team", "science"),
    ]
    with pytest.raises(NotThere, match='no role "looks"; did you mean "look"'):
        explain_role(ROLES_POLICY, "looks")


def test_users_and_roles_without_a_machine_ask_no_system(tmp_path):
    folder = tmp_path / "prod"
    folder.mkdir()
    (folder / "policy.yaml").write_bytes(POLICY)
    role = steward(tmp_path, "explain", "--role", "look", "prod")
    assert "held by 0 people" not in role.stdout
    assert "pool gpu" in role.stdout
    assert steward(tmp_path, "explain", "look", "prod").stdout == role.stdout
    assert (
        json.loads(steward(tmp_path, "explain", "look", "prod", "--output", "json").stdout)["role"] == "look"
    )
    user = steward(tmp_path, "explain", "cy", "prod")
    assert "part of science" in user.stdout
    nobody = steward(tmp_path, "explain", "adda", "prod")
    assert nobody.returncode == 1
    assert 'no user and no role "adda"; did you mean "ada"?' in nobody.stderr
    assert steward(tmp_path, "explain").returncode == 64


def steward(folder, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from controller.cli.main import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
