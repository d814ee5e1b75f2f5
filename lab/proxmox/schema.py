"""Parameter schemas: what a method takes, and upstream's words for what it does not.

The checks and their order follow PVE::JSONSchema `check_prop` and `check_object`: all bad parameters are
reported together, each with its first fault. A value is the text of a form field, or a list where a field
was repeated or a JSON body held an array; list parameters take both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from lab.proxmox.errors import wrong_parameters
from lab.proxmox.formats import FORMATS, split_list
from lab.proxmox.property_strings import is_integer, is_number

__all__ = ["Field", "Schema", "Value", "boolean", "integer", "number", "text", "verify"]

Value = str | list[str]


@dataclass(frozen=True)
class Field:
    """One parameter. `listed` means that the format holds for each element of a list."""

    kind: Literal["string", "integer", "number", "boolean"] = "string"
    optional: bool = False
    format: str = ""
    listed: bool = False
    pattern: str = ""
    min_length: int | None = None
    max_length: int | None = None
    minimum: int | None = None
    maximum: int | None = None
    enum: tuple[str, ...] = ()
    requires: str = ""

    def maybe(self) -> Field:
        """The same parameter, but it may be left out."""
        return replace(self, optional=True)


Schema = Mapping[str, Field]


def text(
    form: str = "",
    *,
    optional: bool = False,
    max_length: int | None = None,
    min_length: int | None = None,
    listed: bool = False,
    requires: str = "",
) -> Field:
    """A string parameter."""
    return Field(
        format=form,
        optional=optional,
        max_length=max_length,
        min_length=min_length,
        listed=listed,
        requires=requires,
    )


def boolean(*, requires: str = "") -> Field:
    """An optional switch: exactly `0` or `1`."""
    return Field(kind="boolean", optional=True, requires=requires)


def integer(*, minimum: int | None = None, maximum: int | None = None) -> Field:
    """An optional whole number."""
    return Field(kind="integer", optional=True, minimum=minimum, maximum=maximum)


def number(*, minimum: int | None = None, maximum: int | None = None) -> Field:
    """An optional number."""
    return Field(kind="number", optional=True, minimum=minimum, maximum=maximum)


def verify(schema: Schema, values: Mapping[str, Value]) -> dict[str, str]:
    """The parameters as plain text, lists joined by commas; raises the 400 that names every bad one."""
    errors: dict[str, str] = {}
    clean: dict[str, str] = {}
    for name, field in schema.items():
        value = values.get(name)
        if value is None:
            if not field.optional:
                errors[name] = "property is missing and it is not optional"
            continue
        plain = ",".join(value) if isinstance(value, list) and field.listed else value
        fault = _fault(field, plain)
        if fault:
            errors[name] = fault
        elif isinstance(plain, str):
            clean[name] = plain
    _check_relations(schema, values, errors)
    if errors:
        raise wrong_parameters(errors)
    return clean


def _check_relations(schema: Schema, values: Mapping[str, Value], errors: dict[str, str]) -> None:
    for name in values:
        field = schema.get(name)
        if field is None:
            _add(
                errors,
                name,
                "property is not defined in schema and the schema does not allow additional properties",
            )
        elif field.requires and field.requires not in values:
            _add(errors, field.requires, f"missing property required by '{name}'")


def _add(errors: dict[str, str], name: str, fault: str) -> None:
    # The separator is upstream's own: a backslash and an n, not a line end.
    errors[name] = f"{errors[name]}\\n{fault}" if name in errors else fault


def _fault(field: Field, value: Value) -> str:
    if isinstance(value, list):
        return f"type check ('{field.kind}') failed - got ARRAY"
    if not _has_type(field.kind, value):
        return f"type check ('{field.kind}') failed - got '{value}'"
    return _format_fault(field, value) or _length_fault(field, value) or _range_fault(field, value)


def _has_type(kind: str, value: str) -> bool:
    if kind == "boolean":
        return value in {"0", "1"}
    if kind == "integer":
        return is_integer(value)
    if kind == "number":
        return is_number(value)
    return True


def _format_fault(field: Field, value: str) -> str:
    if field.format:
        check = FORMATS[field.format]
        for element in split_list(value) if field.listed else [value]:
            complaint = check(element)
            if complaint is not None:
                return f"invalid format - {complaint}"
    if field.pattern and not re.fullmatch(field.pattern, value):
        return "value does not match the regex pattern"
    return ""


def _length_fault(field: Field, value: str) -> str:
    if field.max_length is not None and len(value) > field.max_length:
        return f"value may only be {field.max_length} characters long"
    if field.min_length is not None and len(value) < field.min_length:
        return f"value must be at least {field.min_length} characters long"
    return ""


def _range_fault(field: Field, value: str) -> str:
    if _has_type("number", value):
        if field.maximum is not None and float(value) > field.maximum:
            return f"value must have a maximum value of {field.maximum}"
        if field.minimum is not None and float(value) < field.minimum:
            return f"value must have a minimum value of {field.minimum}"
    if field.enum and value not in field.enum:
        return f"value '{value}' does not have a value in the enumeration '{', '.join(field.enum)}'"
    return ""
