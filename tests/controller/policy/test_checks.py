"""What a policy may not say of people, logins and machines: each refusal at its place, with what to do."""

from __future__ import annotations

import pytest

from controller.policy import PolicyErrors, parse

HEAD = "version: 1\nowner: prod\n"


def problems(text: str) -> list[str]:
    try:
        parse({"policy.yaml": (HEAD + text).encode()}, "")
    except PolicyErrors as errors:
        return str(errors).splitlines()
    return []


TWO_PLACES = "one secret, two places (controller_file, controller_env)"
UNKNOWN_ACTION = "a plug-in's is named in realm.required_actions"
STORAGE_NAMES = "a letter first, at least two characters, letters, digits and . _ -"
UNKNOWN_ZONE = "a name of the IANA list, as Europe/Paris"
MODE_KEYS = (
    "realm, roles, teams, users, clients, machines.assigned, machines.power, machines.backup, pools, "
    "storages, nodes, hosts, backups, alerting"
)
LINKS = """\
realm: {name: a, identity_providers: {google: {type: google, client_id: x}}}
users: {jo: {links: {gogle: {id: '7'}}}}
"""
TWINS = """\
realm: {name: a, identity_providers: {google: {type: google, client_id: x}}}
users: {jo: {links: {google: {id: '7'}}}, al: {links: {google: {id: '7'}}}}
"""
TOKENS = """\
roles: {r: {}}
users: {jo: {proxmox_tokens: {ci: {secret: {controller_file: /x}}}}}
machines: {m: {assigned: {tokens: {jo!cj: r}}}}
"""

SECRETS = {
    "a host's file for the mail password": (
        "realm:\n  name: acme\n  mail: {host: m, sender: a@b.org, user: u, password: {host_file: /x}}\n",
        "5:56: host_file cannot hold this secret, only hosts read it: say controller_file or controller_env",
    ),
    "an identity provider's secret, nowhere": (
        "realm: {name: acme, identity_providers: {g: {type: google, client_id: x, client_secret: {}}}}\n",
        "3:89: no place of the secret is given: say controller_file or controller_env",
    ),
    "a client's secret in two places": (
        "clients: {c: {secret: {controller_file: /x, controller_env: X}}}\n",
        f"3:45: {TWO_PLACES}: say one of controller_file or controller_env",
    ),
    "a token into a variable": (
        "users: {jo: {proxmox_tokens: {ci: {secret: {controller_env: X}}}}}\n",
        "3:45: controller_env cannot hold this secret, it is written to a file: say controller_file",
    ),
    "a repository's password, nowhere": (
        "repositories: {r: {url: x, password: {}}}\n",
        "3:38: no place of the secret is given: say host_file, host_env, controller_file or controller_env",
    ),
}

