"""``steward fmt``: the files of a policy in one form, so that reviews show what changed and nothing else."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from controller.errors import ControllerError

__all__ = ["fmt"]

_DIFFERENT = 2
_STANDARD_INPUT = Path("-")

Paths = Annotated[
    list[Path] | None, typer.Argument(help="Files and folders; - for standard input.", show_default=".")
]


@dataclass
class _Told:
    """What became of the files."""

    changed: list[Path] = field(default_factory=list)
    same: int = 0
    failed: int = 0


def fmt(
    paths: Paths = None,
    *,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; name what is not in form.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Write nothing; show what would change.")] = False,
    sort: Annotated[
        bool, typer.Option("--sort", help="Also put entries in the order of their names.")
    ] = False,
) -> None:
    """Put sections and fields in the language's order, two blanks a level; comments and quotes are kept.

    Exit 0: done, 1: a file could not be read (the others are formatted), 2: --check or --diff found some.

    Example:
      steward fmt policies/prod
      steward fmt --check policies
    """
    if paths == [_STANDARD_INPUT]:
        _through(sort=sort)
        return
    from controller.editing.files import policy_files

    told = _Told()
    for path in policy_files(paths or [Path()]):
        try:
            _one(path, told, writes=not (check or diff), shows=diff, sort=sort)
        except ControllerError as error:
            told.failed += 1
            typer.echo(error.message, err=True)
    _summary(told, writes=not (check or diff))
    if told.failed:
        raise typer.Exit(1)
    raise typer.Exit(_DIFFERENT if told.changed and (check or diff) else 0)


def _through(*, sort: bool) -> None:
    """Standard input to standard output, as editors call it."""
    from controller.editing.formatting import formatted
    from controller.policy.document import MAX_FILE_BYTES

    data = sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
    typer.echo(formatted(data, "-", sort=sort), nl=False)


def _one(path: Path, told: _Told, *, writes: bool, shows: bool, sort: bool) -> None:
    from controller.editing.differences import difference
    from controller.editing.files import content, replace
    from controller.editing.formatting import formatted

    data = content(path)
    text = formatted(data, str(path), sort=sort)
    if text.encode() == data:
        told.same += 1
        return
    told.changed.append(path)
    if shows:
        typer.echo(difference(data.decode("utf-8"), text, str(path)), nl=False)
    elif writes:
        replace(path, text, data, str(path))
        typer.echo(f"formatted {path}")
    else:
        typer.echo(f"not in form: {path}")


def _summary(told: _Told, *, writes: bool) -> None:
    count, same = len(told.changed), told.same
    verb = "written" if writes else "would change"
    parts = [f"{_files(count)} {verb}"] if count else []
    parts += [f"{_files(same)} in form"] if same else []
    parts += (
        [f"{_files(told.failed)} left as they were" if told.failed > 1 else "1 file left as it was"]
        if told.failed
        else []
    )
    typer.echo(", ".join(parts), err=True)


def _files(count: int) -> str:
    return f"{count} file{'s' if count != 1 else ''}"
