"""A controller on either Keycloak, the lab's or a real one, with a realm of its own."""

from __future__ import annotations

import json
import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import requests

from controller.app import Controller
from controller.clients.keycloak_connection import KeycloakAccess
from controller.clients.keycloak_writer import KeycloakWriter
from controller.config import Configuration
from controller.plan.change import Result
from tests.controller.stage import policy_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from controller.plan.change import Change, Outcome
    from controller.policy.model import Policy
    from controller.reconcile.passes import Planned
    from lab.keycloak.real import RunningKeycloak


@dataclass
class Place:
    """A realm of one Keycloak, and a controller's configuration for it."""

    server: RunningKeycloak
    realm: str
    folder: Path
    writer: KeycloakWriter
    access: KeycloakAccess

    def controller(self) -> Controller:
        return Controller(Configuration.load(self.folder / "controller.yaml", {}))

    def plan(self, policy: Policy) -> Planned:
        with self.controller() as controller:
            return controller.plan(policy)

    def apply(self, policy: Policy) -> list[Outcome]:
        with self.controller() as controller, controller.lease("test") as lease:
            planned = controller.plan(policy)
            assert planned.plan.unobserved == ()
            return controller.apply(planned, actor="test", term=lease.term)

    def settle(self, policy: Policy) -> None:
        """Apply, and require that everything was done and nothing is left to do."""
        outcomes = self.apply(policy)
        assert [str(one.reason) for one in outcomes if one.result is not Result.APPLIED] == []
        assert [change.label for change in self.plan(policy).plan.changes] == []

    def changes(self, policy: Policy) -> dict[str, Change]:
        return {f"{one.section}/{one.key}": one for one in self.plan(policy).plan.changes}

    def get(self, path: str) -> Any:
        return self._call("GET", path)

    def put(self, path: str, body: Any) -> None:
        self._call("PUT", path, body)

    def post(self, path: str, body: Any) -> None:
        self._call("POST", path, body)

    def answer(self, path: str) -> Any:
        """What the server answers to a POST without a body."""
        return self._call("POST", path)

    def delete(self, path: str, body: Any = None) -> None:
        self._call("DELETE", path, body)

    def user(self, name: str) -> Any:
        (found,) = self.get(f"/users?username={name}&exact=true&briefRepresentation=false")
        return found

    def group(self, name: str) -> Any:
        query = "search=*&populateHierarchy=false&briefRepresentation=false&max=1000"
        (found,) = [one for one in self.get(f"/groups?{query}") if one["name"] == name]
        return found

    def token(self, **fields: str) -> dict[str, Any]:
        """What the realm's token endpoint answers a person."""
        answer = requests.post(
            f"{self.server.url}/realms/{self.realm}/protocol/openid-connect/token",
            data={"client_id": "admin-cli", **fields},
            verify=str(self.server.ca_file),
            timeout=30,
        )
        found: dict[str, Any] = answer.json()
        return found

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        token = self.writer._connection._valid_token()
        answer = requests.request(
            method,
            f"{self.server.url}/admin/realms/{self.realm}{path}",
            json=body,
            headers={"Authorization": f"Bearer {token}"},
            verify=str(self.server.ca_file),
            timeout=30,
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def policy(self, realm: str = "", more: str = "") -> Policy:
        return policy_of(
            f"realm:\n  name: {self.realm}\n{realm}\n{more}\n".replace("SECRETS", str(self.folder))
        )

    def events(self) -> list[str]:
        return [
            f"{one.operation} {one.resource_path}"
            for one in self.writer.admin_events()
            if one.operation != "ACTION"
        ]


@contextmanager
def placed(keycloak: RunningKeycloak, tmp_path: Path) -> Iterator[Place]:
    """A place in a realm that is not there yet."""
    realm = f"s-{secrets.token_hex(5)}"
    (tmp_path / "password").write_text(keycloak.password)
    for name in ("mail.secret", "idp.secret", "client.secret"):
        (tmp_path / name).write_text(f"value of {name}\n")
    settings = {
        "instance": "stage",
        "owners": ["prod"],
        "data": "state",
        "keycloak": {
            "url": keycloak.url,
            "username": keycloak.username,
            "password_file": "password",
            "ca_file": str(keycloak.ca_file),
        },
        "secrets": [{"files": ".", "destinations": ["mail", "identity_providers", "clients"]}],
    }
    (tmp_path / "controller.yaml").write_text(json.dumps(settings))
    access = KeycloakAccess(
        url=keycloak.url, username=keycloak.username, password=keycloak.password, ca_file=keycloak.ca_file
    )
    with KeycloakWriter(access, realm) as writer:
        yield Place(keycloak, realm, tmp_path, writer, access)