LOGIN = {
    "a provider without addresses": (
        "realm: {name: a, identity_providers: {corp: {client_id: x, issuer: 'https://i.example.org'}}}\n",
        "3:39: type oidc needs authorization_url, token_url: its discovery document has them",
    ),
    "an address for google": (
        "realm: {name: a, identity_providers: {g: {type: google, client_id: x, issuer: 'https://x.org'}}}\n",
        "3:71: issuer is for type oidc: Keycloak knows the addresses of google itself",
    ),
    "a domain of google's for github": (
        "realm: {name: a, identity_providers: {g: {type: github, client_id: x, hosted_domain: x.org}}}\n",
        "3:71: hosted_domain is for type google, not github",
    ),
    "an issuer that is no address": (
        """\
realm:
  name: a
  identity_providers:
    corp: {client_id: x, issuer: login.x.org, authorization_url: "https://x.org", token_url: "https://x.org"}
""",
        '6:34: "login.x.org" is no address, as https://login.example.org/token',
    ),
    "accounts for whoever types an address": (
        "realm: {name: a, identity_providers: {g: {type: gitlab, client_id: x, by_email: link}}}\n",
        "3:81: link needs trust_email: true: whoever enters somebody's address there would have the account",
    ),
    "a password that nobody could have": (
        "realm: {name: a, password_policy: {max_length: 8, digits: 4, special: 5}}\n",
        "3:48: no password fits: at least 9 characters are asked for, 8 are allowed",
    ),
    "a password's age in hours": (
        "realm: {name: a, password_policy: {max_age: 36h}}\n",
        '3:45: "36h" is not a number of whole days, as 90d',
    ),
    "a session of a thousand years": (
        "realm: {name: a, sessions: {max: 99999w}}\n",
        '3:34: "99999w" is longer than Keycloak can count (68 years)',
    ),
    "idle for longer than a session": (
        "realm: {name: a, sessions: {idle: 2h, max: 1h}}\n",
        "3:35: idle is longer than max (1h): it would never come to it",
    ),
    "a mail user without password": (
        "realm: {name: a, mail: {host: m, sender: a@b.org, user: u}}\n",
        "3:51: a user of the mail server without a password: give both or neither",
    ),
    "an action that nobody knows": (
        "users: {jo: {required_actions: [CONFIGURE_OTP]}}\n",
        f'3:33: unknown required action "CONFIGURE_OTP": {UNKNOWN_ACTION}; did you mean "CONFIGURE_TOTP"?',
    ),
    "a second factor that the realm forbids": (
        "realm: {name: a, required_actions: {CONFIGURE_TOTP: disabled}}\nusers: {jo: {mfa: required}}\n",
        "4:19: CONFIGURE_TOTP is disabled in this realm, at policy.yaml:3:53",
    ),
    "a public client with a secret": (
        "clients: {c: {public: true, secret: {controller_env: X}}}\n",
        "3:29: a public client can keep no secret: drop secret, or public",
    ),
    "a public client as somebody": (
        "clients: {c: {public: true, service_account: true}}\n",
        "3:29: a public client cannot log in as itself: drop service_account, or public",
    ),
    "Keycloak's own client": (
        "clients: {realm-management: {}}\n",
        '3:11: "realm-management" is a client of Keycloak\'s own: take another name',
    ),
    "two clients for Proxmox": (
        "clients: {a: {proxmox: {default: true}}, b: {proxmox: {default: true}}}\n",
        '3:46: "a" is the client of Proxmox already, at policy.yaml:3:15: one logs everybody in',
    ),
    "a link to nowhere": (
        LINKS,
        '4:22: unknown identity provider "gogle"; did you mean "google"?',
    ),
    "one account elsewhere for two people": (
        TWINS,
        '4:69: "7" of "google" is "jo" already, at policy.yaml:4:35',
    ),
}

REDIRECTS = {
    "https://x.org/*": "",
    "https://x.org:8443/a?b=c": "",
    "http://127.0.0.1/*": "",
    "app:/done": "",
    "com.example.app://done": "",
    "/relative": "is not absolute, as https://grafana.example.org/*",
    "*": "is not absolute, as https://grafana.example.org/*",
    "x.org/*": "is not absolute, as https://grafana.example.org/*",
    "https:///path": "names no host, as https://grafana.example.org/*",
    "https://x.org/#top": "must not have a fragment (#...): Keycloak refuses it",
    "https://*.x.org/": "has a wildcard that is not at its end: Keycloak takes it for a letter there",
    "https://x.org/*/b": "has a wildcard that is not at its end: Keycloak takes it for a letter there",
    "https://x.org*": "has a wildcard in its host: it would let any site in; write it after the host, as /*",
    "https://*": "has a wildcard in its host: it would let any site in; write it after the host, as /*",
    "https://x.org:port/": "is not absolute, as https://grafana.example.org/*",
    "https://x .org/": "is not absolute, as https://grafana.example.org/*",
}

ORIGINS = {
    "+": "",
    "https://x.org": "",
    "http://localhost:3000": "",
    "*": "is no origin, as https://grafana.example.org, or + for those of redirect",
    "https://x.org/": "is more than an origin: only scheme, host and port, without a slash at the end",
    "x.org": "is no origin, as https://grafana.example.org, or + for those of redirect",
}

