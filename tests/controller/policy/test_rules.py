"""Rules across entries, secrets, notes, the schema and the commands."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from controller.policy import PolicyErrors, load, parse
from controller.policy.language import fields_at
from controller.policy.model import SECTIONS
from controller.policy.schema import schema
from controller.policy.unapplied import NOT_APPLIED

POLICIES = Path(__file__).resolve().parents[3] / "policies"
COMMAND = "from controller.cli.main import main; main()"
HEAD = "version: 1\nowner: prod\n"


def problems(text: str) -> list[str]:
    try:
        parse({"policy.yaml": (HEAD + text).encode()}, "")
    except PolicyErrors as errors:
        return str(errors).splitlines()
    return []


SECRET = "looks like a secret: a policy holds none, it names where they are (host_file, host_env, ...)"
RULES = {
    "roles in a circle": (
        "roles:\n  a: {includes: [b]}\n  b: {includes: [c]}\n  c: {includes: [a]}\n",
        ["policy.yaml:6:18: roles.includes goes in a circle: a → b → c → a; drop one of these"],
    ),
    "a role that includes itself": (
        "roles: {a: {includes: [a]}}\n",
        ["policy.yaml:3:24: roles.includes goes in a circle: a → a; drop one of these"],
    ),
    "teams in a circle": (
        "teams: {a: {parent: b}, b: {parent: a}}\n",
        ["policy.yaml:3:37: teams.parent goes in a circle: a → b → a; drop one of these"],
    ),
    "one address, two people, in other letters": (
        "users:\n  ada: {email: A@example.org}\n  bo: {email: a@Example.org}\n",
        ['policy.yaml:5:15: "a@Example.org" is the address of "ada" already, at policy.yaml:4:16'],
    ),
    "Keycloak's own roles": (
        "roles: {offline_access: {}, default-roles-acme: {}}\n",
        [
            'policy.yaml:3:9: "offline_access" is a role of Keycloak\'s own: take another name',
            'policy.yaml:3:29: "default-roles-acme" is a role of Keycloak\'s own: take another name',
        ],
    ),
    "the administrators' realm": (
        "realm: {name: master}\n",
        ["policy.yaml:3:15: the master realm holds Keycloak's administrators: no policy manages it"],
    ),
    "ignore without a section": (
        "ignore: [{fields: [email]}]\n",
        ["policy.yaml:3:10: ignore names exactly one of users, roles, teams, clients, machines"],
    ),
    "power by two rules": (
        """\
schedules: {s: {time_zone: UTC, start: {days: mon, at: "07:00"}}}
machines: {m: {power: {schedule: s, state: running}}}
""",
        ["policy.yaml:4:37: power has a schedule or a state, not both"],
    ),
    "one number, two machines": (
        "machines: {a: {vmid: 101}, b: {vmid: 101}, c: {cluster: x, vmid: 101}}\n",
        ['policy.yaml:3:38: vmid 101 is that of "a" already, at policy.yaml:3:22'],
    ),
    "one machine for each": (
        """\
rules: {one_machine_per_user: true}
roles: {r: {}}
users: {ada: {}}
machines:
  a: {assigned: {users: {ada: r}}}
  b: {assigned: {users: {ada: r}}}
""",
        [
            'policy.yaml:8:26: "ada" has "a" already, at policy.yaml:7:26 (rules.one_machine_per_user)',
        ],
    ),
    "nothing where something must be": (
        "backups: {b: {paths: []}}\nrepositories: {r: {url: x, password: hunter}}\n",
        [
            'policy.yaml:3:11: "repository" is missing',
            "policy.yaml:3:22: a list here must not be empty",
            f"policy.yaml:4:38: password {SECRET}",
        ],
    ),
    "names that point nowhere, in every section": (
        """\
