"""What changes in a text, line by line, also where ten thousand lines change."""

from __future__ import annotations

from collections import Counter
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["difference"]

_AROUND: Final = 3
"""Lines shown before and behind a change."""

_Code = tuple[str, int, int, int, int]


def difference(before: str | None, after: str, name: str) -> str:
    """What changes in a file (None: it is not there yet), as `diff -u` shows it; "" where nothing does."""
    one, other = (before or "").splitlines(keepends=True), after.splitlines(keepends=True)
    path = name.lstrip("/")
    lines = [line for hunk in _hunks(_codes(one, other)) for line in _shown(hunk, one, other)]
    if not lines:
        return ""
    old = "/dev/null" if before is None else f"a/{path}"
    whole = [f"--- {old}\n", f"+++ b/{path}\n", *lines]
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in whole
    )


def _codes(one: Sequence[str], other: Sequence[str]) -> Iterator[_Code]:
    """The codes of difflib, worked out piece by piece: by itself it takes minutes for a large file."""
    start, start_other = 0, 0
    for here, there in [*_anchors(one, other), (len(one), len(other))]:
        matcher = SequenceMatcher(None, one[start:here], other[start_other:there], autojunk=False)
        for tag, a, b, c, d in matcher.get_opcodes():
            yield tag, a + start, b + start, c + start_other, d + start_other
        if here < len(one):
            yield "equal", here, here + 1, there, there + 1
        start, start_other = here + 1, there + 1


def _anchors(one: Sequence[str], other: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Places of lines that stand once in each, as far as their order is the same."""
    counts, counts_other = Counter(one), Counter(other)
    places = {line: number for number, line in enumerate(other) if counts_other[line] == 1}
    last = -1
    for number, line in enumerate(one):
        place = places.get(line, -1) if counts[line] == 1 else -1
        if place > last:
            last = place
            yield number, place


def _hunks(codes: Iterator[_Code]) -> Iterator[list[_Code]]:
    """Changes that are near each other, with some lines around them."""
    hunk: list[_Code] = []
    waiting: list[tuple[int, int]] = []
    for tag, a, b, c, d in codes:
        if tag == "equal":
            waiting += zip(range(a, b), range(c, d), strict=True)
            continue
        if hunk and len(waiting) > 2 * _AROUND:
            yield [*hunk, *_equal(waiting[:_AROUND])]
            hunk = []
        hunk += _equal(waiting if hunk else waiting[-_AROUND:])
        waiting = []
        hunk.append((tag, a, b, c, d))
    if hunk:
        yield [*hunk, *_equal(waiting[:_AROUND])]


def _equal(places: Sequence[tuple[int, int]]) -> list[_Code]:
    return [("equal", places[0][0], places[-1][0] + 1, places[0][1], places[-1][1] + 1)] if places else []


def _shown(hunk: Sequence[_Code], one: Sequence[str], other: Sequence[str]) -> Iterator[str]:
    (_, a, _, c, _), (_, _, b, _, d) = hunk[0], hunk[-1]
    yield f"@@ -{_range(a, b)} +{_range(c, d)} @@\n"
    for tag, start, end, start_other, end_other in hunk:
        if tag == "equal":
            yield from (f" {line}" for line in one[start:end])
            continue
        yield from (f"-{line}" for line in one[start:end])
        yield from (f"+{line}" for line in other[start_other:end_other])


def _range(start: int, end: int) -> str:
    """As `diff -u` counts: from 1, and an empty range by the line before it."""
    length = end - start
    if length == 1:
        return str(start + 1)
    return f"{start + 1 if length else start},{length}"
