"""The scenes about the policy: written, planned, applied, proposed, overridden, drifted and repaired."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.demo.scenery import Scenery
    from lab.demo.stage import Stage

__all__ = ["drift_and_repair", "for_a_while", "plan_and_apply", "proposal", "steward", "typo"]


def typo(stage: Stage, scenery: Scenery) -> None:
    """A mistake is named where it stands."""
    stage.scene("The policy is YAML in Git; a typo is caught at its line")
    scenery.lay_policies()
    people = scenery.policies / "prod" / "people.yaml"
    right = people.read_text("utf-8")
    people.write_text(right.replace("roles: [power-user]", "roles: [powr-user]", 1), encoding="utf-8")
    line = right[: right.index("roles: [power-user]")].count("\n") + 1
    stage.run(
        "steward",
        "validate",
        scenery.policy,
        expect=1,
        proves="a role that nobody knows is refused where it stands",
        says=[f"people.yaml:{line}:", "powr-user", "power-user"],
    )
    people.write_text(right, encoding="utf-8")
    stage.run(
        "steward",
        "validate",
        scenery.policy,
        proves="the policy without the typo is accepted",
    )


def steward(stage: Stage, scenery: Scenery, *command: str, **expected: Any) -> Any:
    """Run `steward` with the demo's controller.yaml, as a person would."""
    return stage.run("steward", *command, "-c", os.path.relpath(scenery.configuration), **expected)


def plan_and_apply(stage: Stage, scenery: Scenery) -> None:
    """From nothing to a policy in force."""
    stage.scene("Plan, apply, and nothing is left to do")
    policy = scenery.policy
    controller = os.path.relpath(scenery.configuration.parent)
    stage.run(
        "steward",
        "init",
        controller,
        "--address",
        scenery.controller_url,
        "--instance",
        "demo",
        proves="a controller has keys, a CA and a store of its own",
    )
    steward(
        stage,
        scenery,
        "trust",
        "init",
        "--root-key",
        str(scenery.folder / "root.pem"),
        proves="hosts have a root to pin",
    )
    scenery.write_controller()
    steward(
        stage, scenery, "plan", policy, expect=2, says=["digest"], shown=60, proves="a plan changes nothing"
    )
    planned = steward(
        stage, scenery, "plan", policy, "--output", "json", expect=2, shown=0, proves="the plan as JSON"
    ).json()
    stage.say("Apply exactly the plan that was reviewed, by its digest:")
    digest = str(planned["digest"])
    steward(
        stage,
        scenery,
        "apply",
        policy,
        "--digest",
        digest,
        "--yes",
        says=["applied"],
        shown=80,
        proves="what was reviewed was applied",
    )
    steward(stage, scenery, "plan", policy, says=["nothing to do"], proves="the second plan is empty")


def proposal(stage: Stage, scenery: Scenery) -> None:
    """What a commit would mean, before anybody applies it."""
    stage.scene("A proposal: the team research gets a second factor and more rights. What will it mean?")
    policy = scenery.policy
    scenery.lay_proposal()
    proposed = os.path.relpath(scenery.folder / "proposal" / "prod")
    stage.run(
        "steward",
        "user",
        "set",
        "--where",
        "team=research",
        "mfa=required",
        "role+=maintainer",
        proposed,
        "--yes",
        shown=0,
        proves="many people are changed where they stand in the YAML",
    )
    stage.run(
        "steward",
        "diff",
        policy,
        proposed,
        expect=2,
        says=["mfa optional → required", "gain role maintainer"],
        proves="what a commit means, field by field and for people, without asking a system",
    )
    stage.run(
        "steward",
        "simulate",
        "chloe.sato",
        proposed,
        says=["set lab-boxes", "office-hours"],
        shown=40,
        proves="what one person would see and may do, by which team, set and schedule",
    )


def for_a_while(stage: Stage, scenery: Scenery) -> None:
    """Overrides: over the policy's head, and over by themselves."""
    stage.scene("A laptop is lost, a release needs a machine tonight: overrides that end by themselves")
    steward(
        stage,
        scenery,
        "user",
        "suspend",
        "gustav.lind",
        "--until",
        "3d",
        "--reason",
        "laptop lost",
        "--policy",
        scenery.policy,
        says=["suspended until"],
        proves="a person is suspended over the policy's head, for a while",
    )
    steward(
        stage,
        scenery,
        "machine",
        "hold",
        "train-01",
        "--until",
        "2h",
        "--reason",
        "release tonight",
        "--policy",
        scenery.policy,
        says=["held"],
        proves="a machine is held against its schedule, for a while",
    )
    steward(
        stage,
        scenery,
        "apply",
        scenery.policy,
        "--yes",
        says=["enabled → disabled", "laptop lost", "applied"],
        shown=40,
        proves="the suspension is carried out, and the plan names it",
    )


def drift_and_repair(stage: Stage, scenery: Scenery) -> None:
    """A change by hand: who made it, and its end."""
    stage.scene("Somebody changes a role by hand; it is reported, then repaired")
    policy = scenery.policy
    scenery.take_role_by_hand("bruno.keller", "maintainer", by="carol.weber")
    stage.say("(in Keycloak's console, carol.weber makes bruno.keller a maintainer)")
    steward(
        stage,
        scenery,
        "drift",
        policy,
        expect=2,
        says=["bruno.keller", "maintainer", "changed by", "carol.weber"],
        shown=6,
        proves="a change by hand is reported, with who made it and when",
    )
    if scenery.has_git:
        stage.say("The controller follows the Git repository from now on, and repairs what drifts:")
        _serve(stage, scenery)
        stage.until(lambda: _has_repaired(scenery), "the controller to repair the role")
    else:
        stage.say(
            "git is not installed here, so the controller cannot follow a repository; apply repairs instead:"
        )
        steward(stage, scenery, "apply", policy, "--yes", says=["applied"], proves="apply repairs the role")
        _serve(stage, scenery)
    steward(
        stage,
        scenery,
        "drift",
        policy,
        says=["no difference"],
        proves="what was changed by hand was repaired",
    )


def _serve(stage: Stage, scenery: Scenery) -> None:
    stage.start(
        "controller",
        "steward",
        "serve",
        "-c",
        os.path.relpath(scenery.configuration),
        ready=lambda: scenery.answers(f"{scenery.controller_url}/readyz", scenery.state / "ca.pem"),
        proves="the controller is ready",
    )


def _has_repaired(scenery: Scenery) -> bool:
    metrics = scenery.read(f"{scenery.controller_url}/metrics", ca_file=scenery.state / "ca.pem")
    counted = [line for line in metrics.splitlines() if line.startswith("steward_reconcile_total")]
    return any('"users"' in line and '"applied"' in line and not line.endswith(" 0.0") for line in counted)
