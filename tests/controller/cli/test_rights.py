"""The rights that docs/rights.md names are enough, and less is said plainly."""

from __future__ import annotations

import json
import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from controller.app import Controller
from controller.cli.look import numbered
from controller.cli.main import main
from controller.config import Configuration
from controller.plan.change import Result
from lab.keycloak.model import Keycloak
from lab.keycloak.seed import ODD, organisation
from lab.keycloak.server import serve
from lab.proxmox.accounts import Entry, Token, User
from lab.serving import serve_in_thread
from tests.controller.stage import Clock, policy_of
from tests.lab_servers import proxmox_lab

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

READING = {"view-realm", "view-users", "view-clients"}
WRITING = READING | {"manage-realm", "manage-users"}
AUDITOR = {"/": "PVEAuditor"}
PLANNER = {"/access": "StewardLook", "/vms": "StewardSight"}
CONTROLLER = {"/access": "StewardAccess", "/access/realm/keycloak": "StewardRealm", "/vms": "StewardGuests"}
ROLES = {
    "StewardLook": "Sys.Audit",
    "StewardSight": "VM.Audit",
    "StewardAccess": "Sys.Audit Sys.Modify User.Modify",
    "StewardRealm": "Realm.AllocateUser",
    "StewardGuests": "VM.Audit VM.PowerMgmt Permissions.Modify",
}
POLICY = """
realm: {name: acme}
roles: {worker: {proxmox: [VM.Audit, VM.PowerMgmt]}}
users: {newcomer: {email: new@acme.example, roles: [worker]}}
machines: {web-01: {vmid: 101, assigned: {users: {newcomer: worker}}}}
"""


@dataclass
class House:
    """A Keycloak with 200 accounts and a small Proxmox, and accounts with exactly these rights on both."""

    folder: Path
    keycloak_url: str
    proxmox_url: str
    ca_file: Path

    def settings(self) -> dict[str, object]:
        return {
            "owners": ["prod"],
            "data": str(self.folder / "state"),
            "keycloak": {
                "url": self.keycloak_url,
                "auth_realm": "acme",
                "client_id": "exact",
                "client_secret_file": str(self.folder / "client"),
            },
            "proxmox": {
                "par1": {
                    "url": self.proxmox_url,
                    "ca_file": str(self.ca_file),
                    "token_id": "steward@pve!exact",
                    "token_secret_file": str(self.folder / "token"),
                }
            },
        }

    def words(self) -> list[str]:
        return [
            *("--keycloak", f"{self.keycloak_url}/realms/acme", "--keycloak-client-id", "exact"),
            *("--keycloak-client-secret-file", str(self.folder / "client"), "--proxmox", self.proxmox_url),
            *("--proxmox-token-id", "steward@pve!exact", "--proxmox-token-file", str(self.folder / "token")),
            *("--ca-file", str(self.ca_file)),
        ]


@contextmanager
def house(folder: Path, keycloak_rights: set[str], proxmox_rights: Mapping[str, str]) -> Iterator[House]:
    keycloak = Keycloak(seed=1, clock=Clock(time.time()))
    realm = organisation(keycloak, "acme", people=200)
    client = keycloak.new_client(realm, "exact", secret="exact")
    keycloak.grant_management(realm, keycloak.new_service_account(realm, client), keycloak_rights)

    def populate(center) -> None:
        accounts = center.accounts
        accounts.users["steward@pve"] = User(tokens={"exact": Token(privsep=1)})
        accounts.acl.clear()
        for name, privileges in ROLES.items():
            accounts.roles[name] = set(privileges.split())
        for path, role in proxmox_rights.items():
            accounts.acl[Entry(path, "user", "steward@pve", role)] = 1
            accounts.acl[Entry(path, "token", "steward@pve!exact", role)] = 1
        center.token_values["steward@pve!exact"] = "3f6c3f2e-0000-4000-8000-000000000002"
        accounts.settle()

    (folder / "client").write_text("exact")
    (folder / "token").write_text("3f6c3f2e-0000-4000-8000-000000000002")
    with serve_in_thread(serve(keycloak)) as url, proxmox_lab(folder, populate=populate) as proxmox:
        yield House(folder, url, proxmox.url, proxmox.ca_file)


def opened(place: House) -> Controller:
    return Controller(Configuration.of(place.settings()))


