"""API tokens of people on the simulated cluster: whose secret goes where, and when they end."""

from __future__ import annotations

import json
import stat

from controller.clients.proxmox import ProxmoxLogin, ProxmoxReader
from controller.plan.change import Result
from tests.controller.resources.proxmox_world import (
    POLICY,
    keys,
)


def test_the_secret_of_a_token_is_in_its_file_and_nowhere_else(world):
    plan = world.plan()
    outcomes = world.carry_out(plan)
    path = world.secrets / "ada-ci"
    secret = path.read_text().strip()
    assert world.lab.center.token_values["ada@sso!ci"] == secret
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert secret not in json.dumps(plan.to_json()) + repr(outcomes)
    assert "the-client-secret" not in json.dumps(plan.to_json()) + repr(outcomes) + repr(plan)
    login = ProxmoxLogin(world.lab.url, "ada@sso!ci", secret, world.lab.ca_file)
    with ProxmoxReader(login) as as_ada:
        assert as_ada.privileges_on("/vms/101") == {"VM.Audit", "VM.PowerMgmt"}


def test_a_secret_is_never_written_over_a_file(world):
    (world.secrets / "ada-ci").write_text("older")
    plan = world.plan()
    outcomes = {one.change.identity: one for one in world.carry_out(plan)}
    failed = outcomes["proxmox:par1/tokens/ada!ci"]
    assert (failed.result, "exists: a secret is never written over one" in failed.reason) == (
        Result.FAILED,
        True,
    )
    assert world.lab.center.accounts.users["ada@sso"].tokens == {}
    assert (world.secrets / "ada-ci").read_text() == "older"


def test_a_secret_goes_only_where_the_configuration_lets_it(world, tmp_path):
    elsewhere = POLICY.replace("SECRETS/ada-ci", str(tmp_path / "elsewhere"))
    failed = [one for one in world.carry_out(world.plan(elsewhere)) if one.change.section == "tokens"]
    assert ["may not be used for proxmox_tokens" in one.reason for one in failed] == [True]
    assert world.lab.center.accounts.users["ada@sso"].tokens == {}


def test_a_token_whose_secret_nobody_has_is_made_anew(world):
    world.apply()
    world.lab.center.accounts.users["ada@sso"].tokens[
        "ci"
    ].comment = "builds steward.owner=prod steward.unwritten=yes"
    old = world.lab.center.token_values["ada@sso!ci"]
    (world.secrets / "ada-ci").unlink()
    assert keys(world.plan()) == ["update tokens/ada!ci"]
    assert world.apply() == {Result.APPLIED}
    assert (
        (world.secrets / "ada-ci").read_text().strip() == world.lab.center.token_values["ada@sso!ci"] != old
    )
    world.apply()
    assert keys(world.plan()) == []


def test_tokens_and_expiry_follow_the_policy(world):
    world.apply()
    longer = POLICY.replace("expires: 2027-01-31", "expires: 2027-02-28")
    assert keys(world.plan(longer)) == ["update tokens/ada!ci"]
    secret = (world.secrets / "ada-ci").read_text()
    assert world.apply(longer) == {Result.APPLIED}
    assert (world.secrets / "ada-ci").read_text() == secret
    without = POLICY.split("    proxmox_tokens")[0] + "  bo: {}\n" + POLICY.split("  bo: {}\n")[1]
    without = without.replace(", tokens: {ada!ci: power}", "")
    assert keys(world.plan(without))[-1] == "delete tokens/ada!ci"
    world.apply(without)
    assert world.lab.center.accounts.users["ada@sso"].tokens == {}
