"""Files as people write them: any value, any style, comments wherever YAML has room for one."""

from __future__ import annotations

from hypothesis import strategies as st

__all__ = ["any_yaml"]

_NAMES = st.sampled_from(
    ["users", "roles", "realm", "jo", "email", "on", "no", "a b", "x:y", "#x", "- x", "'", '"', "~", "1"]
)
_SCALARS = st.sampled_from(
    [
        "on",
        "20:00",
        "2027-01-31",
        "0o17",
        "1_000",
        "~",
        "null",
        "",
        "'it''s'",
        '"a # b"',
        "a#b",
        "1e3",
        "x y",
        "+1",
        '"\\u00e9"',
        "é",
        '"@x"',
    ],
)
_REMARKS = st.sampled_from(["", "", "", "#", "# c", "# d: {e}", "#x", '# "quote', "# é"])


@st.composite
def any_yaml(draw: st.DrawFn) -> str:
    """The text of a file; not all are without a mistake."""
    lines: list[str] = []
    step = draw(st.sampled_from([1, 2, 4]))
    _map(draw, lines, 0, step, 0)
    return "\n".join(lines) + draw(st.sampled_from(["\n", "", "\n\n", "\n# end\n", "\n  # end\n"]))


def _remark_lines(draw: st.DrawFn, lines: list[str], most: int) -> None:
    indents = draw(st.lists(st.integers(0, most), max_size=2))
    lines.extend(" " * indent + draw(_REMARKS) for indent in indents)


def _behind(draw: st.DrawFn) -> str:
    remark = draw(_REMARKS)
    return f" {remark}" if remark else ""


def _map(draw: st.DrawFn, lines: list[str], indent: int, step: int, depth: int) -> None:
    for name in draw(st.lists(_NAMES, min_size=1, max_size=4, unique=True)):
        _remark_lines(draw, lines, indent + 2)
        lines.append(" " * indent + '"' + name.replace('"', '\\"') + '":')
        _value(draw, lines, indent, step, depth)


def _value(draw: st.DrawFn, lines: list[str], indent: int, step: int, depth: int) -> None:
    kind = draw(st.sampled_from(["scalar", "scalar", "flow", "block", "quoted", "map", "list"]))
    if kind in {"map", "list"} and depth < 3:
        lines[-1] += _behind(draw)
        (_map if kind == "map" else _list)(draw, lines, indent + step, step, depth + 1)
    elif kind == "flow":
        lines[-1] += " " + _flow(draw, depth, indent + step) + _behind(draw)
    elif kind == "block":
        lines[-1] += " " + draw(st.sampled_from(["|", ">", "|-", ">+", "|+"])) + _behind(draw)
        texts = st.sampled_from(["text", "# no comment", "", "  deeper", "key: value", "- item"])
        lines.extend(
            (" " * (indent + step) + text).rstrip() for text in ["first", *draw(st.lists(texts, max_size=3))]
        )
    elif kind == "quoted":
        lines[-1] += ' "one \\'
        lines.extend([" " * (indent + step) + "two", "", " " * (indent + step) + '# three"' + _behind(draw)])
    else:
        scalar = draw(_SCALARS)
        lines[-1] += (f" {scalar}" if scalar else "") + _behind(draw)


def _list(draw: st.DrawFn, lines: list[str], indent: int, step: int, depth: int) -> None:
    for _ in range(draw(st.integers(1, 3))):
        _remark_lines(draw, lines, indent + 2)
        lines.append(" " * indent + "-")
        _value(draw, lines, indent, step, depth)


def _flow(draw: st.DrawFn, depth: int, indent: int) -> str:
    items = draw(st.lists(st.sampled_from(["a", "on", '"x, y"', "20:00", "[b, c]", "{d: e}"]), max_size=3))
    is_map = draw(st.booleans())
    parts = [f"k{number}: {item}" if is_map else item for number, item in enumerate(items)]
    remark = draw(_REMARKS)
    joint = f", {remark}\n{' ' * indent}" if remark else ", "
    opening, closing = "{}" if is_map else "[]"
    return opening + (f" {remark}\n{' ' * indent}" if remark else "") + joint.join(parts) + closing
