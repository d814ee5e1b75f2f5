"""The registry of kinds, and how lists of names match."""

from __future__ import annotations

import msgspec
import pytest

from protocol.documents import KindLimits
from protocol.errors import BadDocument
from protocol.kinds import KINDS
from protocol.names import is_listed

RESOURCES = {
    "host.ping": ({}, "host"),
    "service.start": ({"unit": "web"}, "service:web"),
    "service.stop": ({"unit": "web"}, "service:web"),
    "service.restart": ({"unit": "web"}, "service:web"),
    "service.status": ({"unit": "web"}, "service:web"),
    "account.ensure": ({"account": "jo"}, "account:jo"),
    "account.lock": ({"account": "jo"}, "account:jo"),
    "account.remove": ({"account": "jo"}, "account:jo"),
    "backup.run": ({"set": "etc", "repository": "local"}, "backup:etc"),
}
LISTED = {
    "itself": ("web", ["db", "web"], True),
    "prefix": ("web-01", ["web-*"], True),
    "everything": ("anything", ["*"], True),
    "prefix_itself": ("web-", ["web-*"], True),
    "nothing": ("web", [], False),
    "longer": ("web2", ["web"], False),
    "shorter": ("we", ["web"], False),
    "shorter_than_prefix": ("web", ["web-*"], False),
    "case": ("Web", ["web"], False),
    "no_glob": ("web", ["w?b"], False),
    "star_is_no_name": ("*", ["web"], False),
}


def test_every_kind_is_described() -> None:
    assert set(KINDS) == set(RESOURCES)
    assert all(name == kind.name for name, kind in KINDS.items())


@pytest.mark.parametrize("name", RESOURCES)
def test_resource_and_limited_names(name: str) -> None:
    fields, resource = RESOURCES[name]
    kind = KINDS[name]
    args = kind.parse_args(fields)
    assert kind.resource(args) == resource
    assert sorted(kind.limited_names(args).values()) == sorted(fields.values())
    assert kind.limited_names(args).keys() <= set(KindLimits.__struct_fields__) - {"approvals"}


@pytest.mark.parametrize("name", RESOURCES)
def test_arguments_are_exact(name: str) -> None:
    fields, _ = RESOURCES[name]
    wrong = [fields | {"note": ""}, *({k: v for k, v in fields.items() if k != left} for left in fields)]
    wrong += [
        fields | {field: value} for field in fields for value in ("", "a" * 65, "-a", "a/b", "a\n", "*", None)
    ]
    for args in wrong:
        with pytest.raises(BadDocument):
            KINDS[name].parse_args(args)


def test_the_registry_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        KINDS["shell.run"] = KINDS["host.ping"]  # type: ignore[index]


def test_results_are_plain_values() -> None:
    for kind in KINDS.values():
        if kind.result is not None:
            assert issubclass(kind.result, msgspec.Struct)


@pytest.mark.parametrize("case", LISTED)
def test_lists_of_names(case: str) -> None:
    name, patterns, expected = LISTED[case]
    assert is_listed(name, patterns) is expected
