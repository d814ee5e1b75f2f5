"""A realm of one of the two Keycloaks, with a controller for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from controller.keycloak_values import KeycloakRealm
from tests.controller.place import Place, placed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.keycloak.real import RunningKeycloak


@pytest.fixture
def place(keycloak: RunningKeycloak, tmp_path: Path) -> Iterator[Place]:
    """A realm that is not there yet."""
    with placed(keycloak, tmp_path) as place:
        yield place


@pytest.fixture
def there(place: Place) -> Place:
    """A realm that records admin events and holds nothing of ours."""
    place.writer.create_realm(KeycloakRealm(place.realm, admin_events=True))
    return place
