"""controller.yaml: every key, every mistake at its line, the environment on top."""

from __future__ import annotations

import pytest

from controller.config import Configuration, ConfigurationError

FULL = """
instance: demo
owners: [prod, test]
data: ./state
policy: {git: /srv/policies.git, branch: main, folder: prod, interval: 30s, apply: true}
listen: 127.0.0.1:8443
url: https://127.0.0.1:8443
keycloak: {url: "https://sso.example.org", client_id: steward, client_secret_file: keycloak.secret}
proxmox:
  par-1: {url: "https://pve:8006", token_id: "steward@pve!c", token_secret_file: pve.secret, realm: sso}
limits: {max_deletes: {count: 5, share: 10%}}
reconcile: {interval: 5m}
sd_token_file: sd.token
"""


def load(tmp_path, text, environ=None) -> Configuration:
    path = tmp_path / "controller.yaml"
    path.write_text(text)
    return Configuration.load(path, environ or {})


def test_every_key_is_read(tmp_path):
    made = load(tmp_path, FULL)
    assert made.owners == ("prod", "test")
    assert made.policy.interval.total_seconds() == 30
    assert made.proxmox["par-1"].realm == "sso"
    assert made.store_url == f"sqlite:///{tmp_path / 'state' / 'steward.db'}"
    assert made.limits.max_deletes.share == 0.1


ENVIRONMENT = {
    "STEWARD_INSTANCE": ("other", lambda made: made.instance),
    "STEWARD_KEYCLOAK_CLIENT_ID": ("robot", lambda made: made.keycloak.client_id),
    "STEWARD_PROXMOX_PAR_1_REALM": ("other", lambda made: made.proxmox["par-1"].realm),
    "STEWARD_LIMITS_MAX_DELETES_COUNT": ("3", lambda made: str(made.limits.max_deletes.count)),
    "STEWARD_POLICY_APPLY": ("false", lambda made: str(made.policy.apply).lower()),
}


@pytest.mark.parametrize(("name", "value", "read"), [(n, v, r) for n, (v, r) in ENVIRONMENT.items()])
def test_the_environment_wins(tmp_path, name, value, read):
    assert read(load(tmp_path, FULL, {name: value})) == value


def test_a_list_from_the_environment(tmp_path):
    assert load(tmp_path, FULL, {"STEWARD_OWNERS": "a,b"}).owners == ("a", "b")


MISTAKES = {
    "unknown key": ("instanse: demo\n", {}, ":1:1: unknown key"),
    "unknown key below": ('keycloak: {url: "https://a", usr: x}\n', {}, "unknown key"),
    "no account": ('keycloak: {url: "https://a"}\n', {}, "needs either client_id and client_secret_file"),
    "two accounts": (
        'keycloak: {url: "https://a", username: u, password_file: p, client_id: c, client_secret_file: s}\n',
        {},
        "needs either",
    ),
    "wrong type": ("owners: prod\n", {}, ":1:9: owners:"),
    "bad duration": ("reconcile: {interval: soon}\n", {}, "is not a duration"),
    "not a map": ("- a\n", {}, "must be a map"),
    "not YAML": ("a: [\n", {}, "not YAML"),
    "anchors": ("owners: &a [b]\n", {}, "anchor"),
    "unknown variable": ("{}\n", {"STEWARD_KEYCLOAK_ULR": "x"}, "is no key of controller.yaml"),
    "bad variable": (FULL, {"STEWARD_LIMITS_MAX_DELETES_COUNT": "many"}, "STEWARD_LIMITS_MAX_DELETES_COUNT"),
}


@pytest.mark.parametrize(("text", "environ", "said"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes(tmp_path, text, environ, said):
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text, environ)
    assert said in str(caught.value)


def test_all_mistakes_at_once(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, "instanse: demo\nowners: prod\nlimits: {max_deletes: {count: -1}}\n")
    assert len(str(caught.value).splitlines()) == 3


def test_the_agents_variables_are_not_judged(tmp_path):
    assert load(tmp_path, FULL, {"STEWARD_SOCKET": "/run/steward.sock"}).instance == "demo"


def test_a_missing_file_and_a_missing_secret_are_said(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Configuration.load(tmp_path / "none.yaml", {})
    with pytest.raises(ConfigurationError, match=r"keycloak\.secret cannot be read"):
        load(tmp_path, FULL).secret("keycloak.secret")
