"""The trust chain beyond the published vectors: what a set holds, and how a host's copy goes on."""

from __future__ import annotations

from typing import Any

import pytest

from protocol.documents import TrustBundle
from protocol.errors import Refusal
from protocol.reasons import Reason
from protocol.trust import MAX_CHAIN, TrustSet, advance, check_current, walk, walk_chain
from tests.protocol.scene import (
    DAY,
    NOW,
    SAM,
    approvers,
    chain,
    key,
    person,
    role,
    trust_step,
)

FIRST = trust_step()
HELD = TrustBundle.parse(chain(FIRST, approvers=approvers()))


def refusal(*arguments: Any, **options: Any) -> Reason:
    with pytest.raises(Refusal) as caught:
        advance(*arguments, **options)
    return caught.value.reason


def test_a_set_holds_what_the_last_document_says() -> None:
    second = trust_step(2, controller=role("other"), ca_pins=["ab" * 32], expires_at=NOW + DAY)
    trust = walk(TrustBundle.parse(chain(FIRST, second)), now=NOW, known_version=1)
    assert (trust.version, trust.expires_at, trust.ca_pins) == (2, NOW + DAY, ("ab" * 32,))
    assert trust.controller.keys == (key("other").public,)
    assert trust.approvers is None


def test_approvers_are_found_by_key() -> None:
    trust = walk_chain(HELD)
    assert trust.approvers is not None
    names = {approver.name for approver in trust.approvers.by_key.values()}
    assert {"jo", "sam", "kim", "lee"} <= names


def test_a_host_off_for_a_year_recovers_by_the_chain() -> None:
    steps = [trust_step(n, expires_at=NOW - (40 - n) * 30 * DAY) for n in range(2, 40)]
    bundle, trust = advance(HELD, [*steps, trust_step(40)], None)
    assert trust.version == 40
    assert len(bundle.trust) == 40
    check_current(trust, now=NOW, known_version=39)


def test_a_step_that_does_not_hold_changes_nothing() -> None:
    assert refusal(HELD, [trust_step(3)], None) is Reason.TRUST_BROKEN_CHAIN
    assert refusal(HELD, [trust_step(2, signers=("controller",))], None) is Reason.TRUST_BROKEN_CHAIN


def test_approvers_that_no_longer_hold_do_not_hold_up_a_revocation() -> None:
    bundle, trust = advance(HELD, [trust_step(2, approver_admin=role("admin2"))], None)
    assert (trust.version, trust.approvers, bundle.approvers) == (2, None, None)


def test_new_approvers_must_hold() -> None:
    assert refusal(HELD, [], approvers(signers=("stranger",))) is Reason.TRUST_BROKEN_CHAIN


def test_older_approvers_are_refused() -> None:
    newer = approvers(version=5, people=[person("sam", SAM.line)])
    _, trust = advance(HELD, [], newer, known_approvers=1)
    assert trust.approvers is not None
    assert trust.approvers.version == 5
    assert refusal(HELD, [], approvers(version=4), known_approvers=5) is Reason.TRUST_ROLLED_BACK


def test_an_endless_chain_is_refused_before_any_signature_is_looked_at() -> None:
    endless = TrustBundle(chain(FIRST)["root_sha256"], (FIRST, *({} for _ in range(MAX_CHAIN))))
    with pytest.raises(Refusal) as caught:
        walk_chain(endless)
    assert caught.value.reason is Reason.TRUST_BROKEN_CHAIN


@pytest.mark.parametrize(("now", "known"), [(NOW, 2), (NOW + 11 * DAY, 1)])
def test_a_kept_set_is_checked_at_each_use(now: int, known: int) -> None:
    trust: TrustSet = walk_chain(HELD)
    with pytest.raises(Refusal):
        check_current(trust, now=now, known_version=known)


@pytest.mark.parametrize("payload_type", ["", "\ud800", "é", "a" * 100_000], ids=lambda text: ascii(text[:6]))
def test_a_step_of_any_other_type_breaks_the_chain(payload_type: str) -> None:
    """Even a type that has no bytes to be signed over (a lone surrogate) is refused, not stumbled over."""
    step = {**trust_step(2), "payloadType": payload_type}
    assert refusal(HELD, [step], None) is Reason.TRUST_BROKEN_CHAIN
    assert refusal(HELD, [], {**approvers(), "payloadType": payload_type}) is Reason.TRUST_BROKEN_CHAIN
    first = TrustBundle.parse(chain({**FIRST, "payloadType": payload_type}))
    with pytest.raises(Refusal):
        walk_chain(first)
