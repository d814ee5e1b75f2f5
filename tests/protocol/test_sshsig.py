"""SSHSIG: our reading against the real ssh-keygen's, in both directions."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import BadKey, BadSshSignature
from protocol.sshsig import parse_public_key, parse_signature
from tests.protocol.record_ssh import keygen
from tests.protocol.scene import (
    APPROVES,
    ASKS,
    JO,
    PROPERTY,
    RECORDED,
    SAM,
    TOKEN,
    armor,
    request_payload,
    ssh_string,
)
from tests.real import servers

if TYPE_CHECKING:
    from pathlib import Path

MESSAGE = request_payload()


def holds(armored: str, message: bytes = MESSAGE, namespace: str = APPROVES) -> bool:
    try:
        parse_signature(armored).verify(message, namespace)
    except BadSshSignature:
        return False
    return True


def test_the_recording_is_of_this_request() -> None:
    assert RECORDED["message_sha256"] == hashlib.sha256(MESSAGE).hexdigest()


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("name", ["ed25519", "ecdsa256", "ecdsa384", "ecdsa521"])
def test_recorded_signatures_hold_for_their_bytes_and_namespace_alone(name: str, algorithm: str) -> None:
    entry = RECORDED["keys"][name]
    armored = entry["signatures"][f"{APPROVES} {algorithm}"]
    assert parse_signature(armored).key == parse_public_key(entry["public"])
    assert holds(armored)
    assert not holds(armored, MESSAGE + b" ")
    assert not holds(armored, namespace=ASKS)
    assert not holds(entry["signatures"][f"file {algorithm}"])


@pytest.mark.parametrize("name", ["rsa", "certified"])
def test_rsa_and_certificates_are_refused_however_genuine(name: str) -> None:
    for armored in RECORDED["keys"][name]["signatures"].values():
        assert not holds(armored)


@pytest.fixture
def ssh_keygen() -> None:
    servers.real_server("ssh-keygen")


@pytest.mark.usefixtures("ssh_keygen")
def test_our_test_signer_makes_what_the_real_one_makes(tmp_path: Path) -> None:
    path = tmp_path / "jo"
    path.write_bytes(JO.private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    path.chmod(0o600)
    made = keygen("-Y", "sign", "-q", "-f", str(path), "-n", ASKS, message=MESSAGE)
    assert made.decode() == JO.sign(MESSAGE, ASKS)


def real_verdict(folder: Path, line: str, armored: str) -> bool:
    """What the real ssh-keygen says; it checks a security key's signature without having the key."""
    signers, signature = folder / "signers", folder / "signature"
    signers.write_text(f"somebody {line}\n")
    signature.write_text(armored)
    command = ["ssh-keygen", "-Y", "verify", "-f", signers, "-I", "somebody", "-n", APPROVES, "-s", signature]
    return subprocess.run(command, input=MESSAGE, capture_output=True, check=False).returncode == 0


GENUINE = {
    "ed25519": (SAM, SAM.sign(MESSAGE, APPROVES)),
    "ed25519_sha256": (SAM, SAM.sign(MESSAGE, APPROVES, algorithm="sha256")),
    "security_key": (TOKEN, TOKEN.sign(MESSAGE, APPROVES)),
    "security_key_present_and_verified": (TOKEN, TOKEN.sign(MESSAGE, APPROVES, flags=5)),
}
FORGED = {
    "namespace": (SAM, SAM.sign(MESSAGE, ASKS)),
    "message": (SAM, SAM.sign(MESSAGE[:-1], APPROVES)),
    "version": (SAM, SAM.sign(MESSAGE, APPROVES, version=2)),
    "sha1": (SAM, SAM.sign(MESSAGE, APPROVES, algorithm="sha1")),
    "not_present": (TOKEN, TOKEN.sign(MESSAGE, APPROVES, flags=0)),
}


@pytest.mark.usefixtures("ssh_keygen")
@pytest.mark.parametrize("case", GENUINE)
def test_the_real_ssh_keygen_agrees_that_it_holds(case: str, tmp_path: Path) -> None:
    who, armored = GENUINE[case]
    assert holds(armored)
    assert real_verdict(tmp_path, who.line, armored)


