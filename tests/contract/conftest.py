"""What the contract tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.keycloak_raw import fresh_realm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.keycloak.real import RunningKeycloak
    from tests.contract.keycloak_raw import Raw


@pytest.fixture(scope="module")
def fresh(keycloak: RunningKeycloak) -> Iterator[Raw]:
    """A fresh realm of the calling module, on the lab's Keycloak and on the real one in turn."""
    with fresh_realm(keycloak) as client:
        yield client
