"""``steward explain``: who may do what on a machine, by which entry, and from which line of the policy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.plan import Config, Folder, Output, Printed
from controller.errors import ControllerError

if TYPE_CHECKING:
    from controller.explain import Explanation
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
        _print(found, system.name)


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


def _print(found: Explanation, system: str) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    count = len(found.held)
    console.print(f"{found.userid} on {system} {found.path}: {count} privileges", markup=False)
    for note in found.notes:
        console.print(f"note: {note}", markup=False)
    table = Table(box=None, pad_edge=False)
    for column in ("privilege", "held", "role", "entry on", "for", "why", "policy"):
        table.add_column(column, overflow="fold")
    for row in _rows(found):
        table.add_row(*row)
    if found.grants:
        console.print(table)
    for verdict in found.verdicts:
        if verdict.entry.role == "NoAccess":
            state = "counts" if verdict.counts else "does not count"
            console.print(
                f"NoAccess on {verdict.entry.path} for {verdict.entry.holder} {state}", markup=False
            )


def _rows(found: Explanation) -> list[tuple[str, ...]]:
    """One row for each privilege and entry; the privilege is named once."""
    rows: list[tuple[str, ...]] = []
    for grant in found.grants:
        for number, one in enumerate(grant.by):
            name, held = (grant.privilege, "yes" if grant.held else "no") if number == 0 else ("", "")
            source = "" if one.source is None else str(one.source)
            rows.append((name, held, one.entry.role, one.entry.path, one.entry.holder, one.why, source))
    return rows
