"""``steward validate`` and ``steward schema``: policy work that needs no system and no configuration."""

from __future__ import annotations

import gc
import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from controller.policy.model import Policy
    from controller.policy.problems import PolicyErrors

__all__ = ["schema", "validate"]


class Output(StrEnum):
    """How a command prints its result."""

    TABLE = "table"
    JSON = "json"


def validate(
    folder: Annotated[Path, typer.Argument(help="The policy folder of one environment.")] = Path(),
    output: Annotated[Output, typer.Option(help="How to print the result.")] = Output.TABLE,
) -> None:
    """Check a policy folder: every mistake at once, each as FILE:LINE:COLUMN. Exit 0 when valid, 1 otherwise.

    Example:
      steward validate policies/prod
    """
    from controller.policy.folder import load
    from controller.policy.problems import PolicyErrors

    gc.disable()  # a short life and no cycles: collecting would only walk over everything that was read
    try:
        policy = load(folder)
    except PolicyErrors as errors:
        _print_errors(errors, output)
        raise typer.Exit(1) from None
    gc.freeze()
    if output is Output.JSON:
        typer.echo(json.dumps(_as_json(policy), indent=2))
    else:
        _print_summary(folder, policy)


def schema() -> None:
    """Print the JSON Schema of a policy file (draft 2020-12), for editors.

    Example:
      steward schema > policies/policy.schema.json
    """
    from controller.policy.schema import schema as policy_schema

    typer.echo(json.dumps(policy_schema(), indent=2, ensure_ascii=False))


def _print_errors(errors: PolicyErrors, output: Output) -> None:
    if output is Output.JSON:
        problems = [problem.to_json() for problem in errors.problems]
        typer.echo(json.dumps({"valid": False, "problems": problems}, indent=2))
        return
    for problem in errors.problems:
        typer.echo(str(problem), err=True)
    count = len(errors.problems)
    typer.echo(f"{count} mistake{'s' if count > 1 else ''}; nothing was applied", err=True)


def _as_json(policy: Policy) -> dict[str, object]:
    return {
        "valid": True,
        "owner": policy.owner,
        "digest": policy.digest,
        "files": list(policy.files),
        "counts": dict(policy.counts()),
        "overridden": [str(note) for note in policy.overridden],
        "not_applied": [str(note) for note in policy.not_applied],
    }


def _print_summary(folder: Path, policy: Policy) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    files = len(policy.files)
    realm = f", realm {policy.realm.name}" if policy.realm else ""
    counted = f"{files} file{'s' if files > 1 else ''}"
    console.print("valid", style="bold green", end="")
    console.print(f": {folder} (owner {policy.owner}{realm}, {counted})", markup=False)
    table = Table(box=None, pad_edge=False)
    table.add_column("section")
    table.add_column("entries", justify="right")
    for section, count in policy.counts().items():
        table.add_row(section, str(count))
    console.print(table)
    for note in (*policy.overridden, *policy.not_applied):
        console.print(f"note: {note}", markup=False)
