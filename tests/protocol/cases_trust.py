"""Cases of the trust chain: the pinned start, each step, rollback, expiry, approvers."""

from __future__ import annotations

from typing import Any

from protocol import canonical, dsse
from tests.protocol.scene import (
    DAY,
    JO,
    NOW,
    SAM,
    Case,
    action,
    approvers,
    chain,
    envelope,
    key,
    person,
    role,
    state,
    trust_fields,
    trust_step,
)

BASE = Case("trust", "accepted")
FIRST = trust_step()


def cases() -> list[Case]:
    """All of them."""
    return [*starts(), *steps(), *documents(), *ages(), *approver_documents()]


def many(expect: str, bundles: dict[str, dict[str, Any]]) -> list[Case]:
    """One case for each bundle, all with one outcome."""
    return [BASE.but(f"trust_{name}", expect, trust=bundle) for name, bundle in bundles.items()]


def starts() -> list[Case]:
    """The first document: the pinned one, by its own root."""
    pin = chain(FIRST)["root_sha256"]
    return [
        *many(
            "trust_unknown_root",
            {
                "not_the_pinned_root": chain(trust_step(expires_at=NOW + DAY)) | {"root_sha256": pin},
                "pin_of_the_second": chain(trust_step(2), FIRST) | {"trust": [FIRST, trust_step(2)]},
                "empty": {"root_sha256": pin, "trust": []},
            },
        ),
        *many(
            "trust_broken_chain",
            {
                "first_not_by_its_root": chain(trust_step(signers=("controller",))),
                "first_below_threshold": chain(
                    trust_step(root=role("root", "root2", threshold=2), signers=("root",))
                ),
                "first_one_key_twice": chain(one_signature_twice()),
                "first_of_another_type": chain(envelope(trust_fields(), dsse.APPROVERS, "root")),
            },
        ),
        BASE.but(
            "trust_first_pinned_at_version_5",
            "accepted",
            trust=chain(trust_step(5)),
            delivery=action(trust_version=5),
        ),
    ]


def one_signature_twice() -> dict[str, Any]:
    """Two root signatures needed, one made and shown under both key ids."""
    step = trust_step(root=role("root", "root2", threshold=2), signers=("root",))
    again = step["signatures"][0] | {"keyid": key("root2").keyid}
    return step | {"signatures": [step["signatures"][0], again]}


def steps() -> list[Case]:
    """Later documents: by the thresholds of both roots, one version after another."""
    rotated = {"root": role("root2")}
    good = {
        "two_steps": chain(FIRST, trust_step(2)),
        "root_rotated": chain(FIRST, trust_step(2, **rotated, signers=("root", "root2"))),
        "root_rotated_twice": chain(
            FIRST,
            trust_step(2, **rotated, signers=("root", "root2")),
            trust_step(3, root=role("root3"), signers=("root2", "root3")),
        ),
        "middle_expired": chain(FIRST, trust_step(2, expires_at=NOW - DAY), trust_step(3)),
        "controller_rotated_back": chain(FIRST, trust_step(2, controller=role("other")), trust_step(3)),
    }
    broken = {
        "step_by_the_new_root_alone": chain(FIRST, trust_step(2, **rotated, signers=("root2",))),
        "step_by_the_old_root_alone": chain(FIRST, trust_step(2, **rotated, signers=("root",))),
        "step_by_a_root_two_back": chain(
            FIRST,
            trust_step(2, **rotated, signers=("root", "root2")),
            trust_step(3, **rotated, signers=("root",)),
        ),
        "step_skips_a_version": chain(FIRST, trust_step(3)),
        "step_repeats_a_version": chain(FIRST, FIRST),
        "step_goes_back": chain(trust_step(2), trust_step(1)),
        "step_new_threshold_not_reached": chain(
            FIRST, trust_step(2, root=role("root", "root2", "root3", threshold=2), signers=("root",))
        ),
        "step_malformed": chain(FIRST) | {"trust": [FIRST, trust_step(2) | {"note": ""}]},
        "step_without_signature": chain(FIRST) | {"trust": [FIRST, trust_step(2) | {"signatures": []}]},
    }
    revoked = chain(FIRST, trust_step(2, controller=role("other")))
    return [
        *many("accepted", good),
        *many("trust_broken_chain", broken),
        BASE.but("trust_controller_key_revoked", "untrusted_key", trust=revoked),
        BASE.but("trust_controller_key_new", "accepted", trust=revoked, delivery=action("other")),
    ]