REFUSED_ADDRESS = '"o\'jo@example.org": letters, digits and . _ + - before the @'
IRISH = """\
roles: {r: {}}
teams: {ops: {}, web: {parent: ops, members: [jo]}}
users:
  al: {email: o'al@example.org}
  jo: {email: o'jo@example.org}
nodes: {pve1: {assigned: {teams: {ops: r}}}}
"""
PEOPLE = {
    "an address that only Keycloak takes": (
        IRISH,
        f'7:15: Proxmox, where "jo" is assigned something, refuses the address {REFUSED_ADDRESS}',
    ),
    "two dots in an address": (
        "users: {jo: {email: a..b@example.org}}\n",
        '3:21: "a..b@example.org" is not an e-mail address',
    ),
    "an address too long for Keycloak": (
        f"users: {{jo: {{email: {'a' * 65}@b.org}}}}\n",
        f'3:21: "{"a" * 57}..." has more than 64 characters before the @',
    ),
    "a role of Keycloak's": (
        "roles: {uma_authorization: {}}\n",
        '3:9: "uma_authorization" is a role of Keycloak\'s own: take another name',
    ),
    "two teams in capitals": (
        "teams: {ops: {}, Ops: {}}\n",
        '3:18: "Ops" differs from "ops" only in capitals, at policy.yaml:3:9',
    ),
    "a team too long for Proxmox": (
        f"teams: {{{'t' * 57}: {{}}}}\n",
        f'3:9: "{"t" * 57}" is longer than 56 characters, what Proxmox\'s groups allow',
    ),
    "a client's account": (
        "users: {service-account-grafana: {}}\n",
        '3:9: "service-account-grafana" is the account of a client: say service_account there',
    ),
    "an invitation without address": (
        "users: {jo: {invite: true}}\n",
        "3:14: an invitation goes to an e-mail address: give email",
    ),
    "nothing to verify": (
        "users: {jo: {email_verified: true}}\n",
        "3:14: what is verified is an e-mail address: give email",
    ),
    "our mark by hand": (
        "users: {jo: {attributes: {steward.owner: me}}}\n",
        '3:27: "steward.owner": attributes named steward.* are kept by us',
    ),
    "a field as attribute": (
        "users: {jo: {attributes: {firstName: Jo}}}\n",
        '3:27: "firstName" is no attribute: say first_name',
    ),
    "a token that Proxmox refuses": (
        "users: {jo: {proxmox_tokens: {c: {secret: {controller_file: /x}}}}}\n",
        '3:31: "c" can be no token of Proxmox: a letter first, at least two characters',
    ),
    "a token that nobody has": (
        TOKENS,
        '5:36: unknown token "jo!cj"; did you mean "jo!ci"?',
    ),
    "a token of the wrong shape": (
        "roles: {r: {}}\npools: {gpu: {assigned: {tokens: {'jo!': r}}}}\n",
        '4:35: "jo!" is not a token of a user, as jo!ci',
    ),
}

START = "start: {days: mon-fri, at: '07:00'}"
SCHEDULED = """\
schedules: {s: {time_zone: UTC, start: {days: mon-fri, at: '07:00'}}}
machines: {m: {power: {schedule: s, stop: {how: stop}}}}
"""
MACHINES = {
    "a set of everything": (
        "machine_sets: {s: {match: {tags: []}}}\n",
        "3:27: a set without a condition would hold every machine: give cluster, tags, name",
    ),
    "an expectation that cannot be met": (
        "machine_sets: {s: {match: {tags: [a]}, expect: {min: 3, max: 2}}}\n",
        "3:54: min 3 is more than max 2: the set would never be applied",
    ),
    "running and idle": (
        "machines: {m: {power: {state: running, idle_shutdown: 2h}}}\n",
        "3:40: a machine whose state is running is not shut down when idle: drop one of both",
    ),
    "idle after a blink": (
        "machines: {m: {power: {idle_shutdown: 30s}}}\n",
        '3:39: "30s" is too short to tell idle from waiting: at least 5m',
    ),
    "two ways to stop": (
        SCHEDULED,
        "4:37: a schedule says itself how it stops: stop is for state and idle_shutdown",
    ),
    "waiting for a pulled plug": (
        "machines: {m: {power: {state: stopped, stop: {how: stop, timeout: 5m}}}}\n",
        "3:58: how: stop waits for nothing: timeout is for shutdown",
    ),
    "waiting for a day": (
        "schedules: {s: {time_zone: UTC, stop: {days: daily, at: '20:00', timeout: 1d}}}\n",
        '3:75: "1d" is no time to wait for a guest: 1s to 1h',
    ),
    "a time zone that is none": (
        f"schedules: {{s: {{time_zone: Europe/Pariss, {START}}}}}\n",
        f'3:28: unknown time zone "Europe/Pariss": {UNKNOWN_ZONE}; did you mean "Europe/Paris"?',
    ),
    "a time zone out of the house": (
        f"schedules: {{s: {{time_zone: ../../etc/passwd, {START}}}}}\n",
        '3:28: unknown time zone "../../etc/passwd": a name of the IANA list, as Europe/Paris',
    ),
    "this computer's time zone": (
        f"schedules: {{s: {{time_zone: localtime, {START}}}}}\n",
        '3:28: unknown time zone "localtime": a name of the IANA list, as Europe/Paris',
    ),
    "a schedule of nothing": (
        "schedules: {s: {time_zone: UTC}}\n",
        "3:13: a schedule needs a start or a stop: this one does nothing",
    ),
    "days that no week has": (
        "schedules: {s: {time_zone: UTC, start: {days: mon-fry, at: '07:00'}}}\n",
        "3:47: 'fry' is no day: mon, tue, wed, thu, fri, sat, sun, or daily, weekdays, weekends",
    ),
    "start and stop at once": (
        f"schedules: {{s: {{time_zone: UTC, {START}, stop: {{days: fri-sun, at: '07:00'}}}}}}\n",
        "3:96: start and stop at the same instant, 07:00: nobody could say which comes last",
    ),
    "a pool that Proxmox refuses": (
        "storages: {x: {}}\n",
        f'3:12: "x" can be no storage of Proxmox: {STORAGE_NAMES}',
    ),
    "a node with a dot": (
        "nodes: {pve1.example: {}}\n",
        '3:9: "pve1.example" can be no node of Proxmox: it is a host name, letters, digits and -',
    ),
}

