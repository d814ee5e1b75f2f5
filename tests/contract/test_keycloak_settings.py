"""Settings of a realm: the lab's Keycloak and the real one alike."""

from __future__ import annotations

import pytest

from tests.contract.keycloak_raw import Raw, answer_of

NOT_JSON = (400, {"error": "unknown_error", "error_description": "Cannot parse the JSON"})
NO_SENDER = (
    "Invalid sender address 'null'. If the address contains UTF-8 characters in the local part please ensure "
    "the SMTP server supports the SMTPUTF8 extension and enable 'Allow UTF-8' in the email realm "
    "configuration."
)


def put(raw: Raw, **settings: object) -> None:
    answer = raw.call("PUT", "", settings)
    assert answer.status_code == 204, answer.text


class TestNewRealm:
    @pytest.mark.parametrize(
        ("body", "answer"),
        [
            pytest.param(
                {"realm": "bog", "bogus": 1},
                {"errorMessage": "unable to read contents from stream"},
                id="field",
            ),
            pytest.param(
                {"realm": "bog", "enabled": "maybe"},
                {"errorMessage": "unable to read contents from stream"},
                id="type",
            ),
            pytest.param({"enabled": True}, {"errorMessage": "Realm name cannot be empty"}, id="no name"),
            pytest.param({"realm": "a/b"}, {"error": "Character '/' not allowed."}, id="slash"),
            pytest.param(
                {"realm": "bog", "passwordPolicy": "nonsense(3)"},
                {"errorMessage": "Password policy not found"},
                id="password policy",
            ),
        ],
    )
    def test_refused(self, fresh: Raw, body: dict[str, object], answer: object) -> None:
        made = fresh.session.post(f"{fresh.server.url}/admin/realms", json=body, timeout=30)
        assert answer_of(made) == (400, answer)

    def test_defaults(self, fresh: Raw) -> None:
        live = fresh.get("")
        expected = {
            "accessTokenLifespan": 300,
            "accessCodeLifespanLogin": 1800,
            "actionTokenGeneratedByAdminLifespan": 43200,
            "actionTokenGeneratedByUserLifespan": 300,
            "ssoSessionIdleTimeout": 1800,
            "ssoSessionMaxLifespan": 36000,
            "ssoSessionIdleTimeoutRememberMe": 0,
            "offlineSessionIdleTimeout": 2592000,
            "offlineSessionMaxLifespanEnabled": False,
            "revokeRefreshToken": False,
            "otpPolicyType": "totp",
            "otpPolicyLookAheadWindow": 1,
            "otpPolicyCodeReusable": False,
            "smtpServer": {},
            "eventsEnabled": False,
            "firstBrokerLoginFlow": "first broker login",
        }
        assert {name: live[name] for name in expected} == expected
        assert live.keys().isdisjoint({"passwordPolicy", "eventsExpiration", "displayName"})


