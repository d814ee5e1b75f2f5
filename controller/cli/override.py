"""``steward user suspend``, ``steward machine hold`` and what ends them: audited, and over by themselves."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.plan import Config, Output, Printed
from controller.cli.user import user
from controller.errors import ControllerError

if TYPE_CHECKING:
    from controller.app import Controller
    from controller.config import Configuration
    from controller.policy import Policy
    from controller.power_values import SlotRecord
    from controller.store import StoredOverride
    from controller.store.overrides import OverrideKind

__all__ = ["machine", "override"]

machine = typer.Typer(no_args_is_help=True, help="Machines: hold their power for a while, see their slots.")
override = typer.Typer(no_args_is_help=True, help="Overrides: what people decided over the policy's head.")

_Until = Annotated[
    str, typer.Option(help="When it ends: 2h, 3d, 2027-01-31 or 2027-01-31T08:00; at most 30 days away.")
]
_Reason = Annotated[str, typer.Option(help="Why; goes into the audit log and is shown in plans.")]
_Policy = Annotated[
    Path | None,
    typer.Option(
        "--policy", help="A policy folder that names it; without this the policy in force is looked at."
    ),
]
_OVERRIDES = ("state", "kind", "name", "what", "until_at", "actor", "reason", "created_at", "ended")
_SLOTS = ("machine", "slot", "due_at", "result", "reason", "task", "system")


class Held(StrEnum):
    """How a held machine is kept."""

    AS_IS = "as-is"
    RUNNING = "running"
    STOPPED = "stopped"


@user.command("suspend")
def suspend(
    name: Annotated[str, typer.Argument(help="The person, as the policy names them.")],
    until: _Until,
    config: Config = Path("controller.yaml"),
    reason: _Reason = "",
    policy: _Policy = None,
) -> None:
    """Disable somebody everywhere until an instant, whatever the policy says. The next pass does it.

    Example:
      steward user suspend jo --until 3d --reason "laptop lost"
    """
    stored, remark = _begin("user", name, "", until, config, reason, policy)
    typer.echo(f"{name} is suspended until {_told(stored)}{_woken(config)}{remark}")


@user.command("resume")
def resume(
    name: Annotated[str, typer.Argument(help="The person, as the policy names them.")],
    config: Config = Path("controller.yaml"),
) -> None:
    """End a suspension before its time: the person is again what the policy says.

    Example:
      steward user resume jo
    """
    _end("user", name, config)
    typer.echo(f"{name} is no longer suspended{_woken(config)}")


@machine.command("hold")
def hold(
    name: Annotated[str, typer.Argument(help="The machine, as the policy names it.")],
    until: _Until,
    config: Config = Path("controller.yaml"),
    state: Annotated[Held, typer.Option(help="Leave it to people, or keep it so.")] = Held.AS_IS,
    reason: _Reason = "",
    policy: _Policy = None,
) -> None:
    """Keep schedule and state of the policy off a machine's power until an instant.

    Example:
      steward machine hold web-01 --until 2h --state running --reason "release tonight"
    """
    stored, remark = _begin("machine", name, str(state), until, config, reason, policy)
    typer.echo(f"{name} is held {state} until {_told(stored)}{_woken(config)}{remark}")


@machine.command("release")
def release(
    name: Annotated[str, typer.Argument(help="The machine, as the policy names it.")],
    config: Config = Path("controller.yaml"),
) -> None:
    """End a hold before its time. Slots that fell due meanwhile are not made good.

    Example:
      steward machine release web-01
    """
    _end("machine", name, config)
    typer.echo(f"{name} is released{_woken(config)}")


@machine.command("list")
def list_machines(
    name: Annotated[str, typer.Argument(help="One machine; all without it.")] = "",
    config: Config = Path("controller.yaml"),
    output: Printed = Output.TABLE,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many slots at most.")] = 50,
) -> None:
    """List what became of the slots of power schedules, newest first, and why.

    Example:
      steward machine list web-01
    """
    from controller.cli.plan import open_controller
    from controller.cli.printing import print_rows

    with open_controller(config) as controller:
        rows = [_slot(one) for one in controller.store().power_slots.latest(name, limit)]
    print_rows(rows, _SLOTS, output)


@override.command("list")
def list_overrides(
    config: Config = Path("controller.yaml"),
    output: Printed = Output.TABLE,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 50,
    *,
    ended: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
) -> None:
    """List the overrides in force; with --all those that are over, too, newest first.

    Example:
      steward override list --all
    """
    from controller.cli.plan import open_controller
    from controller.cli.printing import print_rows

    now = int(time.time())
    with open_controller(config) as controller:
        store = controller.store()
        found = store.overrides.latest(limit) if ended else store.overrides.in_force(now)
    print_rows([_override(one, now) for one in found], _OVERRIDES, output)


def _begin(
    kind: OverrideKind, name: str, state: str, until: str, config: Path, reason: str, folder: Path | None
) -> tuple[StoredOverride, str]:
    """The override, and what could not be checked about its name."""
    from controller.cli import instants
    from controller.cli.plan import open_controller
    from controller.cli.printing import actor

    now = datetime.now(UTC)
    ends = instants.until(until, now)
    with open_controller(config) as controller:
        remark = _checked(kind, name, controller, folder)
        stored = controller.store().overrides.begin(
            kind, name, state=state, until=ends, actor=actor(), reason=reason, now=int(now.timestamp())
        )
    return stored, f"\n{remark}" if remark else ""


def _checked(kind: OverrideKind, name: str, controller: Controller, folder: Path | None) -> str:
    """Raise ControllerError for a name that the policy does not have; what could not be checked, in words.

    A policy that cannot be read keeps nobody from suspending a person whose laptop is lost.
    """
    from controller.overridable import check_machine, check_person
    from controller.policy import load
    from controller.service import data_folder, policy_in_force

    why = "no policy is at hand"
    if folder is not None:
        policy: Policy | None = load(folder)
    else:
        try:
            configuration = controller.configuration
            policy = policy_in_force(configuration, data_folder(configuration), controller.store())
        except ControllerError as error:
            policy, why = None, error.message
    if policy is None:
        return f"whether a policy has a {kind} {name} was not checked: {why}; --policy FOLDER names one"
    if kind == "machine":
        return check_machine(name, policy)
    check_person(name, policy, controller.floor().protected)
    return ""


def _end(kind: OverrideKind, name: str, config: Path) -> None:
    from controller.cli.plan import open_controller
    from controller.cli.printing import actor

    with open_controller(config) as controller:
        controller.store().overrides.end(kind, name, actor=actor(), now=int(time.time()))


def _told(stored: StoredOverride) -> str:
    from controller.cli.instants import told

    return told(stored.until)


def _woken(config: Path) -> str:
    """Ask a controller that runs here for a pass at once; what to expect, in words."""
    from controller.cli.local import LocalController
    from controller.cli.printing import open_configuration

    local = LocalController(_socket(open_configuration(config)))
    if not local.is_there():
        return "; the next pass or apply sees to it"
    try:
        local.post("/local/v1/reconcile", {})
    except ControllerError as error:
        return f"; the next pass sees to it ({error.message})"
    return "; a pass has begun"


def _socket(configuration: Configuration) -> Path:
    from controller.service import data_folder

    return data_folder(configuration).socket


def _override(one: StoredOverride, now: int) -> dict[str, object]:
    state = "in force" if one.is_in_force(now) else "ended" if one.ended_at is not None else "over"
    return {
        "state": state,
        "kind": one.kind,
        "name": one.name,
        "what": "suspended" if one.kind == "user" else f"held {one.state}",
        "until_at": one.until,
        "actor": one.actor,
        "reason": one.reason,
        "created_at": one.created_at,
        "ended": f"by {one.ended_by}" if one.ended_by else "",
        "ended_at": one.ended_at,
    }


def _slot(one: SlotRecord) -> dict[str, object]:
    return {
        "machine": one.name.machine,
        "slot": one.name.kind,
        "due_at": one.name.due_at,
        "result": str(one.state),
        "reason": one.reason,
        "ended_at": one.ended_at,
        "task": one.upid,
        "system": one.name.system,
    }
