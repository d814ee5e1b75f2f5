"""What the language cannot say is left out, told, and never makes a policy that would alter something."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.importing.folder import imported
from controller.importing.saying import LeftOut, duration, sayable
from controller.importing.world import KeycloakWorld
from controller.keycloak_groups import KeycloakGroup
from controller.keycloak_login_values import OidcClient
from controller.keycloak_values import KeycloakRole, KeycloakUser
from controller.policy.parse import parse

LENGTHS = {0: "0s", 59: "59s", 60: "1m", 90: "90s", 3600: "1h", 86_400: "1d", 604_800: "1w", 777_600: "9d"}


@pytest.mark.parametrize("seconds", LENGTHS)
def test_lengths_of_time_are_said_exactly(seconds: int) -> None:
    assert duration(seconds) == LENGTHS[seconds]


def test_a_length_that_no_policy_can_say() -> None:
    assert duration(1_000_001) is None


def test_fields_are_left_out_by_themselves_and_entries_with_their_names() -> None:
    left_out = LeftOut()
    kept = sayable(
        "users",
        {
            "jo": {"email": "no address", "first_name": "Jo", "attributes": {"a": "x", "b c": "y"}},
            "Zoë": {"email": "zoe@example.org"},
            "bo": {"first_name": "<b>", "links": {"corp": {"name": "no id"}}},
        },
        left_out,
    )
    assert kept == {"jo": {"first_name": "Jo", "attributes": {"a": "x"}}, "bo": {"links": {}}}
    assert [line.rpartition(": ")[0].partition('"')[0] for line in left_out.lines()] != []
    assert {what for what, _ in left_out.told["users"]} == {
        "jo.email", "jo.attributes.b c", "Zoë", "bo.first_name", "bo.links.corp",
    }  # fmt: skip


_TEXTS = st.sampled_from(
    [
        "",
        "viewer",
        "on",
        "a b",
        "x: y",
        "# c",
        "{",
        "Zoë",
        "20:00",
        "1",
        "~",
        "it's",
        '"q"',
        "a\tb",
        "a\nb",
        "é" * 80,
    ]
)
_NAMES = st.sampled_from(
    ["jo", "bo", "on", "a b", "x:y", "Zoë", "1", "null", "a.b", "#x", "-", "lab", "viewer"]
)


@st.composite
def _worlds(draw: st.DrawFn) -> KeycloakWorld:
    roles = draw(st.lists(_NAMES, unique=True, max_size=5))
    users = draw(st.lists(_NAMES, unique=True, max_size=6))
    groups: list[KeycloakGroup] = []
    for number in range(draw(st.integers(0, 5))):
        parent = draw(st.sampled_from(["", *(group.id for group in groups)]))
        name = draw(_NAMES)
        groups.append(
            KeycloakGroup(
                name,
                id=f"g{number}",
                path=f"/{number}/{name}",
                parent_id=parent,
                description=draw(_TEXTS),
                roles=frozenset(draw(st.lists(st.sampled_from([*roles, "other"]), max_size=2))),
            )
        )
    ids = st.frozensets(st.sampled_from([f"u{number}" for number in range(6)]))
    return KeycloakWorld(
        name="acme",
        settings={"display_name": draw(_TEXTS), "sessions.idle_seconds": draw(st.integers(0, 2_000_000))},
        roles={
            name: KeycloakRole(
                name,
                description=draw(_TEXTS),
                includes=frozenset(draw(st.lists(st.sampled_from([*roles, "offline_access"]), max_size=2)))
                - {name},
            )
            for name in roles
        },
        users=tuple(
            KeycloakUser(
                name,
                id=f"u{number}",
                email=draw(st.sampled_from(["", f"p{number}@example.org", "no address"])),
                first_name=draw(_TEXTS),
                last_name=draw(_TEXTS),
                enabled=draw(st.booleans()),
                attributes=((draw(_NAMES), (draw(_TEXTS),)),),
            )
            for number, name in enumerate(users)
        ),
        holders={name: draw(ids) for name in roles},
        groups=tuple(groups),
        members={group.id: draw(ids) for group in groups},
        clients=tuple(
            OidcClient(
                name,
                description=draw(_TEXTS),
                public=draw(st.booleans()),
                roles_claim=draw(st.none() | st.booleans()),
            )
            for name in draw(st.lists(_NAMES, unique=True, max_size=3))
        ),
    )


@settings(max_examples=100, deadline=None)
@given(_worlds())
def test_whatever_is_there_makes_a_valid_policy_and_nothing_is_lost_silently(world: KeycloakWorld) -> None:
    made = imported("prod", world, [])
    policy = parse({name: text.encode() for name, text in made.files.items()}, "")
    told = "\n".join(made.left_out)
    for user in world.users:
        said = policy.users.get(user.username)
        assert said is not None or f"users: {user.username}: " in told
        if said is not None:
            assert (said.state == "active") is user.enabled
            assert said.first_name == user.first_name or f"{user.username}.first_name" in told
            held = {role for role, ids in world.holders.items() if user.id in ids} & policy.roles.keys()
            assert set(said.roles) == held
    for name, role in world.roles.items():
        assert name not in policy.roles or set(policy.roles[name].includes) == role.includes
        assert name in policy.roles or f"roles: {name}: " in told
    for group in world.groups:
        assert (
            group.name in policy.teams or f"teams: {group.path}: " in told or f"teams: {group.name}: " in told
        )
    for client in world.clients:
        assert client.client_id in policy.clients or f"clients: {client.client_id}: " in told
