"""Bytes of files → one checked policy, or every mistake in them at once.

The order: each file by itself, bases and overrides united, types, names that point at each other. A mistake
is reported once, where it stands: of several complaints about one place the first counts.
"""

from __future__ import annotations

import hashlib
import posixpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from pydantic import ValidationError

from controller.policy.checks import check
from controller.policy.collecting import without_garbage_collection
from controller.policy.complaints import complaints
from controller.policy.document import Document, read_document
from controller.policy.merge import Layer, Merged, merge
from controller.policy.model import Policy
from controller.policy.places import Place, value_position
from controller.policy.position import SourcePosition
from controller.policy.problems import PolicyErrors, Problem, quoted
from controller.policy.secrets import find_secrets
from controller.policy.unapplied import not_applied

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MAX_FOLDER_BYTES", "SETTINGS_FILE", "bases", "files_of", "parse"]

MAX_FOLDER_BYTES: Final = 50_000_000
SETTINGS_FILE: Final = "policy.yaml"


class _Start(NamedTuple):
    line: int = 0
    column: int = 0


def parse(files: Mapping[str, bytes], root: str, *, prefix: str = "") -> Policy:
    """The policy of the folder `root`.

    `files` holds the repository (or the part of it that matters) by path, `/` between folders, as Git names
    them; `root` is the folder's path in it. Positions show `prefix` before each path. Raises PolicyErrors.
    """
    root = _normal(root)
    reading = _Reading(files, prefix)
    _require_one_environment(files, root, prefix)
    with without_garbage_collection():
        reading.add_folder(root)
        settings = prefix + posixpath.join(root, SETTINGS_FILE)
        merged = merge(tuple(reading.layers), Place(settings, _Start()))
        if reading.incomplete:
            merged.unsure.add("*")
        policy, problems = _build(merged, frozenset(problem.position for problem in reading.secrets))
        of_files, merged.problems = merged.problems, []
        _check_owner(merged, settings, document=reading.settings)
        check(merged)
        found = _one_per_place(reading.secrets, reading.problems, of_files, problems, merged.problems)
        if found or policy is None:
            raise PolicyErrors(found)
        policy._place = merged.place  # noqa: SLF001 - private to everybody but the parser
        policy._files = tuple(sorted(prefix + name for name in reading.used))  # noqa: SLF001
        policy._digest = _digest(files, root, reading.used)  # noqa: SLF001
        policy._not_applied = not_applied(merged)  # noqa: SLF001
        policy._overridden = tuple(sorted(merged.overridden))  # noqa: SLF001
        return policy


def _require_one_environment(files: Mapping[str, bytes], root: str, prefix: str) -> None:
    """Raise PolicyErrors where `root` is no environment but holds some: a slip of whoever named it."""
    settings = posixpath.join(root, SETTINGS_FILE)
    below = [name for name in files_of(files, root) if posixpath.basename(name) == SETTINGS_FILE]
    if settings in files or not below:
        return
    named = ", ".join(prefix + posixpath.dirname(name) for name in below)
    message = (
        f"missing: a policy folder holds exactly one {SETTINGS_FILE}; there are environments below: {named}"
    )
    raise PolicyErrors([Problem(SourcePosition(prefix + settings, 1, 1), message)])


def files_of(names: Mapping[str, bytes], folder: str) -> list[str]:
    """The policy files below `folder`, sorted; hidden files and folders are passed over."""
    start = folder + "/" if folder else ""
    below = (name for name in names if name.startswith(start))
    return sorted(
        name
        for name in below
        if name.endswith((".yaml", ".yml"))
        and not any(part.startswith(".") for part in name[len(start) :].split("/"))
    )


def bases(document: Document, folder: str) -> list[tuple[str, SourcePosition]]:
    """The folders that a policy.yaml extends, with the position of each; what is no text is left out."""
    extends = document.value.get("extends") if isinstance(document.value, dict) else None
    items = extends if isinstance(extends, tuple) else ()
    return [
        (_normal(posixpath.join(folder, item)), value_position(document.place, ("extends", index)))
        for index, item in enumerate(items)
        if isinstance(item, str)
    ]


def _normal(folder: str) -> str:
    path = posixpath.normpath(folder) if folder else ""
    return "" if path == "." else path


