"""The `steward` command: collects the verbs and turns every ending into an exit code.

0 same or done, 1 error or partial failure, 2 changes (plan and drift only), 3 refused, 64 wrong usage.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from controller.cli.action import action
from controller.cli.audit import audit
from controller.cli.explain import explain
from controller.cli.host import host
from controller.cli.importing import import_
from controller.cli.init import init, trust
from controller.cli.look import look
from controller.cli.monitoring import monitoring
from controller.cli.plan import apply, drift, plan
from controller.cli.policy import schema, validate
from controller.cli.serve import gitops, serve
from controller.errors import ControllerError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["app", "main"]

WRONG_USAGE = 64
_USAGE_ERROR = typer.BadParameter.mro()[1]
"""click's UsageError; typer carries a copy of click from some version on, so it is found through typer."""

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
app.command()(validate)
app.command()(schema)
app.command()(plan)
app.command()(apply)
app.command()(drift)
app.command()(look)
app.command("import")(import_)
app.command()(explain)
app.command()(monitoring)
app.command()(init)
app.command()(serve)
for verbs, name in (
    (host, "host"),
    (action, "action"),
    (audit, "audit"),
    (trust, "trust"),
    (gitops, "gitops"),
):
    app.add_typer(verbs, name=name)


@app.callback()
def _steward() -> None:
    """Steward: one reviewed Git change gives a person an account, a role and a machine, and keeps it so."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line (`arguments`, or the process's own) and exit with one of the codes above."""
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code = app(args=arguments, standalone_mode=False)
    except typer.Abort:
        return 1
    except ControllerError as error:
        typer.echo(error.message, err=True)
        if error.hint:
            typer.echo(f"hint: {error.hint}", err=True)
        return error.exit_code
    except OSError as error:
        typer.echo(f"{error.filename or 'input or output'}: {error.strerror or error}", err=True)
        return 1
    except Exception as error:
        if not isinstance(error, _USAGE_ERROR):
            raise
        typer.echo(str(error), err=True)
        return WRONG_USAGE
    return code if isinstance(code, int) else 0
