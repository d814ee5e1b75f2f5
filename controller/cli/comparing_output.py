"""Two policies compared, as people read it: on a terminal, or in Markdown for a pull request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from controller.cli.fitting import LEAST_ROOM, fitted, listed, packed, shortened
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


def print_comparison(out: Console, found: Comparison) -> None:
    """What the policy says otherwise, then what that means to people."""
    if found.is_same:
        out.print("the same: nothing that takes effect differs", style="bold")
        return
    things = _things(found.differences)
    if things:
        out.print("the policy", style="bold")
    width = min(max((len(_name(one[0])) for one in things), default=0), out.width * 2 // 5)
    for one in things:
        _print_thing(out, one, width)
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
    lines = [f"**{_totals(found)}**", ""]
    things = _things(found.differences)
    if things:
        lines += ["| | what | how | where |", "| --- | --- | --- | --- |"]
        lines += [
            f"| {_SIGNS[one[0].kind][0]} | {_cell(_name(one[0]))} | {_cell(' · '.join(_words(one)))} "
            f"| {_cell(place_of(one[0].source))} |"
            for one in things
        ]
        lines.append("")
    if found.effects:
        lines += ["| | who | what | where |", "| --- | --- | --- | --- |"]
        lines += [
            f"| {'+' if effect.gains else '-'} | {_cell(_people(effect))} | {_cell(_what(effect))} "
            f"| {_cell(place_of(effect.source) if effect.source else '')} |"
            for effect in found.effects
        ]
        lines.append("")
    return "\n".join(lines)


def _things(differences: Sequence[Difference]) -> list[list[Difference]]:
    """The differences of each thing together, in their order."""
    found: dict[tuple[str, str], list[Difference]] = {}
    for one in differences:
        found.setdefault((one.section, one.name), []).append(one)
    return list(found.values())


def _print_thing(out: Console, fields: list[Difference], width: int) -> None:
    _print_line(out, _SIGNS[fields[0].kind], _name(fields[0]), fields[0], _words(fields), width)


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
    parts = packed(words, room if room >= LEAST_ROOM else 0, out.width - left) if words else [""]
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