@dataclass
class _Reading:
    """Folders read so far, bases first."""

    files: Mapping[str, bytes]
    prefix: str
    layers: list[Layer] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    secrets: list[Problem] = field(default_factory=list)
    used: list[str] = field(default_factory=list)
    incomplete: bool = False
    settings: Document | None = None
    _open: list[str] = field(default_factory=list)
    _done: set[str] = field(default_factory=set)

    def add_folder(self, folder: str) -> None:
        """Read a folder after the folders that it extends."""
        names = files_of(self.files, folder)
        settings = posixpath.join(folder, SETTINGS_FILE)
        self._require_size(names, settings)
        documents = [self._read(name) for name in names if name.endswith(".yaml")]
        self._check_names(names, settings)
        by_name = {document.file: document for document in documents}
        own = by_name.get(self.prefix + settings)
        self._open.append(folder)
        if own is not None and not own.broken:
            self._add_bases(own, folder)
        self._open.pop()
        self._done.add(folder)
        self.settings = own
        self._check_version(own)
        broken = tuple(self._text(d.file) for d in documents if d.broken)
        self.layers.append(Layer(tuple(documents), broken, self.prefix + settings))

    def _read(self, name: str) -> Document:
        document = read_document(self.files[name], self.prefix + name)
        self.used.append(name)
        if not document.broken:
            self.secrets.extend(find_secrets(document, self._text(document.file)))
        return document

    def _text(self, shown: str) -> str:
        return self.files[shown[len(self.prefix) :]].decode("utf-8", "replace")

    def _add_bases(self, document: Document, folder: str) -> None:
        value = document.value.get("extends") if isinstance(document.value, dict) else None
        if value is not None and not isinstance(value, tuple):
            self._problem(value_position(document.place, ("extends",)), '"extends" must be a list')
        for index, item in enumerate(value if isinstance(value, tuple) else ()):
            if not isinstance(item, str):
                self._problem(
                    value_position(document.place, ("extends", index)), "must be the path of a folder"
                )
        for base, where in bases(document, folder):
            self._add_base(base, where)

    def _add_base(self, base: str, where: SourcePosition) -> None:
        if base in self._open:
            circle = " → ".join(quoted(name) for name in (*self._open[self._open.index(base) :], base))
            self._problem(where, f"extends goes in a circle: {circle}")
        elif base.startswith(("..", "/")):
            self._problem(where, "extends leads out of the repository")
        elif not files_of(self.files, base):
            self._problem(where, f"extends: no *.yaml files in {quoted(self.prefix + base)}")
        elif base not in self._done:
            self.add_folder(base)

    def _problem(self, where: SourcePosition, message: str) -> None:
        self.incomplete = True
        self.problems.append(Problem(where, message))

    def _require_size(self, names: list[str], settings: str) -> None:
        """Raise PolicyErrors for a folder over the limit: nobody waits for what is refused anyway."""
        if sum(len(self.files[name]) for name in names) > MAX_FOLDER_BYTES:
            megabytes = MAX_FOLDER_BYTES // 1_000_000
            message = (
                f"the folder holds more than {megabytes} MB: nothing of it was read; split the environment"
            )
            raise PolicyErrors([Problem(SourcePosition(self.prefix + settings, 1, 1), message)])

    def _check_names(self, names: list[str], settings: str) -> None:
        for name in names:
            start = SourcePosition(self.prefix + name, 1, 1)
            if name.endswith(".yml"):
                self._problem(start, "a policy file ends in .yaml; this one would be overlooked")
            elif posixpath.basename(name) == SETTINGS_FILE and name != settings:
                self._problem(
                    start, f"exactly one {SETTINGS_FILE}, at the top of the folder: {self.prefix}{settings}"
                )

    def _check_version(self, document: Document | None) -> None:
        if document is None or document.broken:
            return
        if isinstance(document.value, dict) and "version" not in document.value:
            self.problems.append(
                Problem(SourcePosition(document.file, 1, 1), '"version" is missing: version: 1')
            )


def _check_owner(merged: Merged, settings: str, *, document: Document | None) -> None:
    start = SourcePosition(settings, 1, 1)
    if document is None:
        merged.report(start, f"missing: a policy folder holds exactly one {SETTINGS_FILE}")
    elif not document.broken and "owner" not in merged.values:
        merged.report(start, '"owner" is missing: the ownership mark of what this policy manages')


def _build(merged: Merged, secrets: frozenset[SourcePosition]) -> tuple[Policy | None, list[Problem]]:
    try:
        return Policy.model_validate(merged.values), []
    except ValidationError as error:
        return None, complaints(error, merged.place, secrets)


def _one_per_place(*groups: list[Problem]) -> list[Problem]:
    found: dict[SourcePosition, Problem] = {}
    for group in groups:
        for problem in group:
            found.setdefault(problem.position, problem)
    return list(found.values())


def _digest(files: Mapping[str, bytes], root: str, names: list[str]) -> str:
    digest = hashlib.sha256(b"steward-policy-1\n")
    for name in sorted(names):
        content = hashlib.sha256(files[name]).hexdigest()
        digest.update(f"{content} {posixpath.relpath(name, root or '.')}\n".encode())
    return digest.hexdigest()
