"""Fixtures that every room's tests may use, and the closing words about real servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.real import servers
from tests.real.keycloak import RunningKeycloak, running_keycloak

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def real_keycloak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningKeycloak]:
    """One real Keycloak for the whole session; make a realm of your own in it."""
    source = servers.real_server("keycloak")
    with running_keycloak(source, tmp_path_factory.mktemp("keycloak")) as server:
        yield server


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which real servers this run stood on."""
    terminalreporter.section("real servers")
    for line in servers.summary():
        terminalreporter.write_line(line)