class TestPut:
    @pytest.mark.parametrize(
        ("body", "answer"),
        [
            pytest.param(
                {"bogus": 1},
                (
                    400,
                    {
                        "error": "Invalid json representation for RealmRepresentation. "
                        'Unrecognized field "bogus" at line 1 column 12.'
                    },
                ),
                id="unknown field",
            ),
            pytest.param({"failureFactor": "many"}, NOT_JSON, id="text for a number"),
            pytest.param({"failureFactor": True}, NOT_JSON, id="truth for a number"),
            pytest.param({"verifyEmail": "maybe"}, NOT_JSON, id="text for a truth"),
            pytest.param({"displayName": {"a": 1}}, NOT_JSON, id="map for a text"),
            pytest.param({"smtpServer": "x"}, NOT_JSON, id="text for a map"),
            pytest.param({"attributes": {"a": ["b"]}}, NOT_JSON, id="list for a text"),
            pytest.param([], NOT_JSON, id="list"),
            pytest.param(
                {"failureFactor": -1},
                (400, {"errorMessage": "Failure factor may not be a negative value"}),
                id="negative",
            ),
            pytest.param({"smtpServer": {"host": "h"}}, (400, {"errorMessage": NO_SENDER}), id="no sender"),
            pytest.param(
                {"browserFlow": "nope"}, (500, {"errorMessage": "Failed to update realm"}), id="unknown flow"
            ),
            pytest.param(
                {"realm": "master"}, (409, {"errorMessage": "Realm with same name exists"}), id="name in use"
            ),
        ],
    )
    def test_refused(self, fresh: Raw, body: object, answer: tuple[int, object]) -> None:
        assert answer_of(fresh.call("PUT", "", body)) == answer

    def test_numbers_and_truths_are_taken_as_text(self, fresh: Raw) -> None:
        put(fresh, failureFactor="7", verifyEmail="true", displayName=5)
        live = fresh.get("")
        assert (live["failureFactor"], live["verifyEmail"], live["displayName"]) == (7, True, "5")

    def test_null_and_absent_change_nothing(self, fresh: Raw) -> None:
        put(fresh, displayName="D", waitIncrementSeconds=61)
        put(fresh, displayName=None, failureFactor=8)
        live = fresh.get("")
        assert (live["displayName"], live["waitIncrementSeconds"], live["failureFactor"]) == ("D", 61, 8)

    def test_attributes_are_replaced_but_for_those_of_the_server(self, fresh: Raw) -> None:
        put(fresh, attributes={"steward.owner": "prod"})
        put(fresh, displayName="D")
        put(fresh, attributes={"other": "x"})
        live = fresh.get("")["attributes"]
        assert "steward.owner" not in live
        assert (live["other"], live["cibaInterval"]) == ("x", "5")

    def test_the_whole_back_alters_nothing(self, fresh: Raw) -> None:
        put(fresh, **fresh.get(""))
        before = fresh.get("")
        put(fresh, **before)
        assert fresh.get("") == before

    def test_one_time_passwords_are_replaced_together_where_their_type_is_given(self, fresh: Raw) -> None:
        whole = {
            "otpPolicyType": "hotp",
            "otpPolicyAlgorithm": "HmacSHA256",
            "otpPolicyDigits": 8,
            "otpPolicyPeriod": 60,
            "otpPolicyLookAheadWindow": 2,
            "otpPolicyCodeReusable": True,
            "otpPolicyInitialCounter": 0,
        }
        put(fresh, **whole)
        live = fresh.get("")
        assert {name: live[name] for name in whole} == whole
        assert live["attributes"]["realmReusableOtpCode"] == "true"
        put(fresh, otpPolicyDigits=6)
        assert fresh.get("")["otpPolicyDigits"] == 8
        put(fresh, otpPolicyType="totp")
        live = fresh.get("")
        assert (live["otpPolicyType"], live["otpPolicyDigits"], live["otpPolicyPeriod"]) == ("totp", 0, 0)
        assert "otpPolicyAlgorithm" not in live

    @pytest.mark.parametrize(
        ("policy", "refusal"),
        [
            ("length(12) and digits(1) and notUsername and passwordHistory(3)", None),
            (
                "maxLength(64) and lowerCase(1) and upperCase(1) and specialChars(1) and notEmail(undefined)",
                None,
            ),
            ("forceExpiredPasswordChange(365)", None),
            ("length(x)", "Invalid config for length: Not a valid number"),
            ("length()", "Invalid config for length: Not a valid number"),
            ("length(8) digits(1)", "Invalid config for length: Not a valid number"),
            ("bogus(3)", "Password policy not found"),
            ("regexPattern([)", "Invalid config for regexPattern: Not a valid regular expression"),
        ],
    )
    def test_password_policy(self, fresh: Raw, policy: str, refusal: str | None) -> None:
        put(fresh, passwordPolicy="length(9)")
        answer = fresh.call("PUT", "", {"passwordPolicy": policy})
        if refusal is None:
            assert answer.status_code == 204
            assert fresh.get("")["passwordPolicy"] == policy
        else:
            assert answer_of(answer) == (400, {"errorMessage": refusal})
            assert fresh.get("")["passwordPolicy"] == "length(9)"

    def test_an_empty_password_policy_is_none(self, fresh: Raw) -> None:
        put(fresh, passwordPolicy="length(9)")
        put(fresh, passwordPolicy="")
        assert "passwordPolicy" not in fresh.get("")

    def test_the_password_of_the_mail_server_is_masked_and_kept(self, fresh: Raw) -> None:
        server = {
            "host": "mail.example.org",
            "port": "25",
            "from": "a@b.c",
            "user": "u",
            "password": "secret",
        }
        put(fresh, smtpServer=server)
        assert fresh.get("")["smtpServer"].keys() == {"host", "port", "from"}
        server["auth"] = "true"
        put(fresh, smtpServer=server)
        masked = fresh.get("")["smtpServer"]
        assert masked == server | {"password": "**********"}
        put(fresh, smtpServer=masked | {"port": 26})
        assert fresh.get("")["smtpServer"] == masked | {"port": "26"}
        put(fresh, smtpServer={"host": "h", "from": "a@b.c"})
        assert fresh.get("")["smtpServer"] == {"host": "h", "from": "a@b.c"}
        put(fresh, smtpServer={})
        assert fresh.get("")["smtpServer"] == {}


