"""Raw HTTP to the admin calls of a Keycloak, below one realm."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.keycloak.real import RunningKeycloak

__all__ = ["Raw", "answer_of", "fresh_realm", "logged_in"]


@dataclass
class Raw:
    """HTTP with an administrator's token, below the realm of this module."""

    server: RunningKeycloak
    realm: str
    session: requests.Session = field(default_factory=requests.Session)

    def call(self, method: str, path: str, body: object = None, **query: object) -> requests.Response:
        return self.session.request(
            method, f"{self.server.url}/admin/realms/{self.realm}{path}", json=body, params=query, timeout=30
        )

    def get(self, path: str, **query: object) -> Any:
        answer = self.call("GET", path, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def form(self, path: str, **fields: str) -> requests.Response:
        base = f"{self.server.url}/realms/{self.realm}"
        return self.session.post(f"{base}{path}", data={"client_id": "admin-cli", **fields}, timeout=30)

    def token(self, **fields: str) -> requests.Response:
        return self.form("/protocol/openid-connect/token", **fields)

    def refreshed(self, login: dict[str, str]) -> requests.Response:
        return self.token(grant_type="refresh_token", refresh_token=login["refresh_token"])

    def new_user(self, name: str, **fields: object) -> str:
        body = {"username": name, "email": f"{name}@example.org", "enabled": True, **fields}
        body |= {"firstName": "First", "lastName": "Last"} | fields
        answer = self.call("POST", "/users", body)
        assert answer.status_code == 201, answer.text
        return str(answer.headers["Location"].rpartition("/")[2])


@contextmanager
def logged_in(server: RunningKeycloak, realm: str) -> Iterator[Raw]:
    """Calls by the server's administrator; the token is taken now, and knows the realms there are."""
    with requests.Session() as session:
        session.verify = str(server.ca_file)
        session.trust_env = False
        form = {"grant_type": "password", "client_id": "admin-cli"}
        form |= {"username": server.username, "password": server.password}
        address = f"{server.url}/realms/master/protocol/openid-connect/token"
        token = session.post(address, data=form, timeout=30).json()["access_token"]
        session.headers["Authorization"] = f"Bearer {token}"
        yield Raw(server, realm, session)


@contextmanager
def fresh_realm(server: RunningKeycloak) -> Iterator[Raw]:
    """A realm of its own, which records what administrators do."""
    name = f"test-{secrets.token_hex(6)}"
    with logged_in(server, "master") as master:
        body = {"realm": name, "enabled": True, "adminEventsEnabled": True}
        made = master.session.post(f"{server.url}/admin/realms", json=body, timeout=30)
        assert made.status_code == 201, made.text
    with logged_in(server, name) as client:
        yield client


def answer_of(answer: requests.Response) -> tuple[int, Any]:
    """Status and body; the body is empty where there is none."""
    return answer.status_code, answer.json() if answer.content else ""