@pytest.mark.usefixtures("ssh_keygen")
@pytest.mark.parametrize("case", FORGED)
def test_the_real_ssh_keygen_agrees_that_it_does_not_hold(case: str, tmp_path: Path) -> None:
    who, armored = FORGED[case]
    assert not holds(armored)
    # Without the user's presence ssh-keygen itself lets a signature pass; we do not.
    assert real_verdict(tmp_path, who.line, armored) == (case == "not_present")


def blob(signature: bytes, key: bytes = JO.blob, **fields: bytes) -> str:
    parts = {"namespace": APPROVES.encode(), "reserved": b"", "hash": b"sha512"} | fields
    return armor(b"SSHSIG" + b"\0\0\0\1" + b"".join(ssh_string(p) for p in (key, *parts.values(), signature)))


RAW = ssh_string(bytes(64))
ODD = {
    "no_magic": armor(b"SSHSIX" + bytes(40)),
    "only_magic": armor(b"SSHSIG"),
    "length_beyond_the_end": armor(b"SSHSIG\0\0\0\1\xff\xff\xff\xff"),
    "empty_key": blob(RAW, key=b""),
    "type_differs_from_key": blob(ssh_string(b"ecdsa-sha2-nistp256") + RAW),
    "bytes_after_the_signature": blob(ssh_string(b"ssh-ed25519") + RAW + b"\0"),
    "bytes_after_the_key": blob(ssh_string(b"ssh-ed25519") + RAW, key=JO.blob + b"\0"),
    "short_point": blob(ssh_string(b"ssh-ed25519") + RAW, key=ssh_string(b"ssh-ed25519") + ssh_string(b"x")),
    "unknown_type": blob(ssh_string(b"ssh-dss") + RAW, key=ssh_string(b"ssh-dss")),
    "webauthn": blob(ssh_string(b"webauthn-sk-ecdsa-sha2-nistp256@openssh.com") + RAW),
    "namespace_not_ascii": blob(ssh_string(b"ssh-ed25519") + RAW, namespace=b"\xff"),
    "reserved": blob(ssh_string(b"ssh-ed25519") + RAW, reserved=b"x"),
    "hash": blob(ssh_string(b"ssh-ed25519") + RAW, hash=b"md5"),
    "too_long": blob(ssh_string(b"ssh-ed25519") + RAW + bytes(8192)),
    "line_too_long": JO.sign(MESSAGE, APPROVES).replace("\n", "", 3).replace("-----U", "-----\nU"),
    "two_signatures": JO.sign(MESSAGE, APPROVES) * 2,
    "newline_twice": JO.sign(MESSAGE, APPROVES) + "\n",
}
P256 = (ssh_string(b"ecdsa-sha2-nistp256"), ssh_string(b"nistp256"))
POINT = parse_public_key(RECORDED["keys"]["ecdsa256"]["public"]).blob[-65:]
ECDSA_ODD = {
    "zero": (b"\0", b"\1"),
    "empty": (b"", b"\1"),
    "negative": (b"\xff", b"\1"),
    "not_minimal": (b"\0\1", b"\1"),
    "one": (b"\1", b"\1"),
    "great": (b"\x7f" * 100, b"\1"),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_signatures_are_refused(case: str) -> None:
    assert not holds(ODD[case])


@pytest.mark.parametrize("case", ECDSA_ODD)
def test_odd_ecdsa_numbers_are_refused(case: str) -> None:
    r, s = ECDSA_ODD[case]
    key = b"".join(P256) + ssh_string(POINT)
    assert not holds(blob(P256[0] + ssh_string(ssh_string(r) + ssh_string(s)), key=key))


@pytest.mark.parametrize(
    "point", [b"", b"\0", b"\4" + bytes(64), b"\2" + POINT[1:33], POINT[:-1], POINT[:-1] + b"\0"], ids=len
)
def test_odd_ecdsa_points_are_refused(point: bytes) -> None:
    key = b"".join(P256) + ssh_string(point)
    assert not holds(blob(P256[0] + ssh_string(ssh_string(b"\1") + ssh_string(b"\1")), key=key))


def reassembled(armored: str, **changes: bytes) -> str:
    """A genuine signature in other clothes: fields of the blob replaced, the proof kept."""
    data = base64.b64decode("".join(armored.strip().split("\n")[1:-1]))[10:]
    fields = []
    while data:
        length = int.from_bytes(data[:4], "big")
        fields.append(data[4 : 4 + length])
        data = data[4 + length :]
    named = dict(zip(("key", "namespace", "reserved", "hash", "proof"), fields, strict=True)) | changes
    return armor(b"SSHSIG\0\0\0\1" + b"".join(ssh_string(field) for field in named.values()))


def test_a_genuine_signature_holds_in_its_own_clothes_alone() -> None:
    genuine = RECORDED["keys"]["ecdsa256"]["signatures"][f"{APPROVES} sha512"]
    compressed = b"".join(P256) + ssh_string(bytes([2 + POINT[-1] % 2]) + POINT[1:33])
    assert holds(reassembled(genuine))
    assert not holds(reassembled(genuine, reserved=b"x"))
    assert not holds(reassembled(genuine, key=compressed))
    assert not holds(reassembled(genuine, hash=b"sha256"))


@pytest.mark.usefixtures("ssh_keygen")
def test_a_security_key_of_the_other_kind_holds_for_us_and_for_the_real_one(tmp_path: Path) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    kind = b"sk-ecdsa-sha2-nistp256@openssh.com"
    point = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    key = b"".join(ssh_string(part) for part in (kind, b"nistp256", point, b"ssh:"))
    inner = (APPROVES.encode(), b"", b"sha512", hashlib.sha512(MESSAGE).digest())
    signed = hashlib.sha256(b"SSHSIG" + b"".join(ssh_string(part) for part in inner)).digest()
    for flags, held in ((1, True), (5, True), (0, False)):
        tail = bytes([flags]) + bytes(4)
        proof = private.sign(hashlib.sha256(b"ssh:").digest() + tail + signed, ec.ECDSA(hashes.SHA256()))
        pair = b"".join(
            ssh_string(n.to_bytes(n.bit_length() // 8 + 1, "big")) for n in decode_dss_signature(proof)
        )
        armored = blob(ssh_string(kind) + ssh_string(pair) + tail, key=key)
        assert holds(armored) is held
        line = f"{kind.decode()} {base64.b64encode(key).decode()}"
        assert real_verdict(tmp_path, line, armored)
        assert not holds(blob(ssh_string(kind) + ssh_string(pair) + tail[:-1], key=key))


def test_a_key_that_names_another_curve_is_refused() -> None:
    key = P256[0] + ssh_string(b"nistp384") + ssh_string(POINT)
    assert not holds(blob(P256[0] + ssh_string(ssh_string(b"\1") + ssh_string(b"\1")), key=key))


@settings(PROPERTY, max_examples=400)
@given(st.sampled_from([GENUINE["ed25519"][1], GENUINE["security_key"][1]]), st.data())
def test_a_changed_character_of_a_signature_never_holds(armored: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(armored) - 2))
    character = data.draw(st.characters(max_codepoint=127))
    changed = armored[:place] + character + armored[place + 1 :]
    assert holds(changed) == (changed == armored)


@PROPERTY
@given(st.text(max_size=60))
def test_any_text_is_refused(text: str) -> None:
    assert not holds(text)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 ",
        "ssh-ed25519 AAAA",
        "ssh-rsa " + JO.line.split()[1],
        JO.line + "\n",
        JO.line.replace(" ", "  "),
        "no-pty " + JO.line,
        JO.line[:-1] + "=",
    ],
)
def test_lines_that_are_no_key(line: str) -> None:
    with pytest.raises(BadKey):
        parse_public_key(line)


def test_a_comment_does_not_make_another_key() -> None:
    assert parse_public_key(JO.line + " jo@laptop of 2026") == parse_public_key(JO.line)
