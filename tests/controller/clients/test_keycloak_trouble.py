"""What the Keycloak client does when the server is slow, silent, lying or gone; the lab plays it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from keycloak import KeycloakAdmin

from controller.clients.keycloak import KeycloakReader
from controller.clients.keycloak_connection import KeycloakAccess, KeycloakConnection
from controller.clients.keycloak_writer import BATCH, KeycloakWriter
from controller.errors import (
    Conflict,
    ControllerError,
    NotAllowed,
    NotThere,
    OutcomeUnknown,
    Refused,
    TerminalError,
    TransientError,
    Unobserved,
    Unreachable,
)
from controller.keycloak_values import KeycloakRole, KeycloakUser
from lab.keycloak.server import FAULTS, KEYCLOAK, REQUESTS, FaultSwitch, application
from lab.processes import free_port
from lab.serving import serve_in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aiohttp import web

TOKEN = "POST /realms/{realm}/protocol/openid-connect/token"
BELOW = "/admin/realms/{realm}"


@pytest.fixture(scope="module")
def lab() -> web.Application:
    return application(people=2500)


@pytest.fixture(scope="module")
def access(lab: web.Application) -> Iterator[KeycloakAccess]:
    with serve_in_thread(lab) as url:
        yield KeycloakAccess(url, username="admin", password="admin", timeout_seconds=1)


@pytest.fixture
def faults(lab: web.Application) -> Iterator[FaultSwitch]:
    before = lab[FAULTS].now
    yield lab[FAULTS]
    lab[FAULTS].now = before


@pytest.fixture
def writer(access: KeycloakAccess, faults: FaultSwitch) -> Iterator[KeycloakWriter]:
    """Logged in before the trouble starts, and closed after it is over."""
    with KeycloakWriter(access, "acme") as client:
        client.count_users()
        yield client
        faults.now = type(faults.now)()


def requests_of(lab: web.Application, work: Callable[[], object]) -> dict[str, int]:
    before = dict(lab[REQUESTS])
    work()
    return {name: n - before.get(name, 0) for name, n in lab[REQUESTS].items() if n != before.get(name, 0)}


class TestRequests:
    def test_users_cost_pages(self, lab: web.Application, writer: KeycloakWriter) -> None:
        counted = requests_of(lab, writer.users)
        assert counted == {f"GET {BELOW}/users": 3, f"GET {BELOW}/users/count": 2}

    def test_members_cost_pages(self, lab: web.Application, writer: KeycloakWriter) -> None:
        found: dict[str, frozenset[str]] = {}
        roles = ["default-roles-acme", "operator", "vpn-2019"]
        counted = requests_of(lab, lambda: found.update(writer.members(roles)))
        assert counted == {f"GET {BELOW}/roles/{{role}}/users": 6}
        assert len(found["default-roles-acme"]) == 2502  # two service accounts among them
        assert 0 < len(found["operator"]) < 1000
        assert found["vpn-2019"] == frozenset()

    def test_creation_costs_batches(self, lab: web.Application, writer: KeycloakWriter) -> None:
        people = [KeycloakUser(f"batch{number}", roles=frozenset({"employee"})) for number in range(1100)]
        counted = requests_of(lab, lambda: writer.create_users(people))
        assert counted.pop(f"POST {BELOW}/partialImport") == 1100 / BATCH
        assert sum(counted.values()) <= 3

    def test_one_login_for_all_and_none_left_behind(
        self, lab: web.Application, access: KeycloakAccess, faults: FaultSwitch
    ) -> None:
        sessions = lab[KEYCLOAK].realms["master"].sessions
        before = set(sessions)

        def observe() -> None:
            with KeycloakReader(access, "acme") as reader:
                reader.users()
                reader.roles(expand=lambda _: True)

        assert requests_of(lab, observe)[TOKEN] == 1
        assert set(sessions) == before

    def test_the_methods_of_the_library_work_too(self, access: KeycloakAccess, faults: FaultSwitch) -> None:
        connection = KeycloakConnection(access)
        connection.realm_name = "acme"
        admin = KeycloakAdmin(connection=connection)
        assert (
            admin.get_users({"username": "ada.admin", "exact": "true", "max": 1})[0]["username"]
            == "ada.admin"
        )
        with pytest.raises(Refused):
            admin.create_realm_role({"name": "sneaked"})
        connection.close()


class TestLostAnswers:
    def test_a_write_is_unknown_and_not_repeated(
        self, lab: web.Application, writer: KeycloakWriter, faults: FaultSwitch
    ) -> None:
        def lose() -> None:
            faults.alter(lost_answers=1)
            with pytest.raises(OutcomeUnknown):
                writer.create_role(KeycloakRole("lost"))

        assert requests_of(lab, lose) == {f"POST {BELOW}/roles": 1}
        assert writer.role("lost").name == "lost"

    def test_a_batch_is_unknown_and_not_repeated(
        self, lab: web.Application, writer: KeycloakWriter, faults: FaultSwitch
    ) -> None:
        faults.alter(lost_answers=1)
        done = writer.create_users([KeycloakUser("lost1"), KeycloakUser("lost2")])
        assert done.ids == {}
        assert {name: type(error) for name, error in done.failed.items()} == {
            "lost1": OutcomeUnknown,
            "lost2": OutcomeUnknown,
        }
        assert writer.find_user("lost1") is not None

    def test_a_batch_whose_conflict_cannot_be_looked_into(
        self, lab: web.Application, writer: KeycloakWriter, faults: FaultSwitch
    ) -> None:
        class Blind(KeycloakWriter):
            def users(self) -> tuple[KeycloakUser, ...]:
                raise Unobserved("keycloak", "somebody was writing")

        with Blind(writer._access, "acme") as blind:
            done = blind.create_users([KeycloakUser("ada.admin"), KeycloakUser("unharmed")])
        assert done.ids == {}
        assert {name: type(error) for name, error in done.failed.items()} == {
            "ada.admin": Unobserved,
            "unharmed": Unobserved,
        }

    def test_time_out(self, writer: KeycloakWriter, faults: FaultSwitch) -> None:
        faults.alter(latency_seconds=30.0)
        with pytest.raises(OutcomeUnknown):
            writer._send("DELETE", f"{writer._base}/roles/none")
        with pytest.raises(Unreachable):
            writer.count_users()

    def test_done_and_told_too_late(
        self, lab: web.Application, writer: KeycloakWriter, faults: FaultSwitch
    ) -> None:
        def wait_in_vain() -> None:
            faults.alter(late_seconds=5.0, method="POST", times=1)
            with pytest.raises(OutcomeUnknown):
                writer.create_role(KeycloakRole("late"))

        assert requests_of(lab, wait_in_vain) == {f"POST {BELOW}/roles": 1}
        assert writer.role("late").name == "late"

    def test_server_gone_in_the_middle(self, writer: KeycloakWriter, faults: FaultSwitch) -> None:
        faults.alter(is_down=True)
        with pytest.raises(Unreachable):
            writer.users()
        with pytest.raises(OutcomeUnknown):
            writer._send("POST", f"{writer._base}/roles", {"name": "into the void"})

    def test_nobody_listens(self) -> None:
        access = KeycloakAccess(f"http://127.0.0.1:{free_port()}", username="a", password="hush-hush")
        with KeycloakWriter(access, "acme") as client:
            for call in (client.users, client.rights, lambda: client.create_role(KeycloakRole("r"))):
                with pytest.raises(Unreachable) as error:
                    call()
                assert "hush-hush" not in str(error.value)


class TestTokens:
    def test_a_good_token_refused_once(
        self, lab: web.Application, writer: KeycloakWriter, faults: FaultSwitch
    ) -> None:
        faults.alter(refused_tokens=1)
        assert requests_of(lab, writer.count_users) == {f"GET {BELOW}/users/count": 2, TOKEN: 1}

    def test_a_good_token_refused_for_good(
        self, lab: web.Application, writer: KeycloakWriter, faults: FaultSwitch
    ) -> None:
        def fail() -> None:
            faults.alter(refused_tokens=2)
            with pytest.raises(NotAllowed):
                writer.count_users()

        assert requests_of(lab, fail) == {f"GET {BELOW}/users/count": 2, TOKEN: 1}

    def test_over_in_the_middle_of_a_run(
        self, lab: web.Application, writer: KeycloakWriter, faults: FaultSwitch
    ) -> None:
        faults.alter(token_uses=2)
        counted = requests_of(lab, lambda: [writer.count_users() for _ in range(5)])
        assert 1 <= counted[TOKEN] <= 4
        assert faults.now.token_uses == 2

    def test_expired(self, lab: web.Application, access: KeycloakAccess, faults: FaultSwitch) -> None:
        """A token that is over by our clock is renewed by its refresh token before it is used."""
        with KeycloakReader(access, "acme") as reader:
            reader._connection.token_lifetime_fraction = 0
            counted = requests_of(lab, lambda: (reader.count_users(), reader.count_users()))
            assert counted == {f"GET {BELOW}/users/count": 2, TOKEN: 2}
            assert len(lab[KEYCLOAK].realms["master"].sessions) == 1


class TestAnswers:
    @pytest.mark.parametrize(
        ("status", "reading", "writing"),
        [
            (400, TerminalError, TerminalError),
            (403, NotAllowed, NotAllowed),
            (404, NotThere, NotThere),
            (409, Conflict, Conflict),
            (418, TerminalError, TerminalError),
            (429, Unreachable, Unreachable),
            (500, TransientError, TransientError),
            (502, Unreachable, OutcomeUnknown),
            (503, Unreachable, Unreachable),
            (504, Unreachable, OutcomeUnknown),
        ],
    )
    def test_status(
        self,
        writer: KeycloakWriter,
        faults: FaultSwitch,
        status: int,
        reading: type[ControllerError],
        writing: type[ControllerError],
    ) -> None:
        faults.alter(status=status)
        with pytest.raises(reading, match=f"answered {status}: as the lab was told") as read:
            writer.count_users()
        assert type(read.value) is reading
        with pytest.raises(writing) as written:
            writer._send("POST", f"{writer._base}/roles", {"name": "r"})
        assert type(written.value) is writing

    def test_a_proxy_answers_instead(self, writer: KeycloakWriter, faults: FaultSwitch) -> None:
        faults.alter(is_garbled=True)
        for call in (writer.users, writer.realm, writer.rights, lambda: writer.roles(expand=lambda _: True)):
            with pytest.raises(ControllerError):
                call()

    def test_half_of_the_json(self, writer: KeycloakWriter, faults: FaultSwitch) -> None:
        faults.alter(is_truncated=True, path="*/users", times=1)
        with pytest.raises(ControllerError, match="something that Keycloak does not say"):
            writer.users()
        assert len(writer.users()) == writer.count_users()

    def test_the_connection_breaks_in_the_middle_of_a_page(
        self, writer: KeycloakWriter, faults: FaultSwitch
    ) -> None:
        faults.alter(is_cut=True, path="*/users", times=1)
        with pytest.raises(Unreachable):
            writer.users()
        assert len(writer.users()) == writer.count_users()

    def test_a_page_changes_between_requests(self, writer: KeycloakWriter, faults: FaultSwitch) -> None:
        faults.alter(shifts=1)
        with pytest.raises(Unobserved, match="before"):
            writer.users()
        assert len(writer.users()) == writer.count_users()

    def test_too_many_requests(self, writer: KeycloakWriter, faults: FaultSwitch) -> None:
        faults.alter(status=429, retry_after_seconds=1, times=1)
        with pytest.raises(Unreachable, match="429"):
            writer.count_users()
        assert writer.count_users() > 0

    def test_rows_missing(self, writer: KeycloakWriter, faults: FaultSwitch) -> None:
        faults.alter(missing_rows=1)
        with pytest.raises(Unobserved, match="before"):
            writer.users()


class TestAddress:
    @pytest.mark.parametrize(
        "url",
        [
            pytest.param("http://keycloak.example.org", id="plain HTTP to another machine"),
            pytest.param("http://10.0.0.1:8080", id="plain HTTP to another address"),
            pytest.param("ftp://127.0.0.1", id="another scheme"),
            pytest.param("keycloak.example.org", id="no scheme"),
            pytest.param("https://", id="no host"),
            pytest.param("https://admin:secret@keycloak.example.org", id="with a password"),
            pytest.param("https://keycloak.example.org/?a=b", id="with a query"),
        ],
    )
    def test_refused(self, url: str) -> None:
        with pytest.raises(ControllerError) as error:
            KeycloakReader(KeycloakAccess(url), "acme")
        assert "secret" not in str(error.value)

    @pytest.mark.parametrize(
        "url", ["http://localhost:8080", "http://[::1]:8080", "https://keycloak.example.org/auth"]
    )
    def test_accepted(self, url: str) -> None:
        with KeycloakReader(KeycloakAccess(url), "acme") as reader:
            assert reader._connection.base_url == f"{url}/"

    def test_secrets_stay_out_of_representations(self) -> None:
        access = KeycloakAccess("https://k.example.org", client_secret="s3cret", password="pa55")
        assert "s3cret" not in repr(access)
        assert "pa55" not in repr(access)
