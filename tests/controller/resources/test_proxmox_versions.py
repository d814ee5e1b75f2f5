"""Roles on the two versions of Proxmox VE."""

from __future__ import annotations

import pytest

from controller.plan.change import Result
from tests.controller.resources.proxmox_world import (
    ENVIRONMENT,
    POLICY,
    cluster,
    keys,
)


@pytest.mark.parametrize(
    ("release", "listed", "held"),
    [
        ("8.4", "VM.Audit, VM.Monitor", {"VM.Audit", "VM.Monitor"}),
        ("9.2", "VM.Audit, VM.GuestAgent.Audit", {"VM.Audit", "VM.GuestAgent.Audit"}),
        ("8.4", "VM.Audit, VM.Monitor, VM.GuestAgent.Audit", {"VM.Audit", "VM.Monitor"}),
        ("9.2", "VM.Audit, VM.Monitor, VM.GuestAgent.Audit", {"VM.Audit", "VM.GuestAgent.Audit"}),
    ],
)
def test_a_role_has_what_its_version_knows(tmp_path, release, listed, held):
    text = POLICY.replace("viewer: {proxmox: [VM.Audit]}", f"viewer: {{proxmox: [{listed}]}}")
    with cluster(tmp_path, environment={**ENVIRONMENT, "release": release}) as world:
        assert world.apply(text) == {Result.APPLIED}
        assert world.lab.center.accounts.roles["steward-viewer"] == held
        again = world.plan(text)
        assert (keys(again), again.unobserved) == ([], ())


@pytest.mark.parametrize(
    ("release", "privilege", "why"),
    [
        ("9.2", "VM.Monitor", '"VM.Monitor" is no privilege of this Proxmox VE 9.2; use VM.GuestAgent.Audit'),
        (
            "8.4",
            "VM.GuestAgent.Audit",
            '"VM.GuestAgent.Audit" is no privilege of this Proxmox VE 8.4; use VM.Monitor',
        ),
        ("8.4", "VM.Replicate", '"VM.Replicate" is no privilege of this Proxmox VE 8.4'),
    ],
)
def test_a_privilege_of_another_version_is_named_with_its_place(tmp_path, release, privilege, why):
    text = POLICY.replace("viewer: {proxmox: [VM.Audit]}", f"viewer: {{proxmox: [VM.Audit, {privilege}]}}")
    with cluster(tmp_path, environment={**ENVIRONMENT, "release": release}) as world:
        plan = world.plan(text)
        assert not any("viewer" in key for key in keys(plan))
        (gap,) = plan.unobserved
        assert f"policy.yaml:4:32: {why}" in gap.why
        assert Result.FAILED not in world.apply(text)
