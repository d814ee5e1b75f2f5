"""Keycloak's JSON into values and back: what is not ours to alter passes through."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from controller.clients.keycloak_answers import decoded
from controller.clients.keycloak_wire import (
    ImportAnswer,
    RealmAnswer,
    RoleAnswer,
    UserAnswer,
    imported_user,
    merged_realm,
    merged_role,
    merged_user,
)
from controller.errors import ControllerError
from controller.keycloak_values import (
    KeycloakUser,
    RealmPatch,
    RolePatch,
    UserPatch,
    attributes_of,
)

TEXTS = st.text(max_size=8)
ATTRIBUTES = st.dictionaries(TEXTS, st.lists(TEXTS, min_size=1, max_size=3), max_size=4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def answer(body: bytes) -> requests.Response:
    response = requests.Response()
    response.status_code, response._content = 200, body
    response.request = requests.Request("GET", "https://k.example.org/admin").prepare()
    return response


class TestReading:
    def test_user_in_normal_form(self) -> None:
        body = {
            "id": "1",
            "username": "Jo.Doe",
            "email": "Jo@Example.ORG",
            "enabled": True,
            "requiredActions": ["VERIFY_EMAIL", "CONFIGURE_TOTP"],
            "attributes": {"z": ["2", "1"], "a": [], "steward.owner": ["prod"]},
            "someFieldOfTheFuture": {"x": 1},
        }
        user = decoded(answer(json.dumps(body).encode()), UserAnswer).value()
        assert user == KeycloakUser(
            "jo.doe",
            id="1",
            email="jo@example.org",
            required_actions=("CONFIGURE_TOTP", "VERIFY_EMAIL"),
            attributes=(("steward.owner", ("prod",)), ("z", ("2", "1"))),
        )
        assert user.owner == "prod"

    def test_realm_of_which_we_see_the_name_alone(self) -> None:
        assert not decoded(answer(b'{"realm": "acme", "bruteForceProtected": true}'), RealmAnswer).is_whole

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"<html>",
            b"[]",
            b"null",
            b"{}",
            b'{"id": "1", "username": 5}',
            b'{"id": "1", "username": "jo", "attributes": {"a": "text"}}',
            b'{"id": "1", "username": "jo"',
            b'{"id": "1", "username": "j\xff"}',
            b'{"a":' + b"[" * 100_000,
        ],
    )
    def test_not_a_user(self, body: bytes) -> None:
        with pytest.raises(ControllerError, match="/admin answered something"):
            decoded(answer(body), UserAnswer)

    @given(JSON)
    @pytest.mark.parametrize(
        "kind", [UserAnswer, RoleAnswer, RealmAnswer, ImportAnswer, list[UserAnswer], int]
    )
    def test_anything_is_read_or_refused(self, kind: type[Any], value: object) -> None:
        with contextlib.suppress(ControllerError):
            decoded(answer(json.dumps(value).encode()), kind)

    @given(st.binary(max_size=60))
    def test_any_bytes_are_read_or_refused(self, body: bytes) -> None:
        with contextlib.suppress(ControllerError):
            decoded(answer(body), UserAnswer)


class TestMerging:
    @given(JSON, ATTRIBUTES, TEXTS)
    def test_what_a_patch_does_not_name_passes_through(
        self, unknown: object, attributes: dict[str, list[str]], text: str
    ) -> None:
        current = {"field of tomorrow": unknown, "attributes": attributes, "email": text, "description": text}
        assert merged_user(current, UserPatch()) == current
        assert merged_role(current, RolePatch()) == current
        realm = current | {"attributes": {name: values[0] for name, values in attributes.items()}}
        assert merged_realm(realm, RealmPatch()) == realm

    @given(ATTRIBUTES, ATTRIBUTES)
    def test_attributes_are_laid_over(
        self, current: dict[str, list[str]], patch: dict[str, list[str]]
    ) -> None:
        merged = merged_user({"attributes": current}, UserPatch(attributes=attributes_of(patch)))
        assert merged["attributes"] == current | patch

    @given(ATTRIBUTES)
    def test_attributes_without_values_are_removed(self, current: dict[str, list[str]]) -> None:
        patch = tuple((name, ()) for name in current)
        assert merged_user({"attributes": current}, UserPatch(attributes=patch))["attributes"] == {}
        texts = {name: values[0] for name, values in current.items()}
        assert merged_realm({"attributes": texts}, RealmPatch(attributes=patch))["attributes"] == {}

    def test_falsy_values_are_values(self) -> None:
        merged = merged_user({"enabled": True, "email": "a"}, UserPatch(enabled=False, email=""))
        assert (merged["enabled"], merged["email"]) == (False, "")

    @given(ATTRIBUTES)
    def test_attributes_have_one_normal_form(self, attributes: dict[str, list[str]]) -> None:
        normal = attributes_of(attributes)
        assert attributes_of(dict(normal)) == normal
        assert attributes_of(dict(reversed(attributes.items()))) == normal

    def test_an_imported_user_names_its_roles(self) -> None:
        body = imported_user(KeycloakUser("jo", roles=frozenset({"b", "a"})))
        assert body["realmRoles"] == ["a", "b"]
        assert body["email"] is None
