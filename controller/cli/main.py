"""The `steward` command: collects the verbs and turns every ending into an exit code.

0 same or done, 1 error or partial failure, 2 changes (plan and drift only), 3 refused, 64 wrong usage.
"""

from __future__ import annotations

import json
import os
import sys
from itertools import pairwise
from typing import TYPE_CHECKING

import typer

from controller.cli.action import action
from controller.cli.adopting import adopt
from controller.cli.audit import audit
from controller.cli.comparing import diff
from controller.cli.editing import fmt
from controller.cli.explain import explain
from controller.cli.helping import House, helped
from controller.cli.host import host
from controller.cli.importing import import_
from controller.cli.init import init, trust
from controller.cli.look import look
from controller.cli.monitoring import monitoring
from controller.cli.override import machine, override
from controller.cli.plan import apply, drift, plan
from controller.cli.policy import schema, validate
from controller.cli.serve import gitops, serve
from controller.cli.simulating import simulate
from controller.cli.user import user
from controller.errors import ControllerError
from controller.policy.problems import PolicyErrors

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["app", "main"]

WRONG_USAGE = 64
_USAGE_ERROR = typer.BadParameter.mro()[1]
"""click's UsageError; typer carries a copy of click from some version on, so it is found through typer."""

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None, cls=House)
for heading, verbs in (
    ("What is there", (look, import_, adopt)),
    ("The policy alone", (validate, fmt, diff, simulate, explain, schema)),
    ("The policy and the live systems", (plan, apply, drift)),
    ("The controller", (init, serve, monitoring)),
):
    for verb in verbs:
        app.command(verb.__name__.rstrip("_"), rich_help_panel=heading)(verb)
for heading, groups in (
    ("The controller", (("gitops", gitops), ("trust", trust), ("audit", audit))),
    ("People and machines", (("user", user), ("machine", machine), ("override", override))),
    ("Hosts", (("host", host), ("action", action))),
):
    for name, group in groups:
        app.add_typer(group, name=name, rich_help_panel=heading)
helped(app)


@app.callback()
def _steward() -> None:
    """Steward: one reviewed Git change gives a person an account, a role and a machine, and keeps it so."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line (`arguments`, or the process's own) and exit with one of the codes above."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _run(words)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)


def _run(words: Sequence[str]) -> int:
    try:
        code = app(args=words, standalone_mode=False)
    except typer.Abort:
        typer.echo("interrupted", err=True)
        return 1
    except ControllerError as error:
        return _failed(error, words)
    except BrokenPipeError:
        raise
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        return _failed(ControllerError(f"{named}{error.strerror or error}"), words)
    except Exception as error:
        if not isinstance(error, _USAGE_ERROR):
            raise
        typer.echo(f"{error}\nhint: steward {_verb(words)}--help", err=True)
        return WRONG_USAGE
    return code if isinstance(code, int) else 0


def _failed(error: ControllerError, words: Sequence[str]) -> int:
    """Say what went wrong: to people on standard error, to programs as JSON where they asked for that."""
    if _wants_json(words):
        told: dict[str, object] = {"error": error.message, "hint": error.hint, "exit_code": error.exit_code}
        if isinstance(error, PolicyErrors):
            told["problems"] = [problem.to_json() for problem in error.problems]
        typer.echo(json.dumps(told, indent=2))
        return error.exit_code
    typer.echo(error.message, err=True)
    if error.hint:
        typer.echo(f"hint: {error.hint}", err=True)
    return error.exit_code


def _wants_json(words: Sequence[str]) -> bool:
    return "--output=json" in words or ("--output", "json") in pairwise(words)


def _verb(words: Sequence[str]) -> str:
    known = {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands}
    known |= {group.name for group in app.registered_groups if group.name}
    return f"{words[0]} " if words and words[0] in known else ""
