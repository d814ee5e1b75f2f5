"""What the language has at a place: the fields of a map in their order, and whether a field is a list.

Learnt from the types that policies are read into, so that there is one description of the language.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args, get_origin

from pydantic import BaseModel

from controller.policy.model import Sections

if TYPE_CHECKING:
    from collections.abc import Iterable

    from controller.policy.places import Token

__all__ = ["accepts", "fields_at", "is_list", "is_named_map"]


def fields_at(path: Iterable[Token]) -> tuple[str, ...]:
    """The fields that the language knows at `path`, in its order; () where names are free or nothing is."""
    found = _model(_kind(path))
    return tuple(found.model_fields) if found else ()


def is_named_map(path: Iterable[Token]) -> bool:
    """Whether a map with free names stands at `path`."""
    kind = _kind(path)
    return any(get_origin(choice) is dict for choice in (kind, *get_args(kind)))


def is_list(path: Iterable[Token]) -> bool:
    """Whether a list stands at `path`."""
    kind = _kind(path)
    return any(get_origin(choice) is tuple for choice in (kind, *get_args(kind)))


def accepts(path: Iterable[Token], kind: type) -> bool:
    """Whether a value of exactly this type (`bool`, `int`, `NoneType`) may stand at `path`."""
    found = _kind(path)
    return found is kind or kind in get_args(found)


def _kind(path: Iterable[Token]) -> object:
    kind: object = Sections
    for token in path:
        kind = _inner(kind, token)
    return kind


def _inner(kind: object, token: Token) -> object:
    """The type of what stands at `token` in a value of type `kind`."""
    found = _model(kind)
    if found is not None:
        member = found.model_fields.get(str(token))
        return member.annotation if member else None
    for choice in (kind, *get_args(kind)):
        if get_origin(choice) in {dict, tuple}:
            arguments = get_args(choice)
            return arguments[1] if get_origin(choice) is dict else arguments[0]
    return None


def _model(kind: object) -> type[BaseModel] | None:
    """The model in a type like `Model` or `Model | None`."""
    for choice in (kind, *get_args(kind)):
        if (
            get_origin(kind) not in {dict, tuple}
            and isinstance(choice, type)
            and issubclass(choice, BaseModel)
        ):
            return choice
    return None
