"""Fixtures that every room's tests may use, and the closing words about real servers."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from lab.keycloak.real import RunningKeycloak, running_keycloak
from lab.keycloak.server import application
from lab.serving import serve_in_thread
from lab.tls import Authority
from tests.real import servers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controller.clients.keycloak_writer import KeycloakWriter

# How fast a busy machine draws and runs examples says nothing about the code.
settings.register_profile("steward", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steward")


@pytest.fixture(scope="session")
def real_keycloak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningKeycloak]:
    """One real Keycloak for the whole session; make a realm of your own in it (`real_keycloak_realm`)."""
    source = servers.real_server("keycloak")
    with running_keycloak(source, tmp_path_factory.mktemp("keycloak")) as server:
        yield server


@pytest.fixture(scope="session")
def simulated_keycloak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningKeycloak]:
    """The lab's Keycloak over HTTPS, for the whole session; make a realm of your own in it."""
    authority = Authority.create(tmp_path_factory.mktemp("simulated-keycloak"))
    with serve_in_thread(application(), tls=authority.server_context()) as url:
        yield RunningKeycloak(url, url, authority.ca_file, "admin", "admin")


@pytest.fixture(scope="session", params=["simulated", "real"])
def keycloak(request: pytest.FixtureRequest) -> RunningKeycloak:
    """The lab's Keycloak and the real one in turn: whatever holds for one must hold for the other."""
    server: RunningKeycloak = request.getfixturevalue(f"{request.param}_keycloak")
    return server


@pytest.fixture(scope="module")
def keycloak_realm(keycloak: RunningKeycloak) -> Iterator[KeycloakWriter]:
    """A client bound to a fresh realm of the calling module; the realm records admin events."""
    from controller.clients.keycloak_connection import KeycloakAccess
    from controller.clients.keycloak_writer import KeycloakWriter
    from controller.keycloak_values import KeycloakRealm

    access = KeycloakAccess(
        url=keycloak.url, username=keycloak.username, password=keycloak.password, ca_file=keycloak.ca_file
    )
    with KeycloakWriter(access, f"test-{secrets.token_hex(6)}") as writer:
        writer.create_realm(KeycloakRealm(writer.realm_name, admin_events=True))
        yield writer


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Bring home what a worker of pytest-xdist stood on; `node` holds what it left."""
    servers.used.update(node.workeroutput.get("real_servers", ()))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker leaves what it stood on."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["real_servers"] = sorted(servers.used)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which real servers this run stood on."""
    terminalreporter.section("real servers")
    for line in servers.summary():
        terminalreporter.write_line(line)
