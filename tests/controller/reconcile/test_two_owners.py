"""Two policies of two owners, one controller, one Proxmox: roles and entries there tell no owner."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from controller.app import Controller
from controller.config import Configuration
from controller.plan.change import Result
from controller.policy import parse
from tests.lab_servers import proxmox_lab

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from controller.plan.plan import Plan
    from controller.policy import Policy

ROLES = "viewer: {proxmox: [VM.Audit]}, operator: {proxmox: [VM.Audit, VM.PowerMgmt]}"


def policy(owner: str, roles: str, machines: str = "") -> Policy:
    people = f"users: {{{owner}-jo: {{}}}}\nmachines: {{{machines}}}\n"
    text = f"version: 1\nowner: {owner}\nroles: {{{roles}}}\n{people}"
    return parse({"policy.yaml": text.encode()}, "")


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[Controller]:
    with proxmox_lab(tmp_path) as lab:
        (tmp_path / "token").write_text(lab.token_secret)
        cluster = {
            "url": lab.url,
            "ca_file": str(lab.ca_file),
            "token_id": lab.token_id,
            "token_secret_file": "token",
            "realm": "keycloak",
        }
        settings = {
            "instance": "two",
            "owners": ["prod", "stag"],
            "data": "state",
            "proxmox": {"par1": cluster},
        }
        (tmp_path / "controller.yaml").write_text(json.dumps(settings))
        with Controller(Configuration.load(tmp_path / "controller.yaml", {})) as controller:
            yield controller


def settle(controller: Controller, policy: Policy) -> None:
    planned = controller.plan(policy)
    with controller.lease("test") as lease:
        outcomes = controller.apply(planned, actor="test", term=lease.term)
    assert [one.reason for one in outcomes if one.result is not Result.APPLIED] == []


def planned(controller: Controller, policy: Policy) -> Plan:
    return controller.plan(policy).plan


def labels(plan: Plan) -> list[str]:
    return [change.label for change in plan.changes]


def test_neither_prunes_what_is_the_others(controller: Controller) -> None:
    prod = policy("prod", ROLES, "web-01: {vmid: 101, assigned: {users: {prod-jo: operator}}}")
    stag = policy(
        "stag", "viewer: {proxmox: [VM.Audit]}", "db-01: {vmid: 102, assigned: {users: {stag-jo: viewer}}}"
    )
    settle(controller, prod)
    first = planned(controller, stag)
    assert labels(first) == [
        "create proxmox:par1/users/stag-jo",
        "create proxmox:par1: db-01 ← stag-jo: viewer",
    ]
    assert [report for report in first.reported if report.pages] == []
    settle(controller, stag)
    for one in (prod, stag):
        assert labels(planned(controller, one)) == []


def test_what_both_have_goes_when_the_second_lets_go(controller: Controller) -> None:
    both = [policy(owner, ROLES) for owner in ("prod", "stag")]
    for one in both:
        settle(controller, one)
    fewer = [policy(owner, "viewer: {proxmox: [VM.Audit]}") for owner in ("prod", "stag")]
    kept = planned(controller, fewer[0])
    assert labels(kept) == []
    assert "left to stag, whose policy has it too" in " ".join(report.text for report in kept.reported)
    settle(controller, fewer[0])
    assert labels(planned(controller, fewer[1])) == ["delete proxmox:par1/roles/operator"]
