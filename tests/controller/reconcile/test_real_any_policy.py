"""Some of any policies against a real Keycloak: apply makes each so, and the second apply writes nothing."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from controller.app import Controller
from controller.clients.keycloak_connection import KeycloakAccess
from controller.clients.keycloak_writer import KeycloakWriter
from controller.config import Configuration
from controller.keycloak_values import KeycloakRealm
from controller.plan.limits import Limits, strictest
from controller.policy.parse import parse
from controller.reconcile.planner import Memory
from tests.controller.worlds import results
from tests.policies import policies, text_of

if TYPE_CHECKING:
    from pathlib import Path

    from lab.keycloak.real import RunningKeycloak

PAIRS = 8
_MEMORY = Memory(strictest([Limits(delete_after_days=30)]), lambda _system, _section, _key: True)
_ON_PROXMOX = ("machines", "pools", "storages", "nodes")


def admin_events(writer: KeycloakWriter) -> int:
    """How many writes the realm remembers."""
    return len(writer._read("/admin-events", list[dict[str, Any]], max=10_000))


def test_apply_makes_any_policy_so_on_a_real_keycloak(real_keycloak: RunningKeycloak, tmp_path: Path) -> None:
    (tmp_path / "google").write_text("a secret")
    (tmp_path / "password").write_text(real_keycloak.password)
    keycloak = {
        "url": real_keycloak.url,
        "username": real_keycloak.username,
        "password_file": "password",
        "ca_file": str(real_keycloak.ca_file),
    }
    allowed = [{"files": str(tmp_path), "destinations": ["mail", "identity_providers", "clients"]}]
    config = {"owners": ["prod"], "data": "state", "keycloak": keycloak, "secrets": allowed}
    (tmp_path / "controller.yaml").write_text(json.dumps(config))
    access = KeycloakAccess(
        real_keycloak.url,
        username=real_keycloak.username,
        password=real_keycloak.password,
        ca_file=real_keycloak.ca_file,
    )
    drawn = policies(tmp_path)

    @settings(max_examples=PAIRS, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    @given(drawn, drawn, st.booleans())
    def holds(first: dict[str, Any], second: dict[str, Any], has_realm: bool) -> None:
        realm = f"any-{secrets.token_hex(4)}"
        with (
            Controller(Configuration.load(tmp_path / "controller.yaml", {})) as controller,
            KeycloakWriter(access, realm) as writer,
        ):
            if has_realm:
                writer.create_realm(KeycloakRealm(realm, admin_events=True))
            for one in (first, second):
                here = {section: entries for section, entries in one.items() if section not in _ON_PROXMOX}
                events = {**one["realm"].get("events", {}), "admin": True}
                here["realm"] = {**one["realm"], "name": realm, "events": events}
                policy = parse(text_of(here), "")
                planner, applier = controller.planner(policy), controller.applier(policy)
                plan = planner.compare(policy, planner.observe(policy), _MEMORY)
                assert plan.unobserved == ()
                assert results(applier.apply(plan)) == []
                again = planner.compare(policy, planner.observe(policy), _MEMORY)
                assert [change.to_json() for change in again.changes] == []
                assert again.unobserved == ()
                before = admin_events(writer)
                applier.apply(again)
                assert admin_events(writer) == before

    holds()
