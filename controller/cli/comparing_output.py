"""Two policies compared, as people read it: on a terminal, or in Markdown for a pull request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from controller.cli.fitting import LEAST_ROOM, fitted, listed, packed, shortened
from controller.cli.markdown import MOST_CHARACTERS
from controller.cli.rendering import place_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from controller.comparing import Comparison, Difference, Value
    from controller.effects import Effect

__all__ = ["markdown", "print_comparison"]

_SIGNS: Final = {"added": ("+", "green"), "changed": ("~", "yellow"), "removed": ("-", "red")}
_NOUNS: Final = {"machine_sets": "set", "storages": "storage", "repositories": "repository"}
_MOST_PEOPLE: Final = 12
_INDENT: Final = 4
_FEW: Final = 3


def print_comparison(out: Console, found: Comparison) -> None:
    """What the policy says otherwise, then what that means to people."""
    if found.is_same:
        out.print("the same: nothing that takes effect differs", style="bold")
        return
    things = _alike(found.differences)
    if things:
        out.print("the policy", style="bold")
    width = min(max((len(one.name) for one in things), default=0), out.width * 2 // 5)
    for one in things:
        _print_line(out, _SIGNS[one.kind], one.name, one.at, one.words, width)
    if found.effects:
        out.print("\npeople" if things else "people", style="bold")
    people = [fitted("", effect.people, out.width // 2) for effect in found.effects]
    width = min(max(map(len, people), default=0), out.width * 3 // 10)
    for effect, names in zip(found.effects, people, strict=True):
        sign = ("+", "green") if effect.gains else ("-", "red")
        _print_line(out, sign, names, effect, [_what(effect)], width)
    out.print(f"\n{_totals(found)}", style="bold")


def markdown(found: Comparison) -> str:
    """The same as two tables, to paste into a pull request."""
    if found.is_same:
        return "**The same**: nothing that takes effect differs.\n"
    things = [
        f"| {_SIGNS[one.kind][0]} | {_cell(one.name)} | {_cell(' · '.join(one.words))} "
        f"| {_cell(place_of(one.at.source))} |"
        for one in _alike(found.differences)
    ]
    people = [
        f"| {'+' if effect.gains else '-'} | {_cell(_people(effect))} | {_cell(_what(effect))} "
        f"| {_cell(place_of(effect.source) if effect.source else '')} |"
        for effect in found.effects
    ]
    lines = [f"**{_totals(found)}**", ""]
    lines += _table("| | who | what | where |", people, MOST_CHARACTERS // 2)
    room = MOST_CHARACTERS - sum(map(len, lines)) - len(lines)
    lines[2:2] = _table("| | what | how | where |", things, room)
    return "\n".join(lines)


def _table(head: str, rows: Sequence[str], room: int) -> list[str]:
    """As many rows as there is room for, under a head; nothing where there are none."""
    shown: list[str] = []
    for row in rows:
        room -= len(row) + 1
        if room < 0:
            break
        shown.append(row)
    rest = len(rows) - len(shown)
    said = ["", f"… and {rest} more: `steward diff` shows all of them."] if rest else []
    return [head, "| --- | --- | --- | --- |", *shown, *said, ""] if rows else []


def _things(differences: Sequence[Difference]) -> list[list[Difference]]:
    """The differences of each thing together, in their order."""
    found: dict[tuple[str, str], list[Difference]] = {}
    for one in differences:
        found.setdefault((one.section, one.name), []).append(one)
    return list(found.values())


@dataclass(frozen=True)
class _Thing:
    """A line: one thing of the policy, or many in which the same differs; `at` has its place."""

    kind: str
    name: str
    words: list[str]
    at: Difference


def _alike(differences: Sequence[Difference]) -> list[_Thing]:
    """The things that differ, in their order; more than a few that differ in the same are one."""
    things = [(fields, _words(fields)) for fields in _things(differences)]
    alike: dict[object, list[list[Difference]]] = {}
    for fields, words in things:
        alike.setdefault(_likeness(fields, words), []).append(fields)
    found = []
    for fields, words in things:
        first, many = fields[0], alike[_likeness(fields, words)]
        if len(many) <= _FEW:
            found.append(_Thing(first.kind, _name(first), words, first))
        elif many[0] is fields:
            names = listed("", [one[0].name for one in many], _MOST_PEOPLE)
            found.append(
                _Thing(first.kind, f"{len(many)} {first.section.replace('_', ' ')}", [*words, names], first)
            )
    return found


def _likeness(fields: Sequence[Difference], words: Sequence[str]) -> object:
    """What is told together: fields that change alike. What comes or goes is told one by one."""
    first = fields[0]
    return (first.section, *words) if first.kind == "changed" and first.name else (first.section, first.name)


def _print_line(
    out: Console,
    sign: tuple[str, str],
    name: str,
    at: Difference | Effect,
    words: Sequence[str] = (),
    width: int = 0,
) -> None:
    """Sign, name, words, and the place at the right edge; further words on lines of their own."""
    from rich.text import Text

    place = shortened(place_of(at.source), out.width // 3) if at.source else ""
    left = _INDENT + width + 2
    room = out.width - _INDENT - max(len(name), width) - 2 - (len(place) + 2 if place else 0)
    begins_here = room >= LEAST_ROOM or any(len(part) <= room for part in words[:1])
    parts = packed(words, room if begins_here else 0, out.width - left) if words else [""]
    line = Text().append(f"  {sign[0]} {name:<{width if parts[0] else 0}}", sign[1])
    line.append(f"  {parts[0]}" if parts[0] else "")
    if place:
        gap = out.width - line.cell_len - len(place)
        line.append(" " * gap if gap >= 2 else "\n" + " " * _INDENT).append(place, "dim")
    for more in parts[1:]:
        line.append("\n" + " " * left).append(more)
    out.print(line, soft_wrap=True)


def _name(one: Difference) -> str:
    noun = _NOUNS.get(one.section, one.section.removesuffix("s") if one.name else one.section)
    return f"{noun} {one.name}".strip()


def _words(fields: Sequence[Difference]) -> list[str]:
    """What becomes of one thing, part by part."""
    first = fields[0]
    if first.field or first.kind == "changed":
        return [_step(one) for one in fields]
    if first.kind == "removed":
        return [_GOES.get(first.section, "no longer in the policy")]
    value = first.after
    return [f"{key} {_text(item)}" for key, item in value.items()] if isinstance(value, dict) else []


_GOES: Final = {
    "users": "no longer in the policy: disabled, and deleted after limits.delete_after",
    "roles": "no longer in the policy: deleted",
    "teams": "no longer in the policy: deleted",
    "clients": "no longer in the policy: deleted",
}


def _step(one: Difference) -> str:
    """One field: what comes and goes of a list, the value before and after of anything else."""
    label = one.field or one.section
    before, after = _items(one.before), _items(one.after)
    if before is not None and after is not None and (before or after):
        moves = [f"+{_text(item)}" for item in after if item not in before]
        moves += [f"-{_text(item)}" for item in before if item not in after]
        return f"{label} {' '.join(moves) or 'in another order'}"
    return f"{label} {_text(one.before)} → {_text(one.after)}"


def _items(value: Value) -> list[Value] | None:
    return [] if value is None else value if isinstance(value, list) else None


def _text(value: Value, *, is_inner: bool = False) -> str:
    """A value in a line; what is not given inside of a map is left out."""
    if value is None:
        return "not given"
    if value == "":
        return "empty"
    if isinstance(value, dict):
        given = {key: item for key, item in value.items() if item not in (None, "", [], {})}
        text = " ".join(f"{key}={_text(item, is_inner=True)}" for key, item in given.items()) or "nothing"
        return f"{{{text}}}" if is_inner else text
    if isinstance(value, list):
        text = " ".join(_text(item, is_inner=True) for item in value) or "none"
        return f"[{text}]" if is_inner and len(value) > 1 else text
    return str(value).lower() if isinstance(value, bool) else str(value)


def _people(effect: Effect) -> str:
    return listed("", effect.people, _MOST_PEOPLE)


def _what(effect: Effect) -> str:
    """The rest of the sentence that begins with the people."""
    through = ""
    if effect.way not in ("", "own"):
        through = f" {effect.way}" if effect.gains else f" (it came {effect.way})"
    if effect.what == "log in":
        return "can log in" if effect.gains else "can no longer log in"
    is_one = len(effect.people) == 1
    if effect.where:
        verb = "has" if is_one else "have"
        verb = verb if effect.gains else f"no longer {verb}"
        return f"{verb} {effect.what} on {effect.where}{through}"
    verb = ("gain" if effect.gains else "lose") + ("s" if is_one else "")
    return f"{verb} {effect.what}{through}"


def _totals(found: Comparison) -> str:
    things = len(_things(found.differences))
    people = len({user for effect in found.effects for user in effect.people})
    return (
        f"{things} thing{'' if things == 1 else 's'} of the policy differ{'s' if things == 1 else ''}, "
        f"{people or 'no'} {'person' if people == 1 else 'people'} affected"
    )


def _cell(text: str) -> str:
    """Text in a table of Markdown: a bar would end the cell, and no text may become markup."""
    escaped = text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "\\`")
    return escaped.replace("\n", " ").replace("*", "\\*").replace("_", "\\_").replace("[", "\\[")
