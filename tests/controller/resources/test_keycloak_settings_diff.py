"""What a policy says of realm, identity providers, clients and default roles against what is there: pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.keycloak_login_values import IdentityProvider, OidcClient
from controller.resources import clients, default_roles, identity_providers, realm, roles
from controller.resources.resource import Context
from tests.controller.stage import policy_of

CONTEXT = Context(
    "keycloak", "prod", "acme", datetime(2026, 1, 1, tzinfo=UTC), role_names=frozenset({"viewer"})
)


def differing(resource, observed, text):
    policy = policy_of(text)
    found = resource.diff(observed, resource.desired(policy, CONTEXT), CONTEXT)
    return {
        change.key: {
            name: ((change.before or {}).get(name), (change.after or {}).get(name)) for name in change.changed
        }
        for change in found.changes
    }


REALM_CASES = {
    "nothing given": ("{name: acme}", {"brute_force": False}, {}),
    "a switch": (
        "{name: acme, registration: true}",
        {"registration": False},
        {"registration": (False, True)},
    ),
    "a switch turned off": (
        "{name: acme, registration: false}",
        {"registration": True},
        {"registration": (True, False)},
    ),
    "the protection alone": (
        "{name: acme, brute_force: {}}",
        {"brute_force": False, "brute_force.failures": 30},
        {"brute_force": (False, True)},
    ),
    "only the failures": (
        "{name: acme, brute_force: {failures: 5}}",
        {"brute_force": True, "brute_force.failures": 30, "brute_force.lockout_seconds": 60},
        {"brute_force.failures": (30, 5)},
    ),
    "a section that is null": ("{name: acme, sessions: null}", {"sessions.idle_seconds": 1}, {}),
    "a duration": (
        "{name: acme, sessions: {idle: 30m}}",
        {"sessions.idle_seconds": 60},
        {"sessions.idle_seconds": (60, 1800)},
    ),
    "the same duration in other words": (
        "{name: acme, sessions: {idle: 60m}}",
        {"sessions.idle_seconds": 3600},
        {},
    ),
    "offline sessions are limited at all": (
        "{name: acme, sessions: {offline_max: 1d}}",
        {"sessions.offline_max_seconds": None},
        {"sessions.offline_max_seconds": (None, 86_400)},
    ),
    "no rules for passwords are said": ("{name: acme}", {"password_policy.length": 8}, {}),
    "no rule holds": (
        "{name: acme, password_policy: {}}",
        {"password_policy.length": 8},
        {"password_policy.length": (8, None)},
    ),
    "a rule that nobody knows goes": (
        "{name: acme, password_policy: {length: 8}}",
        {"password_policy.length": 8, "password_policy.regexPattern": "^a"},
        {"password_policy.regexPattern": ("^a", None)},
    ),
    "a switch that does not hold": ("{name: acme, password_policy: {not_email: false}}", {}, {}),
    "a required action": (
        "{name: acme, required_actions: {CONFIGURE_TOTP: default}}",
        {"required_actions.CONFIGURE_TOTP": "enabled", "required_actions.VERIFY_EMAIL": "disabled"},
        {"required_actions.CONFIGURE_TOTP": ("enabled", "default")},
    ),
}


@pytest.mark.parametrize(("text", "seen", "changed"), REALM_CASES.values(), ids=REALM_CASES)
def test_a_realm(text, seen, changed):
    found = differing(realm, {"acme": realm.Realm("acme", seen)}, f"realm: {text}")
    assert found == ({"acme": changed} if changed else {})


def test_a_new_realm_says_only_what_is_given():
    assert differing(
        realm, {}, "realm: {name: acme, tokens: {access: 5m}, password_policy: {digits: 2}}"
    ) == {"acme": {"tokens.access_seconds": (None, 300), "password_policy.digits": (None, 2)}}


def test_mail_is_the_whole_mail_server_and_its_password_a_name():
    text = """
realm:
  name: acme
  mail: {host: m, sender: a@example.org, user: u, password: {controller_file: /s/mail}}
