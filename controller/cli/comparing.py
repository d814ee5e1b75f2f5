"""``steward diff``: what a change of the policy will do, told from the two policies alone."""

from __future__ import annotations

import gc
import json
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.errors import ControllerError
from controller.policy.problems import PolicyErrors

if TYPE_CHECKING:
    from controller.policy.model import Policy
    from controller.policy.problems import Problem

__all__ = ["diff"]

_CHANGES = 2


class Output(StrEnum):
    """How the command prints its result."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


def diff(
    before: Annotated[str, typer.Argument(help="A policy folder; with --git a commit, branch or tag.")],
    after: Annotated[str, typer.Argument(help="The same, as it is to be.")],
    git: Annotated[Path | None, typer.Option(help="The Git repository that holds both commits.")] = None,
    folder: Annotated[
        str, typer.Option(help="With --git: the environment's folder in it, as policies/prod.")
    ] = "",
    output: Annotated[Output, typer.Option(help="How to print the result.")] = Output.TABLE,
) -> None:
    """Show what a policy change does, field by field and to people; asks no system. Exit 0 same, 2 different.

    Example:
      steward diff main my-branch --git . --folder policies/prod --output markdown
    """
    from controller.cli.comparing_output import markdown, print_comparison
    from controller.cli.rendering import console
    from controller.comparing import compare

    gc.disable()  # a short life and no cycles: collecting would only walk over everything that was read
    found = compare(_policy(before, git, folder), _policy(after, git, folder))
    if output is Output.JSON:
        typer.echo(json.dumps(found.to_json(), indent=2))
    elif output is Output.MARKDOWN:
        typer.echo(markdown(found), nl=False)
    else:
        print_comparison(console(), found)
    raise typer.Exit(0 if found.is_same else _CHANGES)


def _policy(name: str, git: Path | None, folder: str) -> Policy:
    """The policy in a folder, or at a commit."""
    from controller.policy.folder import load

    if git is not None:
        return _at_commit(git, name, folder)
    if folder:
        raise ControllerError("--folder says where in a Git repository: give --git too")
    if not Path(name).is_dir():
        raise ControllerError(
            f"there is no folder {name}", hint="for commits name the repository: --git REPOSITORY"
        )
    return load(Path(name))


def _at_commit(git: Path, name: str, folder: str) -> Policy:
    """The policy as Git holds it; work trees and what is not committed are not looked at."""
    from controller.following import read_policy
    from controller.gitops import GitError, PolicyRepository

    top = git.resolve()
    inside = top / ".git"
    repository = PolicyRepository(inside if inside.exists() else top, str(top), "")
    try:
        commit = repository.resolve(name)
    except GitError as error:
        hint = "a branch, a tag or a commit's id; --git names the repository"
        raise ControllerError(f"{git} has no commit {name}", hint=hint) from error
    try:
        return read_policy(repository, commit, folder)
    except PolicyErrors as errors:
        raise PolicyErrors(_within(name, problem) for problem in errors.problems) from None


def _within(commit: str, problem: Problem) -> Problem:
    """A problem of a commit, its place as Git writes it: commit:path."""
    position = replace(problem.position, file=f"{commit}:{problem.position.file}")
    return replace(problem, position=position)
