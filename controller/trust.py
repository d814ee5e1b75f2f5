"""Trust documents on the controller's side.

Made and renewed with the root key, kept as a chain of files, handed out.

The controller needs the root key for `steward trust init` and `renew` alone; people keep it elsewhere. One
root key with a threshold of one for now: the same key is approver-admin. A document lives at most 30 days
(actions.md section 2), and step N to N+1 is signed by the root keys of both.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.errors import ControllerError, Refused
from protocol import dsse
from protocol.documents import Key, RoleKeys, TrustBundle, TrustDocument
from protocol.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from protocol.keys import PublicKey, SigningKey

__all__ = ["MAX_TRUST_DAYS", "TrustFolder", "TrustStep", "first_document", "next_document", "sign_document"]

MAX_TRUST_DAYS = 30
_DAY = 86_400
_NAME = re.compile(r"[1-9][0-9]{0,8}\.json")


@dataclass(frozen=True)
class TrustStep:
    """One version of the chain: the document and the envelope that carries it."""

    document: TrustDocument
    envelope: dsse.Envelope


def first_document(
    root: PublicKey, controller: PublicKey, ca_pins: Sequence[str], *, now: int, days: int = MAX_TRUST_DAYS
) -> TrustDocument:
    """Version 1, naming one root key and one controller key."""
    return TrustDocument(
        approver_admin=_role(root),
        ca_pins=tuple(ca_pins),
        controller=_role(controller),
        expires_at=_expiry(now, days),
        root=_role(root),
        version=1,
    )


def next_document(
    last: TrustDocument,
    controller: PublicKey,
    ca_pins: Sequence[str],
    *,
    now: int,
    days: int = MAX_TRUST_DAYS,
) -> TrustDocument:
    """The version after `last`, with the controller key and pins of today."""
    return TrustDocument(
        approver_admin=last.approver_admin,
        ca_pins=tuple(ca_pins),
        controller=_role(controller),
        expires_at=_expiry(now, days),
        root=last.root,
        version=last.version + 1,
    )


def sign_document(document: TrustDocument, root: SigningKey) -> dsse.Envelope:
    """The envelope that hosts accept; raises Refused where `root` is no root key of the document."""
    if Key(**root.public.as_json()) not in document.root.keys:  # type: ignore[arg-type]
        raise Refused(
            "that key is not a root key of this trust document", hint="`steward trust show` names it"
        )
    return dsse.sign(document.to_payload(), dsse.TRUST, [root])


class TrustFolder:
    """The chain as files `1.json`, `2.json` …, one envelope each. Read anew when the folder changes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen_at = -1
        self._steps: tuple[TrustStep, ...] = ()

    def steps(self) -> tuple[TrustStep, ...]:
        """All versions in order; raises ControllerError for a gap or a file that is no trust document."""
        try:
            changed_at = self._folder.stat().st_mtime_ns
            if changed_at != self._seen_at:
                self._steps, self._seen_at = self._read(), changed_at
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise ControllerError(f"{error.filename} cannot be read: {error.strerror}") from error
        return self._steps

    def last(self) -> TrustDocument:
        """The newest document; raises ControllerError where there is none yet."""
        steps = self.steps()
        if not steps:
            raise ControllerError("there is no trust document yet", hint="make one with `steward trust init`")
        return steps[-1].document

    def version(self) -> int:
        """The newest version; raises ControllerError where there is none yet."""
        return self.last().version

    def root_sha256(self) -> str:
        """What hosts pin: the SHA-256 of version 1's payload.

        Raises ControllerError where there is none yet.
        """
        self.last()
        return hashlib.sha256(self.steps()[0].envelope.payload).hexdigest()

    def after(self, version: int) -> list[dsse.Envelope]:
        """The envelopes of every version newer than `version`, in order."""
        return [step.envelope for step in self.steps() if step.document.version > version]

    def bundle(self) -> TrustBundle:
        """The whole chain, as an enrolling host gets it; raises ControllerError where there is none yet."""
        return TrustBundle(self.root_sha256(), tuple(envelope.as_json() for envelope in self.after(0)))

    def add(self, envelope: dsse.Envelope) -> Path:
        """Store one more version, under a name that must be free; raises ControllerError."""
        version = TrustDocument.from_payload(envelope.payload).version
        path, beside = self._folder / f"{version}.json", self._folder / f".{version}.{os.getpid()}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with beside.open("wb") as file:
                file.write(envelope.encode())
                file.flush()
                os.fsync(file.fileno())
            path.hardlink_to(beside)  # whole or not at all, and never over another
        except FileExistsError as error:
            raise ControllerError(f"trust document {version} exists already: {path}") from error
        except OSError as error:
            raise ControllerError(f"{path} cannot be written: {error.strerror}") from error
        finally:
            beside.unlink(missing_ok=True)
        self._seen_at = -1
        return path

    def _read(self) -> tuple[TrustStep, ...]:
        files = [path for path in self._folder.iterdir() if _NAME.fullmatch(path.name)]
        steps = []
        for wanted, path in enumerate(sorted(files, key=lambda path: int(path.stem)), start=1):
            try:
                envelope = dsse.parse_envelope(json.loads(path.read_bytes()))
                document = TrustDocument.from_payload(envelope.payload)
            except (ProtocolError, ValueError) as error:
                raise ControllerError(f"{path} is not a trust document: {error}") from error
            if document.version != wanted or int(path.stem) != wanted:
                raise ControllerError(f"trust document {wanted} is missing in {self._folder}")
            steps.append(TrustStep(document, envelope))
        return tuple(steps)


def _role(key: PublicKey) -> RoleKeys:
    return RoleKeys(keys=(Key(**key.as_json()),), threshold=1)  # type: ignore[arg-type]


def _expiry(now: int, days: int) -> int:
    if not 1 <= days <= MAX_TRUST_DAYS:
        raise ControllerError(f"a trust document lives 1 to {MAX_TRUST_DAYS} days, not {days}")
    return now + days * _DAY
