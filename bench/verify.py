"""What it costs to verify one delivery: microseconds, beside the bare Ed25519 check and a peer's DSSE.

The deliveries are published vectors. Best of several rounds: the least disturbed one. Both peers do less:
the bare check has no format at all, securesystemslib has the envelope and the signature but neither trust
nor payload.
"""

import json
import time
from collections.abc import Callable
from importlib import resources

from securesystemslib.dsse import Envelope as PeerEnvelope
from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]  # re-exported without saying so

from protocol import dsse
from protocol.documents import Delivery, Limits, TrustBundle
from protocol.trust import TrustSet, walk_chain
from protocol.vector import Vector
from protocol.verify import Accepted, verify

_ROUNDS, _CALLS = 7, 300
_CASES = {
    "ping": "accepted_ping",
    "request, 2 SSH signatures": "request_accepted",
    "refused: another host": "host_another",
    "refused: stranger's key": "key_stranger",
}


def run() -> None:
    """Print a line for each case: microseconds, and the ratio to the bare check of one signature."""
    ping = _vector("accepted_ping")
    bare = _bare(ping)
    floor = _microseconds(bare)
    _line("bare Ed25519 check", floor, floor)
    _line("securesystemslib: envelope and signature", _microseconds(_peer(ping)), floor)
    for title, name in _CASES.items():
        vector = _vector(name)
        bundle = TrustBundle.parse(vector.trust)
        _line(f"verify, {title}", _microseconds(_ours(vector, walk_chain(bundle))), floor)
        _line(f"verify, {title}, chain walked each time", _microseconds(_ours(vector, bundle)), floor)


def _vector(name: str) -> Vector:
    return Vector.parse((resources.files("protocol") / "vectors" / f"{name}.json").read_bytes())


def _ours(vector: Vector, bundle: TrustBundle | TrustSet) -> Callable[[], object]:
    delivery, limits, state = vector.delivery.encode(), Limits.parse(vector.limits), vector.state.as_state()

    def once() -> object:
        return verify(
            delivery, bundle=bundle, limits=limits, host_id=vector.host_id, now=vector.now, state=state
        )

    if isinstance(once(), Accepted) != (vector.expect == "accepted"):
        raise RuntimeError(f"{vector.name} is not answered as published")
    return once


def _bare(vector: Vector) -> Callable[[], object]:
    envelope = Delivery.parse(vector.delivery.encode()).action
    key = walk_chain(TrustBundle.parse(vector.trust)).controller.keys[0]
    data, signature = dsse.pae(envelope.payload_type, envelope.payload), envelope.signatures[0].sig
    return lambda: key.verify(signature, data)


def _peer(vector: Vector) -> Callable[[], object]:
    raw = json.dumps(json.loads(vector.delivery)["action"])
    key = walk_chain(TrustBundle.parse(vector.trust)).controller.keys[0]
    peer = SSlibKey(key.keyid, "ed25519", "ed25519", {"public": key.raw.hex()})
    return lambda: PeerEnvelope.from_dict(json.loads(raw)).verify([peer], 1)


def _microseconds(once: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        for _ in range(_CALLS):
            once()
        best = min(best, time.perf_counter() - start)
    return best / _CALLS * 1e6


def _line(title: str, microseconds: float, floor: float) -> None:
    print(f"{title:<58}{microseconds:>9.1f} µs  {microseconds / floor:>6.2f} x")
