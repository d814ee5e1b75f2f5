"""Whole passes against a real Keycloak: its admin events say what was written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from controller.app import Controller
from controller.clients.keycloak_connection import KeycloakAccess
from controller.clients.keycloak_writer import KeycloakWriter
from controller.config import Configuration
from controller.keycloak_values import KeycloakUser, RolePatch
from controller.plan.change import Result
from controller.policy.folder import load
from tests.controller.stage import SMALL, policy_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controller.plan.change import Outcome
    from controller.policy.model import Policy
    from lab.keycloak.real import RunningKeycloak

ROOT = Path(__file__).parents[3]
REALM = "passes"
POLICY = SMALL.replace("acme", REALM)


@pytest.fixture(scope="module")
def folder(real_keycloak: RunningKeycloak, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("controller")
    keycloak = {"url": real_keycloak.url, "username": real_keycloak.username, "password_file": "password"}
    keycloak["ca_file"] = str(real_keycloak.ca_file)
    settings = {"owners": ["prod"], "data": "state", "keycloak": keycloak}
    (home / "controller.yaml").write_text(json.dumps(settings))
    (home / "password").write_text(real_keycloak.password)
    return home


@contextmanager
def opened(folder: Path) -> Iterator[Controller]:
    with Controller(Configuration.load(folder / "controller.yaml", {})) as controller:
        yield controller


@contextmanager
def by_hand(server: RunningKeycloak, realm: str = REALM) -> Iterator[KeycloakWriter]:
    """Somebody who works past the policy."""
    access = KeycloakAccess(
        server.url, username=server.username, password=server.password, ca_file=server.ca_file
    )
    with KeycloakWriter(access, realm) as writer:
        yield writer


def applied(folder: Path, policy: Policy) -> list[Outcome]:
    with opened(folder) as controller, controller.lease("test") as lease:
        return controller.apply(controller.plan(policy), actor="test", term=lease.term)


def test_apply_then_nothing_to_do_then_drift_then_repair(real_keycloak, folder):
    policy = policy_of(POLICY)
    assert {outcome.result for outcome in applied(folder, policy)} == {Result.APPLIED}
    with opened(folder) as controller:
        assert controller.plan(policy).plan.is_empty
    with by_hand(real_keycloak) as server:
        events = server.admin_events()
        assert applied(folder, policy) == []
        assert server.admin_events() == events
        viewer = server.role("viewer")
        server.update_role(viewer.id, RolePatch(description="by hand"))
        jo = server.find_user("jo")
        server.revoke(jo.id, ["power-user"])
        server.create_users([KeycloakUser("stranger", email="stranger@example.org")])
        with opened(folder) as controller:
            planned = controller.plan(policy).plan
        assert [(change.key, change.changed) for change in planned.changes] == [
            ("viewer", ("description",)),
            ("jo", ("roles",)),
        ]
        assert {outcome.result for outcome in applied(folder, policy)} == {Result.APPLIED}
        assert server.role("viewer").description == "may look"
        assert server.members(["power-user"])["power-user"] == {jo.id}
        assert server.find_user("stranger").enabled


def test_what_is_there_already_is_adopted_whole(real_keycloak, folder):
    text = (
        "realm: {name: adopted}\nroles: {viewer: {adopt: true}}\nusers: {jo: {roles: [viewer], adopt: true}}"
    )
    with by_hand(real_keycloak, "adopted") as server:
        from controller.keycloak_values import KeycloakRealm, KeycloakRole

        server.create_realm(KeycloakRealm("adopted"))
        server.create_role(KeycloakRole("viewer", description="theirs"))
        theirs = KeycloakUser("jo", email="jo@example.org", roles=frozenset({"viewer"}))
        before = server.create_users([theirs]).ids["jo"]
        assert {outcome.result for outcome in applied(folder, policy_of(text))} == {Result.APPLIED}
        after = server.user(before)
        assert (after.owner, after.email) == ("prod", "jo@example.org")
        assert server.role("viewer").description == "theirs"
    with opened(folder) as controller:
        assert controller.plan(policy_of(text)).plan.is_empty


def test_a_vanished_name_is_disabled_and_stays_so(real_keycloak, folder):
    policy = POLICY.replace(REALM, "vanishing")
    applied(folder, policy_of(policy))
    shorter = "\n".join(line for line in policy.splitlines() if " al:" not in line)
    assert {outcome.result for outcome in applied(folder, policy_of(shorter))} == {Result.APPLIED}
    with by_hand(real_keycloak, "vanishing") as server:
        al = server.find_user("al")
        assert not al.enabled
        assert al.vanished
    with opened(folder) as controller:
        assert controller.plan(policy_of(shorter)).plan.is_empty


@pytest.mark.parametrize("cut", [1, 3, 5])
def test_any_prefix_leaves_the_rest(folder, cut, real_keycloak):
    policy = policy_of(POLICY.replace(REALM, f"prefix{cut}"))
    with opened(folder) as controller:
        whole = controller.plan(policy).plan
        controller.applier(policy).apply(replace(whole, changes=whole.changes[:cut]))
    with opened(folder) as controller:
        left = controller.plan(policy).plan.changes
    assert [change.essence() for change in left] == [change.essence() for change in whole.changes[cut:]]


def company(realm: str, *, roles: int, teams: int, people: int, last_name: str) -> str:
    lines = [f"realm: {{name: {realm}}}", "roles:", "  role0: {}"]
    lines += [f"  role{n}: {{includes: [role{n - 1}], description: {last_name}}}" for n in range(1, roles)]
    lines += ["teams:", "  team0: {roles: [role0]}"]
    lines += [f"  team{n}: {{parent: team{n - 1}, roles: [role{n % roles}]}}" for n in range(1, teams)]
    lines += ["users:"]
    user = "  user{0}: {{email: user{0}@example.org, last_name: {1}, roles: [role{2}], teams: [team{3}]}}"
    lines += [user.format(n, last_name, n % roles, n % teams) for n in range(people)]
    return "\n".join(lines) + "\n"


WAY = {
    "made": (company("killed", roles=12, teams=12, people=150, last_name="First"), (1, 3, 7, 6, 9)),
    "altered": (company("killed", roles=12, teams=10, people=140, last_name="Second"), (1, 2, 3, 3, 2)),
}
"""Two policies, and after how many further changes each pass on the way there is killed: ten in all."""


def test_ten_passes_that_are_killed_are_finished_by_the_next(folder, real_keycloak, tmp_path):
    """Each is killed at another step with writes under way; what is left only ever gets less."""
    program = Path(__file__).with_name("killed_pass.py")
    settings = json.loads((folder / "controller.yaml").read_text())
    settings |= {"limits": {"max_deletes": {"count": 1000}}, "data": str(tmp_path / "state")}
    settings["keycloak"]["password_file"] = str(folder / "password")
    (tmp_path / "controller.yaml").write_text(json.dumps(settings))
    folder = tmp_path
    killed = 0
    for name, (text, steps) in WAY.items():
        policies = folder / name
        policies.mkdir()
        (policies / "policy.yaml").write_text("version: 1\nowner: prod\n")
        (policies / "all.yaml").write_text(text)
        policy = load(policies)
        left = None
        for after in (*steps, 10_000):
            killed += 1
            words = [sys.executable, str(program), str(folder), name, str(after), str(60 * killed)]
            ended = subprocess.run(
                words, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False, capture_output=True
            )
            assert ended.returncode == (0 if after == 10_000 else -signal.SIGKILL), ended.stderr
            with opened(folder) as controller:
                plan = controller.plan(policy).plan
            rest = {change.identity for change in plan.changes}
            assert left is None or rest < left or not left
            left = rest
        assert left == set()
    with by_hand(real_keycloak, "killed") as server:
        assert len(server.users()) == 150
    assert killed == 12


READING = ("view-realm", "view-users", "view-clients")
WRITING = (*READING, "manage-realm", "manage-users")


def service_account(server: KeycloakWriter, name: str, rights: tuple[str, ...]) -> None:
    """A client with a service account in the realm that has exactly these rights; its secret is its name."""
    body = {"clientId": name, "secret": name, "serviceAccountsEnabled": True, "publicClient": False}
    server._send("POST", f"{server._base}/clients", body)
    account = server.find_user(f"service-account-{name}")
    (management,) = server._read("/clients", list[dict], clientId="realm-management")
    roles = [server._read(f"/clients/{management['id']}/roles/{right}", dict) for right in rights]
    server._send("POST", f"{server._base}/users/{account.id}/role-mappings/clients/{management['id']}", roles)


def test_the_rights_that_the_documentation_names_are_enough(real_keycloak, folder, tmp_path):
    policy = policy_of(POLICY.replace(REALM, "rights"))
    with by_hand(real_keycloak, "rights") as server:
        from controller.keycloak_values import KeycloakRealm

        server.create_realm(KeycloakRealm("rights"))
        service_account(server, "reader", READING)
        service_account(server, "writer", WRITING)
    settings = json.loads((folder / "controller.yaml").read_text())
    for name in ("reader", "writer"):
        (tmp_path / f"{name}.secret").write_text(name)
        account = {"auth_realm": "rights", "client_id": name, "client_secret_file": f"{name}.secret"}
        kept = {key: settings["keycloak"][key] for key in ("url", "ca_file") if key in settings["keycloak"]}
        (tmp_path / f"{name}.yaml").write_text(json.dumps({**settings, "keycloak": {**kept, **account}}))
    with Controller(Configuration.load(tmp_path / "reader.yaml", {})) as reader:
        planned = reader.plan(policy)
        assert planned.plan.unobserved == ()
    with (
        Controller(Configuration.load(tmp_path / "writer.yaml", {})) as writer,
        writer.lease("test") as lease,
    ):
        outcomes = writer.apply(writer.plan(policy), actor="test", term=lease.term)
        assert [outcome.reason for outcome in outcomes if outcome.result is not Result.APPLIED] == []
    with Controller(Configuration.load(tmp_path / "reader.yaml", {})) as reader:
        assert reader.plan(policy).plan.is_empty
