"""Many files, one policy: sections united by name, bases first, overrides last."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from controller.policy.model import MAP_SETTINGS, SCALAR_SETTINGS, SECTIONS
from controller.policy.notes import Overridden
from controller.policy.places import Place, Token, Value, key_position, value_position
from controller.policy.problems import Problem, did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controller.policy.document import Document
    from controller.policy.position import SourcePosition

__all__ = ["Layer", "Merged", "merge"]

_UNITED: Final = frozenset((*SECTIONS, *MAP_SETTINGS))
_KNOWN: Final = (*SCALAR_SETTINGS, *MAP_SETTINGS, *SECTIONS)
_KEY_LIKE = re.compile(r"""(?:^|[\s{,])["']?([^\s"'{},:#\[\]]+)["']?\s*:""", re.MULTILINE)
_PER_LAYER: Final = frozenset(("version", "extends", "override"))


@dataclass(frozen=True)
class Layer:
    """One folder: its files as read, the text of those that are broken, and the name of its policy.yaml."""

    documents: tuple[Document, ...]
    broken_texts: tuple[str, ...]
    settings_file: str


@dataclass
class Merged:
    """All layers in one tree of values with places.

    `unsure` names sections that were not read whole; `lost` holds the keys of places that nothing came of. A
    name that is not found may well stand there, so nobody complains about it.
    """

    place: Place
    values: dict[str, Value] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    overridden: list[Overridden] = field(default_factory=list)
    unsure: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)

    def entries(self, section: str) -> dict[str, Value]:
        """The entries of a section, {} where there is none."""
        found = self.values.get(section)
        return found if isinstance(found, dict) else {}

    def may_be_lost(self, section: str, name: str) -> bool:
        """True where `section` may hold `name`, had everything been readable."""
        return section in self.unsure or "*" in self.unsure or name in self.lost

    def report(self, position: SourcePosition, message: str, suggestion: str = "") -> None:
        """Note a problem."""
        self.problems.append(Problem(position, message, suggestion))


def merge(layers: tuple[Layer, ...], root: Place) -> Merged:
    """Unite `layers`, bases before what extends them; `root` stands for the whole folder."""
    merged = Merged(root)
    for layer in layers:
        for text in layer.broken_texts:
            merged.lost.update(_KEY_LIKE.findall(text))
    for layer in layers:
        for document in layer.documents:
            merged.problems.extend(document.problems)
            if not document.broken:
                _add_document(merged, document, settings=document.file == layer.settings_file)
        for document in layer.documents:
            if document.file == layer.settings_file and not document.broken:
                _apply_override(merged, document)
    return merged


def _add_document(merged: Merged, document: Document, *, settings: bool) -> None:
    if document.value is None:
        return
    if not isinstance(document.value, dict):
        merged.report(value_position(document.place, ()), "a file of a policy is a map of sections")
        merged.unsure.add("*")
        return
    for key, value in document.value.items():
        where = key_position(document.place, (key,))
        if key not in _KNOWN:
            meant = did_you_mean(key, _KNOWN)
            merged.report(where, f"unknown section {quoted(key)}", meant)
            merged.lost.update(value if isinstance(value, dict) else ())
        elif key not in SECTIONS and not settings:
            merged.report(where, f"{quoted(key)} belongs in policy.yaml")
        elif key not in _PER_LAYER or key == "version":
            _add_key(merged, document.place, key, value)


def _add_key(merged: Merged, place: Place, key: str, value: Value) -> None:
    if value is None and key in _UNITED:
        return
    where = value_position(place, (key,))
    if key in _UNITED and not isinstance(value, dict):
        merged.report(where, f"{quoted(key)} must be a map")
        merged.unsure.add(key)
    elif isinstance(value, dict) and key in _UNITED:
        _unite(merged, place, key, value)
    elif key not in merged.values:
        _put(merged.values, merged.place, key, value, place)
    elif key != "version":
        first = key_position(merged.place, (key,))
        merged.report(key_position(place, (key,)), f"{quoted(key)} is there already, at {first}")


def _unite(merged: Merged, place: Place, section: str, entries: dict[str, Value]) -> None:
    source = place.moved(place.children[section])
    if section not in merged.values:
        merged.values[section] = {}
        merged.place.keys[section] = place.moved(place.keys[section])
        merged.place.children[section] = Place(place.file, source.mark)
    target = merged.values[section]
    target_place = merged.place.children[section]
    if not isinstance(target, dict) or not isinstance(target_place, Place):
        return
    for name, entry in entries.items():
        if name in target:
            first = key_position(target_place, (name,))
            merged.report(key_position(source, (name,)), f"{quoted(name)} is there already, at {first}")
        else:
            _put(target, target_place, name, entry, source)


def _put(values: dict[str, Value], places: Place, name: str, value: Value, source: Place) -> None:
    """Copy one entry with its places from `source`."""
    values[name] = value
    places.keys[name] = source.moved(source.keys[name])
    places.children[name] = source.moved(source.children[name])


def _apply_override(merged: Merged, document: Document) -> None:
    if not isinstance(document.value, dict) or document.value.get("override") is None:
        return
    for section, name, patch, place in _overrides(merged, document):
        target = merged.entries(section)
        holder = merged.place.children.get(section)
        if name not in target or not isinstance(holder, Place):
            if not merged.may_be_lost(section, name):
                message = f"override has nothing to change: {section} has no {quoted(name)}"
                merged.report(key_position(place, (name,)), message, did_you_mean(name, target))
            continue
        old = (target[name], holder.moved(holder.children[name]))
        new = (patch, place.moved(place.children[name]))
        target[name], holder.children[name] = _overlay(merged, (section, name), old, new)


def _overrides(merged: Merged, document: Document) -> Iterator[tuple[str, str, Value, Place]]:
    """Section, name, new value and the place that holds it, for each entry of `override` that makes sense."""
    values = document.value["override"] if isinstance(document.value, dict) else None
    place = document.place.moved(document.place.children["override"])
    if not isinstance(values, dict):
        merged.report(value_position(place, ()), '"override" must be a map')
        return
    for section, entries in values.items():
        if section not in _UNITED:
            message = f"unknown section {quoted(section)}"
            merged.report(key_position(place, (section,)), message, did_you_mean(section, _UNITED))
        elif not isinstance(entries, dict):
            merged.report(value_position(place, (section,)), f"{quoted(section)} must be a map")
        else:
            inner = place.moved(place.children[section])
            for name, patch in entries.items():
                yield section, name, patch, inner


def _overlay(
    merged: Merged, path: tuple[Token, ...], old: tuple[Value, Place], new: tuple[Value, Place]
) -> tuple[Value, Place]:
    """`old` with the fields of `new` laid over it; maps field by field, everything else whole."""
    value, place = new
    before, before_place = old
    if not isinstance(value, dict) or not isinstance(before, dict):
        what = ".".join(str(token) for token in path)
        replaced = value_position(before_place, ())
        merged.overridden.append(Overridden(value_position(place, ()), what, replaced))
        return value, place
    values = dict(before)
    result = Place(before_place.file, before_place.mark, dict(before_place.keys), dict(before_place.children))
    for name, patch in value.items():
        spot = place.moved(place.children[name])
        if name in before:
            inner = (before[name], before_place.moved(before_place.children[name]))
            values[name], result.children[name] = _overlay(merged, (*path, name), inner, (patch, spot))
            continue
        what = ".".join(str(token) for token in (*path, name))
        merged.overridden.append(Overridden(value_position(spot, ()), what, None))
        values[name], result.children[name] = patch, spot
        result.keys[name] = place.moved(place.keys[name])
    return values, result
