"""One file of a policy: bytes → values and places, by the events of PyYAML's parser.

Events, not PyYAML's nodes or objects: anchors, aliases and tags are seen before anything is built from them
(so a "YAML bomb" has nothing to go off with), depth is limited before the C parser could recurse, and
10,000 users are read in a quarter of a second. libyaml is used where PyYAML was built with it; both parsers
give the same values.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, cast

import yaml
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from controller.policy.places import Mark, Place, Value, key_position
from controller.policy.position import SourcePosition
from controller.policy.problems import Problem, quoted
from controller.policy.scalar_schema import resolve

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.policy.places import Spot

__all__ = [
    "MAX_DEPTH",
    "MAX_FILE_BYTES",
    "MAX_PROBLEMS",
    "Document",
    "fastest_parser",
    "pure_parser",
    "read_document",
]

MAX_FILE_BYTES: Final = 5_000_000
MAX_DEPTH: Final = 32
MAX_PROBLEMS: Final = 1_000

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_LINE_END = re.compile(r"\r\n?|\n")


class _Start(NamedTuple):
    """A place counted from 0, for files of which nothing could be read."""

    line: int
    column: int


class _Event(Protocol):
    """What we read of PyYAML's events; which of it is there depends on the kind of event."""

    start_mark: Mark
    anchor: str | None
    tag: str | None
    value: str
    style: str | None
    implicit: tuple[bool, bool]
    version: tuple[int, int] | None
    tags: dict[str, str] | None


class _Events(Protocol):
    def get_event(self) -> _Event: ...


@dataclass(frozen=True)
class Document:
    """What one file says. `broken` files have a syntax error: their values are not to be used."""

    file: str
    value: Value = None
    place: Place = field(default_factory=lambda: Place("", _Start(0, 0)))
    problems: tuple[Problem, ...] = ()
    broken: bool = False


def read_document(data: bytes, file: str, *, parser: Callable[[str], _Events] | None = None) -> Document:
    """Read the bytes of one file; never raises, what is wrong stands in `problems`.

    `file` is the name that positions show. `parser` is for comparing PyYAML's two parsers.
    """
    if len(data) > MAX_FILE_BYTES:
        megabytes = MAX_FILE_BYTES // 1_000_000
        advice = "split it, any file may hold any section"
        return _broken(file, 0, 0, f"the file is longer than {megabytes} MB: {advice}")
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        return _broken(
            file, *_line_and_column(before, len(before)), "the file is not UTF-8 here: save it as UTF-8"
        )
    refused = _refused_character(text, file)
    if refused is not None:
        return refused
    builder = _Builder(file, (parser or fastest_parser)(text))
    try:
        builder.read()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column) if mark else (0, 0)
        return _broken(file, line, column, _syntax_message(error))
    except yaml.YAMLError:
        return _broken(file, 0, 0, "the file is not YAML")
    except _StopError as error:
        stopped = _broken(file, error.mark.line, error.mark.column, str(error))
        return replace(stopped, problems=(*builder.problems.values(), *stopped.problems))
    return Document(file, builder.value, builder.place, tuple(builder.problems.values()))


def _kind(event: _Event) -> object:
    return type(event)


def fastest_parser(text: str) -> _Events:
    """PyYAML's parser over libyaml where there is one: events with `start_mark` and `end_mark`, then None."""
    if yaml.__with_libyaml__:
        return cast("_Events", yaml.CSafeLoader(text))
    return pure_parser(text)


def pure_parser(text: str) -> _Events:
    """PyYAML's parser in Python, which gives the same events as libyaml's, more slowly."""
    return cast("_Events", yaml.SafeLoader(text))


def _refused_character(text: str, file: str) -> Document | None:
    found = _UNPRINTABLE.search(text)
    tab = text.find("\t")
    if found and (tab < 0 or found.start() < tab):
        name = f"U+{ord(found[0]):04X}"
        return _broken(
            file,
            *_line_and_column(text, found.start()),
            f"the character {name} may not stand here: delete it",
        )
    if tab >= 0:
        return _broken(file, *_line_and_column(text, tab), 'a tab: use blanks (in a text, write "\\t")')
    return None


def _line_and_column(text: str, offset: int) -> tuple[int, int]:
    ends = [match.end() for match in _LINE_END.finditer(text, 0, offset)]
    return len(ends), offset - (ends[-1] if ends else 0)


def _broken(file: str, line: int, column: int, message: str) -> Document:
    problem = Problem(SourcePosition(file, line + 1, column + 1), message)
    return Document(file, None, Place(file, _Start(line, column)), (problem,), broken=True)


def _syntax_message(error: yaml.MarkedYAMLError) -> str:
    """PyYAML's words, without the addresses and the copied lines that it may add."""
    return f"not YAML: {' '.join(str(error.problem or error.context).split())}"


