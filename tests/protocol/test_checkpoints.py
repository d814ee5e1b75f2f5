"""Checkpoints: their shape, and what one says against another."""

from __future__ import annotations

from typing import Any

import pytest

from protocol import canonical, dsse
from protocol.checkpoints import Checkpoint, contradictions
from protocol.errors import ProtocolError
from tests.protocol.scene import key

A, B = "aa" * 32, "bb" * 32


def head(seq: int, sha256: str = A, chain: str = "demo") -> dict[str, Any]:
    return {"chain": chain, "head": sha256, "seq": seq}


def envelope(value: object, payload_type: str = dsse.CHECKPOINT) -> dsse.Envelope:
    return dsse.sign(canonical.encode(value), payload_type, [key("audit")])


def checkpoint(*chains: dict[str, Any]) -> Checkpoint:
    return Checkpoint.of(envelope({"at": 1, "chains": list(chains)}))


CASES = {
    "the same": ([head(5)], [head(5)], ()),
    "higher": ([head(5)], [head(6, B)], ()),
    "lower": ([head(5)], [head(4, B)], ("demo",)),
    "another head": ([head(5)], [head(5, B)], ("demo",)),
    "a chain more": ([head(5)], [head(5), head(1, chain="two")], ()),
    "a chain gone": ([head(5), head(1, chain="two")], [head(9)], ("two",)),
    "one up, one down": ([head(5), head(5, chain="two")], [head(9), head(4, chain="two")], ("two",)),
    "before the first": ([head(0, "")], [head(1)], ()),
}


@pytest.mark.parametrize("case", CASES)
def test_what_contradicts(case: str) -> None:
    kept, told, expected = CASES[case]
    assert contradictions(checkpoint(*kept), checkpoint(*told)) == expected


BAD: dict[str, Any] = {
    "another type": envelope({"at": 1, "chains": [head(1)]}, dsse.RECEIPT),
    "no chains": envelope({"at": 1, "chains": []}),
    "no time": envelope({"chains": [head(1)]}),
    "a chain twice": envelope({"at": 1, "chains": [head(1), head(2)]}),
    "a head that is no hash": envelope({"at": 1, "chains": [head(1, "x")]}),
    "a negative number": envelope({"at": 1, "chains": [head(-1)]}),
    "more": envelope({"at": 1, "chains": [head(1)], "note": ""}),
    "a list": envelope([]),
    "not canonical": dsse.sign(b'{"at": 1,"chains":[]}', dsse.CHECKPOINT, [key("audit")]),
    "no JSON": dsse.sign(b"\xff", dsse.CHECKPOINT, [key("audit")]),
    "deep": dsse.sign(b"[" * 50_000, dsse.CHECKPOINT, [key("audit")]),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_checkpoint(case: str) -> None:
    with pytest.raises(ProtocolError):
        Checkpoint.of(BAD[case])
