"""``steward explain``: who may do what on a machine, by which entry, and from which line of the policy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.plan import Config, Folder, Output, Printed
from controller.cli.rendering import place_of
from controller.errors import ControllerError
from controller.explain import SUPERUSER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from controller.explain import Explanation, Verdict
    from controller.policy.model import Policy
    from controller.reconcile.planner import Planner, System
__all__ = ["explain"]


def explain(
    user: Annotated[str, typer.Argument(help="A name of the policy, or name@realm.")],
    machine: Annotated[str, typer.Argument(help="A machine of the policy, a guest's name, or its number.")],
    folder: Folder = Path(),
    config: Config = Path("controller.yaml"),
    output: Printed = Output.TABLE,
) -> None:
    """Print each privilege of USER on MACHINE with the entry, path and inheritance that grants or masks it.

    Example:
      steward explain bruno.keller web-01 policies/prod
    """
    from controller.app import Controller
    from controller.cli.printing import open_configuration
    from controller.explaining import explain_assignment
    from controller.policy.folder import load

    policy = load(folder)
    with Controller(open_configuration(config)) as controller:
        planner = controller.planner(policy)
        system = _system(planner, policy, machine)
        context = planner.context(system, policy)
        found = explain_assignment(
            user,
            machine,
            policy,
            context,
            access=system.reader.access(),
            resources=system.reader.resources(),
        )
    if output is Output.JSON:
        typer.echo(json.dumps({"system": system.name, **found.to_json()}, indent=2))
    else:
        _print(found, machine, system.name)


def _system(planner: Planner, policy: Policy, machine: str) -> System:
    """The cluster that the machine is on, or the only one."""
    clusters = {one.name.partition(":")[2]: one for one in planner.systems if one.name.startswith("proxmox:")}
    named = policy.machines[machine].cluster if machine in policy.machines else None
    if named in clusters and named is not None:
        return clusters[named]
    if len(clusters) == 1 and named is None:
        return next(iter(clusters.values()))
    known = ", ".join(sorted(clusters)) or "none"
    raise ControllerError(f"which cluster is {machine} on? controller.yaml names: {known}")


def _print(found: Explanation, machine: str, system: str) -> None:
    """First the answer, then the entries that make it so, then those that would and do not."""
    from controller.cli.rendering import console, print_wrapped

    out = console()
    guest = f"{found.path.rpartition('/')[2]} of {system.partition(':')[2] or system}"
    print_wrapped(out, f"{_answer(found)} on {machine} (guest {guest})", style="bold")
    for note in found.notes if found.userid != SUPERUSER else ():
        print_wrapped(out, f"  {note}", style="yellow")
    held = sorted(found.held)
    if held:
        print_wrapped(out, f"  {', '.join(held)}")
    elif not found.verdicts and not found.notes:
        out.print(f"  no entry on the way to {found.path} names them or a group of theirs")
    _print_entries(out, "because of", [one for one in found.verdicts if one.counts], found)
    _print_entries(out, "without effect", [one for one in found.verdicts if not one.counts], found)


def _answer(found: Explanation) -> str:
    """What the person may do, in a sentence without its place."""
    if found.userid == SUPERUSER:
        return f"{found.userid} may do everything"
    number = len(found.held)
    if found.notes and number:
        return f"{found.userid} has {number} privileges, and cannot use them,"
    return f"{found.userid} has {number or 'no'} privilege{'' if number == 1 else 's'}"


def _print_entries(out: Console, heading: str, verdicts: Sequence[Verdict], found: Explanation) -> None:
    """Each entry with its path, why it counts or not, the policy's line, and the privileges in it."""
    from controller.cli.rendering import print_wrapped

    if verdicts:
        out.print(f"\n{heading}", style="bold")
    told = {one.entry: one for one in reversed(verdicts)}  # what holds for path and pool alike is said once
    for one in reversed(told.values()):
        entry = one.entry
        print_wrapped(out, f"  {entry.role} on {entry.path} for the {entry.kind} {entry.holder}: {one.why}")
        asked = f"asked for at {place_of(one.source)}" if one.source else "no policy asks for it"
        print_wrapped(out, f"      {asked}", style="dim")
        given = [grant.privilege for grant in found.grants if one in grant.by]
        listed = "all of these" if set(given) == found.held else ", ".join(given)
        if given:
            verb = "gives" if one.counts else "would give"
            print_wrapped(out, f"      {verb} {listed}", style="dim")
