"""``steward user``: many people at once, by editing the policy: Git stays where people are decided."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.errors import ControllerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controller.editing.workspace import Edits, Workspace

__all__ = ["user"]

user = typer.Typer(no_args_is_help=True, help="People: import many, change many, suspend one for a while.")

_WRONG_USAGE = 64
_COLOURS = {"+": typer.colors.GREEN, "-": typer.colors.RED, "@": typer.colors.CYAN}
_SHOWN = 400
"""Lines of a difference that are shown before somebody is asked."""

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; needed without a terminal.")]
Diff = Annotated[bool, typer.Option("--diff", help="Write nothing; show the whole difference.")]


@user.command("set")
def set_(
    words: Annotated[
        list[str],
        typer.Argument(metavar="[NAME…] FIELD=VALUE… [POLICY]", help="Who, what, and the policy folder."),
    ],
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="Everybody with team=, role=, state=, mfa=, name= or email= (globs). All must hold."
        ),
    ] = None,
    *,
    diff: Diff = False,
    yes: Yes = False,
) -> None:
    """Change fields of many people where they stand in the policy's files; comments are kept.

    FIELD=VALUE sets, FIELD= clears, FIELD+=VALUE and FIELD-=VALUE add to and take from roles, teams and other
    lists. Who is in a team below the named one is in it too. People of a folder that is only extended are
    changed under `override` of this one.

    Example:
      steward user set --where team=research role+=viewer mfa=required policies/prod
      steward user set jo bo state=disabled policies/prod --yes
    """
    from controller.editing.people import change_people, chosen_people, field_change
    from controller.editing.workspace import Workspace
    from controller.policy.collecting import without_garbage_collection

    names, changes, folder = _parted(words)
    if not names and not where:
        raise typer.BadParameter("say who: names, or --where team=NAME")
    parsed = [field_change(word) for word in changes]
    require_answer(diff=diff, yes=yes)
    with without_garbage_collection():
        workspace = Workspace(folder)
        people = chosen_people(workspace.policy, names, where or [])
        if not people:
            among = " of them" if names else ""
            typer.echo(f"nobody{among} has {' and '.join(where or [])}: nothing to change")
            return
        change_people(workspace, dict.fromkeys(people, parsed))
        count = f"{len(people)} {'person' if len(people) == 1 else 'people'}"
        finish(workspace, diff=diff, yes=yes, what=count)


@user.command("import")
def import_(
    table: Annotated[Path, typer.Argument(metavar="PEOPLE.CSV", help="A header line, then a person a line.")],
    folder: Annotated[Path, typer.Argument(metavar="POLICY", help="The policy folder.")] = Path(),
    file: Annotated[
        str,
        typer.Option(
            help="The file below the folder that takes new people; the one that holds most by default."
        ),
    ] = "",
    encoding: Annotated[str, typer.Option(help="How the table is encoded, as cp1252.")] = "utf-8",
    *,
    update: Annotated[
        bool, typer.Option("--update", help="Also change people who are there already.")
    ] = False,
    diff: Diff = False,
    yes: Yes = False,
) -> None:
    """Write the people of a table into the policy: every mistake of the table at once, or all of them.

    Columns: username (needed), email, first_name, last_name, roles, teams, mfa, expires, state. Lists are
    separated by `;`. With --update, cells that are not empty replace what the policy says; empty ones do not.

    Example:
      steward user import people.csv policies/prod --file people.yaml
    """
    from controller.editing.table import read_table
    from controller.editing.table_import import add_people
    from controller.editing.workspace import Workspace
    from controller.policy.collecting import without_garbage_collection

    require_answer(diff=diff, yes=yes)
    rows = read_table(table, encoding=encoding)
    with without_garbage_collection():
        workspace = Workspace(folder)
        done = add_people(workspace, rows, file=file, update=update)
        finish(workspace, diff=diff, yes=yes, what=str(done))


def require_answer(*, diff: bool, yes: bool) -> None:
    """End with wrong usage where nobody could be asked."""
    if not diff and not yes and not sys.stdin.isatty():
        typer.echo("this asks before it writes; without a terminal it needs --yes or --diff", err=True)
        raise typer.Exit(_WRONG_USAGE)


def finish(workspace: Workspace, *, diff: bool, yes: bool, what: str) -> None:
    """Check the edited policy, show what changes, ask, write. Raises PolicyErrors before it writes."""
    edits = _checked(workspace)
    lines = [line for text in edits.differences() for line in text.splitlines()]
    if not lines:
        typer.echo(f"{what}: the policy says so already")
        return
    _show(lines, most=None if diff else _SHOWN)
    for file in workspace.rewritten:
        typer.echo(
            f"note: {file} cannot be changed line by line: all of it is written anew, in form", err=True
        )
    if diff:
        return
    if not yes and not typer.confirm(f"Write this ({what})?"):
        typer.echo("nothing was written")
        raise typer.Exit(1)
    for file in edits.write():
        typer.echo(f"wrote {file}")
    typer.echo(f"{what} · next: steward plan")


def _checked(workspace: Workspace) -> Edits:
    from controller.policy.problems import PolicyErrors

    try:
        return workspace.finished()
    except PolicyErrors:
        typer.echo("nothing was written; with the changes, the policy would say:", err=True)
        raise


def _show(lines: Sequence[str], most: int | None) -> None:
    from controller.cli.rendering import console

    has_colours = console().color_system is not None
    shown = [typer.style(line, fg=_COLOURS.get(line[:1])) if has_colours else line for line in lines[:most]]
    if most is not None and len(lines) > most:
        shown.append(f"… and {len(lines) - most} more lines (--diff shows all)")
    typer.echo("\n".join(shown), color=has_colours)


def _parted(words: Sequence[str]) -> tuple[list[str], list[str], Path]:
    """Names before the changes, the folder behind them."""
    are_changes = [not word.startswith((".", "/")) and "=" in word for word in words]
    if not any(are_changes):
        raise typer.BadParameter("say what is to change, as role+=viewer")
    first = are_changes.index(True)
    last = len(are_changes) - 1 - are_changes[::-1].index(True)
    behind = words[last + 1 :]
    if not all(are_changes[first : last + 1]) or len(behind) > 1:
        raise ControllerError(
            "the order is: names, then changes, then the policy folder",
            hint="steward user set jo bo role+=viewer policies/prod",
        )
    return list(words[:first]), list(words[first : last + 1]), Path(behind[0]) if behind else Path()
