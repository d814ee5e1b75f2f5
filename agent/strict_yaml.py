"""YAML read strictly: plain values, each written once where it counts.

No anchors and aliases (a few lines could stand for gigabytes), no merge keys, no key twice, no tags, nesting
bounded. What PyYAML lets through as ValueError, TypeError or RecursionError becomes this module's one error.
"""

from typing import Any, cast

import yaml

__all__ = ["BadYamlError", "read"]

_DEEPEST = 32


class BadYamlError(Exception):
    """The text is not YAML of this kind; `place` is `:line:column`, counted from 1, where it is known."""

    def __init__(self, problem: str, mark: yaml.Mark | None = None) -> None:
        super().__init__(problem)
        self.place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""


def read(data: bytes) -> Any:
    """Return the value of YAML text; raises BadYamlError."""
    try:
        return yaml.load(data, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader, only stricter
    except yaml.MarkedYAMLError as error:
        raise BadYamlError(str(error.problem or error.context), error.problem_mark) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadYamlError(str(error).replace("\n", " ")) from error


class _StrictLoader(yaml.SafeLoader):
    """A SafeLoader that refuses what can be read in two ways."""

    def __init__(self, stream: bytes) -> None:
        super().__init__(stream)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse an anchor, an alias, a tag or too deep a nesting where it stands."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "anchor", None) is not None:
            raise _problem("anchors are not allowed", event)
        if getattr(event, "tag", None) is not None:
            raise _problem("tags are not allowed", event)
        if self._depth >= _DEEPEST:
            raise _problem(f"nested deeper than {_DEEPEST} levels", event)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping and refuse a key that stands twice, is no text, or merges."""
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                raise _problem("a key that is not text", key)
            if key.value in seen:
                raise _problem(f"key {key.value!r} stands twice", key)
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Say where a scalar is that looks like a date or a number and is none."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, OverflowError) as error:
            raise _problem(str(error), node) from error


def _problem(text: str, where: yaml.Event | yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=text, problem_mark=cast("yaml.Mark", where.start_mark))
