"""The operators' commands as processes.

A controller is made, a host let in, the log proved and tampered with.
"""

from __future__ import annotations

import json
import stat

import pytest

from protocol.enrolment import EnrolmentToken
from tests.controller.api.guest import ROOT
from tests.controller.service.desk import new_desk


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return new_desk(tmp_path_factory.mktemp("desk"))


def test_secrets_are_readable_by_their_owner_alone(made):
    assert stat.S_IMODE((made.folder / "state").stat().st_mode) == 0o700
    secrets = [
        "root.pem",
        *(f"state/{name}" for name in ("ca.key", "server.key", "sd.token", "keys/signing.pem")),
    ]
    assert {stat.S_IMODE((made.folder / name).stat().st_mode) for name in secrets} == {0o600}
    assert "PRIVATE" not in made.run("trust", "show")


def test_nothing_is_made_twice(made):
    assert "holds a controller already" in made.run("init", ".", code=1)
    assert "already" in made.run("trust", "init", "--root-key", "other.pem", code=1)
    assert not (made.folder / "other.pem").exists()


def test_trust_is_renewed_by_the_root_key_alone(made):
    made.run("trust", "renew", "--root-key", "root.pem", "--days", "7")
    versions = [step["version"] for step in made.json("trust", "show")]
    assert versions == [1, 2]
    (made.folder / "stranger.pem").write_bytes(ROOT.to_pem())
    assert "not a root key" in made.run("trust", "renew", "--root-key", "stranger.pem", code=3)
    assert len(made.json("trust", "show")) == 2


def test_a_token_names_the_host_and_its_secret_is_not_stored(made):
    token = EnrolmentToken.parse(made.run("host", "enroll", "web-01"))
    assert (token.host_name, token.address) == ("web-01", "https://127.0.0.1:8443")
    database = (made.folder / "state" / "steward.db").read_bytes()
    assert token.secret.encode() not in database
    assert bytes.fromhex(token.secret) not in database
    said = made.run("host", "enroll", "a b", code=1)
    assert said.startswith("'a b' is no name for a host")
    assert "no host named" in made.run("host", "revoke", "nobody", code=1)
    assert made.json("host", "list") == []


def test_a_running_controller_is_asked_and_a_stopped_one_is_not_missed(made):
    with made.serving():
        said = made.run("action", "run", "nobody", "host.ping", code=1)
        assert "no host named 'nobody'" in said
    assert not (made.folder / "state" / "api.sock").exists()
    assert "no host named" in made.run("action", "run", "nobody", "host.ping", code=1)
    assert "no controller is serving" in made.run("action", "run", "nobody", "host.ping", "--wait", code=1)
    assert made.run("action", "run", code=64)
    assert "Traceback" not in made.run("action", "run", "nobody", "host.ping", "--arg", "x", code=64)


def test_the_log_is_proved_and_a_change_by_hand_is_found(made):
    assert "whole" in made.run("audit", "verify")
    lines = made.run("audit", "export").splitlines()
    assert [json.loads(line)["seq"] for line in lines] == list(range(1, len(lines) + 1))
    made.sql("UPDATE audit_entries SET actor = 'nobody' WHERE seq = 2")
    assert "entry 2: its content is not what was hashed" in made.run("audit", "verify", code=3)
    assert made.json("audit", "verify", code=3)["steward"]["fault"]
