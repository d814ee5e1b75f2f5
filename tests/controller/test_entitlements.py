"""Who may do what by a policy alone: the same answers as teams, and as Proxmox would give."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.entitlements import access_of, holders_of, permissions_of, privileges_on, roles_of
from controller.policy.teams import all_members, effective_roles
from lab.proxmox.accounts import Accounts, Entry, Group, User
from lab.proxmox.permissions import Permissions
from tests.controller.stage import policy_of

POLICY = policy_of("""\
roles:
  viewer: {api: ["vm:read"], proxmox: [VM.Audit]}
  power: {includes: [viewer], api: ["vm:power"], proxmox: [VM.Audit, VM.PowerMgmt]}
  boss: {includes: [power]}
teams:
  science: {roles: [viewer]}
  research: {parent: science, members: [jo], roles: [power]}
users:
  jo: {roles: [boss]}
  al: {teams: [research]}
  zoe: {}
machines:
  web-01: {vmid: 101, assigned: {users: {al: viewer, jo: boss}, teams: {science: power, research: viewer}}}
pools: {gpu: {assigned: {teams: {research: power}}}}
""")


def test_roles_say_every_way_shortest_first():
    found = {role: [str(way) for way in ways] for role, ways in roles_of(POLICY, "jo").items()}
    assert found == {
        "boss": ["own"],
        "power": ["through role boss", "through team research"],
        "viewer": [
            "through role boss, role power",
            "through team research, role power",
            "through team research, part of science",
        ],
    }
    assert str(roles_of(POLICY, "jo")["viewer"][2].source) == "all.yaml:6:21"


def test_holders_of_a_role():
    assert set(holders_of(POLICY, "viewer")) == {"jo", "al"}
    assert set(holders_of(POLICY, "boss")) == {"jo"}
    assert holders_of(POLICY, "unknown") == {}


def test_permissions_name_the_role_that_lists_them():
    assert permissions_of(POLICY, ["boss"]) == {"vm:power": ("power",), "vm:read": ("viewer",)}


def test_own_entries_beat_those_of_teams_and_a_role_without_privileges_is_none():
    al = [(one.name, one.role, str(one.way), one.counts) for one in access_of(POLICY, "al")]
    assert al == [
        ("web-01", "viewer", "own", True),
        ("web-01", "power", "through team research, part of science", False),
        ("web-01", "viewer", "through team research", False),
        ("gpu", "power", "through team research", True),
    ]
    jo = [(one.role, one.counts) for one in access_of(POLICY, "jo", ("machines", "web-01"))]
    assert jo == [("boss", False), ("power", True), ("viewer", True)]
    held = privileges_on(POLICY, POLICY.machines["web-01"].assigned, all_members(POLICY))
    assert held == {"jo": {"VM.Audit", "VM.PowerMgmt"}, "al": {"VM.Audit"}}


PEOPLE = ("ada", "bo", "chen")
TEAMS = ("ops", "science", "lasers")
ROLES = ("viewer", "power", "console", "empty")
NAMES = st.sampled_from(PEOPLE)
LISTED = {
    "viewer": "[VM.Audit]",
    "power": "[VM.Audit, VM.PowerMgmt]",
    "console": "[VM.Console]",
    "empty": "[]",
}


@st.composite
def policies(draw):
    lines = ["roles:"]
    for index, role in enumerate(ROLES):
        includes = draw(st.lists(st.sampled_from(ROLES[:index]), max_size=2, unique=True)) if index else []
        lines.append(f"  {role}: {{proxmox: {LISTED[role]}, includes: {_listed(includes)}}}")
    lines.append("teams:")
    for index, team in enumerate(TEAMS):
        parent = draw(st.sampled_from([None, *TEAMS[:index]]))
        above = f"parent: {parent}, " if parent else ""
        members, roles = draw(st.sets(NAMES)), draw(st.sets(st.sampled_from(ROLES)))
        lines.append(f"  {team}: {{{above}members: {_listed(members)}, roles: {_listed(roles)}}}")
    lines.append("users:")
    for name in PEOPLE:
        teams, roles = draw(st.sets(st.sampled_from(TEAMS))), draw(st.sets(st.sampled_from(ROLES)))
        lines.append(f"  {name}: {{teams: {_listed(teams)}, roles: {_listed(roles)}}}")
    own = draw(st.dictionaries(NAMES, st.sampled_from(ROLES)))
    by_team = draw(st.dictionaries(st.sampled_from(TEAMS), st.sampled_from(ROLES)))
    lines.append(f"machines: {{m: {{vmid: 101, assigned: {{users: {_map(own)}, teams: {_map(by_team)}}}}}}}")
    return policy_of("\n".join(lines) + "\n")


def _listed(names) -> str:
    return f"[{', '.join(sorted(names))}]"


def _map(entries) -> str:
    return f"{{{', '.join(f'{key}: {value}' for key, value in sorted(entries.items()))}}}"


def server(policy) -> Accounts:
    """A Proxmox on which the policy has been applied: only entries of roles with privileges are made."""
    assigned = policy.machines["m"].assigned
    holders = [("user", f"{user}@kc", role) for user, role in assigned.users.items()]
    holders += [("group", f"steward-{team}", role) for team, role in assigned.teams.items()]
    accounts = Accounts(
        users={f"{name}@kc": User() for name in PEOPLE},
        groups={
            f"steward-{team}": Group(users={f"{name}@kc" for name in people})
            for team, people in all_members(policy).items()
        },
        roles={f"steward-{name}": set(role.proxmox) for name, role in policy.roles.items()},
        acl={
            Entry("/vms/101", kind, who, f"steward-{role}"): 1
            for kind, who, role in holders
            if policy.roles[role].proxmox
        },
    )
    accounts.settle()
    return accounts


@settings(max_examples=200, deadline=None, derandomize=True)
@given(policies())
def test_it_agrees_with_proxmox_and_with_teams(policy):
    permissions = Permissions(server(policy))
    held = privileges_on(policy, policy.machines["m"].assigned, all_members(policy))
    for user in PEOPLE:
        on_the_server = set(permissions.of(f"{user}@kc", "/vms/101"))
        assert held.get(user, frozenset()) == on_the_server
        counting = [set(one.privileges) for one in access_of(policy, user) if one.counts]
        assert set().union(*counting) == on_the_server
        assert set(roles_of(policy, user)) == effective_roles(policy, user)
        for role in ROLES:
            assert (user in holders_of(policy, role)) == (role in effective_roles(policy, user))
