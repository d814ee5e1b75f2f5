"""``steward import`` of a realm made by hand: planning it is empty, enforcing it only sets our mark."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from controller.cli.main import main
from controller.clients.keycloak_connection import KeycloakAccess
from controller.clients.keycloak_writer import KeycloakWriter
from controller.keycloak_groups import KeycloakGroup, KeycloakLink
from controller.keycloak_login_values import IdentityProvider, OidcClient
from controller.keycloak_values import KeycloakRealm, KeycloakRole, KeycloakUser, attributes_of
from controller.policy.folder import load

if TYPE_CHECKING:
    from pathlib import Path

    from lab.keycloak.real import RunningKeycloak

REALM = "by-hand"

SETTINGS: dict[str, Any] = {
    "display_name": "By hand: yes",
    "brute_force": True,
    "brute_force.failures": 7,
    "brute_force.lockout_seconds": 660,
    "password_policy.length": 12,
    "password_policy.not_email": True,
    "password_policy.max_age_seconds": 90 * 86_400,
    "otp.algorithm": "SHA256",
    "sessions.idle_seconds": 1801,
    "sessions.offline_max_seconds": 5_184_000,
    "tokens.refresh_once": True,
    "mail.host": "mail.example.org",
    "mail.port": 587,
    "mail.sender": "sso@example.org",
    "mail.sender_name": "on",
    "mail.encryption": "starttls",
    "required_actions.CONFIGURE_TOTP": "default",
    "events.logins": True,
    "events.keep_seconds": 86_400,
}


def make(server: KeycloakWriter) -> None:
    """A realm as people make them: with names that no policy can say, and settings of every kind."""
    server.create_realm(KeycloakRealm(REALM, admin_events=True), SETTINGS)
    server.declare_owner()
    for role in (
        KeycloakRole("viewer", description="looks: # and says"),
        KeycloakRole("power user", description="a blank in the name"),
        KeycloakRole("editor", includes=frozenset({"viewer"})),
        KeycloakRole("boss", includes=frozenset({"editor", "power user"})),
        KeycloakRole("root", includes=frozenset({"boss"})),
        KeycloakRole("guest", includes=frozenset({"offline_access"})),
    ):
        server.create_role(role)
    top = server.create_group(KeycloakGroup("science", description="all of it"))
    server.create_group(KeycloakGroup("lab", parent_id=top, roles=frozenset({"viewer"})))
    other = server.create_group(KeycloakGroup("night shift"))
    server.create_group(KeycloakGroup("guards", parent_id=other))
    server.create_group(KeycloakGroup("double"))
    server.create_group(KeycloakGroup("double", parent_id=top))
    server.create_identity_provider(
        IdentityProvider(
            "corp",
            client_id="steward",
            issuer="https://corp.example.org",
            authorization_url="https://corp.example.org/auth",
            token_url="https://corp.example.org/token",
            trust_email=True,
        )
    )
    for client in (
        OidcClient("grafana", redirect=("https://g.example.org/*",), roles_claim=True, description="boards"),
        OidcClient("machine", login=False, service_account=True),
        OidcClient("page", public=True, pkce=True, redirect=("https://p.example.org/",)),
        OidcClient("old page", public=True),
        OidcClient("loose", public=True, redirect=("https://l.example.org/",)),
    ):
        server.create_client(client)
    _make_people(server)


def _make_people(server: KeycloakWriter) -> None:
    people = [
        KeycloakUser(
            "jo",
            email="jo@example.org",
            first_name="Jo",
            last_name="O'Neil # 2",
            roles=frozenset({"viewer", "boss"}),
            required_actions=("CONFIGURE_TOTP",),
            attributes=attributes_of({"theme": "dark"}),
        ),
        KeycloakUser("bo", enabled=False, groups=frozenset({"/science/lab", "/night shift"})),
        KeycloakUser(
            "yes",
            email="on@example.org",
            first_name="null",
            last_name="20:00",
            groups=frozenset({"/science"}),
        ),
        KeycloakUser("zoé", email="zoe@example.org"),
        KeycloakUser("theirs", attributes=attributes_of({"steward.owner": "elsewhere"})),
    ]
    made = server.create_users(people)
    assert not made.failed
    server.link(made.ids["jo"], "corp", KeycloakLink("1042", "jo@corp"))


@pytest.fixture(scope="module")
def home(keycloak: RunningKeycloak, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("import")
    account = {
        "url": keycloak.url,
        "username": keycloak.username,
        "password_file": "password",
        "ca_file": str(keycloak.ca_file),
    }
    (folder / "password").write_text(keycloak.password)
    settings = {"owners": ["prod"], "data": "state", "keycloak": account}
    (folder / "controller.yaml").write_text(json.dumps(settings))
    access = KeycloakAccess(
        keycloak.url, username=keycloak.username, password=keycloak.password, ca_file=keycloak.ca_file
    )
    with KeycloakWriter(access, REALM) as server:
        make(server)
    return folder


def ended(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as caught:
        main(words)
    captured = capsys.readouterr()
    return int(caught.value.code or 0), captured.out + captured.err


def test_what_people_made_is_said_and_nothing_is_changed(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = ("-c", str(home / "controller.yaml"))
    folder = home / "prod"
    code, told = ended(capsys, "import", str(folder), "--realm", REALM, *config)
    assert code == 0, told
    for left_out in ("power user", "boss", "root", "guest", "night shift", "/double", "/science/double",
                     "zoé", "theirs", "old page", "loose.public"):  # fmt: skip
        assert f": {left_out}: " in told
    assert ended(capsys, "fmt", "--check", str(folder))[0] == 0
    policy = load(folder)
    assert set(policy.roles) == {"viewer", "editor"}
    assert {name: team.parent for name, team in policy.teams.items()} == {"science": None, "lab": "science"}
    assert set(policy.users) == {"jo", "bo", "yes"}
    assert policy.users["jo"].roles == ("viewer",)
    assert policy.users["bo"].teams == ("lab",)
    assert policy.users["jo"].links["corp"].id == "1042"
    assert {name: user.mfa for name, user in policy.users.items()} == {
        "jo": "required", "bo": "optional", "yes": "optional",
    }  # fmt: skip
    assert set(policy.clients) == {"grafana", "machine", "page", "loose"}
    assert policy.realm is not None
    assert set(policy.realm.identity_providers) == {"corp"}
    assert "client_secret: {controller_file: " in (folder / "realm.yaml").read_text()

    code, told = ended(capsys, "plan", str(folder), *config)
    assert code == 0, told
    settings = folder / "policy.yaml"
    settings.write_text(
        "".join(
            line
            for line in settings.read_text().splitlines(keepends=True)
            if ": report" not in line and line != "modes:\n"
        )
    )
    code, told = ended(capsys, "plan", str(folder), "--output", "json", *config)
    sections = {one.partition("/")[0] for one in only_marks(told)}
    assert sections == {"roles", "teams", "users", "clients", "identity_providers"}


ADOPTING = """\
version: 1
owner: prod
realm: {name: by-hand}
users:
  bo: {adopt: true}  # is in the team science/lab, and disabled