def ended(capsys, *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(list(words))
    captured = capsys.readouterr()
    return caught.value.code, captured.out, captured.err


def test_look_sees_everything_with_its_rights_and_finds_what_is_odd(tmp_path, capsys):
    with house(tmp_path, READING, AUDITOR) as place:
        code, out, _ = ended(capsys, "look", *place.words(), "--output", "json")
    found = json.loads(out)
    assert (code, found["unobserved"]) == (0, [])
    people = found["people"]
    assert people["people"] == 200
    assert people["administrators_without_second_factor"] == sorted(ODD["admin without second factor"])
    assert set(people["disabled_with_rights"]) == {
        *ODD["disabled, roles kept"],
        *ODD["admin whose account is disabled"],
    }
    assert people["without_email"] == sorted(ODD["no e-mail address"])
    assert sorted(ODD["two accounts of one person"]) in list(people["same_name"].values())
    assert people["roles_of_nobody"] == list(ODD["role of nobody"])
    assert len(found["guests"]["without_backup"]) == found["guests"]["guests"] == 3


def test_what_look_prints_is_short_and_names_what_is_odd(tmp_path, capsys):
    with house(tmp_path, READING, AUDITOR) as place:
        code, out, _ = ended(capsys, "look", *place.words())
    assert code == 0
    assert max(map(len, out.splitlines())) <= 100
    assert len(out.splitlines()) < 40
    for said in (
        "administrators without a second factor",
        "guests without an owner",
        "guests in no backup job",
    ):
        assert said in out


@pytest.mark.parametrize(
    ("vmids", "said"),
    {
        "one": ((101,), "101"),
        "neighbours": ((120, 121, 122), "120-122 (3)"),
        "gaps and any order": ((141, 120, 121, 200), "120-121, 141, 200 (4)"),
        "none": ((), "none"),
    }.values(),
)
def test_guests_are_ranges(vmids, said):
    assert numbered(vmids) == said


def test_look_says_what_a_smaller_account_hides(tmp_path, capsys):
    with house(tmp_path, {"view-realm"}, {"/vms": "StewardSight"}) as place:
        code, out, _ = ended(capsys, "look", *place.words(), "--output", "json")
    assert code == 1
    assert [line.partition(":")[0] for line in json.loads(out)["unobserved"]] == ["keycloak", "proxmox"]


def test_planning_needs_only_reading_and_applying_what_the_table_says(tmp_path):
    policy = policy_of(POLICY)
    with house(tmp_path, READING, PLANNER) as place, opened(place) as controller:
        planned = controller.plan(policy)
    assert planned.plan.unobserved == ()
    assert len(planned.plan.changes) == 6


def test_applying_needs_what_the_table_says(tmp_path):
    policy = policy_of(POLICY)
    with house(tmp_path, WRITING, CONTROLLER) as place:
        with opened(place) as controller, controller.lease("test") as lease:
            outcomes = controller.apply(controller.plan(policy), actor="test", term=lease.term)
            assert [outcome.reason for outcome in outcomes if outcome.result is not Result.APPLIED] == []
        with opened(place) as controller:
            assert controller.plan(policy).plan.is_empty


@pytest.mark.parametrize("missing", sorted(READING))
def test_an_account_that_may_read_less_leaves_keycloak_unobserved(tmp_path, missing):
    with house(tmp_path, READING - {missing}, PLANNER) as place, opened(place) as controller:
        planned = controller.plan(policy_of(POLICY))
    assert {gap.system for gap in planned.plan.unobserved} == {"keycloak"}
    assert missing in planned.plan.unobserved[0].why
    assert not [change for change in planned.plan.changes if change.system == "keycloak"]


def test_an_import_is_planned_empty_and_enforcing_it_only_marks(tmp_path, capsys):
    with house(tmp_path, READING, AUDITOR) as place:
        folder = tmp_path / "prod"
        code, _, err = ended(capsys, "import", str(folder), *place.words())
        assert code == 0, err
        (tmp_path / "controller.yaml").write_text(json.dumps(place.settings()))
        config = ("-c", str(tmp_path / "controller.yaml"))
        assert ended(capsys, "plan", str(folder), *config)[0] == 0
        users = folder / "people.yaml"
        users.write_text(users.read_text().replace("roles: [employee, operator]", "roles: [employee]", 1))
        code, out, _ = ended(capsys, "plan", str(folder), *config)
        edited = [line for line in out.splitlines() if " user " in line and "user profile" not in line]
        assert (code, len(edited)) == (0, 1), out
        assert "adopted · roles -operator" in edited[0]
        users.write_text(users.read_text().replace("roles: [employee]", "roles: [employee, operator]", 1))
        settings = (folder / "policy.yaml").read_text().splitlines()
        (folder / "policy.yaml").write_text(
            "\n".join(line for line in settings if "modes" not in line and ": report" not in line)
        )
        code, out, _ = ended(capsys, "plan", str(folder), "--output", "json", *config)
        assert code == 2
        changes = [one for one in json.loads(out)["changes"] if one["section"] in {"roles", "users"}]
        assert len(changes) > 200
        for one in changes:
            differing = {name for name in one["after"] if one["before"][name] != one["after"][name]}
            assert differing == {"owner"}, one
        assert ended(capsys, "import", str(folder), *place.words())[0] == 1


def test_a_dead_proxmox_is_said_and_keycloak_is_planned_all_the_same(tmp_path):
    with house(tmp_path, READING, PLANNER) as place, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody answers there
        settings = place.settings()
        settings["proxmox"]["par1"]["url"] = f"https://127.0.0.1:{taken.getsockname()[1]}"
        with Controller(Configuration.of(settings)) as controller:
            planned = controller.plan(policy_of(POLICY))
    assert {gap.system for gap in planned.plan.unobserved} == {"proxmox:par1"}
    assert {change.system for change in planned.plan.changes} == {"keycloak"}


def test_two_systems_are_one_plan_and_converge(tmp_path):
    with house(tmp_path, WRITING, CONTROLLER) as place:
        with opened(place) as controller, controller.lease("test") as lease:
            controller.apply(controller.plan(policy_of(POLICY)), actor="test", term=lease.term)
        without = POLICY.replace("assigned: {users: {newcomer: worker}}", "assigned: {}")
        with opened(place) as controller, controller.lease("test") as lease:
            planned = controller.plan(policy_of(without))
            assert [change.section for change in planned.plan.changes] == ["machines.assigned"]
            outcomes = controller.apply(planned, actor="test", term=lease.term)
        assert [outcome.result for outcome in outcomes] == [Result.APPLIED]
        with opened(place) as controller:
            assert controller.plan(policy_of(without)).plan.is_empty
