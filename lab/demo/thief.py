"""A thief with the controller's real signing key: makes envelopes that only the host itself can refuse.

Written from the published formats alone (DSSE protocol.md, RFC 8032) and not with Steward's code, as a thief
would do it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Thief"]

ACTION_TYPE = "application/vnd.steward.action.v1+json"


class Thief:
    """Holds a stolen Ed25519 key (PEM bytes) and signs whatever it likes with it."""

    def __init__(self, pem: bytes) -> None:
        key = load_pem_private_key(pem, password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise TypeError("the controller's signing key is not an Ed25519 key")
        self._key = key
        raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.keyid = hashlib.sha256(raw).hexdigest()

    def delivery(self, action: Mapping[str, Any]) -> bytes:
        """The delivery (JSON text) of this action, rightly signed."""
        payload = json.dumps(action, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
        kind = ACTION_TYPE.encode()
        encoded = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
        signature = {"keyid": self.keyid, "sig": base64.b64encode(self._key.sign(encoded)).decode()}
        envelope = {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": ACTION_TYPE,
            "signatures": [signature],
        }
        return json.dumps({"action": envelope}).encode()