"""
    (changed,) = differing(realm, {"acme": realm.Realm("acme", {})}, text).values()
    assert changed["mail.password"] == (None, {"controller_file": "/s/mail"})
    assert changed["mail.port"] == (None, 25)


PROVIDER = IdentityProvider("google", "prod", "google", client_id="x", trust_email=True, sync="force")
PROVIDERS = {
    "the same": (PROVIDER, "{type: google, client_id: x}", {}),
    "another id": (PROVIDER, "{type: google, client_id: y}", {"client_id": ("x", "y")}),
    "not ours": (replace(PROVIDER, owner=""), "{type: google, client_id: y}", {}),
    "somebody else's": (replace(PROVIDER, owner="test"), "{type: google, client_id: y, adopt: true}", {}),
    "adopted": (
        replace(PROVIDER, owner=""),
        "{type: google, client_id: x, adopt: true}",
        {"owner": ("", "prod")},
    ),
    "switched off": (PROVIDER, "{type: google, client_id: x, enabled: false}", {"enabled": (True, False)}),
    "no scopes any more": (
        replace(PROVIDER, scopes=("openid",)),
        "{type: google, client_id: x, scopes: []}",
        {"scopes": (("openid",), ())},
    ),
    "a secret that nobody may compare": (
        replace(PROVIDER, client_secret="controller_file:/s/a"),
        "{type: google, client_id: x, client_secret: {controller_file: /s/b}}",
        {"client_secret": ({"controller_file": "/s/a"}, {"controller_file": "/s/b"})},
    ),
    "another flow": (
        replace(PROVIDER, by_email="flow mine"),
        "{type: google, client_id: x, by_email: confirm}",
        {"by_email": ("flow mine", "confirm")},
    ),
}


@pytest.mark.parametrize(("seen", "text", "changed"), PROVIDERS.values(), ids=PROVIDERS)
def test_an_identity_provider(seen, text, changed):
    observed = identity_providers.Seen({"google": identity_providers.Provider(seen)})
    found = differing(
        identity_providers, observed, f"realm: {{name: acme, identity_providers: {{google: {text}}}}}"
    )
    assert found == ({"google": changed} if changed else {})


@pytest.mark.parametrize(("owner", "adopt", "gaps"), [("prod", False, 1), ("", True, 1), ("", False, 0)])
def test_another_type_is_held_where_the_provider_would_be_ours(owner, adopt, gaps):
    observed = identity_providers.Seen(
        {"google": identity_providers.Provider(replace(PROVIDER, owner=owner))}
    )
    text = f"{{type: github, client_id: x, adopt: {str(adopt).lower()}}}"
    policy = policy_of(f"realm: {{name: acme, identity_providers: {{google: {text}}}}}")
    found = identity_providers.diff(observed, identity_providers.desired(policy, CONTEXT), CONTEXT)
    assert (found.changes, len([gap for gap in found.gaps if gap.is_held])) == ((), gaps)
    assert len(found.reported) == 1 - gaps


def test_providers_that_we_may_not_see_are_a_gap_where_the_policy_names_some_and_said_otherwise():
    hidden = identity_providers.Seen({}, hidden="no right")
    named = policy_of("realm: {name: acme, identity_providers: {google: {type: google, client_id: x}}}")
    found = identity_providers.diff(hidden, identity_providers.desired(named, CONTEXT), CONTEXT)
    assert [(gap.section, gap.why) for gap in found.gaps] == [("identity_providers", "no right")]
    found = identity_providers.diff(hidden, {}, CONTEXT)
    assert (found.gaps, [one.section for one in found.reported]) == ((), ["identity_providers"])


CLIENT = OidcClient("grafana", "1", "prod", redirect=("https://g/*",), name="Grafana", roles_claim=True)
CLIENTS = {
    "the same": (CLIENT, "{redirect: ['https://g/*']}", {}),
    "in another order": (
        replace(CLIENT, redirect=("https://a/", "https://b/")),
        "{redirect: ['https://b/', 'https://a/']}",
        {},
    ),
    "said twice": (CLIENT, "{redirect: ['https://g/*', 'https://g/*']}", {}),
    "no addresses, no login": (
        CLIENT,
        "{redirect: []}",
        {"redirect": (("https://g/*",), ()), "login": (True, False)},
    ),
    "nobody may log in by hand": (
        replace(CLIENT, login=False),
        "{redirect: ['https://g/*']}",
        {"login": (False, True)},
    ),
    "public is with PKCE": (CLIENT, "{public: true}", {"public": (False, True), "pkce": (False, True)}),
    "confidential again keeps PKCE": (
        replace(CLIENT, public=True, pkce=True),
        "{public: false}",
        {"public": (True, False)},
    ),
    "a mapper that was altered": (
        replace(CLIENT, roles_claim=None),
        "{roles_claim: true}",
        {"roles_claim": (None, True)},
    ),
    "a claim that nobody asks for stays": (CLIENT, "{}", {}),
    "not ours": (replace(CLIENT, owner=""), "{name: x}", {}),
    "another protocol": (replace(CLIENT, owner="", protocol="saml"), "{name: x, adopt: true}", {}),
}


@pytest.mark.parametrize(("seen", "text", "changed"), CLIENTS.values(), ids=CLIENTS)
def test_a_client(seen, text, changed):
    found = differing(clients, {"grafana": clients.Client(seen)}, f"clients: {{grafana: {text}}}")
    assert found == ({"grafana": changed} if changed else {})


def test_clients_of_keycloaks_own_are_never_changed_nor_pruned():
    own = clients.Client(OidcClient("account", "1", "prod"))
    mine = clients.Client(OidcClient("account"), given={"name": "x"}, adopt=True)
    found = clients.diff({"account": own}, {"account": mine}, CONTEXT)
    assert (found.changes, found.prunes) == ((), ())
    assert "Keycloak's own" in found.reported[0].text
    assert clients.diff({"account": own}, {}, CONTEXT).prunes == ()


def test_clients_that_left_the_policy_are_prunes():
    found = clients.diff({"grafana": clients.Client(CLIENT)}, {}, CONTEXT)
    assert [(one.key, one.object_id, dict(one.removals)) for one in found.prunes] == [
        ("grafana", "1", {"clients": 1})
    ]


DEFAULTS = {
    "not said": ("{name: acme}", {"viewer"}, set(), None),
    "put in": ("{name: acme, default_roles: [viewer]}", set(), set(), ((), ("viewer",))),
    "taken out": ("{name: acme, default_roles: []}", {"viewer"}, set(), (("viewer",), ())),
    "the same": ("{name: acme, default_roles: [viewer]}", {"viewer"}, set(), None),
    "a role of others": ("{name: acme, default_roles: [viewer]}", set(), {"viewer"}, None),
}


@pytest.mark.parametrize(("text", "held", "theirs", "moves"), DEFAULTS.values(), ids=DEFAULTS)
def test_default_roles(text, held, theirs, moves):
    seen = {"acme": default_roles.DefaultRoles(frozenset(held), "1", frozenset(theirs))}
    found = differing(default_roles, seen, f"realm: {text}\nroles: {{viewer: {{}}}}")
    assert found == ({"acme": {"roles": moves}} if moves else {})


def test_permissions_of_the_api_that_are_not_given_do_not_hold():
    seen = {"viewer": roles.Role("prod", "d", api=("vm:read",))}
    assert differing(roles, seen, "roles: {viewer: {}}") == {"viewer": {"api": (("vm:read",), ())}}
    assert differing(roles, seen, "roles: {viewer: {api: ['vm:read', 'vm:read']}}") == {}


SEEN_CLIENTS = st.builds(
    OidcClient,
    client_id=st.just("a"),
    id=st.just("1"),
    owner=st.just("prod"),
    name=st.sampled_from(("", "A")),
    enabled=st.booleans(),
    login=st.booleans(),
    redirect=st.sampled_from(((), ("https://a/",), ("https://a/", "https://b/"))),
    public=st.booleans(),
    pkce=st.booleans(),
    service_account=st.booleans(),
    roles_claim=st.sampled_from((True, False, None)),
)
GIVEN = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(("A", "B")),
        "enabled": st.booleans(),
        "redirect": st.sampled_from(("['https://a/']", "[]", "['https://b/', 'https://a/']")),
        "public": st.booleans(),
        "roles_claim": st.booleans(),
    },
)


@given(SEEN_CLIENTS, GIVEN)
def test_once_a_client_is_as_it_should_be_nothing_is_left_and_what_is_not_given_stayed(seen, fields):
    text = ", ".join(
        f"{name}: {str(value).lower() if isinstance(value, bool) else value}"
        for name, value in fields.items()
    )
    policy = policy_of(f"clients: {{a: {{{text}}}}}")
    wanted = clients.desired(policy, CONTEXT)
    first = clients.diff({"a": clients.Client(seen)}, wanted, CONTEXT)
    for change in first.changes:
        now = clients._stored(change, change.after)
        assert clients.diff({"a": clients.Client(now)}, wanted, CONTEXT).changes == ()
        implied = {"redirect": {"login"}, "public": {"pkce"}}
        allowed = {*fields, *(name for given in fields for name in implied.get(given, ()))}
        assert set(change.changed) <= allowed