def documents() -> list[Case]:
    """A signed first document that is not as specified."""
    twice = {"keys": role("root")["keys"] * 2, "threshold": 2}
    payload = canonical.encode(trust_fields())
    broken: dict[str, Any] = {
        "duplicate_root_key": trust_fields(root=twice),
        "duplicate_controller_key": trust_fields(controller=twice | {"threshold": 1}),
        "duplicate_admin_key": trust_fields(approver_admin=twice | {"threshold": 1}),
        "threshold_zero": trust_fields(controller=role("controller", threshold=0)),
        "threshold_out_of_reach": trust_fields(controller=role("controller", threshold=2)),
        "no_controller_key": trust_fields(controller={"keys": [], "threshold": 1}),
        "unknown_field": trust_fields(note=""),
        "unknown_scheme": trust_fields(
            controller={"keys": [{"public": "AAAA", "scheme": "rsa"}], "threshold": 1}
        ),
        "short_key": trust_fields(
            controller={"keys": [{"public": "AAAA", "scheme": "ed25519"}], "threshold": 1}
        ),
        "version_zero": trust_fields(0),
        "not_canonical": payload + b"\n",
        "version_as_text": trust_fields(version="1"),
    }
    return many(
        "trust_broken_chain",
        {f"document_{name}": chain(envelope(doc, dsse.TRUST, "root")) for name, doc in broken.items()},
    )


def ages() -> list[Case]:
    """Rollback and expiry of the last document."""
    expired = chain(trust_step(expires_at=NOW - 1))
    return [
        BASE.but("trust_rolled_back", "trust_rolled_back", state=state(trust_version=2)),
        BASE.but(
            "trust_rolled_back_before_expired",
            "trust_rolled_back",
            trust=expired,
            state=state(trust_version=2),
        ),
        BASE.but("trust_expired", "trust_expired", trust=expired),
        BASE.but("trust_expires_now", "accepted", trust=chain(trust_step(expires_at=NOW))),
        BASE.but(
            "trust_last_expired",
            "trust_expired",
            trust=chain(FIRST, trust_step(2, expires_at=NOW - 1)),
        ),
    ]


def approver_documents() -> list[Case]:
    """The approvers, whose document is part of the chain even where no approval is needed."""
    jo, sam = person("jo", JO.line), person("sam", SAM.line)
    broken = {
        "by_the_root": approvers(signers=("root",)),
        "by_the_controller": approvers(signers=("controller",)),
        "of_another_type": envelope({"expires_at": NOW, "people": [], "version": 1}, dsse.TRUST, "admin"),
        "person_twice": approvers(people=[jo, sam, jo | {"keys": []}]),
        "key_of_two_people": approvers(people=[jo, person("sam", JO.line + " comment")]),
        "key_twice": approvers(people=[person("jo", JO.line, JO.line)]),
        "key_with_options": approvers(people=[person("jo", "no-pty " + JO.line)]),
        "unknown_field": approvers(note=""),
    }
    bundles = {f"approvers_{name}": chain(FIRST, approvers=document) for name, document in broken.items()}
    return [
        *many("trust_broken_chain", bundles),
        *many(
            "accepted", {"approvers_expired_but_not_needed": chain(FIRST, approvers=approvers(expires_at=1))}
        ),
    ]
