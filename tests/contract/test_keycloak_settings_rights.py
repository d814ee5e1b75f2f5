"""The rights that docs/rights.md names for settings, clients and identity providers: enough, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from controller.clients.keycloak import KeycloakReader
from controller.clients.keycloak_writer import KeycloakWriter
from controller.errors import NotAllowed
from controller.keycloak_login_values import IdentityProvider, OidcClient
from tests.contract.test_keycloak_rights import service_account

if TYPE_CHECKING:
    from lab.keycloak.real import RunningKeycloak

READING = ("view-realm", "view-users", "view-clients", "view-identity-providers")
WRITING = (*READING, "manage-realm", "manage-clients", "manage-identity-providers")
GRAFANA = OidcClient("grafana", owner="prod", redirect=("https://g/*",), roles_claim=True)
GOOGLE = IdentityProvider("google", "prod", "google", client_id="x", by_email="link", trust_email=True)


@pytest.fixture(scope="module")
def filled(keycloak_realm: KeycloakWriter) -> KeycloakWriter:
    keycloak_realm.create_client(GRAFANA)
    keycloak_realm.create_identity_provider(GOOGLE)
    return keycloak_realm


def test_reading_shows_the_same_as_an_administrator_sees(
    keycloak: RunningKeycloak, filled: KeycloakWriter
) -> None:
    access = service_account(keycloak, filled, "sees", READING)
    with KeycloakReader(access, filled.realm_name) as reader:
        assert reader.settings() == filled.settings()
        assert reader.clients() == filled.clients()
        assert reader.identity_providers() == filled.identity_providers()


@pytest.mark.parametrize(("missing", "call"), [("view-clients", "clients"), ("view-realm", "settings")])
def test_less_is_refused_and_not_taken_for_empty(
    keycloak: RunningKeycloak, filled: KeycloakWriter, missing: str, call: str
) -> None:
    rights = tuple(right for right in READING if right != missing)
    access = service_account(keycloak, filled, f"without-{missing}", rights)
    with KeycloakReader(access, filled.realm_name) as reader, pytest.raises(NotAllowed):
        getattr(reader, call)()


def test_identity_providers_have_a_right_of_their_own(
    keycloak: RunningKeycloak, filled: KeycloakWriter
) -> None:
    access = service_account(keycloak, filled, "no-providers", READING[:3])
    with KeycloakReader(access, filled.realm_name) as reader, pytest.raises(NotAllowed):
        reader.identity_providers()


def test_who_reads_does_not_write(keycloak: RunningKeycloak, filled: KeycloakWriter) -> None:
    access = service_account(keycloak, filled, "would-write", READING)
    before = filled.admin_events()
    with KeycloakWriter(access, filled.realm_name) as writer:
        for call in (
            lambda: writer.update_settings({"registration": True}),
            lambda: writer.create_client(OidcClient("other")),
            lambda: writer.create_identity_provider(IdentityProvider("other", type="github")),
        ):
            with pytest.raises(NotAllowed):
                call()
    assert filled.admin_events() == before


def test_what_the_table_names_is_enough_to_write(keycloak: RunningKeycloak, filled: KeycloakWriter) -> None:
    access = service_account(keycloak, filled, "writes-all", WRITING)
    with KeycloakWriter(access, filled.realm_name) as writer:
        writer.update_settings({"sessions.idle_seconds": 600, "required_actions.VERIFY_EMAIL": "disabled"})
        writer.create_client(OidcClient("made", owner="prod", login=False))
        (made,) = [one for one in writer.clients() if one.client_id == "made"]
        writer.delete_client(made.id, still=lambda live: live == made)
        provider = IdentityProvider("made", "prod", "github", client_id="y", by_email="link")
        writer.create_identity_provider(provider)
        writer.delete_identity_provider("made", still=lambda live: live == provider)
        settings = writer.settings()
    assert settings is not None
    assert settings["sessions.idle_seconds"] == 600
    assert settings["required_actions.VERIFY_EMAIL"] == "disabled"