SETTINGS = {
    "two sections in one rule": (
        "ignore: [{users: '*', teams: '*', fields: [email]}]\n",
        "3:10: ignore names exactly one of users, roles, teams, clients, machines",
    ),
    "fewer than nobody": ("limits: {minimum: {users: -1}}\n", "3:27: -1 must be at least 0"),
    "a limit of nothing": (
        "limits: {sections: {users: {}}}\n",
        "3:28: a limit of nothing: give count, share or both",
    ),
    "a limit of no section": (
        "limits: {sections: {user: {count: 3}}}\n",
        f'3:21: "user" is none of {MODE_KEYS}; did you mean "users"?',
    ),
}

CASES = {**SECRETS, **LOGIN, **PEOPLE, **MACHINES, **SETTINGS}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES.keys())
def test_refused_at_its_place(text, expected):
    assert problems(text) == [f"policy.yaml:{expected}"]


@pytest.mark.parametrize(("text", "wrong"), REDIRECTS.items(), ids=REDIRECTS.keys())
@pytest.mark.parametrize("field", ["redirect", "post_logout"])
def test_redirect_addresses(field, text, wrong):
    column = 18 + len(field)
    expected = [f'policy.yaml:3:{column}: "{text}" {wrong}'] if wrong else []
    assert problems(f"clients: {{c: {{{field}: ['{text}']}}}}\n") == expected


@pytest.mark.parametrize(("text", "wrong"), ORIGINS.items(), ids=ORIGINS.keys())
def test_web_origins(text, wrong):
    expected = [f'policy.yaml:3:29: "{text}" {wrong}'] if wrong else []
    assert problems(f"clients: {{c: {{web_origins: ['{text}']}}}}\n") == expected


ALLOWED = {
    "after logout as after login": "clients: {c: {post_logout: [+]}}\n",
    "an overnight window": "schedules: {s: {time_zone: Europe/Paris, start: {days: fri, at: '22:00'}, "
    "stop: {days: sat, at: '22:00'}}}\n",
    "idle within a schedule": f"schedules: {{s: {{time_zone: UTC, {START}}}}}\n"
    "machines: {m: {power: {schedule: s, idle_shutdown: 2h, stop: {timeout: 2m}}}}\n",
    "an action of a plug-in": "realm: {name: a, required_actions: {sign-terms: enabled}}\n"
    "users: {jo: {required_actions: [sign-terms]}}\n",
    "a token of somebody": "roles: {r: {}}\n"
    "users: {jo: {proxmox_tokens: {ci: {secret: {controller_file: /x}}}}}\n"
    "machines: {m: {assigned: {tokens: {jo!ci: r}}}}\n",
    "links by a provider whose addresses are trusted": "realm: {name: a, identity_providers: "
    "{g: {type: google, client_id: x, by_email: link, trust_email: true}}}\n",
    "sessions without end": "realm: {name: a, sessions: {idle: 2h, max: 0s}}\n",
}


@pytest.mark.parametrize("text", ALLOWED.values(), ids=ALLOWED.keys())
def test_allowed(text):
    assert problems(text) == []


def test_a_wrong_type_hides_nothing_else():
    text = "users: {jo: [], al: {invite: true}}\nclients: {c: {redirect: nowhere, public: 1, secret: {}}}\n"
    assert problems(text) == [
        "policy.yaml:3:13: a list here must be a map",
        "policy.yaml:3:22: an invitation goes to an e-mail address: give email",
        'policy.yaml:4:25: "nowhere" must be a list',
        "policy.yaml:4:42: 1 must be true or false",
        "policy.yaml:4:53: no place of the secret is given: say controller_file or controller_env",
    ]
