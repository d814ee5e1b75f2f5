"""Failures of Proxmox VE are told apart by their message, since nearly all of them are status 500."""

from __future__ import annotations

import json

import pytest
import requests

from controller.clients.proxmox_answers import Failure, failure_of, transport_failure
from controller.clients.proxmox_connection import ProxmoxConnection, ProxmoxLogin
from controller.errors import (
    Conflict,
    ControllerError,
    NotAllowed,
    NotThere,
    OutcomeUnknown,
    TerminalError,
    TransientError,
    Unreachable,
)

RAISED_RIGHTS = """ACL update failed: 400 Parameter verification failed.
role: Cannot add role 'operator' - requires 'Permissions.Modify' or superset of privileges.
"""
MESSAGES = [
    ("create role failed: role 'operator' already exists", Conflict),
    ("update pools failed: VM 101 is already a pool member", Conflict),
    ("update pools failed: VM 101 belongs already to pool 'x' and 'allow-move' is not set", Conflict),
    ("checksum mismatch (file change by other user?)", Conflict),
    (
        "update auth server failed: detected modified configuration - file changed by other user? Try again.",
        Conflict,
    ),
    ("no such user ('nosuch@pve')", NotThere),
    ("no such token 'nosuch' for user 'alice@pve'", NotThere),
    ("create user failed: no such group 'nosuch'", NotThere),
    ("ACL update failed: role 'nosuch' does not exist", NotThere),
    ("Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist", NotThere),
    ("no such vzdump job", NotThere),
    (RAISED_RIGHTS, NotAllowed),
    (
        "update pools failed: 403 Permission check failed (/vms/101, Permissions.Modify|VM.Allocate)",
        NotAllowed,
    ),
    ("400 Parameter verification failed.\nvmid: property is missing", TerminalError),
    ("auto-generated role 'PVEAdmin' cannot be modified", TerminalError),
    ("create user failed: cfs-lock 'file-user_cfg' error: got lock request timeout", TransientError),
    ("can't lock file '/var/lock/qemu-server/lock-101.conf' - got timeout", TransientError),
    ("VM is locked (migrate)", TransientError),
    ("no quorum!", TransientError),
    ("something that nobody has seen before", TransientError),
]


@pytest.mark.parametrize(("message", "kind"), MESSAGES)
def test_a_500_is_told_by_its_message(message, kind):
    error = failure_of("PUT /access/acl", 500, message.split("\n")[0], Failure(message))
    assert type(error) is kind


STATUSES = [
    ("GET", 595, Unreachable),
    ("PUT", 595, Unreachable),
    ("GET", 596, Unreachable),
    ("PUT", 596, OutcomeUnknown),
    ("POST", 599, OutcomeUnknown),
    ("GET", 503, Unreachable),
    ("POST", 502, OutcomeUnknown),
    ("GET", 504, Unreachable),
    ("GET", 401, NotAllowed),
    ("GET", 403, NotAllowed),
    ("POST", 400, TerminalError),
    ("GET", 501, TerminalError),
]


@pytest.mark.parametrize(("verb", "status", "kind"), STATUSES)
def test_other_statuses(verb, status, kind):
    assert type(failure_of(f"{verb} /access/acl", status, "reason", Failure())) is kind


def test_bad_parameters_are_named():
    body = {
        "message": "Parameter verification failed.\n",
        "errors": {"privs": "invalid format - x\n"},
        "data": None,
    }
    error = failure_of("POST /access/roles", 400, "", Failure.from_body(json.dumps(body).encode()))
    assert str(error).endswith("Parameter verification failed.; privs: invalid format - x")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"errors": 3}', b"\xff\xfe", b"null"])
def test_a_body_that_says_nothing(body):
    assert Failure.from_body(body) == Failure()


TRANSPORT = [
    (requests.exceptions.ReadTimeout(), False, Unreachable),
    (requests.exceptions.ReadTimeout(), True, OutcomeUnknown),
    (requests.exceptions.ConnectTimeout(), True, Unreachable),
    (requests.exceptions.SSLError(), True, Unreachable),
    (requests.exceptions.ConnectionError(), True, OutcomeUnknown),
    (requests.exceptions.ChunkedEncodingError(), True, OutcomeUnknown),
]


@pytest.mark.parametrize(("error", "writes", "kind"), TRANSPORT)
def test_no_answer(error, writes, kind):
    assert type(transport_failure("PUT /access/acl", error, writes=writes)) is kind


@pytest.mark.parametrize(
    "login",
    [
        ProxmoxLogin("http://127.0.0.1:8006", "a@pve!t", "s"),
        ProxmoxLogin("https://", "a@pve!t", "s"),
        ProxmoxLogin("https://jo:pw@host:8006", "a@pve!t", "s"),
        ProxmoxLogin("https://host:8006/api2?x=1", "a@pve!t", "s"),
        ProxmoxLogin("https://host:8006", "a@pve", "s"),
    ],
)
def test_addresses_and_tokens_that_are_refused(login):
    with pytest.raises(ControllerError):
        ProxmoxConnection(login)


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_names_that_would_change_the_address(name):
    connection = ProxmoxConnection(ProxmoxLogin("https://127.0.0.1:1", "a@pve!t", "s"))
    with pytest.raises(ControllerError, match="cannot stand"):
        connection.delete("access", "roles", name)
    connection.close()
