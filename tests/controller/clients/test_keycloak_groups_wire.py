"""Groups between Keycloak's JSON and our values: what a PUT must carry, what a page says. Pure."""

from __future__ import annotations

import msgspec
import pytest

from controller.clients.keycloak_people_wire import GroupAnswer, LinkAnswer, merged_group, new_group
from controller.keycloak_groups import GroupPatch, KeycloakGroup, KeycloakLink

CURRENT = {
    "id": "g",
    "name": "lab",
    "path": "/lab",
    "description": "d",
    "attributes": {"theirs": ["x"], "steward.managers": ["jo"]},
    "realmRoles": ["viewer"],
    "access": {"view": True},
}
MERGES = {
    "nothing": (GroupPatch(), "d", CURRENT["attributes"]),
    "a description": (GroupPatch(description="e"), "e", CURRENT["attributes"]),
    "a description cleared": (GroupPatch(description=""), "", CURRENT["attributes"]),
    "an attribute more": (
        GroupPatch(attributes=(("steward.owner", ("prod",)),)),
        "d",
        {**CURRENT["attributes"], "steward.owner": ["prod"]},
    ),
    "an attribute less": (GroupPatch(attributes=(("steward.managers", ()),)), "d", {"theirs": ["x"]}),
}


@pytest.mark.parametrize(("patch", "description", "attributes"), MERGES.values(), ids=MERGES)
def test_a_put_carries_what_it_would_lose(patch, description, attributes):
    body = {"name": "lab", "description": description, "attributes": attributes}
    assert merged_group(CURRENT, patch) == body


def test_a_group_read_and_made_again_is_the_same():
    group = msgspec.convert(CURRENT, GroupAnswer).value()
    assert group == KeycloakGroup(
        "lab",
        "g",
        "/lab",
        description="d",
        attributes=(("steward.managers", ("jo",)), ("theirs", ("x",))),
        roles=frozenset({"viewer"}),
    )
    assert group.managers == {"jo"}
    assert group.owner == ""
    assert new_group(group) == {
        "name": "lab",
        "description": "d",
        "attributes": {"steward.managers": ["jo"], "theirs": ["x"]},
    }


def test_a_link_without_a_name():
    answer = msgspec.convert({"identityProvider": "google", "userId": "1"}, LinkAnswer)
    assert answer.value() == KeycloakLink("1")
