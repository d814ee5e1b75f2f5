"""Records what the real ssh-keygen signs, with keys that are thrown away afterwards.

ECDSA signatures are random, so they are kept: `python -m tests.protocol.record_ssh` writes
ssh_recorded.json anew, over the request of the scene, which has to be the same when the vectors are made.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from pathlib import Path

TARGET = Path(__file__).parent / "ssh_recorded.json"
KEYS = {
    "ed25519": ("ed25519", []),
    "ecdsa256": ("ecdsa", ["-b", "256"]),
    "ecdsa384": ("ecdsa", ["-b", "384"]),
    "ecdsa521": ("ecdsa", ["-b", "521"]),
    "rsa": ("rsa", ["-b", "2048"]),
    "certified": ("ed25519", []),
}


def keygen(*arguments: str, message: bytes = b"") -> bytes:
    """Run the real ssh-keygen."""
    return subprocess.run(["ssh-keygen", *arguments], input=message, capture_output=True, check=True).stdout


def record(message: bytes, folder: Path) -> dict[str, object]:
    """Every key's signatures over the message: two namespaces, two hashes."""
    keys = {}
    for name, (kind, options) in KEYS.items():
        path = str(folder / name)
        keygen("-q", "-t", kind, *options, "-N", "", "-C", "", "-f", path)
        signer = path
        if name == "certified":
            keygen("-q", "-s", str(folder / "ed25519"), "-I", "someone", "-n", "someone", path + ".pub")
            signer = path + "-cert.pub"
        public = Path(signer.removesuffix(".pub") + ".pub").read_text("ascii").strip()
        made = {
            f"{namespace} {algorithm}": keygen(
                "-Y",
                "sign",
                "-q",
                "-f",
                signer,
                "-n",
                namespace,
                "-O",
                f"hashalg={algorithm}",
                message=message,
            ).decode("ascii")
            for namespace in ("steward-approve@steward", "file")
            for algorithm in ("sha256", "sha512")
        }
        keys[name] = {"public": public, "signatures": made}
    return {"message_sha256": hashlib.sha256(message).hexdigest(), "keys": keys}


def main() -> None:
    """Write the recording."""
    if not TARGET.exists():
        TARGET.write_text('{"keys": {}}', "ascii")
    from tests.protocol.scene import request_payload

    with tempfile.TemporaryDirectory() as folder:
        recorded = record(request_payload(), Path(folder))
    TARGET.write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n", "ascii")


if __name__ == "__main__":
    main()
