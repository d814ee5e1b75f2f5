"""``steward plan``, ``apply`` and ``drift``: what differs, and making it so."""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.errors import ControllerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from controller.app import Controller
    from controller.plan.change import Outcome
    from controller.policy.model import Policy
    from controller.reconcile.passes import Planned

__all__ = ["apply", "drift", "open_controller", "plan"]

_SHOWN_BEFORE_APPLY = 40
_WRONG_USAGE = 64
_CHANGES = 2
_REFUSED = 3
_OBJECTS_BETWEEN_COLLECTIONS = 50_000


class Output(StrEnum):
    """How a command prints its result."""

    TABLE = "table"
    JSON = "json"


class PlanOutput(StrEnum):
    """How a command prints a plan; markdown is for a pull request."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


Folder = Annotated[Path, typer.Argument(help="The policy folder of one environment.")]
Config = Annotated[
    Path, typer.Option("--config", "-c", envvar="STEWARD_CONFIG", help="The controller's configuration.")
]
Targets = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        help="users/NAME, teams/NAME, machines/NAME and so on: only this and what it needs. May be repeated.",
    ),
]
Printed = Annotated[Output, typer.Option(help="How to print the result.")]
PlanPrinted = Annotated[
    PlanOutput, typer.Option(help="How to print the plan; markdown is to paste in a pull request.")
]


def plan(
    folder: Folder = Path(),
    config: Config = Path("controller.yaml"),
    output: PlanPrinted = PlanOutput.TABLE,
    target: Targets = None,
    out: Annotated[Path | None, typer.Option(help="Also write the plan as JSON, for apply --plan.")] = None,
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Draw anew at each save, until Ctrl-C.")] = False,
) -> None:
    """Show what apply would do; writes nothing.

    Exit 0: no difference, 1: error or not all seen, 2: changes, 3: changes that a brake holds.

    Example:
      steward plan policies/prod -c controller.yaml --out plan.json
    """
    with open_controller(config) as controller:
        if watch:
            from controller.cli.watching import watch_plan

            watch_plan(controller, folder, target or [])
            return
        planned = controller.plan(_policy(folder), target or [])
        if out is not None:
            out.write_text(json.dumps(planned.plan.to_json(), indent=2) + "\n", encoding="utf-8")
        _print(planned, output, "Steward plan")
        raise typer.Exit(_REFUSED if planned.refusals else _exit_code(planned))


def drift(
    folder: Folder = Path(),
    config: Config = Path("controller.yaml"),
    output: PlanPrinted = PlanOutput.TABLE,
    target: Targets = None,
) -> None:
    """Compare the live systems with the policy, and say who changed what and when, where they tell.

    Exit 0: no drift, 1: error or not all seen, 2: drift.

    Example:
      steward drift policies/prod
    """
    with open_controller(config) as controller:
        planned = controller.plan(_policy(folder), target or [])
        _print(planned, output, "Steward drift")
        raise typer.Exit(_exit_code(planned))


def apply(
    folder: Folder = Path(),
    config: Config = Path("controller.yaml"),
    output: Printed = Output.TABLE,
    target: Targets = None,
    digest: Annotated[str, typer.Option(help="Apply only the plan with this digest.")] = "",
    plan_file: Annotated[
        Path | None, typer.Option("--plan", help="Apply only the plan in this file, as plan --out wrote it.")
    ] = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; needed without a terminal.")] = False,
) -> None:
    """Make the live systems what the policy says. Exit 0: done, 1: error or partly done, 3: refused.

    Example:
      steward apply policies/prod --plan plan.json --yes
    """
    if not yes and not sys.stdin.isatty():
        typer.echo("apply asks before it writes; without a terminal it needs --yes", err=True)
        raise typer.Exit(_WRONG_USAGE)
    reviewed = _reviewed(plan_file) if plan_file is not None else {}
    with open_controller(config) as controller:
        raise typer.Exit(
            _apply(
                controller,
                _policy(folder),
                output=output,
                targets=target or _targets(reviewed),
                digest=digest or str(reviewed.get("digest", "")),
                reviewed=reviewed.get("changes", []),
                ask=not yes,
            )
        )


def _apply(
    controller: Controller,
    policy: Policy,
    *,
    output: Output,
    targets: Sequence[str],
    digest: str,
    reviewed: Sequence[Mapping[str, Any]],
    ask: bool,
) -> int:
    from controller.cli.rendering import console, print_plan, print_totals
    from controller.reconcile.holding import holder_name
    from controller.reconcile.passes import Braked, require_digest

    with controller.lease(holder_name(_actor())) as lease:
        planned = controller.plan(policy, targets)
        if digest:
            require_digest(planned.plan, digest, reviewed)
        out = console(stderr=output is Output.JSON)
        if digest:
            print_totals(out, planned.plan)  # the changes were reviewed, one by one
        else:
            held = planned.refusals
            print_plan(out, planned.plan, policy=planned.policy, most=None if held else _SHOWN_BEFORE_APPLY)
        if planned.refusals:
            raise Braked(planned.refusals)
        if planned.plan.is_empty:
            controller.record_notes(planned, actor=_actor(), term=lease.term)
            _print_nothing(planned, output)
            return 1 if planned.plan.unobserved else 0
        if ask and not typer.confirm("Apply these changes?"):
            typer.echo("nothing was written")
            return 1
        controller.record_notes(planned, actor=_actor(), term=lease.term)
        return _carried_out(controller, planned, lease.term, output)


def _carried_out(controller: Controller, planned: Planned, term: int, output: Output) -> int:
    from controller.cli.progress import interruptible, progress
    from controller.cli.rendering import console, print_outcomes
    from controller.plan.change import Result

    began = time.monotonic()
    ended: list[Outcome] = []
    try:
        with interruptible() as stop, progress(len(planned.plan.changes)) as shown:

            def note(outcomes: Sequence[Outcome]) -> None:
                ended.extend(outcomes)
                shown.advance(outcomes)
                stop()

            def wait(seconds: float) -> bool:
                try:
                    stop()
                except KeyboardInterrupt:
                    return False
                time.sleep(seconds)
                return True

            actor = _actor()
            outcomes = controller.apply(
                planned, actor=actor, term=term, on_outcomes=note, wait=wait, tell=shown.say
            )
    except KeyboardInterrupt:
        raise ControllerError(
            f"interrupted: {len(ended)} of {len(planned.plan.changes)} changes had ended",
            hint="run it again: it plans anew and does what is left",
        ) from None
    seconds = time.monotonic() - began
    if output is Output.JSON:
        typer.echo(json.dumps(_applied_json(planned, outcomes), indent=2))
    else:
        print_outcomes(console(), outcomes, seconds)
    is_done = all(outcome.result is Result.APPLIED for outcome in outcomes)
    return 0 if is_done and not planned.plan.unobserved else 1


def _print_nothing(planned: Planned, output: Output) -> None:
    if output is Output.JSON:
        typer.echo(json.dumps(_applied_json(planned, []), indent=2))


def _applied_json(planned: Planned, outcomes: Sequence[Outcome]) -> dict[str, object]:
    return {
        "digest": planned.plan.digest,
        "outcomes": [outcome.to_json() for outcome in outcomes],
        "unobserved": [gap.to_json() for gap in planned.plan.unobserved],
    }


def _print(planned: Planned, output: PlanOutput, heading: str) -> None:
    if output is PlanOutput.JSON:
        held = [one.to_json() for one in planned.refusals]
        typer.echo(json.dumps({**planned.plan.to_json(), "held": held}, indent=2))
        return
    if output is PlanOutput.MARKDOWN:
        from controller.cli.markdown import plan_markdown

        typer.echo(plan_markdown(planned.plan, planned.refusals, heading=heading), nl=False)
        return
    from controller.cli.rendering import console, print_plan

    print_plan(console(), planned.plan, planned.refusals, policy=planned.policy)


def _exit_code(planned: Planned) -> int:
    if planned.plan.unobserved:
        return 1
    return 0 if planned.plan.is_empty else _CHANGES


def open_controller(config: Path) -> Controller:
    """The controller of a controller.yaml; for use in a `with`."""
    from controller.app import Controller
    from controller.config import Configuration

    return Controller(Configuration.load(config, os.environ))


def _policy(folder: Path) -> Policy:
    from controller.policy.folder import load

    policy = load(folder)
    # Ten thousand people stay to the end: to look for rubbish among them would cost as much as to plan.
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    return policy


def _reviewed(path: Path) -> dict[str, Any]:
    try:
        read = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ControllerError(f"{path} holds no plan: {error}", hint="write one with plan --out") from error
    if not isinstance(read, dict) or not isinstance(read.get("digest"), str):
        raise ControllerError(f"{path} holds no plan", hint="write one with plan --out")
    return read


def _targets(reviewed: Mapping[str, Any]) -> list[str]:
    """A plan for some objects alone says so in its scope; sections have no slash."""
    return [str(one) for one in reviewed.get("scope", []) if "/" in str(one)]


def _actor() -> str:
    import getpass
    import socket

    return f"{getpass.getuser()}@{socket.gethostname()}"
