"""Joining a controller: one token makes this host known and gives it trust, keys and a name.

Run by root on the host (or by whoever runs both processes). The token's pins are what is believed: the CA's
key, and the SHA-256 of the trust document that the chain begins with. Both private keys are made here and
never leave.
"""

import os
import pwd
import time
from dataclasses import dataclass
from pathlib import Path

from agent import VERSION, controller_client, tls
from agent.configuration import Loaded
from agent.errors import AgentError, ControllerUnavailableError, EnrolmentError
from agent.files import make_directory, write_atomically
from agent.identity import Identity, lock_executor
from agent.journal import Journal
from protocol.documents import TrustBundle
from protocol.enrolment import EnrolAnswer, EnrolBody, EnrolmentToken
from protocol.errors import BadToken, ProtocolError
from protocol.keys import SigningKey
from protocol.trust import TrustSet, check_current, walk_chain
from protocol.wire import encode_base64

__all__ = ["Enrolled", "enroll"]

_MAXIMUM_TOKEN_BYTES = 4_096


@dataclass(frozen=True)
class Enrolled:
    """What came of it, for the operator: who this host is now, and whom it believes."""

    identity: Identity
    trust_version: int
    trust_expires_at: int


async def enroll(loaded: Loaded, token_text: str, *, replace: bool, now: int) -> Enrolled:
    """Spend a token and write this host's identity.

    `replace` gives up the old identity, whose files are kept under another name. Raises EnrolmentError,
    ControllerUnavailableError; until the controller has answered nothing is changed.
    """
    token = _token(token_text)
    executor = loaded.executor_directory
    if (executor / "identity.json").exists() and not replace:
        raise EnrolmentError(
            "this host is enrolled already", hint="--replace gives up its identity and takes a new one"
        )
    owner = _network_owner(loaded.settings.executor.network_user)
    _make_directories(loaded, owner)
    lock = lock_executor(executor)  # a running one would go on as whom this host was
    try:
        return await _join(loaded, token, owner, replace=replace, now=now)
    finally:
        os.close(lock)


async def _join(
    loaded: Loaded, token: EnrolmentToken, owner: tuple[int, int] | None, *, replace: bool, now: int
) -> Enrolled:
    executor = loaded.executor_directory
    ca_pem = await tls.fetch_ca(token.address, {token.ca_sha256})
    transport, receipt = _new_key(), _new_key()
    body = EnrolBody(
        secret=token.secret,
        host_name=token.host_name,
        transport_key=encode_base64(transport.public.raw),
        receipt_key=encode_base64(receipt.public.raw),
        agent_version=VERSION,
    )
    try:
        answer = await controller_client.enroll(token.address, body, ca_pem)
    except ControllerUnavailableError as error:
        raise EnrolmentError(str(error), hint="a token counts once and for at most a day") from error
    bundle, trust = _checked_trust(answer, token, now)
    identity = Identity(answer.host_id, token.host_name, answer.audience, token.address)
    if replace:
        _retire(executor)
    _write_executor(executor, identity, receipt, bundle, trust)
    _write_network(loaded.network_directory, identity, transport, ca_pem, owner)
    return Enrolled(identity, trust.version, trust.expires_at)


def _token(text: str) -> EnrolmentToken:
    if len(text) > _MAXIMUM_TOKEN_BYTES:
        raise EnrolmentError("that is no enrolment token: too long")
    try:
        return EnrolmentToken.parse(text)
    except BadToken as error:
        raise EnrolmentError(str(error)) from error


def _checked_trust(answer: EnrolAnswer, token: EnrolmentToken, now: int) -> tuple[TrustBundle, TrustSet]:
    """The controller's answer counts only as far as the token's pins reach; raises EnrolmentError."""
    try:
        bundle = TrustBundle.parse(bytes(answer.trust))
        if bundle.root_sha256 != token.root_sha256:
            raise EnrolmentError("the controller's root is not the one that the token pins")
        trust = walk_chain(bundle)
        check_current(trust, now=now, known_version=0)
    except ProtocolError as error:
        raise EnrolmentError(f"the controller's trust does not hold: {error}") from error
    if trust.ca_pins and token.ca_sha256 not in trust.ca_pins:
        raise EnrolmentError("the trust document pins another CA than the token")
    return bundle, trust


def _new_key() -> SigningKey:
    return SigningKey.generate(os.urandom(32))


def _network_owner(user: str) -> tuple[int, int] | None:
    """Whom the network process's files belong to; None where this process cannot or need not decide."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        return None
    return entry.pw_uid, entry.pw_gid


def _make_directories(loaded: Loaded, owner: tuple[int, int] | None) -> None:
    try:
        make_directory(loaded.state, 0o755)
        make_directory(loaded.executor_directory, 0o700)
        make_directory(loaded.backups_directory, 0o755)
        make_directory(loaded.network_directory, 0o700, owner=owner)
    except OSError as error:
        raise EnrolmentError(f"{error.filename}: {error.strerror}", hint="run enroll as root") from error


def _retire(directory: Path) -> None:
    """Keep the old identity's journal and receipts beside, where nothing reads them any more."""
    if not (directory / "identity.json").exists():
        return
    retired = directory / f"retired-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    make_directory(retired, 0o700)
    for name in ("identity.json", "journal.sqlite", "trust.json", "receipt.pem"):
        if (directory / name).exists():
            (directory / name).rename(retired / name)


def _write_executor(
    directory: Path, identity: Identity, key: SigningKey, bundle: TrustBundle, trust: TrustSet
) -> None:
    """Journal, key and trust first, identity last: with it the host is enrolled."""
    if (directory / "identity.json").exists():
        raise AgentError(f"{directory}: enrolled meanwhile")
    (directory / "journal.sqlite").unlink(missing_ok=True)  # of an enrolment that did not come to its end
    journal = Journal.create(directory / "journal.sqlite", identity.host_id)
    try:
        approvers = trust.approvers.version if trust.approvers else 0
        journal.trusted(trust_version=trust.version, approvers_version=approvers)
    finally:
        journal.close()
    write_atomically(directory / "receipt.pem", key.to_pem())
    write_atomically(directory / "trust.json", bundle.encode())
    write_atomically(directory / "identity.json", identity.encode())


def _write_network(
    directory: Path, identity: Identity, key: SigningKey, ca_pem: bytes, owner: tuple[int, int] | None
) -> None:
    write_atomically(directory / "transport.pem", key.to_pem(), owner=owner)
    write_atomically(directory / "ca.pem", ca_pem, owner=owner)
    write_atomically(directory / "cursor.json", b'{"stored":0}\n', owner=owner)
    (directory / "checkpoint.json").unlink(missing_ok=True)  # of another controller, or of a life before
    write_atomically(directory / "identity.json", identity.encode(), owner=owner)
