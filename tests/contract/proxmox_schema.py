"""Holds requests against the API schema of Proxmox VE, as the API viewer of version 9.2 publishes it.

The schema says of each parameter its type, whether it must be there, bounds, length, pattern and enumeration;
it knows no parameter that it does not name.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from lab.proxmox.api import Request

_TYPES = {
    "boolean": re.compile(r"[01]"),
    "integer": re.compile(r"[+-]?\d+"),
    "number": re.compile(r"[+-]?(\d+\.?\d*|\.\d+)"),
}
_LISTED = re.compile(r"-(list|alist)$")


@dataclass(frozen=True)
class Schema:
    """Every call of the API: verb and path → parameters."""

    calls: Mapping[tuple[str, str], Mapping[str, Mapping[str, Any]]]

    @classmethod
    def read(cls, path: Path) -> Schema:
        """The schema in an openapi.json made from the API viewer."""
        paths = json.loads(path.read_bytes())["paths"]
        return cls(
            {
                (verb.upper(), template): _parameters(operation)
                for template, operations in paths.items()
                for verb, operation in operations.items()
            }
        )

    def call_of(self, request: Request) -> tuple[str, str] | None:
        """Verb and path of the call that the request is; one with fewer variables before one with more."""
        found = [
            template
            for verb, template in self.calls
            if verb == request.verb and _pattern(template).fullmatch(request.path)
        ]
        return (request.verb, min(found, key=lambda one: one.count("{"))) if found else None

    def faults(self, request: Request) -> list[str]:
        """What the schema does not allow of this request."""
        call = self.call_of(request)
        if call is None:
            return [f"{request.verb} {request.path}: there is no such call"]
        named = _pattern(call[1]).fullmatch(request.path)
        values = {**(named.groupdict() if named else {}), **request.values}
        return [f"{call[0]} {call[1]}: {fault}" for fault in _faults(self.calls[call], values)]


def _parameters(operation: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    found = {one["name"]: _raw(one, one["name"]) for one in operation.get("parameters", ())}
    for content in operation.get("requestBody", {}).get("content", {}).values():
        required = content["schema"].get("required", ())
        for name, raw in content["schema"].get("properties", {}).items():
            found.setdefault(name, {"optional": int(name not in required), **_raw(raw, name)})
    return found


def _raw(said: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """What the API viewer says of a parameter, under what the conversion made of it."""
    raw = said.get("x-proxmox", {}).get("raw") or said
    return dict(raw.get("properties", {}).get(name, raw))


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template))


def _faults(schema: Mapping[str, Mapping[str, Any]], values: Mapping[str, Any]) -> Iterator[str]:
    for name in values:
        if name not in schema:
            yield f"{name} is no parameter"
    for name, said in schema.items():
        if name not in values:
            if not int(said.get("optional") or 0):
                yield f"{name} is missing"
            continue
        needs = said.get("requires")
        if needs and needs not in values:
            yield f"{name} needs {needs}"
        value = values[name]
        fault = "is given twice" if not isinstance(value, str) else _fault(said, value)
        if fault:
            yield f"{name}={value!r} {fault}"


def _fault(said: Mapping[str, Any], value: str) -> str:
    kind = str(said.get("type", "string"))
    if kind in _TYPES and not _TYPES[kind].fullmatch(value):
        return f"is no {kind}"
    if kind in {"integer", "number"}:
        if "minimum" in said and float(value) < float(said["minimum"]):
            return f"is less than {said['minimum']}"
        if "maximum" in said and float(value) > float(said["maximum"]):
            return f"is more than {said['maximum']}"
    if "maxLength" in said and len(value) > int(said["maxLength"]):
        return f"is longer than {said['maxLength']}"
    if "minLength" in said and len(value) < int(said["minLength"]):
        return f"is shorter than {said['minLength']}"
    if said.get("enum") and not _LISTED.search(str(said.get("format", ""))) and value not in said["enum"]:
        return f"is none of {', '.join(map(str, said['enum']))}"
    pattern = said.get("pattern")
    if pattern and not re.fullmatch(re.sub(r"^\(\?\^[a-z]*:", "(?:", str(pattern)), value):
        return f"does not match {pattern}"
    return ""
