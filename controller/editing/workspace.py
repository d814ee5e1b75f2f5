"""A policy folder opened for editing: many edits, one check of the whole, then all files are written.

An entry that stands in a folder that is only extended belongs to other environments as well: it is left as
it is, and the change is said under `override` in this folder's policy.yaml.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from dataclasses import replace as with_fields
from typing import TYPE_CHECKING

from controller.editing.differences import difference
from controller.editing.files import replace, require_as_read
from controller.editing.order import put_in_order
from controller.editing.reading import read_tree
from controller.editing.splicing import spliced
from controller.editing.tree import Collection, Entry, Tree
from controller.editing.unasked import ALL, unasked
from controller.editing.values import drop, field, node, put, scalar
from controller.editing.writing import write_tree
from controller.errors import ControllerError
from controller.policy.folder import read
from controller.policy.parse import SETTINGS_FILE, files_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from controller.policy.places import Value

__all__ = ["Edits", "Workspace"]


@dataclass(frozen=True)
class Edits:
    """What is to be written: what files hold (None: they are not there) and will, by path below `top`."""

    top: Path
    prefix: str
    texts: Mapping[str, tuple[bytes | None, str]]

    def differences(self) -> Iterator[str]:
        """What changes in each file, as `diff -u` shows it."""
        for file, (before, after) in self.texts.items():
            text = None if before is None else before.decode("utf-8")
            yield difference(text, after, self.prefix + file)

    def write(self) -> list[str]:
        """Write the files, each at once, and return them as positions show them.

        Raises ControllerError; before anything is written where a file is not as it was read.
        """
        for file, (before, _) in self.texts.items():
            require_as_read(self.top / file, before, self.prefix + file)
        for file, (before, after) in self.texts.items():
            replace(self.top / file, after, before, self.prefix + file)
        return [self.prefix + file for file in self.texts]


class Workspace:
    """The policy in `folder` and the edits to it. Raises PolicyErrors for one that is not valid before."""

    def __init__(self, folder: Path) -> None:
        self._contents = read(folder)
        self.policy = self._contents.parse()
        self._own = frozenset(files_of(self._contents.files, self._contents.root))
        self._trees: dict[str, Tree] = {}
        self._lists: dict[tuple[str, str, str], tuple[str, ...]] = {}
        self._indexed: dict[tuple[str, str], Mapping[str, Entry]] = {}
        self._asked: dict[tuple[str, str], set[str]] = {}
        self.rewritten: list[str] = []
        """Files of which nothing but the whole can be written: all of them stands in brackets."""

    @property
    def settings_file(self) -> str:
        """The folder's policy.yaml, as positions show it."""
        return self.shown(posixpath.join(self._contents.root, SETTINGS_FILE))

    def shown(self, file: str) -> str:
        """A file of the workspace as positions show it."""
        return self._contents.prefix + file

    def stands_in(self, section: str, name: str) -> str:
        """The file in which an entry of the policy stands, as positions show it."""
        return self.policy.at(section, name).file

    def is_own(self, shown: str) -> bool:
        """Whether a file stands in this folder, and not in one that it extends."""
        return shown[len(self._contents.prefix) :] in self._own

    def file_below(self, name: str) -> str:
        """A file of this folder by its path below it, there or not, as positions show it."""
        return self.shown(posixpath.normpath(posixpath.join(self._contents.root, name)))

    def file_for(self, section: str, given: str, usual: str) -> str:
        """The file that takes new entries: the given one, that with most of the section, or the usual one.

        Raises ControllerError for a file that is none of this folder's policy.
        """
        if given:
            if not given.endswith(".yaml") or given.startswith(("/", ".")) or ".." in given.split("/"):
                raise ControllerError(f"{given} is no *.yaml file below the policy folder")
            return self.file_below(given)
        counted = self.files_with(section)
        return max(counted, key=lambda one: counted[one]) if counted else self.file_below(usual)

    def files_with(self, section: str) -> Mapping[str, int]:
        """This folder's files that hold entries of a section, and how many each."""
        counted: dict[str, int] = {}
        for name in getattr(self.policy, section):
            file = self.stands_in(section, name)
            if self.is_own(file):
                counted[file] = counted.get(file, 0) + 1
        return counted

    def items(self, section: str, name: str, field: str) -> tuple[str, ...]:
        """What a list of texts of an entry holds, edits included."""
        if (section, name, field) in self._lists:
            return self._lists[section, name, field]
        return tuple(getattr(getattr(self.policy, section)[name], field))

    def set(self, section: str, name: str, path: Sequence[str], value: Value) -> str:
        """Give the field at `path` of an entry this value, and return the file that says so now."""
        file, owner = self._place(section, name, path)
        put(owner, (section, name), path, value)
        if len(path) == 1 and isinstance(value, tuple):
            self._lists[section, name, path[0]] = tuple(map(str, value))
        return file

    def clear(self, section: str, name: str, path: Sequence[str], default: Value) -> str:
        """Take the field out of an entry; where a base gives it, override it with its `default`."""
        file, owner = self._place(section, name, path)
        if self.stands_in(section, name) == file:
            drop(owner, path)
        else:
            put(owner, (section, name), path, default)
        return file

    def add(self, section: str, name: str, entry: Mapping[str, Value], file: str) -> None:
        """Add an entry to a section of the file, after those that are there; the file is made if need be."""
        self._asked[section, name] = {ALL}
        held = _entry(self._tree(file), section)
        if not isinstance(held.value, Collection):
            held.value = Collection(is_map=True, is_flow=False)
        held.value.is_flow = False
        value = Collection(is_map=True, is_flow=not entry)
        value.entries = [Entry(scalar(key), node(item)) for key, item in entry.items()]
        held.value.entries.append(Entry(scalar(name), value))

    def finished(self) -> Edits:
        """The edits, after a check of the whole policy as they leave it.

        Raises PolicyErrors, and ControllerError where it would say what nobody asked for.
        """
        texts: dict[str, tuple[bytes | None, str]] = {}
        for file, tree in self._trees.items():
            before = self._contents.files.get(file)
            after = self._written(self.shown(file), tree, (before or b"").decode("utf-8"))
            if (before or b"") != after.encode():
                texts[file] = before, after
        if texts:
            edited = {file: after.encode() for file, (_, after) in texts.items()}
            policy = with_fields(self._contents, files={**self._contents.files, **edited}).parse()
            for what in unasked(self.policy, policy, self._asked):
                raise ControllerError(
                    f"{what} would say something else that nobody asked for; nothing was written",
                    hint="put its file in form (steward fmt), then do this again",
                )
        return Edits(self._contents.top, self._contents.prefix, texts)

    def _written(self, shown: str, tree: Tree, before: str) -> str:
        after = spliced(before, tree)
        if after is not None:
            return after
        put_in_order(tree)
        if tree.root.stood:
            self.rewritten.append(shown)
        return write_tree(tree)

    def _place(self, section: str, name: str, path: Sequence[str]) -> tuple[str, Entry]:
        """Where a field of an entry is to be said: the file, and the entry or what overrides it."""
        self._asked.setdefault((section, name), set()).add(path[0] if path else ALL)
        own = self.stands_in(section, name)
        override = self._override(section, name)
        if override is not None and _says(override, path):
            return self.settings_file, override
        if self.is_own(own):
            return own, self._entries(own, section).get(name) or _entry(self._tree(own), section, name)
        return self.settings_file, _entry(self._tree(self.settings_file), "override", section, name)

    def _entries(self, shown: str, section: str) -> Mapping[str, Entry]:
        """The entries of a file's section by name: one walk for all of them."""
        if (shown, section) not in self._indexed:
            held = self._tree(shown).root.get(section)
            entries = held.value.entries if held is not None and isinstance(held.value, Collection) else []
            self._indexed[shown, section] = {one.key.value: one for one in entries if one.key is not None}
        return self._indexed[shown, section]

    def _override(self, section: str, name: str) -> Entry | None:
        if not self.policy.overridden:
            return None
        found: Entry | None = Entry(None, self._tree(self.settings_file).root)
        for step in ("override", section, name):
            value = found.value if found is not None else None
            found = value.get(step) if isinstance(value, Collection) else None
        return found

    def _tree(self, shown: str) -> Tree:
        file = self._below_top(shown)
        if file not in self._trees:
            data = self._contents.files.get(file, b"")
            self._trees[file] = read_tree(data.decode("utf-8"), shown)
        return self._trees[file]

    def _below_top(self, shown: str) -> str:
        return shown.removeprefix(self._contents.prefix)


def _says(entry: Entry, path: Sequence[str]) -> bool:
    found: Entry | None = entry
    for name in path:
        value = found.value if found is not None else None
        found = value.get(name) if isinstance(value, Collection) else None
    return found is not None


def _entry(tree: Tree, *path: str) -> Entry:
    """The entry at `path`, made where it is missing."""
    held = Entry(None, tree.root)
    for depth, name in enumerate(path):
        held = field(held, path[:depth], name)
    return held
