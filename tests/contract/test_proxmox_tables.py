"""The simulator takes the parameters that the official schema of the Proxmox VE API says, and no others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from lab.proxmox.table import METHODS
from tests.contract.proxmox_schema import Schema
from tests.real.servers import real_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lab.proxmox.schema import Field

NOT_LISTED_IN_THE_SCHEMA = {"targetstorage"}
"""Lists that are one value for the simulator, or the other way round."""

CONTAINER_OPTIONS_LEFT_OUT = re.compile(
    r"arch|cmode|console|debug|dev\d+|entrypoint|env|hookscript|lock|mp\d+|net\d+|ostype|revert|rootfs|timezone"
    r"|tty|unused\d+|nameserver|searchdomain|.*\[n\]"
)


@pytest.fixture(scope="module")
def schema() -> Schema:
    return Schema.read(real_server("proxmox-schema"))


def of_one_name(name: str) -> str:
    """Numbered parameters, which the schema names once."""
    return re.sub(
        r"^(ide|sata|scsi|virtio|virtiofs|net|ipconfig|numa|parallel|serial|unused|usb|hostpci)\d+$",
        r"\1[n]",
        name,
    )


def faults(said: Mapping[str, Any], ours: Field, *, in_path: bool) -> Iterator[str]:
    if bool(int(said.get("optional") or 0)) != ours.optional and not in_path:
        yield "optional"
    for theirs, value in (
        ("maxLength", ours.max_length),
        ("minLength", ours.min_length),
        ("minimum", ours.minimum),
        ("maximum", ours.maximum),
    ):
        if (int(said[theirs]) if theirs in said else None) != value:
            yield f"{theirs} {said.get(theirs)} {value}"
    if tuple(said.get("enum") or ()) != ours.enum:
        yield f"enum {said.get('enum')} {ours.enum}"
    if (said.get("requires") or "") != ours.requires:
        yield f"requires {said.get('requires')} {ours.requires}"
    kind = said.get("type", "string")
    if kind != ours.kind and not (kind == "array" and ours.listed):
        yield f"type {kind} {ours.kind}"
    if bool(said.get("pattern")) != bool(ours.pattern):
        yield f"pattern {said.get('pattern')} {ours.pattern}"
    form = said.get("format")
    if isinstance(form, str) and form.endswith("-list") != ours.listed:
        yield f"list {form}"


@pytest.mark.parametrize("method", METHODS, ids=lambda method: f"{method.verb} {method.path}")
def test_a_method_takes_what_the_schema_says(schema, method):
    said = schema.calls[(method.verb, method.path.replace("*}", "}"))]
    ours = {of_one_name(name): field for name, field in method.schema.items()}
    left_out = set(said) - set(ours)
    if method.path.endswith("/lxc/{vmid}/config"):
        left_out = {name for name in left_out if not CONTAINER_OPTIONS_LEFT_OUT.fullmatch(name)}
        said = {name: one for name, one in said.items() if not CONTAINER_OPTIONS_LEFT_OUT.fullmatch(name)}
        ours = {name: one for name, one in ours.items() if not CONTAINER_OPTIONS_LEFT_OUT.fullmatch(name)}
    assert (sorted(left_out), sorted(set(ours) - set(said))) == ([], [])
    found = {
        name: list(faults(said[name], field, in_path=f"{{{name}" in method.path))
        for name, field in ours.items()
        if name not in NOT_LISTED_IN_THE_SCHEMA
    }
    assert {name: one for name, one in found.items() if one} == {}
