"""Passes over realm settings, identity providers, default roles and clients, on both Keycloaks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from controller.keycloak_values import KeycloakRealm, RolePatch
from controller.plan.change import Result

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.controller.place import Place


DEEP = """
  display_name: Acme
  registration: false
  verify_email: true
  reset_password: true
  login_with_email: false
  brute_force: {failures: 5, lockout: 10m, permanent: true}
  password_policy: {length: 12, max_length: 80, digits: 1, lower_case: 1, upper_case: 2, special: 1,
                    not_username: true, not_email: true, history: 5, max_age: 365d}
  otp: {type: totp, algorithm: SHA256, digits: 8, period: 60s, look_around: 2, reusable: true}
  sessions: {idle: 45m, max: 12h, remember_me: true, remember_me_idle: 7d, remember_me_max: 30d,
             offline_idle: 20d, offline_max: 60d}
  tokens: {access: 2m, login: 20m, action_by_user: 10m, action_by_admin: 2d, refresh_once: true}
  mail: {host: mail.example.org, port: 587, sender: sso@example.org, sender_name: Acme, encryption: starttls,
         user: sso, password: {controller_file: SECRETS/mail.secret}}
  required_actions: {CONFIGURE_TOTP: default, TERMS_AND_CONDITIONS: enabled, UPDATE_PROFILE: disabled}
  events: {logins: true, keep: 30d, admin: true, admin_details: true}
"""
PEOPLE = """
roles:
  viewer: {description: may look, api: [vm:read, gpu:read]}
  operator: {includes: [viewer], api: ["vm:*"]}
clients:
  grafana: {name: Grafana, redirect: ["https://grafana.example.org/*"], post_logout: ["https://b/", "https://a/"],
            web_origins: ["+"], roles_claim: true, secret: {controller_file: SECRETS/client.secret}}
  page: {public: true, redirect: ["https://page.example.org/cb"], roles_claim: false}
  robot: {service_account: true, description: logs in as itself}
"""
PROVIDERS = """
  default_roles: [viewer]
  identity_providers:
    google: {type: google, client_id: g, client_secret: {controller_file: SECRETS/idp.secret},
             hosted_domain: example.org, trust_email: true, by_email: link, scopes: [openid, email]}
    partner: {display_name: Partner, client_id: p, client_secret: {controller_file: SECRETS/idp.secret},
              issuer: "https://idp.example.org", authorization_url: "https://idp.example.org/auth",
              token_url: "https://idp.example.org/token", user_info_url: "https://idp.example.org/me",
              jwks_url: "https://idp.example.org/keys", logout_url: "https://idp.example.org/out",
              sync: force}
    code: {type: github, client_id: c, enabled: false}