class _StopError(Exception):
    """Reading cannot go on from `mark`."""

    def __init__(self, mark: Mark, message: str) -> None:
        super().__init__(message)
        self.mark = mark


class _Builder:
    """Builds values and places from events, and notes what YAML allows and a policy does not."""

    def __init__(self, file: str, events: _Events) -> None:
        self.file = file
        self.value: Value = None
        self.place = Place(file, _Start(0, 0))
        self.problems: dict[tuple[int, int], Problem] = {}
        self._next = events.get_event

    def read(self) -> None:
        """Read the whole stream; raises YAMLError and _StopError."""
        documents = 0
        while True:
            event = self._next()
            kind = _kind(event)
            if kind is StreamEndEvent:
                return
            if kind is StreamStartEvent or kind is DocumentEndEvent:
                continue
            if kind is DocumentStartEvent:
                documents += 1
                self._check_document(event, documents)
                continue
            value, spot = self._build(event, 1)
            if documents == 1:
                self.value, self.place = (
                    value,
                    Place(self.file, spot) if not isinstance(spot, Place) else spot,
                )

    def _check_document(self, event: _Event, count: int) -> None:
        if count == 2:
            self._problem(
                event.start_mark,
                "a second document: one file holds one, put the other into a file of its own",
            )
        elif event.version or event.tags:
            self._problem(event.start_mark, "directives (%YAML, %TAG) are not allowed: delete the line")

    def _build(self, event: _Event, depth: int) -> tuple[Value, Spot]:
        kind = _kind(event)
        mark = event.start_mark
        if kind is ScalarEvent:
            return self._scalar(event), mark
        if kind is AliasEvent:
            self._problem(mark, "aliases (*name) are not allowed: write the value out")
            return None, mark
        if depth > MAX_DEPTH:
            raise _StopError(mark, f"nested more than {MAX_DEPTH} levels deep: nothing in a policy is")
        if event.anchor is not None or event.tag is not None:
            self._check_properties(event)
        return self._mapping(mark, depth) if kind is MappingStartEvent else self._sequence(mark, depth)

    def _mapping(self, mark: Mark, depth: int) -> tuple[Value, Spot]:
        values: dict[str, Value] = {}
        place = Place(self.file, mark)
        keys, children, following = place.keys, place.children, self._next
        while True:
            event = following()
            if _kind(event) is MappingEndEvent:
                return values, place
            name = self._key(event, depth)
            value, spot = self._build(following(), depth + 1)
            if name is None:
                continue
            if name in values:
                first = key_position(place, (name,))
                self._problem(event.start_mark, f"{quoted(name)} is there already, at {first}")
                continue
            values[name] = value
            keys[name] = event.start_mark
            children[name] = spot

    def _sequence(self, mark: Mark, depth: int) -> tuple[Value, Spot]:
        items: list[Value] = []
        place = Place(self.file, mark)
        while True:
            event = self._next()
            if _kind(event) is SequenceEndEvent:
                return tuple(items), place
            value, spot = self._build(event, depth + 1)
            place.children[len(items)] = spot
            items.append(value)

    def _scalar(self, event: _Event) -> Value:
        if event.anchor is not None or event.tag is not None:
            self._check_properties(event)
        plain = event.implicit[0] and event.tag is None
        return resolve(event.value) if plain else event.value

    def _key(self, event: _Event, depth: int) -> str | None:
        mark = event.start_mark
        if _kind(event) is not ScalarEvent:
            if _kind(event) is not AliasEvent:
                self._problem(mark, "a key must be a text")
            self._build(event, depth + 1)
            return None
        if event.value == "<<" and not event.style:
            self._problem(mark, "merge keys (<<) are not allowed: write the fields out")
            return None
        key = self._scalar(event)
        if isinstance(key, str):
            return key
        shown = f': write "{event.value}" in quotes' if event.value else ""
        self._problem(mark, f"a key must be a text{shown}")
        return str(event.value)

    def _check_properties(self, event: _Event) -> None:
        if event.anchor is not None:
            self._problem(
                event.start_mark, "anchors (&name) are not allowed: write the value out where it is used"
            )
        if event.tag is not None:
            self._problem(
                event.start_mark, "tags (!name) are not allowed: delete it, each field knows what it holds"
            )

    def _problem(self, mark: Mark, message: str) -> None:
        place = (mark.line, mark.column)
        if len(self.problems) == MAX_PROBLEMS:
            raise _StopError(mark, f"more than {MAX_PROBLEMS} mistakes: the rest of the file was not read")
        self.problems.setdefault(
            place, Problem(SourcePosition(self.file, mark.line + 1, mark.column + 1), message)
        )