teams: {t: {members: [x], roles: [x]}}
machines: {m: {backup: x, assigned: {teams: {x: x}}}}
hosts: {h: {machine: x, accounts: {x: {}}}}
""",
        [
            'policy.yaml:3:23: unknown user "x": users has no such entry',
            'policy.yaml:3:35: unknown role "x": roles has no such entry',
            'policy.yaml:4:24: unknown backup "x": backups has no such entry',
            'policy.yaml:4:46: unknown team "x": teams has no such entry',
            'policy.yaml:4:49: unknown role "x": roles has no such entry',
            'policy.yaml:5:22: unknown machine "x": machines has no such entry',
            'policy.yaml:5:36: unknown user "x": users has no such entry',
        ],
    ),
}


@pytest.mark.parametrize(("text", "expected"), RULES.values(), ids=RULES.keys())
def test_rules(text, expected):
    assert problems(text) == expected


SECRETS = {
    "private key": '"-----BEGIN OPENSSH PRIVATE KEY-----"',
    "AWS": "AKIAIOSFODNN7EXAMPLE",
    "GitHub": "ghp_" + "a1" * 18,
    "JSON Web Token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2ln",
    "Proxmox token": '"steward@pve!x=3f6c3f2e-0000-4000-8000-000000000001"',
    "password in an address": '"https://jo:hunter2@example.org/"',
    "password hash": '"$6$rounds$abcdefghij"',
}


@pytest.mark.parametrize("value", SECRETS.values(), ids=SECRETS.keys())
def test_secrets_are_refused_and_not_shown(value):
    found = problems(f"roles: {{a: {{description: {value}}}}}\n")
    assert len(found) == 1
    assert found[0].startswith("policy.yaml:3:26: ")
    assert value.strip('"') not in found[0]


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJTr4bXbP0bLb0mHqfQp1l0m jo"
REPOSITORY = "repositories: {{r: {{url: 's3:https://s3.example.org/b', password: {{{}}}{}}}}}\n"
PUBLIC = {
    "public SSH key": f"users: {{jo: {{ssh_keys: ['{KEY}']}}}}\n",
    "where a secret is": REPOSITORY.format("host_file: /run/restic", ""),
    "names of variables": REPOSITORY.format(
        "host_env: P", ", credentials: {host_env: [AWS_SECRET_ACCESS_KEY]}"
    ),
}


@pytest.mark.parametrize("text", PUBLIC.values(), ids=PUBLIC.keys())
def test_what_only_resembles_a_secret_is_allowed(text):
    assert problems(text) == []


@pytest.mark.parametrize("unit", ["a", "://a", "-eyJ", "!a", "$6$", "a: ", "password "], ids=repr)
def test_hostile_text_is_searched_in_linear_time(unit):
    """Ends at all; with quadratic patterns a file of this size would take hours."""
    text = "# " + unit * (1_000_000 // len(unit)) + "\n"
    assert problems(text) == []


def test_the_example_policies_are_valid_and_say_what_is_not_applied():
    assert load(POLICIES / "prod").not_applied == ()
    tour = load(POLICIES / "tour")
    sections = {note.what for note in tour.not_applied}
    assert {"section backups"} <= sections
    assert all(
        str(note).endswith("is understood but not applied by this version") for note in tour.not_applied
    )


def test_the_tour_visits_every_section():
    tour = load(POLICIES / "tour")
    assert [name for name in SECTIONS if not getattr(tour, name)] == []


def test_the_schema_is_one_and_accepts_the_examples():
    printed = schema()
    jsonschema.Draft202012Validator.check_schema(printed)
    validator = jsonschema.Draft202012Validator(printed)
    for path in POLICIES.rglob("*.yaml"):
        # PyYAML's own loader reads YAML 1.1; the base one leaves every scalar a text, so dates stay texts.
        value = yaml.load(path.read_bytes(), Loader=_CoreLoader)
        assert [error.message for error in validator.iter_errors(value)] == [], path
    assert list(validator.iter_errors({"users": {"jo": {"emial": "x"}}}))
    assert list(validator.iter_errors({"users": {"jo": {"expires": "tomorrow"}}}))


class _CoreLoader(yaml.SafeLoader):
    """A loader that leaves dates alone."""


_CoreLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith("timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def test_the_schema_beside_the_examples_is_the_printed_one():
    assert json.loads((POLICIES / "policy.schema.json").read_text()) == json.loads(json.dumps(schema()))


def test_every_field_of_the_schema_is_described():
    printed = schema()
    models = {"Policy": printed, **printed["$defs"]}
    undescribed = [
        f"{model}.{name}"
        for model, definition in models.items()
        for name, entry in definition.get("properties", {}).items()
        if not entry.get("description")
    ]
    assert undescribed == []
    assert all(definition.get("description") for definition in models.values())


def steward(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments], capture_output=True, text=True, check=False
    )


def test_validate_on_the_command_line(tmp_path):
    good = steward("validate", str(POLICIES / "prod"))
    assert (good.returncode, good.stderr) == (0, "")
    assert "owner prod" in good.stdout
    as_json = steward("validate", str(POLICIES / "prod"), "--output", "json")
    assert json.loads(as_json.stdout)["counts"]["users"] == 8
    (tmp_path / "policy.yaml").write_text(HEAD + "users: {ada: {roles: [viewr]}}\nroles: {viewer: {}}\n")
    bad = steward("validate", str(tmp_path))
    assert bad.returncode == 1
    assert bad.stderr.splitlines()[0].endswith(
        'policy.yaml:3:23: unknown role "viewr"; did you mean "viewer"?'
    )
    assert bad.stdout == ""
    as_json = steward("validate", str(tmp_path), "--output", "json")
    assert as_json.returncode == 1
    assert json.loads(as_json.stdout)["problems"][0]["line"] == 3
    assert steward("validate", "--nonsense").returncode == 64
    assert steward("no-such-verb").returncode == 64
    assert json.loads(steward("schema").stdout)["$schema"].endswith("2020-12/schema")


@pytest.mark.parametrize("path", NOT_APPLIED, ids=".".join)
def test_what_is_not_applied_is_a_part_of_the_language(path):
    *parents, last = path
    steps = ["any-name" if step == "*" else step for step in parents]
    assert last in fields_at(steps)


def test_a_policy_of_everything_that_is_applied_has_no_notes():
    text = """\
realm: {name: acme, default_roles: [r]}
roles: {r: {api: ["vm:read"], proxmox: [VM.Audit]}}
teams: {t: {members: [jo], managers: [jo]}}
users: {jo: {invite: true, email: jo@example.org}}
clients: {c: {roles_claim: true}}
machines: {m: {power: {state: running}, assigned: {teams: {t: r}}}}
pools: {p: {}}
storages: {st: {}}
nodes: {n: {}}
"""
    assert parse({"policy.yaml": (HEAD + text).encode()}, "").not_applied == ()
