"""Who this host is to its controller, and the two keys: one for talking, one for receipts.

<state>/network/    identity.json, transport.pem, ca.pem, cursor.json    the network process's user
<state>/executor/   identity.json, receipt.pem, trust.json, journal.sqlite    the executor alone, 0700
"""

import fcntl
import os
from pathlib import Path

import msgspec

from agent.errors import AgentError, EnrolmentError
from agent.files import read_private
from protocol.errors import BadKey, NotStrictJson
from protocol.keys import SigningKey
from protocol.wire import decode_typed

__all__ = ["Identity", "lock_executor", "read_identity", "read_key"]


class Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the controller gave at enrolment; `address` is its URL, `audience` its instance id."""

    host_id: str
    host_name: str
    audience: str
    address: str

    def encode(self) -> bytes:
        """Return the content of identity.json."""
        return msgspec.json.format(msgspec.json.encode(self)) + b"\n"


def read_identity(directory: Path) -> Identity:
    """Read identity.json; raises EnrolmentError where this host is not enrolled."""
    path = directory / "identity.json"
    try:
        return decode_typed(path.read_bytes(), Identity)
    except FileNotFoundError as error:
        raise EnrolmentError(
            "this host is not enrolled", hint="steward-agent enroll --token-file FILE"
        ) from error
    except (OSError, NotStrictJson) as error:
        raise EnrolmentError(f"{path}: {error}") from error


def lock_executor(directory: Path) -> int:
    """Be the only one who changes the executor's directory; return the descriptor to close.

    Raises AgentError where an executor of this host runs.
    """
    descriptor = os.open(directory / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise AgentError(
            "another executor of this host is running",
            hint="stop it: systemctl stop steward-executor.socket steward-executor",
        ) from error
    return descriptor


def read_key(path: Path) -> SigningKey:
    """Read a private key that nobody else can read; raises AgentError."""
    try:
        return SigningKey.from_pem(read_private(path))
    except BadKey as error:
        raise AgentError(f"{path}: {error}") from error