"""


@pytest.mark.parametrize("is_there", [False, True], ids=["made", "there already"])
def test_apply_then_plan_is_empty_and_a_second_apply_writes_nothing(place: Place, is_there: bool):
    if is_there:
        place.writer.create_realm(KeycloakRealm(place.realm, admin_events=True))
    policy = place.policy(DEEP + PROVIDERS, PEOPLE)
    place.settle(policy)
    written = len(place.events())
    assert place.apply(policy) == []
    assert len(place.events()) == written


def test_what_stands_on_the_server(there: Place):
    there.settle(there.policy(DEEP + PROVIDERS, PEOPLE))
    realm = there.get("")
    told = {name: realm[name] for name in REALM}
    assert told == REALM
    assert rules(realm["passwordPolicy"]) == {
        "length(12)", "maxLength(80)", "digits(1)", "lowerCase(1)", "upperCase(2)", "specialChars(1)",
        "notUsername(undefined)", "notEmail(undefined)", "passwordHistory(5)",
        "forceExpiredPasswordChange(365)",
    }  # fmt: skip
    assert realm["smtpServer"] == {
        "host": "mail.example.org", "port": "587", "from": "sso@example.org", "fromDisplayName": "Acme",
        "ssl": "false", "starttls": "true", "auth": "true", "user": "sso", "password": "**********",
    }  # fmt: skip
    assert realm["attributes"]["steward.mail_password"].startswith("controller_file:/")
    actions = {one["alias"]: one for one in there.get("/authentication/required-actions")}
    assert actions["CONFIGURE_TOTP"]["defaultAction"]
    assert not actions["UPDATE_PROFILE"]["enabled"]
    (grafana,) = there.get("/clients?clientId=grafana")
    assert grafana["secret"] == "value of client.secret"
    assert grafana["attributes"]["post.logout.redirect.uris"] == "https://a/##https://b/"
    assert [one["config"]["claim.name"] for one in grafana["protocolMappers"]] == ["roles"]
    (page,) = there.get("/clients?clientId=page")
    assert (page["publicClient"], page["attributes"]["pkce.code.challenge.method"]) == (True, "S256")
    (robot,) = there.get("/clients?clientId=robot")
    assert (robot["serviceAccountsEnabled"], robot["standardFlowEnabled"]) == (True, False)
    google = there.get("/identity-provider/instances/google")
    assert google["firstBrokerLoginFlowAlias"] == "steward link by e-mail"
    assert google["config"]["steward.owner"] == "prod"
    assert there.get("/roles/viewer")["attributes"]["steward.api"] == ["gpu:read", "vm:read"]
    held = {one["name"] for one in there.get(f"/roles/default-roles-{there.realm}/composites/realm")}
    assert held == {"offline_access", "uma_authorization", "viewer"}


REALM: Mapping[str, Any] = {
    "displayName": "Acme",
    "verifyEmail": True,
    "resetPasswordAllowed": True,
    "loginWithEmailAllowed": False,
    "bruteForceProtected": True,
    "failureFactor": 5,
    "maxFailureWaitSeconds": 600,
    "permanentLockout": True,
    "otpPolicyAlgorithm": "HmacSHA256",
    "otpPolicyDigits": 8,
    "otpPolicyPeriod": 60,
    "otpPolicyCodeReusable": True,
    "ssoSessionIdleTimeout": 2700,
    "ssoSessionMaxLifespan": 43200,
    "rememberMe": True,
    "offlineSessionMaxLifespanEnabled": True,
    "offlineSessionMaxLifespan": 5184000,
    "accessTokenLifespan": 120,
    "actionTokenGeneratedByAdminLifespan": 172800,
    "revokeRefreshToken": True,
    "refreshTokenMaxReuse": 0,
    "eventsEnabled": True,
    "eventsExpiration": 2592000,
    "adminEventsDetailsEnabled": True,
}


def rules(text: str) -> set[str]:
    return set(text.split(" and "))


BY_HAND = {
    "a time-out": (
        lambda place: place.put("", place.get("") | {"ssoSessionIdleTimeout": 60}),
        {"realm": {"sessions.idle_seconds": (60, 2700)}},
    ),
    "a rule for passwords too few": (
        lambda place: place.put("", place.get("") | {"passwordPolicy": "length(12)"}),
        {"realm": {"password_policy.digits": (None, 1), "password_policy.history": (None, 5)}},
    ),
    "a rule for passwords that nobody asked for": (
        lambda place: place.put(
            "", place.get("") | {"passwordPolicy": place.get("")["passwordPolicy"] + " and regexPattern(^a)"}
        ),
        {"realm": {"password_policy.regexPattern": ("^a", None)}},
    ),
    "no mail server": (
        lambda place: place.put("", place.get("") | {"smtpServer": {}}),
        {"realm": {"mail.host": (None, "mail.example.org"), "mail.port": (None, 587)}},
    ),
    "a required action": (
        lambda place: place.put(
            "/authentication/required-actions/CONFIGURE_TOTP",
            place.get("/authentication/required-actions/CONFIGURE_TOTP") | {"enabled": False},
        ),
        {"realm": {"required_actions.CONFIGURE_TOTP": ("disabled", "default")}},
    ),
    "a provider's domain": (
        lambda place: altered_provider(place, "google", hostedDomain="evil.example.org"),
        {"identity_providers": {"hosted_domain": ("evil.example.org", "example.org")}},
    ),
    "a provider that no longer checks signatures": (
        lambda place: altered_provider(place, "partner", validateSignature="false"),
        {"identity_providers": {"jwks_url": ("", "https://idp.example.org/keys")}},
    ),
    "the flow that links": (
        lambda place: altered_flow(place, "DISABLED"),
        {"identity_providers": {"by_email": ("link, altered by hand", "link")}},
    ),
    "a redirect too many": (
        lambda place: altered_client(
            place, "grafana", redirectUris=["https://grafana.example.org/*", "https://e/*"]
        ),
        {
            "clients": {
                "redirect": (
                    ("https://e/*", "https://grafana.example.org/*"),
                    ("https://grafana.example.org/*",),
                )
            }
        },
    ),
    "a mapper": (
        lambda place: altered_mapper(place, "groups"),
        {"clients": {"roles_claim": (None, True)}},
    ),
    "no PKCE": (
        lambda place: altered_client(place, "page", attributes={"pkce.code.challenge.method": ""}),
        {"clients": {"pkce": (False, True)}},
    ),
    "a permission of the API": (
        lambda place: place.writer.update_role(
            place.writer.role("viewer").id, RolePatch(attributes=(("steward.api", ("host:root",)),))
        ),
        {"roles": {"api": (("host:root",), ("gpu:read", "vm:read"))}},
    ),
    "a default role": (
        lambda place: place.writer.update_role(
            place.writer.role(f"default-roles-{place.realm}").id,
            RolePatch(includes=frozenset({"offline_access", "operator"})),
        ),
        {"default_roles": {"roles": (("operator",), ("viewer",))}},
    ),
}


def test_what_was_changed_by_hand_is_seen_and_mended(there: Place):
    policy = there.policy(DEEP + PROVIDERS, PEOPLE)
    there.settle(policy)
    for name, (by_hand, expected) in BY_HAND.items():
        by_hand(there)
        changes = there.changes(policy)
        seen = {
            change.section: {
                field: ((change.before or {}).get(field), (change.after or {}).get(field))
                for field in expected[change.section]
            }
            for change in changes.values()
        }
        assert seen == expected, name
        there.settle(policy)


def altered_provider(place: Place, alias: str, **config: str) -> None:
    path = f"/identity-provider/instances/{alias}"
    current = place.get(path)
    place.put(path, current | {"config": current["config"] | config})


def altered_client(place: Place, name: str, **fields: Any) -> None:
    (current,) = place.get(f"/clients?clientId={name}")
    place.put(f"/clients/{current['id']}", current | fields)


def altered_mapper(place: Place, claim: str) -> None:
    (current,) = place.get("/clients?clientId=grafana")
    (mapper,) = current["protocolMappers"]
    config = mapper["config"] | {"claim.name": claim}
    place.put(f"/clients/{current['id']}", current | {"protocolMappers": [mapper | {"config": config}]})


def altered_flow(place: Place, requirement: str) -> None:
    path = "/authentication/flows/steward%20link%20by%20e-mail/executions"
    first = place.get(path)[0]
    place.put(path, first | {"requirement": requirement})


def test_what_carries_no_mark_of_ours_is_the_same_afterwards(there: Place):
    there.post("/clients", {"clientId": "other", "redirectUris": ["https://o/*"], "attributes": {"a": "b"}})
    there.post("/clients", {"clientId": "in-the-way", "attributes": {"steward.owner": "somebody"}})
    there.post(
        "/identity-provider/instances",
        {"alias": "theirs", "providerId": "google", "config": {"clientId": "x"}},
    )
    there.post(
        "/identity-provider/instances",
        {"alias": "partner", "providerId": "github", "config": {"clientId": "y"}},
    )
    there.post("/roles", {"name": "theirs"})
    there.writer.update_role(
        there.writer.role(f"default-roles-{there.realm}").id,
        RolePatch(includes=frozenset({"offline_access", "uma_authorization", "theirs"})),
    )
    before = foreign(there)
    more = PEOPLE + "  in-the-way: {redirect: ['https://mine/*']}\n"
    policy = there.policy(DEEP + PROVIDERS, more)
    there.settle(policy)
    said = {f"{one.section}/{one.key}": one.text for one in there.plan(policy).plan.reported}
    assert "somebody" in said["clients/in-the-way"]
    assert "not ours" in said["identity_providers/partner"]
    assert foreign(there) == before
    there.settle(there.policy("  default_roles: []", "roles: {viewer: {}, operator: {}}"))
    assert foreign(there) == before
    held = {one["name"] for one in there.get(f"/roles/default-roles-{there.realm}/composites/realm")}
    assert held == {"offline_access", "uma_authorization", "theirs"}


def provider(alias: str, kind: str) -> dict[str, Any]:
    return {"alias": alias, "providerId": kind, "config": {"clientId": "x"}}


def foreign(place: Place) -> str:
    """Everything of others, byte for byte."""
    ours = ("grafana", "page", "robot")
    clients = [one for one in place.get("/clients") if one["clientId"] not in ours]
    providers = [
        one for one in place.get("/identity-provider/instances") if one["alias"] in {"theirs", "partner"}
    ]
    flows = [one for one in place.get("/authentication/flows") if "steward" not in one["alias"]]
    return json.dumps([clients, providers, flows, place.get("/roles/theirs")], sort_keys=True)


def test_what_left_the_policy_is_pruned_with_its_flow(there: Place):
    there.settle(there.policy(PROVIDERS, PEOPLE))
    there.settle(there.policy("", "roles: {viewer: {}, operator: {includes: [viewer]}}"))
    names = {one["clientId"] for one in there.get("/clients")}
    assert not names & {"grafana", "page", "robot"}
    assert there.get("/identity-provider/instances") == []
    assert [one for one in there.get("/authentication/flows") if "steward" in one["alias"]] == []
    assert there.get("/roles/viewer")["attributes"] == {"steward.owner": ["prod"]}


def test_what_is_given_as_nothing_is_emptied(there: Place):
    there.settle(there.policy(DEEP + PROVIDERS, PEOPLE))
    realm = DEEP.replace("Acme", '""').replace(
        "user: sso, password: {controller_file: SECRETS/mail.secret}", ""
    )
    realm = realm.replace("{length: 12, max_length: 80,", "{").replace("permanent: true", "permanent: false")
    providers = PROVIDERS.replace("hosted_domain: example.org", 'hosted_domain: ""')
    providers = providers.replace("by_email: link, scopes: [openid, email]", "by_email: confirm, scopes: []")
    providers = providers.replace('logout_url: "https://idp.example.org/out"', 'logout_url: ""')
    clients = PEOPLE.replace("name: Grafana", 'name: ""').replace('["https://b/", "https://a/"]', "[]")
    clients = clients.replace("roles_claim: true", "roles_claim: false").replace(
        "public: true", "public: false"
    )
    there.settle(there.policy(realm + providers, clients))
    now = there.get("")
    assert "length(" not in now["passwordPolicy"]
    assert (now.get("displayName") or "", now["smtpServer"].get("password")) == ("", None)
    google = there.get("/identity-provider/instances/google")
    assert not google.get("firstBrokerLoginFlowAlias")
    assert not google["config"].keys() & {"hostedDomain", "defaultScope"}
    assert [one for one in there.get("/authentication/flows") if "steward" in one["alias"]] == []
    (grafana,) = there.get("/clients?clientId=grafana")
    assert grafana["attributes"].get("post.logout.redirect.uris") is None
    assert not grafana.get("protocolMappers")


def test_adoption_takes_over_what_nobody_owns(there: Place):
    there.post("/clients", {"clientId": "grafana", "redirectUris": ["https://old/*"], "name": "Old"})
    there.post(
        "/identity-provider/instances",
        {"alias": "google", "providerId": "google", "config": {"clientId": "x"}},
    )
    policy = there.policy(
        "  identity_providers: {google: {type: google, client_id: x, adopt: true}}",
        "clients: {grafana: {redirect: ['https://new/*'], adopt: true}}",
    )
    assert {change.changed for change in there.changes(policy).values()} == {
        ("owner", "redirect"),
        ("owner",),
    }
    there.settle(policy)
    (grafana,) = there.get("/clients?clientId=grafana")
    assert (grafana["name"], grafana["redirectUris"]) == ("Old", ["https://new/*"])


def test_fields_that_are_not_given_stay(there: Place):
    there.put(
        "", there.get("") | {"failureFactor": 9, "accessTokenLifespan": 77, "passwordPolicy": "length(3)"}
    )
    there.settle(there.policy("  brute_force: {lockout: 5m}\n  sessions: {idle: 40m}"))
    realm = there.get("")
    assert (realm["failureFactor"], realm["maxFailureWaitSeconds"]) == (9, 300)
    assert (realm["accessTokenLifespan"], realm["passwordPolicy"]) == (77, "length(3)")


def test_another_reference_of_a_secret_is_written_without_its_value_in_the_plan(there: Place):
    there.settle(there.policy(DEEP, PEOPLE))
    (there.folder / "new.secret").write_text("brand new\n")
    policy = there.policy(
        DEEP.replace("mail.secret", "new.secret"), PEOPLE.replace("client.secret", "new.secret")
    )
    changes = there.changes(policy)
    assert {one.changed for one in changes.values()} == {("mail.password",), ("secret",)}
    assert "brand new" not in json.dumps([one.to_json() for one in changes.values()])
    there.settle(policy)
    (grafana,) = there.get("/clients?clientId=grafana")
    assert grafana["secret"] == "brand new"


def test_a_secret_from_elsewhere_is_refused_and_the_rest_is_done(there: Place):
    policy = there.policy(
        "  display_name: X", "clients: {a: {secret: {controller_file: /etc/hostname}}, b: {}}"
    )
    results = {one.change.key: (one.result, one.reason) for one in there.apply(policy)}
    assert results["b"][0] is Result.APPLIED
    assert results["a"][0] is Result.FAILED
    assert "may not be used for clients" in results["a"][1]


def test_a_required_action_that_the_server_does_not_know_is_said(there: Place):
    (outcome,) = there.apply(there.policy("  required_actions: {no-such-thing: enabled}"))
    assert (outcome.result, "no required action no-such-thing" in outcome.reason) == (Result.CONFLICT, True)
