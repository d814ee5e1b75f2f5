"""The host remembers how far the controller's audit log had come, whatever the controller says later."""

from pathlib import Path

import pytest

from agent.checkpoints import CheckpointKeeper
from agent.tally import Tally
from controller.audit import Checkpoint
from controller.signing import checkpoint_envelope, opened_checkpoint
from protocol.errors import ProtocolError
from tests.agent.house import signing_key

AUDIT = signing_key()
A, B = "aa" * 32, "bb" * 32


def told(seq: int, head: str = A, chain: str = "demo") -> bytes:
    return checkpoint_envelope(Checkpoint(chain, seq, head), AUDIT, at=1).encode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "checkpoint.json"


def test_the_highest_is_kept_over_a_restart(path: Path) -> None:
    keeper = CheckpointKeeper(path, "demo")
    assert keeper.seq is None
    for seq in (3, 7):
        assert keeper.take(told(seq)) == ()
    assert CheckpointKeeper(path, "demo").seq == 7


@pytest.mark.parametrize(
    "later", [told(6), told(7, B), told(9, chain="other")], ids=["lower", "head", "gone"]
)
def test_a_contradiction_is_counted_and_does_not_replace_the_proof(later: bytes, path: Path) -> None:
    keeper = CheckpointKeeper(path, "demo")
    keeper.take(told(7))
    kept = path.read_bytes()
    assert keeper.take(later) != ()
    assert keeper.take(later) != ()
    assert (keeper.conflicts, keeper.seq) == (2, 7)
    assert path.read_bytes() == kept
    assert keeper.take(told(8)) == ()
    assert (keeper.conflicts, keeper.seq) == (2, 8)


def test_what_is_kept_is_what_the_auditor_reads(path: Path) -> None:
    CheckpointKeeper(path, "demo").take(told(7))
    assert opened_checkpoint(path.read_bytes(), AUDIT.public) == [Checkpoint("demo", 7, A)]


@pytest.mark.parametrize("junk", [b"", b"{}", b"\xff", b"[" * 10_000, b'{"payload":"\xff"}'])
def test_junk_is_no_checkpoint_and_changes_nothing(junk: bytes, path: Path) -> None:
    keeper = CheckpointKeeper(path, "demo")
    keeper.take(told(7))
    with pytest.raises(ProtocolError):
        keeper.take(junk)
    assert (keeper.conflicts, CheckpointKeeper(path, "demo").seq) == (0, 7)


def test_a_damaged_proof_is_counted_and_put_aside(path: Path) -> None:
    path.write_bytes(b"{")
    keeper = CheckpointKeeper(path, "demo")
    assert (keeper.conflicts, keeper.seq) == (1, None)
    assert path.with_suffix(".damaged").read_bytes() == b"{"
    assert keeper.take(told(7)) == ()


def test_the_series(path: Path) -> None:
    tally = Tally()
    tally.checkpoints = keeper = CheckpointKeeper(path, "demo")

    def series() -> dict[str, float]:
        return {family.metric.name: value for family in tally.collect() for _, value in family.samples()}

    assert series()["steward_agent_audit_checkpoint_conflicts_total"] == 0
    assert "steward_agent_audit_checkpoint_seq" not in series(), "missing is absent"
    keeper.take(told(7))
    keeper.take(told(6))
    assert series()["steward_agent_audit_checkpoint_seq"] == 7
    assert series()["steward_agent_audit_checkpoint_conflicts_total"] == 1
