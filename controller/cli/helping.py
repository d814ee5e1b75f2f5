"""How `--help` reads: examples stand as they are typed, lists of commands say whole sentences, in groups."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["House", "Verb", "helped"]

_EXAMPLES = re.compile(r"Examples?:\n")
_MANY = re.compile(r" <list\[(\w+)\]>$")


class Verb(TyperCommand):
    """A command whose examples stand line by line, and whose short help is its first sentence."""

    def format_help_text(self, _ctx: Any, formatter: Any) -> None:
        """Write the paragraphs; the one that begins with `Example:` line by line."""
        for paragraph in inspect.cleandoc(self.help or "").split("\n\n"):
            formatter.write_paragraph()
            with formatter.indentation():
                if _EXAMPLES.match(paragraph):
                    for line in paragraph.splitlines():
                        formatter.write(f"{' ' * formatter.current_indent}{line}\n")
                else:
                    formatter.write_text(paragraph)

    def get_short_help_str(self, _limit: int = 0) -> str:
        """The first sentence, whole: a list of commands has room for a second line."""
        first = inspect.cleandoc(self.short_help or self.help or "").partition("\n\n")[0]
        return " ".join(first.split()).partition(". ")[0].removesuffix(".")

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments, then options; what may be given several times is named by what one of them is."""
        for kind, heading in (("argument", "Arguments"), ("option", "Options")):
            rows = list(self._records(ctx, kind))
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)

    def _records(self, ctx: Any, kind: str) -> Iterator[tuple[str, str]]:
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and parameter.param_type_name == kind:
                one = "" if kind == "argument" else r" <\1>"
                yield _MANY.sub(one, record[0]), record[1]


class House(TyperGroup):
    """A group of commands that lists them under the headings (`rich_help_panel`) that they were given."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """A section for each heading, in the order of the first command of each."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                heading = getattr(command, "rich_help_panel", None) or "Commands"
                sections.setdefault(str(heading), []).append((name, command.get_short_help_str()))
        width = max((len(name) for rows in sections.values() for name, _ in rows), default=0)
        for heading, rows in sections.items():
            with formatter.section(heading):
                formatter.write_dl([(f"{name:<{width}}", text) for name, text in rows])

    def get_short_help_str(self, _limit: int = 0) -> str:
        """The group's own sentence."""
        return " ".join((self.short_help or self.help or "").split()).removesuffix(".")


def helped(app: typer.Typer) -> typer.Typer:
    """The same application, every command and group of which prints its help so."""
    for command in app.registered_commands:
        command.cls = Verb
    for group in app.registered_groups:
        group.cls = House
        if group.typer_instance is not None:
            helped(group.typer_instance)
    return app
