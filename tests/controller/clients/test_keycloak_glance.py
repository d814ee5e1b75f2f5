"""What one look at a realm shares between resources, and what it asks anew."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from controller.clients.keycloak import KeycloakReader
from controller.clients.keycloak_connection import KeycloakAccess
from controller.clients.keycloak_glance import KeycloakGlance
from controller.errors import ControllerError
from lab.keycloak.server import FAULTS, REQUESTS, application
from lab.serving import serve_in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiohttp import web

BELOW = "GET /admin/realms/{realm}"


@pytest.fixture
def lab() -> web.Application:
    return application(people=50)


@pytest.fixture
def reader(lab: web.Application) -> Iterator[KeycloakReader]:
    with serve_in_thread(lab) as url:
        access = KeycloakAccess(url, username="admin", password="admin", timeout_seconds=5)
        with KeycloakReader(access, "acme") as reader:
            reader.realm()
            lab[REQUESTS].clear()
            yield reader
            lab[FAULTS].alter(is_down=False)


def test_what_several_ask_for_at_once_is_read_once(lab: web.Application, reader: KeycloakReader) -> None:
    glance = KeycloakGlance(reader)
    asked = [glance.realm, glance.groups, glance.clients, lambda: glance.roles(expand=lambda _: True)]
    with ThreadPoolExecutor(12) as pool:
        answers = [[one.result() for one in [pool.submit(ask) for _ in range(3)]] for ask in asked]
    for first, *others in answers:
        assert others == [first, first]
    made = Counter(lab[REQUESTS])
    assert made[BELOW] == made[f"{BELOW}/roles"] == made[f"{BELOW}/groups"] == made[f"{BELOW}/clients"] == 1


def test_the_next_look_reads_anew(lab: web.Application, reader: KeycloakReader) -> None:
    for _ in range(2):
        KeycloakGlance(reader).realm()
    assert lab[REQUESTS][BELOW] == 2


def test_counts_are_asked_anew(lab: web.Application, reader: KeycloakReader) -> None:
    glance = KeycloakGlance(reader)
    glance.users()
    glance.users()
    assert lab[REQUESTS][f"{BELOW}/users/count"] >= 2


def test_who_waits_for_an_answer_hears_of_the_error(lab: web.Application, reader: KeycloakReader) -> None:
    glance = KeycloakGlance(reader)
    lab[FAULTS].alter(is_down=True)
    for _ in range(2):
        with pytest.raises(ControllerError):
            glance.realm()


def test_closing_a_look_ends_nothing(reader: KeycloakReader) -> None:
    KeycloakGlance(reader).close()
    assert reader.realm() is not None