class TestRequiredActions:
    PATH = "/authentication/required-actions"

    def test_list_in_order(self, fresh: Raw) -> None:
        every = fresh.get(self.PATH)
        assert [one["priority"] for one in every] == sorted(one["priority"] for one in every)
        assert {"CONFIGURE_TOTP", "UPDATE_PASSWORD", "VERIFY_EMAIL", "TERMS_AND_CONDITIONS"} <= {
            one["alias"] for one in every
        }
        assert every[0].keys() == {
            "alias", "name", "providerId", "enabled", "defaultAction", "priority", "config",
        }  # fmt: skip

    def test_a_default_one_comes_with_the_account_and_not_with_an_import(self, fresh: Raw) -> None:
        path = f"{self.PATH}/CONFIGURE_TOTP"
        before = fresh.get(path)
        assert fresh.call("PUT", path, before | {"defaultAction": True}).status_code == 204
        assert fresh.get(path) == before | {"defaultAction": True}
        user = fresh.new_user("actor", requiredActions=["VERIFY_EMAIL", "NOPE"])
        assert sorted(fresh.get(f"/users/{user}")["requiredActions"]) == ["CONFIGURE_TOTP", "VERIFY_EMAIL"]
        body = {"users": [{"username": "imported", "requiredActions": ["VERIFY_EMAIL"]}]}
        (result,) = fresh.call("POST", "/partialImport", body).json()["results"]
        assert fresh.get(f"/users/{result['id']}")["requiredActions"] == ["VERIFY_EMAIL"]
        assert fresh.call("PUT", path, before | {"defaultAction": True, "enabled": False}).status_code == 204
        assert fresh.get(f"/users/{fresh.new_user('idle')}")["requiredActions"] == []
        assert fresh.call("PUT", path, before).status_code == 204

    def test_unknown(self, fresh: Raw) -> None:
        refused = (404, {"error": "Failed to find required action"})
        assert answer_of(fresh.call("GET", f"{self.PATH}/NOPE")) == refused
        assert answer_of(fresh.call("PUT", f"{self.PATH}/NOPE", {"enabled": True})) == refused


class TestEventSettings:
    def test_what_is_not_given_is_off(self, fresh: Raw) -> None:
        body = {"eventsEnabled": True, "eventsExpiration": 60, "enabledEventTypes": ["LOGIN"]}
        assert fresh.call("PUT", "/events/config", body).status_code == 204
        live = fresh.get("/events/config")
        assert (live["eventsEnabled"], live["eventsExpiration"], live["enabledEventTypes"]) == (
            True, 60, ["LOGIN"],
        )  # fmt: skip
        assert fresh.call("PUT", "/events/config", {"enabledEventTypes": []}).status_code == 204
        live = fresh.get("/events/config")
        assert live["eventsEnabled"] is False
        assert "eventsExpiration" not in live
        assert "LOGIN_ERROR" in live["enabledEventTypes"]
        assert live["adminEventsEnabled"] is True
