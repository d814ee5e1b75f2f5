"""The lab's Keycloak beyond what it shares with the real one: its seed, its faults, its counters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from lab.errors import SeedError
from lab.keycloak.model import Keycloak
from lab.keycloak.seed import LOOK_CLIENT, ODD, STEWARD_CLIENT, organisation
from lab.keycloak.server import application

if TYPE_CHECKING:
    from pytest_aiohttp.plugin import AiohttpClient

NOON = 1_700_000_000.0


def seeded(seed: int = 0, people: int = 200) -> Keycloak:
    keycloak = Keycloak(seed=seed, clock=lambda: NOON)
    organisation(keycloak, "acme", people=people)
    return keycloak


class TestSeed:
    def test_the_same_seed_gives_the_same_accounts(self) -> None:
        assert seeded().realms == seeded().realms
        assert seeded().realms != seeded(seed=1).realms

    @pytest.mark.parametrize("people", [20, 200, 1000])
    def test_size(self, people: int) -> None:
        realm = seeded(people=people).realms["acme"]
        assert sum(1 for _ in realm.people()) == people
        assert len(realm.users) == people + 2

    @pytest.mark.parametrize("people", [0, 5, 10_000_000])
    def test_impossible_size(self, people: int) -> None:
        with pytest.raises(SeedError):
            seeded(people=people)

    def test_the_odd_ones_are_there(self) -> None:
        realm = seeded().realms["acme"]
        by_name = {user.username: user for user in realm.users.values()}

        def administers(name: str) -> bool:
            return "realm-admin" in {role.name for role in realm.effective(by_name[name].roles)}

        for name in ODD["admin without second factor"]:
            assert administers(name)
            assert by_name[name].enabled
            assert not by_name[name].has_otp
        for name in ODD["admin whose account is disabled"]:
            assert administers(name)
            assert not by_name[name].enabled
        for name in ODD["disabled, roles kept"]:
            assert not by_name[name].enabled
            assert realm.roles["employee"].id in by_name[name].roles
        assert {by_name[name].email for name in ODD["no e-mail address"]} == {None}
        people = {
            (by_name[name].first_name, by_name[name].last_name) for name in ODD["two accounts of one person"]
        }
        assert len(people) == 1
        for name in ODD["role of nobody"]:
            assert not [user for user in realm.users.values() if realm.roles[name].id in user.roles]
        admins = [name for name in by_name if administers(name)]
        assert sorted(admins) == sorted(
            [*ODD["admin without second factor"], *ODD["admin whose account is disabled"]]
        )


async def token(client: Any, client_id: str) -> dict[str, Any]:
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_id}
    answer = await client.post("/realms/acme/protocol/openid-connect/token", data=form)
    body: dict[str, Any] = await answer.json()
    assert answer.status == 200, body
    return body


class TestServer:
    async def test_tokens_are_signed_by_the_published_key(self, aiohttp_client: AiohttpClient) -> None:
        client = await aiohttp_client(application(clock=lambda: NOON))
        discovery = await (await client.get("/realms/acme/.well-known/openid-configuration")).json()
        keys = KeySet.import_key_set(await (await client.session.get(discovery["jwks_uri"])).json())
        issued = (await token(client, STEWARD_CLIENT))["access_token"]
        claims = jwt.decode(issued, keys, algorithms=["RS256"]).claims
        assert claims["iss"] == discovery["issuer"]
        assert claims["exp"] == NOON + 300
        assert "manage-users" in claims["resource_access"]["realm-management"]["roles"]

    async def test_a_token_ends(self, aiohttp_client: AiohttpClient) -> None:
        instant = [NOON]
        client = await aiohttp_client(application(clock=lambda: instant[0]))
        headers = {"Authorization": f"Bearer {(await token(client, LOOK_CLIENT))['access_token']}"}
        assert (await client.get("/admin/realms/acme/users", headers=headers)).status == 200
        instant[0] += 301
        assert (await client.get("/admin/realms/acme/users", headers=headers)).status == 401

    async def test_the_looking_account_cannot_write(self, aiohttp_client: AiohttpClient) -> None:
        client = await aiohttp_client(application())
        headers = {"Authorization": f"Bearer {(await token(client, LOOK_CLIENT))['access_token']}"}
        for path in ("/users", "/roles", "/partialImport"):
            answer = await client.post(f"/admin/realms/acme{path}", headers=headers, json={"username": "new"})
            assert answer.status == 403, path

    async def test_faults_are_switched_over_http(self, aiohttp_client: AiohttpClient) -> None:
        client = await aiohttp_client(application())
        answer = await client.put("/lab/faults", json={"status": 503})
        assert (await answer.json())["status"] == 503
        assert (await client.get("/admin/realms/acme/users")).status == 503
        assert (await client.put("/lab/faults", json={"status": 0})).status == 200
        assert (await client.get("/admin/realms/acme/users")).status == 401
        assert (await client.put("/lab/faults", json={"no_such_fault": 1})).status == 400

    async def test_requests_are_counted_by_kind(self, aiohttp_client: AiohttpClient) -> None:
        client = await aiohttp_client(application())
        for name in ("one", "two"):
            await client.get(f"/admin/realms/acme/roles/{name}")
        counted = await (await client.get("/lab/requests")).json()
        assert counted == {"GET /admin/realms/{realm}/roles/{role}": 2}

    @pytest.mark.parametrize("path", ["/", "/admin/realms/acme/no-such-thing", "/realms/nowhere"])
    async def test_what_is_not_there(self, aiohttp_client: AiohttpClient, path: str) -> None:
        client = await aiohttp_client(application())
        answer = await client.get(path)
        assert answer.status == 404
        assert "error" in await answer.json()

    async def test_a_body_that_is_no_json(self, aiohttp_client: AiohttpClient) -> None:
        client = await aiohttp_client(application())
        headers = {"Authorization": f"Bearer {(await token(client, STEWARD_CLIENT))['access_token']}"}
        answer = await client.post("/admin/realms/acme/roles", data=b"{", headers=headers)
        assert answer.status == 400
