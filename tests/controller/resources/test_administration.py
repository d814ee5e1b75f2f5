"""By which ways people administer a realm, and what of ours makes them. Pure."""

from __future__ import annotations

import pytest

from controller.keycloak_groups import KeycloakGroup, administering
from controller.keycloak_values import KeycloakAdministration
from controller.resources.administration import OTHER_WAY, Ways

INCLUDES = {"boss": frozenset({"admin"}), "default-roles-x": frozenset({"offline_access"})}
ADMINISTRATION = KeycloakAdministration(
    users=frozenset({"by hand"}),
    groups=frozenset({"g-it"}),
    roles=frozenset({"admin", "boss"}),
    includes=INCLUDES,
)
GROUPS = (
    KeycloakGroup("it", "g-it"),
    KeycloakGroup("ops", "g-ops", parent_id="g-it"),
    KeycloakGroup("bosses", "g-bosses", roles=frozenset({"boss"})),
    KeycloakGroup("lab", "g-lab", roles=frozenset({"viewer"})),
)
OURS = Ways(
    ADMINISTRATION,
    administering(GROUPS, ADMINISTRATION),
    frozenset({"boss", "viewer"}),
    {"g-ops": "ops", "g-lab": "lab"},
)
CASES = {
    "a mapping by hand": ("by hand", (), (), {OTHER_WAY}),
    "a role of ours": ("jo", {"boss", "viewer"}, (), {"roles/boss"}),
    "a role of others": ("jo", {"admin"}, (), {OTHER_WAY}),
    "a team below a group that gives it": ("jo", (), {"g-ops"}, {"teams/ops"}),
    "a group of others with a role": ("jo", (), {"g-bosses"}, {OTHER_WAY}),
    "two ways": ("by hand", {"boss"}, {"g-ops"}, {OTHER_WAY, "roles/boss", "teams/ops"}),
    "none": ("jo", {"viewer"}, {"g-lab"}, set()),
}


@pytest.mark.parametrize(("user", "roles", "groups", "ways"), CASES.values(), ids=CASES)
def test_how_somebody_administers(user, roles, groups, ways):
    assert OURS.of(user, roles, groups) == ways


def test_what_of_ours_makes_administrators():
    assert OURS.all_of_ours() == {"roles/boss", "teams/ops"}


def test_what_our_own_account_has_of_ours_at_any_depth():
    nested = Ways(
        KeycloakAdministration(includes={"a": frozenset({"b"}), "b": frozenset({"c"})}),
        frozenset(),
        frozenset({"a", "c"}),
        {"g": "ops"},
    )
    assert nested.had_by({"a"}, {"g", "other"}) == {"roles/a", "roles/c", "teams/ops"}