"""

NOT_ADOPTED = {
    "users/theirs": "belongs to elsewhere",
    "users/jonas": "there is no users/jonas",
    "roles/boss": "no policy can say roles/boss: its includes cannot be said whole",
    "roles/editor": "adopt roles/viewer with it",
    "teams/lab": "adopt teams/science with it",
    "teams/double": "2 groups have this name",
    "roles/default-roles-by-hand": "belongs to Keycloak itself",
    "clients/account": "belongs to Keycloak itself",
    "identity_providers/crop": "did you mean identity_providers/corp?",
    "machines/web-01": "nothing that can be adopted",
}


def only_marks(told: str) -> set[str]:
    """The changes of a plan, each of which only sets our mark."""
    changes = [one for one in json.loads(told)["changes"] if one["section"] != "profile"]
    for one in changes:
        assert {name for name in one["after"] if one["before"].get(name) != one["after"][name]} == {
            "owner"
        }, one
    return {f"{one['section']}/{one['key']}" for one in changes}


def test_single_objects_are_adopted_as_they_are(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = ("-c", str(home / "controller.yaml"))
    folder = home / "few"
    folder.mkdir()
    settings = folder / "policy.yaml"
    settings.write_text(ADOPTING.replace("bo: {", "bo: {state: disabled, "))
    for target, why in NOT_ADOPTED.items():
        code, told = ended(capsys, "adopt", target, str(folder), *config, "--yes")
        assert (code in {1, 3}, why in told) == (True, True), told
    assert list(folder.iterdir()) == [settings]
    targets = ("roles/viewer", "roles/editor", "teams/science", "teams/lab", "users/jo", "clients/grafana",
               "identity_providers/corp")  # fmt: skip
    code, told = ended(capsys, "adopt", *targets, str(folder), *config, "--yes")
    assert code == 0, told
    policy = load(folder)
    assert policy.users["jo"].roles == ("viewer",)
    assert policy.users["bo"].teams == ("lab",)
    assert "# is in the team" in settings.read_text()
    code, told = ended(capsys, "plan", str(folder), "--output", "json", *config)
    assert only_marks(told) == {*targets, "users/bo"}
