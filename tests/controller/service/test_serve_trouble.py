"""What goes wrong with `steward serve` is said in a line, with the right exit, and breaks nothing else."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import socket

import pytest

from tests.controller.gitops.repository import SETTINGS, Source
from tests.controller.service.desk import Desk, new_desk


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return new_desk(tmp_path_factory.mktemp("made"))


@pytest.fixture
def desk(made, tmp_path):
    """A controller of one's own to break."""
    shutil.copytree(made.folder, tmp_path / "desk")
    return Desk(tmp_path / "desk")


def configure(desk, **lines):
    yaml = desk.folder / "controller.yaml"
    kept = [line for line in yaml.read_text().splitlines() if line.partition(":")[0] not in lines]
    yaml.write_text("\n".join([*kept, *(f"{name}: {value}" for name, value in lines.items())]) + "\n")


def follow(desk, source):
    configure(desk, policy=f"{{git: {source.path}, folder: prod, interval: 1h, apply: false}}")


STATE = {
    "no-store": ("steward.db", None, 0, "serving"),
    "a-broken-store": ("steward.db", b"broken" * 1000, 1, "steward.db cannot be used"),
    "no-signing-key": ("keys/signing.pem", None, 1, "signing.pem cannot be used"),
    "a-broken-signing-key": ("keys/signing.pem", b"x", 1, "signing.pem cannot be used"),
    "a-broken-public-key": ("keys/signing.pub", b"\xff", 1, "signing.pub holds no public key"),
    "no-audit-key": ("keys/audit.pub", None, 1, "audit.pub cannot be read"),
    "no-authority": ("ca.pem", None, 1, "ca.pem cannot be read"),
    "a-broken-authority": ("ca.pem", b"x", 1, "not a certificate"),
    "a-broken-server-certificate": ("server.pem", b"x", 0, "serving"),
    "a-server-key-of-another": ("server.key", b"x", 0, "serving"),
    "no-token": ("sd.token", None, 1, "sd.token cannot be read"),
}


@pytest.mark.parametrize("name", STATE)
def test_a_file_that_is_missing_or_broken_is_named(desk, name):
    path, content, code, said = STATE[name]
    file = desk.folder / "state" / path
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    if code == 0:
        with desk.serving():
            return
    printed = desk.run("serve", code=code)
    assert said in printed
    assert "Traceback" not in printed
    assert len(printed.splitlines()) <= 2


def test_a_port_that_is_taken(desk):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        configure(desk, listen=address)
        said = desk.run("serve", code=1)
    assert f"cannot listen on {address}: Address already in use" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("listen", ["nowhere.invalid:1", "203.0.113.1:0"])
def test_an_address_that_is_not_ours(desk, listen):
    configure(desk, listen=listen)
    said = desk.run("serve", code=1)
    assert f"cannot listen on {listen}" in said
    assert "Traceback" not in said


def test_a_second_one_is_refused_and_the_first_goes_on(desk):
    with desk.serving():
        assert "another `steward serve` uses" in desk.run("serve", code=3)
        assert "no host named" in desk.run("action", "run", "nobody", "host.ping", "--wait", code=1)
    with desk.serving():
        pass  # and the lock went with the process


def test_one_that_was_killed_leaves_nothing_in_the_way(desk):
    process = desk.start()
    assert process.stdout.readline().startswith("serving")
    process.kill()
    process.communicate()
    with desk.serving():
        assert "no host named" in desk.run("action", "run", "nobody", "host.ping", code=1)


def test_a_full_disk_refuses_what_is_new_and_ends_nothing(desk):
    enrolled(desk)
    order = ("action", "run", "web-01", "host.ping")
    with desk.serving() as process:
        limit(process, 1)
        said = desk.run(*order, code=1)
        assert "steward.db failed:" in said
        assert "Traceback" not in said
        assert desk.json("action", "list") == []
        limit(process, resource.RLIM_INFINITY)
        desk.run(*order)
        assert len(desk.json("action", "list")) == 1
    assert "whole" in desk.run("audit", "verify")


def limit(process, size):
    """No file of the process may grow beyond so many bytes (setrlimit(2)): a disk without room."""
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_without_git_it_serves_and_says_so(desk, tmp_path):
    source = Source(tmp_path / "policies")
    source.commit({"prod/policy.yaml": SETTINGS})
    follow(desk, source)
    process = desk.start(PATH="/nowhere")
    try:
        assert process.stdout.readline().startswith("serving")
        line = next(line for line in process.stderr if "policy not obeyed" in line)
        assert "install git" in line
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_while_git_hangs(desk, tmp_path, number):
    source = Source(tmp_path / "policies")
    follow(desk, source)
    folder, begun = tmp_path / "bin", tmp_path / "begun"
    folder.mkdir()
    (folder / "git").write_text(f"#!/bin/sh\n: > {begun}\nexec sleep 300\n")
    (folder / "git").chmod(0o700)
    os.mkfifo(begun)
    process = desk.start(PATH=f"{folder}:{os.environ['PATH']}")
    begun.open("rb").close()  # git runs now
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors


def test_it_ends_cleanly_when_it_is_told_at_once(desk):
    """As soon as it has taken the lease: before the port is open, or a moment after."""
    process = desk.start()
    line = next(line for line in process.stderr if '"lease"' in line)
    process.terminate()
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, line + errors
    assert "Traceback" not in errors
    assert not (desk.folder / "state" / "api.sock").exists()


def enrolled(desk):
    """Put a host into the store as an enrolment does."""
    from controller.store import NewHost, Store

    store = Store.open(f"sqlite:///{desk.folder}/state/steward.db", chain="steward")
    store.hosts.allow("00" * 32, name="web-01", created_by="test", now=1, ttl_seconds=60)
    store.hosts.enroll("00" * 32, NewHost("01ARZ3NDEKTSV4RRFFQ69G5FAV", "web-01", b"t", b"r", "1"), now=2)
    store.close()


def test_a_host_that_the_policy_does_not_name_is_refused_with_the_line_to_add(desk, tmp_path):
    source = Source(tmp_path / "policies")
    source.commit({"prod/policy.yaml": SETTINGS})
    follow(desk, source)
    enrolled(desk)
    order = ("action", "run", "web-01", "host.ping")
    assert "no policy is in force yet" in desk.run(*order, code=3)
    with desk.serving() as process:
        wait_for(process, '"pass"')
        said = desk.run(*order, code=3)
    for told in (said, desk.run(*order, code=3)):  # served, and alone
        assert "the policy in force does not name the host web-01" in told
        assert "hint: add the line `web-01: {}` under `hosts:` in the policy" in told
    source.commit({"prod/hosts.yaml": "hosts:\n  web-01: {}\n"})
    with desk.serving() as process:
        wait_for(process, '"pass"')
        desk.run(*order)
    desk.run(*order)


def wait_for(process, word):
    return next(line for line in process.stderr if word in line)


def test_the_store_is_its_owners_alone(desk):
    with desk.serving():
        modes = {
            file.name: file.stat().st_mode & 0o777 for file in (desk.folder / "state").glob("steward.db*")
        }
    assert set(modes.values()) == {0o600}, modes
    assert len(modes) == 3
