"""Cases of requests and approvals: what people signed, who they are, how many they are."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from protocol import canonical
from tests.protocol.scene import (
    ACTION_ID,
    APPROVES,
    ASKS,
    EVE,
    JO,
    KIM,
    NOW,
    OTHER_HOST,
    RECORDED,
    REQUEST_ID,
    RESTART,
    SAM,
    TOKEN,
    Case,
    action,
    approvers,
    armor,
    chain,
    item,
    request_fields,
    request_payload,
    restart,
    state,
    trust_step,
)

TRUST = chain(trust_step(), approvers=approvers())
BASE = Case("request", "accepted", delivery=restart(), trust=TRUST, limits=RESTART)
PAYLOAD = request_payload()
ASKED = JO.sign(PAYLOAD, ASKS)
RUN_KEY = f"{REQUEST_ID}/{hashlib.sha256(canonical.encode(item())).hexdigest()}"
NO_APPROVALS = {"kinds": {"service.restart": {"units": ["web"]}}}
TWO_APPROVALS = {"kinds": {"service.restart": {"units": ["web"], "approvals": 2}}}


def cases() -> list[Case]:
    """All of them."""
    return [*presence(), *matches(), *signatures(), *recorded(), *approvals(), *memories()]


def many(prefix: str, expect: str, deliveries: dict[str, str], **changes: Any) -> list[Case]:
    """One case for each delivery, all with one outcome."""
    return [
        BASE.but(f"{prefix}_{name}", expect, delivery=text, **changes) for name, text in deliveries.items()
    ]


def presence() -> list[Case]:
    """Whether there is a request where one is needed."""
    plain = action(kind="service.restart", args={"unit": "web"})
    unasked = restart(request_sha256=hashlib.sha256(b"").hexdigest())
    return [
        BASE.but("request_accepted", "accepted"),
        BASE.but("request_missing", "request_missing", delivery=plain),
        BASE.but("request_not_needed", "accepted", delivery=plain, limits=NO_APPROVALS),
        BASE.but("request_named_but_not_delivered", "request_missing", delivery=restart(delivered=False)),
        BASE.but(
            "request_named_but_not_delivered_nor_needed",
            "request_missing",
            delivery=restart(delivered=False),
            limits=NO_APPROVALS,
        ),
        BASE.but("request_of_another_hash", "request_mismatch", delivery=unasked),
        BASE.but(
            "request_delivered_but_not_named",
            "request_mismatch",
            delivery=plain[:-1] + ',"request":' + restart().split('"request": ')[1],
            limits=NO_APPROVALS,
        ),
        *many("request", "malformed_envelope", {"without_signatures": restart(signatures=[])}),
        *many("request", "malformed_envelope", {"with_17_signatures": restart(signatures=[ASKED] * 17)}),
        *many(
            "request",
            "too_large",
            {"over_256_kib": restart(request_payload(reason="x" * 256 * 1024), [ASKED])},
        ),
    ]


def matches() -> list[Case]:
    """A request that does not cover this action, or is none."""
    unsorted = request_fields(items=[item(host_id=OTHER_HOST), item()])
    documents = {
        "item_for_another_host": request_payload(items=[item(host_id=OTHER_HOST)]),
        "item_of_another_kind": request_payload(items=[item(kind="service.stop")]),
        "item_with_other_args": request_payload(items=[item(args={"unit": "db"})]),
        "item_with_more_args": request_payload(items=[item(args={"unit": "web", "now": 1})]),
        "items_empty": request_payload(items=[]),
        "items_unsorted": canonical.encode(unsorted),
        "item_twice": request_payload(items=[item(), item()]),
        "items_over_1000": request_payload(items=[item(args={"unit": f"u{n:04}"}) for n in range(1001)]),
        "not_canonical": PAYLOAD + b"\n",
        "no_json": b"please",
        "unknown_field": request_payload(note=""),
        "id_no_ulid": request_payload(id="1"),
        "window_begins_in_91_seconds": request_payload(**{"from": NOW + 91}),
        "window_ended_91_ago": request_payload(until=NOW - 91),
    }
    inside = {
        "window_begins_in_90_seconds": request_payload(**{"from": NOW + 90}),
        "window_ended_90_ago": request_payload(until=NOW - 90),
        "text_is_any": request_payload(reason='a "new"\n\u00e9 \U0001f512'),
    }
    return [
        *many("request", "request_mismatch", {name: restart(payload) for name, payload in documents.items()}),
        *many("request", "accepted", {name: restart(payload) for name, payload in inside.items()}),
    ]


def signatures() -> list[Case]:
    """Every signature must hold, in the namespace that its person may use."""
    approved = SAM.sign(PAYLOAD, APPROVES)
    broken = {
        "by_nobody": EVE.sign(PAYLOAD, APPROVES),
        "of_other_bytes": SAM.sign(PAYLOAD + b" ", APPROVES),
        "approver_in_the_request_namespace": SAM.sign(PAYLOAD, ASKS),
        "in_the_file_namespace": SAM.sign(PAYLOAD, "file"),
        "in_the_git_namespace": SAM.sign(PAYLOAD, "git"),
        "in_no_namespace": SAM.sign(PAYLOAD, ""),
        "namespace_with_nul": SAM.sign(PAYLOAD, APPROVES + "\0"),
        "reserved_not_empty": SAM.sign(PAYLOAD, APPROVES, reserved=b"x"),
        "sha1": SAM.sign(PAYLOAD, APPROVES, algorithm="sha1"),
        "version_2": SAM.sign(PAYLOAD, APPROVES, version=2),
        "no_armor": "yes",
        "empty": "",
        "armor_cut": approved[:-20],
        "armor_with_crlf": approved.replace("\n", "\r\n"),
        "armor_with_space": approved.replace("\nU1NIU0lH", "\n U1NIU0lH"),
        "armor_after_text": "see below\n" + approved,
        "bytes_after_the_end": armor(_blob(approved) + b"\0"),
        "blob_cut": armor(_blob(approved)[:-1]),
        "security_key_without_presence": TOKEN.sign(PAYLOAD, APPROVES, flags=0),
        "security_key_verified_but_not_present": TOKEN.sign(PAYLOAD, APPROVES, flags=4),
    }
    without = {
        "no_requester": [approved],
        "requester_as_approver_alone": [JO.sign(PAYLOAD, APPROVES), approved],
    }
    texts = {f"signature_{name}": restart(signatures=[ASKED, bad]) for name, bad in broken.items()}
    beside = {
        "signature_broken_beside_enough": restart(signatures=[ASKED, approved, EVE.sign(PAYLOAD, APPROVES)])
    }
    return [
        *many("request", "request_bad_signature", texts | beside),
        *many("request", "request_bad_signature", {n: restart(signatures=s) for n, s in without.items()}),
        BASE.but(
            "request_signature_checked_though_not_needed",
            "request_bad_signature",
            delivery=restart(signatures=[EVE.sign(PAYLOAD, ASKS)]),
            limits=NO_APPROVALS,
        ),
        BASE.but("request_without_approvers_document", "request_bad_signature", trust=chain(trust_step())),
    ]


def _blob(armored: str) -> bytes:
    """The bytes inside armor."""
    return base64.b64decode("".join(armored.strip().split("\n")[1:-1]))


def recorded() -> list[Case]:
    """What the real ssh-keygen signed, with each type of key."""
    found = []
    for name, entry in sorted(RECORDED["keys"].items()):
        accepted = name not in ("rsa", "certified")
        for label, armored in sorted(entry["signatures"].items()):
            namespace, algorithm = label.split(" ")
            expect = "accepted" if accepted and namespace == APPROVES else "request_bad_signature"
            title = f"ssh_keygen_{name}_{algorithm}_{namespace.split('@')[0].replace('-', '_')}"
            found.append(BASE.but(title, expect, delivery=restart(signatures=[ASKED, armored])))
    return found


def approvals() -> list[Case]:
    """How many distinct people, who may."""
    by_sam, by_token = SAM.sign(PAYLOAD, APPROVES), TOKEN.sign(PAYLOAD, APPROVES)
    expired = chain(trust_step(), approvers=approvers(expires_at=NOW - 1))
    few = {
        "none": [ASKED],
        "by_the_requester": [ASKED, JO.sign(PAYLOAD, APPROVES)],
        "by_one_not_allowed_the_kind": [ASKED, KIM.sign(PAYLOAD, APPROVES)],
    }
    again = SAM.sign(PAYLOAD, APPROVES, algorithm="sha256")
    return [
        *many(
            "approvals", "approvals_missing", {name: restart(signatures=made) for name, made in few.items()}
        ),
        *many(
            "approvals",
            "approvals_missing",
            {"one_person_twice": restart(signatures=[ASKED, by_sam, again])},
            limits=TWO_APPROVALS,
        ),
        *many(
            "approvals",
            "approvals_missing",
            {"one_person_with_two_keys": restart(signatures=[ASKED, by_sam, KIM.sign(PAYLOAD, APPROVES)])},
            limits=TWO_APPROVALS,
            trust=chain(trust_step(), approvers=two_keys()),
        ),
        *many(
            "approvals",
            "accepted",
            {"two_people": restart(signatures=[by_token, ASKED, by_sam])},
            limits=TWO_APPROVALS,
        ),
        *many("approvals", "accepted", {"by_a_security_key": restart(signatures=[ASKED, by_token])}),
        *many("approvals", "accepted", {"sha256": restart(signatures=[ASKED, again])}),
        BASE.but("approvers_expired", "approvers_expired", trust=expired),
        BASE.but(
            "approvers_expire_now", "accepted", trust=chain(trust_step(), approvers=approvers(expires_at=NOW))
        ),
        BASE.but(
            "approvers_expired_though_not_needed", "approvers_expired", trust=expired, limits=NO_APPROVALS
        ),
    ]


def two_keys() -> dict[str, Any]:
    """Approvers of whom sam has two keys."""
    people = [
        {"keys": [JO.line], "kinds": [], "name": "jo"},
        {"keys": [SAM.line, KIM.line], "kinds": ["*"], "name": "sam"},
    ]
    return approvers(people=people)


def memories() -> list[Case]:
    """Each item of a request runs once on a host."""
    return [
        BASE.but("request_already_run", "request_already_run", state=state(requests_run=[RUN_KEY])),
        BASE.but(
            "request_already_run_before_replayed",
            "request_already_run",
            state=state(requests_run=[RUN_KEY], seen=[ACTION_ID]),
        ),
        BASE.but("request_other_item_run", "accepted", state=state(requests_run=[RUN_KEY[:-1] + "_"])),
        BASE.but("request_replayed", "replayed", state=state(seen=[ACTION_ID])),
        BASE.but("request_superseded", "superseded", state=state(last_seq={"service:web": 7})),
        BASE.but("request_wrong_host", "wrong_host", host_id=OTHER_HOST),
    ]
